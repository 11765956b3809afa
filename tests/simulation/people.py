"""Who asks: browser tabs, the app's services, operators, and one who creates a user; all of them outside.

They go on until the world is calm, each with a replica that chance picks for every call.
"""

from __future__ import annotations

from service.broker.errors import GrantDead, GrantPaused, TokenUnknown, UserUnknown
from service.broker.model import CurrentToken, Profile, UserKey
from tests.simulation.journal import Call
from tests.simulation.replicas import CLIENT, Gone

FORGED = "forged."
"""How tokens begin that nobody has issued."""

CREATED = "dora"
"""Who is created while the schedule runs."""

BROWSER_WAITS_S = 35.0
SERVICE_WAITS_S = 8.0

_SENT_AGAIN = frozenset({"browser", "service", "complaint", "create"})
"""What something in between may deliver twice and a caller means once; an order that comes late is obeyed."""


class Town:
    """Everybody who asks, and the way their calls go into the journal."""

    def __init__(self, world, replicas, upstream, journal):
        self.world = world
        self.upstream = upstream
        self.deleting = set()
        self.gone = set()
        self._replicas = replicas
        self._journal = journal

    async def ask(self, kind, key, use, *, replica=None, **facts):
        """Make a call; returns its record. What was delivered twice is another call, with its own record."""
        if kind in _SENT_AGAIN and self.world.likely(self.world.profile.delivered_twice):
            self.world.troubles["request delivered twice"] += 1
            again = self._ask(kind, key, use, self._replicas.any_service(), facts)
            self.world.loop.create_task(again, context=self.world.loop.outside.context)
        return await self._ask(kind, key, use, replica or self._replicas.any_service(), facts)

    async def _ask(self, kind, key, use, replica, facts):
        world = self.world
        process = replica.process
        call = Call(kind, key, world.loop.now, by=process.name, **facts)
        self._journal.calls.append(call)
        stopped_before = process.stopped_for
        if process.stopped:
            stopped_before -= world.loop.now - process.stopped_at
        world.say("asks {}: {} {} {}", call.by, kind, key.user_id, facts)
        try:
            call.outcome = await replica.ask(call, use)
        except Gone as gone:
            call.outcome = gone.with_traceback(None)
        call.answered_at = world.loop.now
        call.stopped_for = process.stopped_for - stopped_before
        world.say(
            "has {} of {} answered by {}: {!r:.90}", kind, key.user_id, call.by, call.token() or call.outcome
        )
        return call

    async def refresh(self, key, token, **where):
        return await self.ask(
            "browser", key, lambda broker: broker.answers.for_browser(token),
            presented=token, patience_s=BROWSER_WAITS_S, **where,
        )  # fmt: skip

    async def token(self, key, *, min_ttl_s=0.0, vouch=False, **where):
        return await self.ask(
            "service", key,
            lambda broker: broker.answers.for_service(key, min_ttl_s=min_ttl_s, vouch=vouch),
            min_ttl_s=min_ttl_s, patience_s=SERVICE_WAITS_S, **where,
        )  # fmt: skip

    async def complain(self, key, token):
        return await self.ask(
            "complaint", key, lambda broker: broker.answers.complain(key, token, actor="app"),
            presented=token,
        )  # fmt: skip

    async def order(self, kind, key):
        uses = {
            "rotate": lambda broker: broker.answers.rotate(key, force=False, actor="app"),
            "force": lambda broker: broker.answers.rotate(key, force=True, actor="app"),
            "revoke": lambda broker: broker.grants.revoke(key, actor="app"),
            "pause": lambda broker: broker.grants.pause(key, actor="app"),
            "resume": lambda broker: broker.grants.resume(key, actor="app"),
            "delete": lambda broker: broker.users.delete(key, actor="app"),
        }
        return await self.ask(kind, key, uses[kind])

    async def create(self, key, profile):
        return await self.ask(
            "create", key, lambda broker: broker.users.create(key, profile, vouch=True, actor="app")
        )


