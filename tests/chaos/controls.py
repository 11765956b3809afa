"""Negative controls: `python -m tests.chaos.controls <name> [--without]`, one mechanism taken away each.

A directed run with a fixed seed that needs the mechanism. Without it the checker must fail the run, for
the reason named here; with it the same run must pass.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sandbox.dev.signals import interrupt_on_all
from sandbox.embedded import folder
from tests.chaos.__main__ import check
from tests.chaos.folder import JOURNAL, read_lines
from tests.chaos.plan import CLAIM_DEADLINE_S, Plan
from tests.chaos.points import EVENT
from tests.chaos.world import Failed, world

_STOPS = (3, 9)
_SUCCESSOR_S = 2.5
_COMES_WITHIN_S = 15.0
_LATE = {"delay_s": 4.5, "delay_to_s": 5.5}


def stop_a_holder_past_its_lease(it):
    """A holder stands still with a claim in hand until the worker has rotated, and then goes on."""
    holder = it.replicas["service-0"]
    for many in range(1, len(_STOPS) + 1):
        if not it.wait(_COMES_WITHIN_S, lambda many=many: _points(holder) >= many):
            raise Failed("The holder was not stopped.")
        it.note("stop", who=holder.name)
        it.wait(CLAIM_DEADLINE_S + _SUCCESSOR_S)
        holder.process.send_signal(signal.SIGCONT)
    it.wait(1.0)


def lose_what_was_committed(it):
    """Refresh tokens are spent, and the pairs that they bought are lost on their way back."""
    it.switches.on("refresh", "drop_after", 0.7)
    it.wait(6.0)


def have_forces_land_late(it):
    """Each next pair is lost, and the force-refresh after it lands when a second one has succeeded."""
    made = [line["user_id"] for line in _journal(it) if line["route"] == "create"]
    for user in made:
        it.switches.on("refresh", "drop_after", options={"user": user, "count": 1})
        it.switches.on("force", "zombie", options={"user": user, "count": 1, **_LATE})
    if not it.wait(_COMES_WITHIN_S * 2, lambda: _late_forces(it) >= len(made)):
        raise Failed("Not everybody was forced.")
    it.wait(_LATE["delay_to_s"] + 2.0)
    it.switches.all_off()


def _late_forces(it):
    return len({line["user_id"] for line in _journal(it) if "zombie" in line["faults"]})


def _journal(it):
    return list(read_lines(it.folder / JOURNAL))


@dataclass(frozen=True)
class Control:
    """What happens, what is taken away, and which figure has to show it."""

    script: Callable
    finding: str
    plan: Plan
    chaos: Mapping = field(default_factory=dict)
    settings: Mapping = field(default_factory=dict)

    def plan_without(self):
        """Return the plan with the mechanism taken away from every process."""
        names = {f"service-{number}" for number in range(self.plan.services)}
        chaos = {name: {**self.plan.chaos.get(name, {}), **self.chaos} for name in names}
        return replace(self.plan, chaos=chaos, settings={**self.plan.settings, **self.settings})


_SMALL = Plan(seed=7, users=20, services=2, workers=0)
_STOPPED = {"service-0": {"blows": [{"at": "after_claim", "do": "stop", "nth": nth} for nth in _STOPS]}}
CONTROLS = {
    "claim": Control(
        stop_a_holder_past_its_lease,
        "double_spends",
        replace(_SMALL, workers=1, chaos=_STOPPED),
        chaos={"without": {"claims": True, "claim_deadline_s": CLAIM_DEADLINE_S}},
    ),
    "recovery": Control(
        lose_what_was_committed,
        "bricked",
        replace(_SMALL, lifetime_s=4.0),
        chaos={"without": {"recovery": True}},
    ),
    "window": Control(have_forces_land_late, "dead_answers", _SMALL, settings={"DISTRUST_WINDOW": "0.001s"}),
}


def main(argv=None):
    """Run one control and have it checked; returns the checker's exit code."""
    arguments = _parser().parse_args(argv)
    interrupt_on_all()
    control = CONTROLS[arguments.name]
    plan = control.plan_without() if arguments.without else control.plan
    with folder() as place:
        with world(plan, place) as it:
            control.script(it)
            it.calm()
            it.finish()
        return check(place)


def _points(replica):
    return replica.log_path.read_text().count(EVENT)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.controls", description=__doc__)
    parser.add_argument("name", choices=CONTROLS)
    parser.add_argument("--without", action="store_true", help="take the mechanism away")
    return parser


if __name__ == "__main__":
    sys.exit(main())
