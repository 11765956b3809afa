"""Decides from what was seen of a case, all of it from outside, whether every promise was kept.

The promises bear the names they have in the fault table: I1 nobody is locked out, I2 no dead answer, I4 no
refresh token presented out of turn, I6 generations; `calls` is the exact outcome of F6 to F9.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.crash_cases import Calls, calls_due
from tests.chaos.crash_town import CLAIM_S, UPSTREAM_S
from tests.chaos.points import EXIT_CODE

GIVEN_WITHIN_S = CLAIM_S + UPSTREAM_S + 2.0


@dataclass(frozen=True)
class Finding:
    """A promise that was broken, and how."""

    promise: str
    text: str


def findings(seen):
    """Return everything that is wrong."""
    if seen.trouble:
        return [Finding("played", seen.trouble)]
    return [Finding(promise, text) for promise, check in CHECKS for text in check(seen)]


def given_in_time(seen):
    """I1: after the blow, somebody who asks the others is given a token that upstream accepts."""
    lives = lives_of(seen)
    for answer in seen.answers:
        if answer.by == "healthy" and answer.handed_out in lives:
            took_s = (answer.ended_ms - seen.struck_ms) / 1000
            if answer.ended_ms <= lives[answer.handed_out][1]:
                if took_s > GIVEN_WITHIN_S:
                    yield f"a live token was given {took_s:.1f} s after the blow, not in {GIVEN_WITHIN_S} s"
                return
    yield f"no live token was given: {[(answer.by, answer.status) for answer in seen.answers]}"


def no_dead_answer(seen):
    """I2: no token was dead upstream before it was asked for; whoever was struck answers so too."""
    lives = lives_of(seen)
    for answer in seen.answers:
        if answer.handed_out is None:
            continue
        died_ms = lives.get(answer.handed_out, (0, 0))[1]
        if died_ms < answer.started_ms:
            yield f"{answer.by} gave {answer.handed_out}, dead {answer.started_ms - died_ms:.0f} ms before"


def in_turn(seen):
    """I4: no refresh token is presented once its successor is committed or it is known to be dead, and
    none while another's presentation of it is under way and within its claim.
    """
    presentations = [entry for entry in seen.journal if entry.presented]
    for place, entry in enumerate(presentations):
        for row in seen.history:
            if row.at_ms >= entry.started_ms or row.generation < _generation(seen, entry.presented):
                continue
            if row.generation > _generation(seen, entry.presented):
                yield f"{_named(entry)} after its successor was committed at {row.at_ms:.0f}"
                break
            if row.refresh_token_dead:
                yield f"{_named(entry)} after it was known to be dead at {row.at_ms:.0f}"
                break
        for earlier in presentations[:place]:
            overlaps = earlier.presented == entry.presented and entry.started_ms < earlier.ended_ms
            if overlaps and entry.started_ms < _deadline_ms(seen, earlier.started_ms):
                yield f"{_named(entry)} overlaps {_named(earlier)}"


def under_a_claim(seen):
    """Whatever spends a token is sent under a claim whose deadline has not passed."""
    for entry in seen.journal:
        if entry.route in {"refresh", "force"} and entry.started_ms >= _deadline_ms(seen, entry.started_ms):
            yield f"{_named(entry)} under no claim that holds"


def generations_increase(seen):
    """I6: a pair's generation is higher than that of every pair before it."""
    for before, after in zip(seen.history, seen.history[1:], strict=False):
        if after.generation < before.generation:
            yield f"generation {after.generation} came after {before.generation}"
        if (after.generation == before.generation) != (after.access == before.access):
            yield f"generation {after.generation} was used for two pairs"


def at_rest(seen):
    """At rest the row holds upstream's current pair, and nothing is claimed."""
    row = seen.history[-1]
    if not (seen.access_lives and seen.refresh_lives):
        yield f"the row's pair is not upstream's: access {seen.access_lives}, refresh {seen.refresh_lives}"
    if row.claimed or row.distrusted_until_ms or row.refresh_token_dead or row.state != "LIVE":
        yield f"the row is not at rest: {row}"


def the_cache_is_behind(seen):
    """The cache holds nothing, or what the row holds or has held and upstream still accepts."""
    if seen.cached is None:
        return
    if seen.cached not in {(row.generation, row.access) for row in seen.history}:
        yield f"the cache holds {seen.cached}, which the row has never held"
    ended_ms = max((answer.ended_ms for answer in seen.answers), default=0.0)
    if lives_of(seen).get(seen.cached[1], (0, 0))[1] <= ended_ms:
        yield f"the cache holds {seen.cached}, which is dead"