async def browse(town, key):
    """One tab: holds a token, and asks for another when upstream refuses it, or says that it does."""
    world, held, older = town.world, None, []
    while not world.calm and key not in town.deleting:
        if held is None:
            call = await town.token(key, vouch=True)
        elif world.random() < 0.02:
            call = await town.refresh(key, FORGED + key.user_id)
        elif older and world.random() < 0.2:
            call = await town.refresh(key, older[int(world.random() * len(older))])
        elif town.upstream.accepts(held) and world.random() < 0.75:
            await world.spend(_until_next(town, held))
            continue
        else:
            call = await town.refresh(key, held)
        if isinstance(call.outcome, CurrentToken):
            if held not in (None, call.token()):
                older.append(held)
            held = call.token()
            await world.spend(_until_next(town, held))
        else:
            held = None if isinstance(call.outcome, TokenUnknown) else held
            out = isinstance(call.outcome, (GrantPaused, GrantDead, UserUnknown))
            await world.spend(world.between(0.5, 5.0) if not out else world.profile.lifetime_s / 20)


async def serve(town, key):
    """One service of the app: asks by the user's id, and complains when upstream refuses what it got."""
    world, lifetime_s, held = town.world, town.world.profile.lifetime_s, None
    while not world.calm and key not in town.deleting:
        await world.spend(lifetime_s * world.between(0.02, 0.6))
        if held is not None and not town.upstream.accepts(held) and world.random() < 0.7:
            call = await town.complain(key, held)
        else:
            min_ttl_s = (0.0, 0.0, 5.0, lifetime_s * 0.45)[int(world.random() * 4)]
            call = await town.token(key, min_ttl_s=min_ttl_s, vouch=world.random() < 0.2)
        held = call.token() or held


async def operate(town, key):
    """Orders about one user, now and then."""
    world, profile = town.world, town.world.profile
    while not world.calm:
        await world.spend(profile.lifetime_s / profile.orders * world.between(0.2, 1.8))
        kind = ("rotate", "force", "revoke", "rotate", "pause")[int(world.random() * 5)]
        if world.calm or key in town.deleting:
            return
        await town.order(kind, key)
        if kind == "pause":
            left_s = max(0.0, profile.lifetime_s * profile.lifetimes - world.loop.now)
            await world.spend(min(left_s, profile.lifetime_s * world.between(0.0, 0.2)))
            await _repeat(town, "resume", key)
        elif world.random() < 0.3:
            await town.order("rotate", key)


async def be_deleted(town, key):
    """Have a user deleted by the app, which repeats the call until it succeeds."""
    await town.world.spend(town.world.between(0.0, town.world.profile.lifetime_s * 2))
    if not town.world.calm:
        town.deleting.add(key)
        await _repeat(town, "delete", key)


async def be_gone(town, key):
    """Have a user vanish upstream, without anybody telling the broker."""
    await town.world.spend(town.world.between(0.0, town.world.profile.lifetime_s * 2))
    if not town.world.calm:
        town.gone.add(key)
        for upstream_id in [one.upstream_id for one in town.upstream.users.values()]:
            if town.upstream.users[upstream_id].email == f"{key.user_id}@app.test":
                town.upstream.delete(upstream_id)


LEAVINGS = {"deleted": be_deleted, "gone": be_gone}


async def _repeat(town, kind, key):
    """Repeat an order until it succeeds, or the user is not there any more."""
    while True:
        call = await town.order(kind, key)
        if not isinstance(call.outcome, Exception) or isinstance(call.outcome, (UserUnknown, GrantDead)):
            return
        if isinstance(call.outcome, GrantPaused) and key in town.deleting:
            return
        await town.world.spend(town.world.between(0.5, 3.0))


async def create(town, name):
    """Create a user and not give up; who has created it goes on as a tab of that user."""
    world = town.world
    await world.spend(world.between(0.0, world.profile.lifetime_s))
    while not world.calm:
        call = await create_once(town, name)
        if isinstance(call.outcome, tuple):
            await browse(town, call.key)
        else:
            await world.spend(world.between(0.5, 8.0))


async def create_once(town, name):
    """Ask for a user to be created; returns the call."""
    return await town.create(UserKey(CLIENT, name), Profile(email=f"{name}@app.test"))


def _until_next(town, held):
    """Return how long a tab is content: often until about the end of its token, where all meet."""
    world, lifetime_s = town.world, town.world.profile.lifetime_s
    left_s = town.upstream.minted[held].expires_at - world.loop.now
    if world.random() < 0.5 and left_s > 0:
        return max(0.0, left_s + world.between(-0.25, 0.02) * lifetime_s)
    return lifetime_s * world.between(0.01, 0.5)
