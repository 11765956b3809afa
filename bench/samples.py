"""What bursts showed, and which of them count. Decides; starts and measures nothing.

A burst counts only if the server had its core busy: otherwise something else was the bottleneck, and the
figure would be that something's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

BUSY = 0.95
RIGHT_PATH = 0.95


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst of one contestant."""

    round: int
    answers: int
    wrong: int
    seconds: float
    server_cpu_s: float
    p50_ms: float
    p99_ms: float
    on_path: float = 1.0
    """The share of answers that came from where this contestant's answers are to come from."""
    rest_share: float | None = None
    """How busy the core was that the generator and the stores share."""

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.answers / self.seconds

    @property
    def core_share(self) -> float:
        """How much of one core the server's processes used together."""
        return self.server_cpu_s / self.seconds

    @property
    def cpu_us(self) -> float:
        """The server's processor time for one answer, in microseconds."""
        return self.server_cpu_s / max(1, self.answers) * 1e6


@dataclass(frozen=True, slots=True)
class Rules:
    """What a burst must show, and how many of them a figure must rest on."""

    busy: float = BUSY
    on_path: float = RIGHT_PATH
    least: int = 10

    def refusal(self, burst: Burst) -> str | None:
        """Return why a burst does not count; None when it does."""
        if burst.wrong:
            return f"{burst.wrong} answers were wrong"
        if burst.answers == 0:
            return "nothing was answered"
        if burst.on_path < self.on_path:
            return f"only {burst.on_path:.0%} of the answers came from where they should"
        if burst.core_share < self.busy:
            rest = (
                "" if burst.rest_share is None else f", the generator and the stores {burst.rest_share:.0%}"
            )
            return f"the server used {burst.core_share:.0%} of its core, not {self.busy:.0%}{rest}"
        return None


UNTIMED = Rules(busy=0.0, on_path=0.0, least=1)
"""For a smoke check: that everything runs and answers rightly, whatever the time it takes."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A contestant's bursts that count; `why` says what is the matter when they are no figure."""

    bursts: tuple[Burst, ...]
    refused: int = 0
    why: str | None = None

    @property
    def stands(self) -> bool:
        """Whether a figure may rest on it."""
        return self.why is None

    @property
    def rate(self) -> float:
        """Answers a second: the 90th percentile of the bursts, near what the undisturbed core can do."""
        return _at([burst.rate for burst in self.bursts], 0.9)

    @property
    def usual_rate(self) -> float:
        """Answers a second: the median of the bursts."""
        return median(burst.rate for burst in self.bursts)

    @property
    def cpu_us(self) -> float:
        """The server's processor time an answer: the 10th percentile, for the same reason."""
        return _at([burst.cpu_us for burst in self.bursts], 0.1)

    @property
    def core_share(self) -> float:
        """The median share of a core."""
        return median(burst.core_share for burst in self.bursts)

    @property
    def rest_share(self) -> float | None:
        """The median share of the core of everything else."""
        known = [burst.rest_share for burst in self.bursts if burst.rest_share is not None]
        return median(known) if known else None

    @property
    def p50_ms(self) -> float:
        """The median of the bursts' medians."""
        return median(burst.p50_ms for burst in self.bursts)

    @property
    def p99_ms(self) -> float:
        """The median of the bursts' 99th percentiles."""
        return median(burst.p99_ms for burst in self.bursts)


def summarize(bursts: Sequence[Burst], rules: Rules) -> Summary:
    """Keep the bursts that count; with too few of them, say why there is no figure."""
    refusals = {burst.round: rules.refusal(burst) for burst in bursts}
    counted = tuple(burst for burst in bursts if refusals[burst.round] is None)
    reasons = [reason for reason in refusals.values() if reason is not None]
    wrong = sum(burst.wrong for burst in bursts)
    if wrong:
        return Summary(tuple(bursts), len(reasons), f"{wrong} answers were wrong")
    if len(counted) < rules.least:
        last = reasons[-1] if reasons else "there were no more"
        why = f"{len(counted)} of {len(bursts)} bursts count, {rules.least} must; the last refused: {last}"
        return Summary(tuple(bursts), len(reasons), why)
    return Summary(counted, len(reasons))


def ratio(one: Summary, other: Summary) -> float:
    """Return how many times as many answers a second one gave as the other."""
    return one.rate / other.rate


def spread(one: Summary, other: Summary) -> tuple[float, float]:
    """Return the 10th and 90th percentile of the ratio in the rounds where both have a burst that counts."""
    others = {burst.round: burst.rate for burst in other.bursts}
    ratios = [burst.rate / others[burst.round] for burst in one.bursts if others.get(burst.round)]
    return (_at(ratios, 0.1), _at(ratios, 0.9)) if ratios else (float("nan"), float("nan"))


def _at(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of them lies, between two of them where it falls there."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