def calls_are_exact(seen):
    """F6 to F9: what upstream was asked, and how often."""
    ours = [entry for entry in seen.journal if entry.route in {"refresh", "force"}]
    made = Calls(
        refreshed=sum(entry.consumed is not None for entry in ours),
        refused=sum(entry.route == "refresh" and entry.consumed is None for entry in ours),
        forced=sum(entry.route == "force" for entry in ours),
    )
    if made != calls_due(seen.case):
        yield f"{made}, not {calls_due(seen.case)}: {[_named(entry) for entry in ours]}"


def forced_late(seen):
    """A force-refresh comes only once the access token is dead that it replaces."""
    lives = lives_of(seen)
    for entry in seen.journal:
        alive = [token for token in entry.revoked_access if lives[token][2] > entry.started_ms]
        known = [row.access for row in seen.history if row.at_ms < entry.started_ms]
        if entry.route == "force" and set(alive) & set(known):
            yield f"{_named(entry)} killed {alive}, which was alive"


def verified_while_distrusted(seen):
    """F9: whatever is handed out within a distrust window was confirmed upstream for that very answer."""
    checks = [entry for entry in seen.journal if entry.route == "check" and entry.status == 200]
    for answer in seen.answers:
        row = _row_at(seen, answer.ended_ms)
        if answer.handed_out and row.distrusted_until_ms and not any(
            check.bearer == answer.handed_out
            and check.started_ms <= answer.ended_ms
            and check.ended_ms >= answer.started_ms
            for check in checks
        ):  # fmt: skip
            yield f"{answer.by} gave {answer.handed_out} unconfirmed while the grant was distrusted"


def distrust_after_a_lost_force(seen):
    """F9: who retakes the claim of a force-refresh opens a distrust window."""
    if seen.case.forces and not any(row.distrusted_until_ms for row in seen.history):
        yield "no distrust window was opened"


def fenced_out(seen):
    """F4, F5: who was stopped past its claim is fenced out, and the pair in its hands is discarded."""
    if not seen.case.loses_its_claim:
        return
    if not seen.said("refresh.fenced_out", "refresh.unknown"):
        yield "the process that had lost its claim was not fenced out"
    in_hand = [entry.issued_access for entry in seen.journal if entry.issued_access][1]
    if seen.case.in_hand and in_hand in {row.access for row in seen.history}:
        yield f"{in_hand} was stored, the pair of the process that had lost its claim"


def ends_well(seen):
    """Whoever survives its blow ends in order when it is asked to; who exits has exited at the point."""
    wanted = 0 if seen.case.survives else EXIT_CODE
    if seen.exit_code != wanted:
        yield f"the process ended with {seen.exit_code}, not {wanted}"


CHECKS = (
    ("I1", given_in_time),
    ("I2", no_dead_answer),
    ("I4", in_turn),
    ("claim", under_a_claim),
    ("I6", generations_increase),
    ("rest", at_rest),
    ("cache", the_cache_is_behind),
    ("calls", calls_are_exact),
    ("force", forced_late),
    ("F9", verified_while_distrusted),
    ("F9", distrust_after_a_lost_force),
    ("F4", fenced_out),
    ("end", ends_well),
)


def lives_of(seen):
    """Return when each access token of the user was issued, was killed, and ends at the latest, by journal.

    The second is the earlier of its end and its death; the third the same without deaths by force.
    """
    lives = {}
    for entry in seen.journal:
        if entry.issued_access:
            lives[entry.issued_access] = (entry.started_ms, entry.expires_ms, entry.expires_ms)
    for entry in seen.journal:
        for token in entry.revoked_access:
            issued_ms, died_ms, ends_ms = lives.get(token, (0, 0, 0))
            died_ms = min(died_ms, entry.committed_ms)
            ends_ms = ends_ms if entry.route == "force" else died_ms
            lives[token] = (issued_ms, died_ms, ends_ms)
    return lives


def _generation(seen, refresh):
    """Return the generation whose refresh token this is; of one that was never stored none is committed."""
    return next((row.generation for row in seen.history if row.refresh == refresh), float("inf"))


def _row_at(seen, at_ms):
    return [row for row in seen.history if row.at_ms <= at_ms][-1]


def _deadline_ms(seen, at_ms):
    """Return the deadline of the claim that stood in the row at an instant; 0 without one."""
    row = _row_at(seen, at_ms)
    return row.claimed_ms + CLAIM_S * 1000 if row.claimed else 0.0


def _named(entry):
    return f"{entry.route} {entry.presented or ''} ({entry.status}) at {entry.started_ms:.0f}"
