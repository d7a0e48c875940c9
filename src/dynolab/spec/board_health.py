"""Whether a board is as it always was: bands learned from its own probes, quarantine and probation, drift over days.

Pure functions: the hub asks them with every probe that an agent sends. All bands are of one board; boards of one model are
never held against each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import erfc, exp, log, sqrt
from statistics import median
from typing import Literal

State = Literal["good", "probation", "quarantined"]
Verdict = Literal["learning", "good", "slow", "disturbed"]
FIGURES: Mapping[str, str] = {
    "slowest_core_ns": "its slowest core",
    "fastest_core_ns": "its fastest core",
    "memory_ns": "copying memory",
}
"""What a probe times, and how that is called."""
BAND_PROBES, BAND_LEAST, BAND_DAYS = 100, 10, 30
"""A band is learned from so many of the newest probes that were in it, no older than that, and not from fewer than that."""
CUTOFF, MAD_OF_NORMAL = 3.5, 0.6745
"""The modified z-score beyond which a value is an outlier, and the share of a standard deviation that the MAD is: Iglewicz and
Hoaglin, How to Detect and Handle Outliers (1993)."""
WIDTH_LEAST = 0.10
"""A band ends no nearer than this above its middle: a board that was never seen to vary is not ill for a few percent."""
DISTURBED_SHARE = 0.05
"""Of the board's CPU time that others used meanwhile: a slow probe tells nothing of the board then."""
BAD_MOST, GOOD_LEAST = 2, 3
"""Probes in a row: so many out of the band put a board into quarantine; so many in it bring it to probation, and on to good."""
AGAIN_S, WATCHED_EVERY_S, LEARNING_EVERY_S = 15.0, 60.0, 120.0
"""When the next probe is due: after the first one out of the band; in quarantine and on probation; while the band is learned."""
DRIFT_DAYS, DRIFT_LEAST = 28, 7
"""Days that a drift is looked for in, and the fewest of them with probes: a week has each weekday once."""
DRIFT_SHARE, DRIFT_P = 0.05, 0.01
"""A drift is an alarm from this change on, if chance alone makes such a trend no more often than that."""
COOL_CELSIUS = 5.0
"""Likewise for temperatures: so far above the usual one a board is not hot yet."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a board showed at one instant: times of reference work, each the shortest of many."""

    figures: dict[str, int]
    """By the names of :data:`FIGURES`, ns."""
    cores: int
    identity: str
    """What the times depend on beside the board: only those of one identity are comparable."""
    others_share: float | None = None
    """Of the board's CPU time meanwhile that others used; None: nothing tells."""
    celsius: float | None = None
    """The hottest zone just before; None: nothing tells."""
    took_ns: int = 0


@dataclass(frozen=True, slots=True)
class Band:
    """Where a figure of a board usually is: its middle, and its upper end."""

    middle: float
    upper: float
    probes: int
    """That it was learned from."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a probe says of its board; ``why`` in words, empty where it is good."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """A board's state of health, ``why``, and who put it there by hand (an e-mail address; empty: its probes did)."""

    state: State = "good"
    why: str = ""
    by: str = ""
    bad: int = 0
    good: int = 0
    """Probes out of the band, and in it, in a row."""

    @property
    def takes_jobs(self) -> bool:
        """Not in quarantine, nor while a first probe out of the band waits for its second."""
        return self.state != "quarantined" and not self.bad


@dataclass(frozen=True, slots=True)
class Drift:
    """A slow change of one figure: by which share over how many days, and how often chance alone makes such a trend."""

    figure: str
    share: float
    days: int
    p: float = field(compare=False)

    @property
    def text(self) -> str:
        """In words."""
        way = "slower" if self.share > 0 else "faster"
        return f"{FIGURES[self.figure]} became {abs(self.share):.0%} {way} within {self.days} days"


def band(values: Sequence[int]) -> Band | None:
    """The band of a figure (ns) by what it was before, the newest first; None: too few to know.

    On logarithms, since times have no upper end: the median, and the modified z-score of :data:`CUTOFF` above it.
    """
    if len(values) < BAND_LEAST:
        return None
    logs = [log(value) for value in values[:BAND_PROBES]]
    middle = median(logs)
    reach = CUTOFF * median(abs(one - middle) for one in logs) / MAD_OF_NORMAL
    return Band(exp(middle), exp(middle + max(reach, log(1 + WIDTH_LEAST))), len(logs))


def bands(history: Sequence[Probe]) -> dict[str, Band]:
    """The bands of all figures, by the probes that were in them, the newest first; empty: too few to know."""
    found = {name: band([one.figures[name] for one in history if name in one.figures]) for name in FIGURES}
    return {name: one for name, one in found.items() if one is not None}


