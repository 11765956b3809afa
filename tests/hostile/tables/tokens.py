"""What is presented as a token: forged, altered, somebody else's, of another kind, too old."""

import json
import re

from tests.hostile.cases import Story, asks, calls
from tests.hostile.people import FORGED
from tests.hostile.tables.authorization import unknown
from tests.support.waiting import eventually


def given(row, what, token, user):
    """Return a case of a token that is answered with its user's current one."""
    return asks(row, what, 200, None, f"Authorization: Bearer {token}", gives=user)


def altered(token, how):
    head, claims, signature = token.split(".")
    return {
        "a signature byte": f"{head}.{claims}.{'A' if signature[5] != 'A' else 'B'}".join(
            ("", signature[1:])
        ),
        "a claim": f"{head}.{claims[:-2]}{'AA' if claims[-2:] != 'AA' else 'BB'}.{signature}",
        "no signature": f"{head}.{claims}.",
        "no dots at the end": f"{head}.{claims}",
        "a fourth part": f"{token}.AAAA",
        "five parts": f"{head}..{claims}.{signature}.AAAA",
        "one character less": token[:-1],
        "one character more": f"{token}A",
        "padding": f"{token}=",
        "upper case": token.upper(),
        "reversed": token[::-1],
        "twice in a row": f"{token}.{token}",
    }[how]


_HOWS = (
    "a signature byte",
    "a claim",
    "no signature",
    "no dots at the end",
    "a fourth part",
    "five parts",
    "one character less",
    "one character more",
    "padding",
    "upper case",
    "reversed",
    "twice in a row",
)


def _altering(how):
    async def play(town):
        answer = await town.refresh(altered(town.names["ann"], how))
        body = json.loads(answer.body)
        return (
            [] if (answer.status, body["code"]) == (401, "token_unknown") else [f"got {answer.raw[:200]!r}"]
        )

    return Story("H21", f"a token of ours with {how}", play)


async def _all_alike(town):
    """Whoever may not have a token gets the same bytes, whatever the reason."""
    tokens = {name: town.names[name] for name in ("revoked", "gone", "paused", "dead", "late25", "late8d")}
    tokens |= {"unknown": town.names["forged.hs256"], "short": "short"}
    seen = {}
    for name, token in tokens.items():
        answer = await town.refresh(token)
        same = tuple(pair for pair in answer.headers if pair[0] not in {"Date", "X-Request-Id"})
        seen.setdefault((answer.status, same, answer.body), []).append(name)
    return [] if len(seen) == 1 else [f"tells apart {sorted(seen.values())}"]


async def _current(town):
    """A current token is confirmed upstream once and handed back; refused again, it is replaced."""
    fay, now = int(town.names["fay.id"]), town.names["fay.now"]
    before = len(town.sandbox.journal.of("check", user_id=fay))
    first, second = await town.refresh(now), await town.refresh(now)
    given = [json.loads(answer.body).get("accessToken") for answer in (first, second)]
    asked = len(town.sandbox.journal.of("check", user_id=fay)) - before
    found = [] if given[0] == now else [f"the first answer is {first.status}, not the confirmed token"]
    found += [] if given[1] not in {now, ""} else [f"the second answer is {second.status}, not a new token"]
    return found + ([] if asked == 1 else [f"upstream was asked {asked} times"])


async def _nothing_fetched(town):
    return [f"{town.odd.trapped} connections to where a token pointed"] if town.odd.trapped else []


def _noticing(row, what, kind):
    """Return a story in which the process has counted what came; it does so once it has answered."""

    async def play(town):
        async def is_counted():
            answer = await town.ask("observe", target="/metrics")
            counted = re.search(rb'token_reuse_total\{kind="%b"\} ([\d.]+)' % kind.encode(), answer.body)
            return counted is not None and float(counted[1]) > 0

        try:
            await eventually(is_counted, within_s=10)
        except TimeoutError:
            return [f"no {kind} was counted"]
        return []

    return Story(row, what, play, late=True)


CASES = [
    *(unknown("H22" if "." in name[7:] or "-" in name else "H20", name, f"{{{name}}}") for name in FORGED),
    *(_altering(how) for how in _HOWS),
    Story("H22", "nothing that a token names is fetched", _nothing_fetched, late=True),
    unknown("H25", "a refresh token of upstream", "{ann.refresh}"),
    unknown("H26", "the OAuth client's secret", "{secret}"),
    unknown("H26", "an API key of a service", "{backend}"),
    unknown("H26", "an API key of upstream's form", "cal_live_0123456789abcdef0123456789abcdef"),
    _noticing("H26", "secrets presented as tokens are noticed", "secret"),
    _noticing("H26", "what looks like an API key of upstream's is noticed apart", "secret_like"),
    calls(
        "H26",
        "an access token as an API key",
        401,
        "key_unknown",
        method="GET",
        key="Authorization: Bearer {ann.now}",
    ),
    calls(
        "H26",
        "the client's secret as an API key",
        401,
        "key_unknown",
        method="GET",
        key="Authorization: Bearer {secret}",
    ),
    calls(
        "H24",
        "one user's token on another's path",
        422,
        "invalid",
        {"refused": "{ann.now}"},
        target="/v1/users/bob/refresh",
    ),
    calls(
        "H24",
        "an older token on another's path",
        422,
        "invalid",
        {"refused": "{ann}"},
        target="/v1/users/bob/refresh",
    ),
    given("H28", "the immediate predecessor", "{bob}", "bob"),
    *(
        given("H29", f"{5 - number} generations old", f"{{dora.{number}}}" if number else "{dora}", "dora")
        for number in range(5)
    ),
    _noticing("H29", "more than three generations behind is noticed", "far_behind"),
    _noticing("H31", "use after a revoke is noticed", "revoked"),
    given("H30", "expired 23 h ago", "{late23}", "late23"),
    unknown("H30", "expired 25 h ago", "{late25}"),
    unknown("H30", "expired 8 days ago", "{late8d}"),
    *(
        unknown("H31", f"of a user who is {user}", f"{{{user}{which}}}")
        for user in ("revoked", "gone", "paused", "dead")
        for which in ("", ".now")
        if (user, which) != ("revoked", ".now")
    ),
    Story("H31", "every refusal is the same to the byte", _all_alike),
    Story("H32", "the current token is confirmed once, then replaced", _current),
    given("H24", "a token of another client's user, here on one listener for all", "{olga}", "olga"),
]
