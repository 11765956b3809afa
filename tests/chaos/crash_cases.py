"""The crash matrix's cases: where a process fails, how, in which role, and how its user stands then.

What must come out of a case, in calls upstream, is decided here too; nothing here does anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.points import ACTS, POINTS

ROLES = ("service", "worker")
BEFORE_THE_CALL = ("before_claim", "after_claim", "before_send")
ANSWER_LOST = ("after_send", "after_recv", "before_commit")
COMMITTED = ("after_commit", "before_cache", "after_cache", "before_release", "after_release")
FORCING = ("before_force", "force_sent", "after_force")
assert sorted((*BEFORE_THE_CALL, *ANSWER_LOST, *COMMITTED, *FORCING)) == sorted(POINTS)

REQUESTS_ONLY = ("before_release", "after_release")
"""Work ahead of time takes no lease."""


@dataclass(frozen=True)
class Case:
    """A process of this role fails at a point; `alive` when the user's access token outlives it."""

    role: str
    at: str
    do: str
    alive: bool
    without: tuple[str, ...] = ()
    """Mechanisms that every process of the case does without: for negative controls."""

    @property
    def name(self):
        """How the case is called in test ids."""
        words = (self.role, self.at, self.do, "alive" if self.alive else "dead", *self.without)
        return "-".join(words).replace("_", "-")

    @property
    def client(self):
        """How the case's OAuth client and its only user are called: a client's name must be short."""
        return self.name.replace(self.role, self.role[0], 1)

    @property
    def survives(self):
        """Whether the process is still there afterwards."""
        return self.do != "exit"

    @property
    def loses_the_answer(self):
        """Whether a pair is issued and never committed: a living process repeats a commit that fails."""
        return self.at in ANSWER_LOST and (self.at, self.do) != ("before_commit", "raise")

    @property
    def forces(self):
        """Whether the refresh token is dead from the beginning, so that the process forces."""
        return self.at in FORCING

    @property
    def keeps_the_old_pair(self):
        """Whether the successor finds the refresh token spent and the access token good."""
        return self.alive and self.loses_the_answer

    @property
    def in_hand(self):
        """Whether a pair was issued for the process that it has not committed."""
        return self.at in (*ANSWER_LOST, *FORCING[1:])

    @property
    def loses_its_claim(self):
        """Whether the process goes on under a claim that another has retaken meanwhile."""
        at = (*BEFORE_THE_CALL[1:], *ANSWER_LOST, *FORCING)
        return self.do == "stop" and self.at in at


@dataclass(frozen=True)
class Calls:
    """What upstream was asked about one user, checks of access tokens apart."""

    refreshed: int
    """Refresh tokens exchanged for a pair."""
    refused: int
    """Refresh tokens presented in vain."""
    forced: int


def calls_due(case):
    """Return the calls that a case must come to: no more, no fewer."""
    if case.at in FORCING:
        # F9: what was before may have killed every token, so the next holder forces without presenting.
        return Calls(0, 1, 1 if case.at == "before_force" else 2)
    if case.loses_the_answer:
        return Calls(1, 1, 1)  # F7
    return Calls(1, 0, 0)  # F6 and F8


def _cases():
    for role in ROLES:
        for at in POINTS:
            if role == "worker" and at in REQUESTS_ONLY:
                continue
            # Callers wait for a pair whose access token is dead; the worker comes while it is alive.
            alive = role == "worker" and at not in FORCING
            for do in ACTS:
                yield Case(role, at, do, alive)
                if at in ANSWER_LOST:
                    yield Case(role, at, do, not alive)


CASES = tuple(_cases())