def judge(probe: Probe, history: Sequence[Probe]) -> Judgement:
    """What a probe says by those before it that were good and of its identity, the newest first; of several slow figures the worst.

    Only what is slower than the band counts: a board that is faster than it was is well, and a change that stays is drift's to tell.
    """
    known = bands(history)
    if not known:
        return Judgement("learning", f"learns its usual speed: {len(history)} of {BAND_LEAST} probes")
    usual = int(median(one.cores for one in history))
    reasons = [] if probe.cores >= usual else [f"{probe.cores} of {usual} cores are there"]
    told = [(probe.figures[name] / one.upper, name, one) for name, one in known.items() if name in probe.figures]
    beyond, worst, of = max(told, default=(0.0, "", Band(1, 1, 0)), key=lambda one: one[0])
    if beyond > 1:
        reasons.append(
            f"{FIGURES[worst]} takes {probe.figures[worst] / of.middle:.2f} times as long as usual; "
            f"up to {of.upper / of.middle:.2f} is its own band"
        )
    if not reasons:
        return Judgement("good")
    why = "; ".join(reasons)
    if probe.cores >= usual and probe.others_share is not None and probe.others_share > DISTURBED_SHARE:
        return Judgement("disturbed", f"others used {probe.others_share:.0%} of its CPU time meanwhile: {why}")
    return Judgement("slow", why)


def after(health: Health, judgement: Judgement) -> Health:
    """The board's health once a probe is judged. What somebody did by hand is theirs to undo."""
    if health.state == "quarantined" and health.by:
        return health
    if judgement.verdict == "good":
        return _after_good(health)
    if judgement.verdict != "slow":
        return replace(health, bad=0, why="" if health.state == "good" else health.why)
    if health.state == "good" and health.bad + 1 < BAD_MOST:
        return replace(health, bad=health.bad + 1, good=0, why=judgement.why)
    return Health("quarantined", judgement.why)


def _after_good(health: Health) -> Health:
    good = health.good + 1
    if health.state == "good":
        return Health()
    if good < GOOD_LEAST:
        return replace(health, good=good)
    return Health("probation", health.why) if health.state == "quarantined" else Health()


def again_in_s(health: Health, judgement: Judgement) -> float | None:
    """In how many seconds the board is to be probed again; None: as usual."""
    if health.bad:
        return AGAIN_S
    if health.state != "good":
        return WATCHED_EVERY_S
    return LEARNING_EVERY_S if judgement.verdict == "learning" else None


def cool_celsius(history: Sequence[Probe]) -> float | None:
    """Up to which temperature the board is as cool as it usually is before a job; None: too few tell, or none."""
    told = [one.celsius for one in history[:BAND_PROBES] if one.celsius is not None]
    if len(told) < BAND_LEAST:
        return None
    middle = median(told)
    reach = CUTOFF * median(abs(one - middle) for one in told) / MAD_OF_NORMAL
    return middle + max(reach, COOL_CELSIUS)


def drift(days: Sequence[tuple[int, Mapping[str, float]]]) -> Drift | None:
    """The largest slow change of a board's figures that is an alarm: ``days`` are day numbers with that day's medians in ns.

    For each figure the slope is Theil and Sen's on logarithms (Sen, JASA 63, 1968), and whether it is more than chance is
    Mann and Kendall's test (Mann, Econometrica 13, 1945), two-sided. Both heed no outlier day.
    """
    found = (_drift(name, [(day, told[name]) for day, told in days if name in told]) for name in FIGURES)
    alarms = [one for one in found if one is not None and abs(one.share) >= DRIFT_SHARE and one.p < DRIFT_P]
    return max(alarms, key=lambda one: abs(one.share), default=None)


def _drift(name: str, told: Sequence[tuple[int, float]]) -> Drift | None:
    if not told:
        return None
    last = max(day for day, _ in told)
    kept = sorted((day, log(value)) for day, value in told if day > last - DRIFT_DAYS)
    if len(kept) < DRIFT_LEAST:
        return None
    pairs = list(combinations(kept, 2))
    slope = median((later - one) / (day - before) for (before, one), (day, later) in pairs)
    days = kept[-1][0] - kept[0][0]
    return Drift(name, exp(slope * days) - 1, days, _by_chance([one for _, one in kept]))


def _by_chance(values: Sequence[float]) -> float:
    """How often values without a trend make one such as these do, in time's order (Mann-Kendall, two-sided, with ties)."""
    count = len(values)
    score = sum((later > one) - (later < one) for one, later in combinations(values, 2))
    ties = (values.count(one) for one in set(values))
    variance = (count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0 or not score:
        return 1.0
    return erfc((abs(score) - 1) / sqrt(2 * variance))
