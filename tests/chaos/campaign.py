"""One campaign: load, blows and upstream faults for so many seconds, then calm, then all is written down."""

from __future__ import annotations

import time
from random import Random

from tests.chaos.blows import strike
from tests.chaos.plan import Plan
from tests.chaos.schedule import drawn
from tests.chaos.switches import CAMPAIGN
from tests.chaos.world import world

_WARM_UP_S = 2.0
_SCRAPE_EVERY_S = 15.0
_CLOCKS = {"service-1": {"clock_off_s": 300}, "worker-1": {"clock_off_s": -300}}


def run_campaign(folder, seed, duration_s, say):
    """Run it; what came of it is in the folder."""
    random = Random(seed)
    plan = Plan(seed, chaos=_CLOCKS)
    with world(plan, folder) as it:
        say("everything is up; the clients ask")
        it.wait(_WARM_UP_S)
        for route, kind, probability, options in CAMPAIGN:
            it.switches.on(route, kind, probability, options)
        it.note("faults_begin")
        scrape_again_and_again(it)
        started_at = time.monotonic()
        for blow in drawn(random, duration_s):
            it.wait(started_at + blow.at_s - time.monotonic())
            strike(it, blow)
        it.wait(started_at + duration_s - time.monotonic())
        it.note("faults_end")
        say("faults are over; everybody has to be served now")
        it.calm()
        it.finish()


def scrape_again_and_again(it):
    """What a process told before it was killed counts, too."""
    it.scrape()
    it.later(_SCRAPE_EVERY_S, lambda: scrape_again_and_again(it))
