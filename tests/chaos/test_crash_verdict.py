"""The crash matrix's verdict on made-up cases: each promise is broken once, and it is seen."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sandbox.calcom import Entry, identifier
from tests.chaos.crash_cases import Case
from tests.chaos.crash_history import Held
from tests.chaos.crash_play import Seen
from tests.chaos.crash_town import CLAIM_S, Answer
from tests.chaos.crash_verdict import GIVEN_WITHIN_S, findings

ISSUED_MS, DEAD_MS, STRUCK_MS, END_MS = 0.0, 5e3, 1e4, 9e5
RETAKEN_MS = STRUCK_MS + CLAIM_S * 1000
SETTLED_MS = RETAKEN_MS + 50
FENCED = ("refresh.fenced_out",)
TOKENS = {name: identifier(name) for name in ("access 1", "refresh 1", "access 2", "refresh 2")}


def row(at_ms, number, **changes):
    held = Held(
        at_ms, number, TOKENS[f"access {number}"], TOKENS[f"refresh {number}"],
        claimed=False, claim_kind=None, claimed_ms=None,
        refresh_token_dead=False, distrusted_until_ms=None, state="LIVE",
    )  # fmt: skip
    return replace(held, **changes)


def claimed(at_ms, number=1, kind="refresh", **changes):
    return row(at_ms, number, claimed=True, claim_kind=kind, claimed_ms=at_ms, **changes)


def call(route, at_ms, **fields):
    entry = Entry(1, route, "POST", "/", at_ms, status=200, user_id=7)
    entry.ended_ms = entry.committed_ms = at_ms + 10
    for name, value in fields.items():
        setattr(entry, name, value)
    return entry


def issue(route, at_ms, number, ends_ms=END_MS, **fields):
    pair = {"issued_access": TOKENS[f"access {number}"], "issued_refresh": TOKENS[f"refresh {number}"]}
    return call(route, at_ms, expires_ms=ends_ms, **pair, **fields)


def refresh(at_ms, number=1, **fields):
    return call("refresh", at_ms, presented=TOKENS[f"refresh {number}"], **fields)


def a_case(at="after_claim", do="exit", code=86, said=()):
    """A process died after its claim; the healthy service retook it and was the first to present."""
    process = SimpleNamespace(of=lambda event, **_: [event] if event in said else [])
    presented = {"presented": TOKENS["refresh 1"], "consumed": TOKENS["refresh 1"]}
    return Seen(
        Case("service", at, do, alive=False),
        process=process,
        struck_ms=STRUCK_MS,
        answers=[Answer("healthy", STRUCK_MS, SETTLED_MS + 20, 200, "access 2")],
        history=[row(ISSUED_MS, 1), claimed(STRUCK_MS - 10), claimed(RETAKEN_MS), row(SETTLED_MS, 2)],
        journal=[
            issue("sandbox.create_user", ISSUED_MS, 1, DEAD_MS),
            issue("refresh", RETAKEN_MS + 10, 2, **presented),
        ],
        cached=(2, TOKENS["access 2"]),
        access_lives=True,
        refresh_lives=True,
        exit_code=code,
    )


def changed(**changes):
    return replace(a_case(), **changes)


def with_answer(**changes):
    return changed(answers=[replace(a_case().answers[0], **changes)])


def with_calls(*calls):
    return changed(journal=[*a_case().journal, *calls])


def with_rows(*rows):
    return changed(history=[*a_case().history, *rows])


def distrusted():
    return row(SETTLED_MS, 2, distrusted_until_ms=SETTLED_MS + 3e3)


def test_a_case_in_which_every_promise_was_kept_is_clean():
    assert findings(a_case()) == []


BROKEN = {
    "stuck": (changed(trouble="TimeoutError"), "played"),
    "nobody was given a token": (changed(answers=[]), "I1"),
    "a token was given too late": (with_answer(ended_ms=STRUCK_MS + GIVEN_WITHIN_S * 1000 + 1), "I1"),
    "only a dead token was given": (with_answer(token="access 1"), "I1"),
    "a dead token was given": (with_answer(by="struck", token="access 1"), "I2"),
    "a token was given that upstream never issued": (with_answer(token="access 3"), "I2"),
    "a token was given that a force had killed": (
        changed(
            answers=[replace(a_case().answers[0], started_ms=SETTLED_MS + 99)],
            journal=[*a_case().journal, call("force", SETTLED_MS, revoked_access=[TOKENS["access 2"]])],
        ),
        "I2",
    ),
    "presented after its successor": (with_calls(refresh(SETTLED_MS + 5, status=400)), "I4"),
    "presented after it was known to be dead": (
        changed(
            history=[row(ISSUED_MS, 1), claimed(RETAKEN_MS, refresh_token_dead=True), row(SETTLED_MS, 2)]
        ),
        "I4",
    ),
    "presented twice at a time": (with_calls(refresh(RETAKEN_MS + 15)), "I4"),
    "presented past the claim's deadline": (
        changed(history=[row(ISSUED_MS, 1), claimed(STRUCK_MS - 10), row(SETTLED_MS, 2)]),
        "claim",
    ),
    "forced without a claim": (with_calls(call("force", SETTLED_MS + 5)), "claim"),
    "a generation went back": (with_rows(row(SETTLED_MS + 5, 1)), "I6"),
    "a generation had two pairs": (with_rows(row(SETTLED_MS + 5, 2, access="other")), "I6"),
    "the row's access token is dead": (changed(access_lives=False), "rest"),
    "the row's refresh token is not upstream's": (changed(refresh_lives=False), "rest"),
    "a claim was left": (with_rows(claimed(SETTLED_MS + 5, 2)), "rest"),
    "the grant is dead": (with_rows(row(SETTLED_MS + 5, 2, state="DEAD")), "rest"),
    "the cache is ahead": (changed(cached=(3, TOKENS["access 2"])), "cache"),
    "the cache holds another pair": (changed(cached=(2, TOKENS["access 1"])), "cache"),
    "the cache holds a dead token": (changed(cached=(1, TOKENS["access 1"])), "cache"),
    "a call too many": (with_calls(refresh(RETAKEN_MS + 25, status=400)), "calls"),
    "a call too few": (changed(journal=a_case().journal[:1]), "calls"),
    "a live token was killed": (
        changed(
            history=[row(ISSUED_MS, 1), claimed(RETAKEN_MS), row(SETTLED_MS, 2)],
            journal=[
                issue("sandbox.create_user", ISSUED_MS, 1),
                issue("force", RETAKEN_MS + 10, 2, revoked_access=[TOKENS["access 1"]]),
            ],
        ),
        "force",
    ),
    "given unconfirmed in a distrust window": (
        changed(history=[*a_case().history[:3], distrusted(), row(SETTLED_MS + 3e3, 2)]),
        "F9",
    ),
    "no distrust window after a force was lost": (a_case("force_sent"), "F9"),
    "not fenced out": (a_case("after_recv", "stop", 0), "F4"),
    "fenced out, and its pair stored": (a_case("after_recv", "stop", 0, said=FENCED), "F4"),
    "did not end in order": (a_case("after_commit", "raise", 1), "end"),
    "did not exit at its point": (changed(exit_code=0), "end"),
}


@pytest.mark.parametrize("seen", BROKEN.values(), ids=BROKEN)
def test_a_broken_promise_is_found(seen):
    case, promise = seen
    assert promise in {finding.promise for finding in findings(case)}


def test_who_was_fenced_out_before_its_call_had_no_pair_to_discard():
    seen = a_case("after_claim", "stop", 0, said=FENCED)
    assert findings(seen) == []


def test_a_confirmed_answer_in_a_distrust_window_is_in_order():
    seen = changed(history=[*a_case().history[:3], distrusted(), row(SETTLED_MS + 3e3, 2)])
    seen.journal.append(call("check", SETTLED_MS + 5, bearer=TOKENS["access 2"]))
    assert "F9" not in {finding.promise for finding in findings(seen)}
