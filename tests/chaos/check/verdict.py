"""All checks, in one list."""

from __future__ import annotations

from tests.chaos.check import answers, generations, leaks, service, spends

CHECKS = (
    service.nobody_is_bricked,
    answers.no_dead_answers,
    answers.nobody_gets_anothers_token,
    spends.no_refresh_token_is_spent_twice,
    spends.no_claim_carries_two_calls,
    generations.generations_increase,
    generations.nothing_is_answered_uncommitted,
    generations.rows_and_upstream_agree,
    service.nothing_ends_by_itself,
    service.enough_is_answered,
)


def findings_of(evidence, folder):
    """Return everything that is wrong."""
    findings = [finding for check in CHECKS for finding in check(evidence)]
    return findings + list(leaks.nothing_leaks(evidence, folder))
