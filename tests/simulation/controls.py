"""Negative controls: one mechanism taken away, in a profile that needs it.

The checker must see what comes of it. With the mechanism in place the same profile must pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.simulation.profile import FORGOTTEN, HAUNTED, STOPPED, Profile


@dataclass(frozen=True)
class Control:
    """What is taken away from a profile, and how the finding it must lead to begins."""

    profile: Profile
    without: dict
    finding: str

    def profile_without(self):
        return replace(self.profile, **self.without)


CONTROLS = {
    "the claim": Control(STOPPED, {"claims_ignored": True}, "I4"),
    "recovery": Control(FORGOTTEN, {"recovers": False}, "I1 bricked"),
    "the distrust window": Control(HAUNTED, {"window_s": 0.0}, "I2"),
}
