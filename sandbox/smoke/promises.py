"""What has to hold after a smoke run: each promise with the sentence that says it was broken.

Pure.
"""

from __future__ import annotations

from sandbox.smoke.count import Figures


def broken(figures: Figures, *, users: int, replaced: int) -> list[str]:
    """Return a sentence for each promise that was not kept, with at least so many users and pairs each."""
    seen = figures
    promises = (
        (seen.users >= users, f"{seen.users} users instead of {users}"),
        (
            seen.min_replaced_per_user >= replaced,
            f"a user has {seen.min_replaced_per_user} replaced pairs instead of {replaced}",
        ),
        (
            seen.upstream_refreshes == seen.pairs_replaced,
            f"{seen.upstream_refreshes} refresh calls upstream for {seen.pairs_replaced} replaced pairs",
        ),
        (
            seen.refreshed_ahead + seen.refreshed_on_request == seen.pairs_replaced,
            "the journal's rotations are not the replaced pairs of PostgreSQL",
        ),
        (not seen.needless_refreshes, f"{seen.needless_refreshes} needless refreshes"),
        (seen.refreshed_ahead > 0, "nothing was refreshed ahead of time"),
        (seen.refreshed_on_request > 0, "nothing was refreshed on request"),
        (seen.superseded_answers > 0, "no superseded token was answered"),
        (seen.two_tabs_ok, "two tabs of one user were answered differently, or not at all"),
        (
            not seen.refresh_tokens_spent_twice,
            f"{seen.refresh_tokens_spent_twice} refresh tokens were presented again",
        ),
        (not seen.errors, f"{seen.errors} errors"),
        (not seen.leaks, f"{seen.leaks} times a secret stood where none may"),
    )
    return [sentence for kept, sentence in promises if not kept]
