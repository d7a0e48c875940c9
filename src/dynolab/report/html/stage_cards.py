"""The cards of the four stages, worked out. No markup."""

from __future__ import annotations

from dataclasses import dataclass

from dynolab.report.base import Say, condensed, stage_title
from dynolab.report.html.figures import Figure, figure
from dynolab.report.html.tables import Badge
from dynolab.spec.facts import accelerator_fact, fact
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import Profile, Stage


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage's card."""

    title: str
    anchor: str
    badge: Badge
    reasons: list[str]
    time: Figure
    kind: str
    """What the big figure is of its runs: ``minimum of 3 runs``."""
    memory: list[Figure]
    more: list[Figure]


def stage_card(profile: Profile, stage: Stage, told: str | None, say: Say) -> StageView:
    """A stage's card; of the inference, not the reason that was told first."""
    word = stage.name.value
    reasons = [one for one in stage.verdict.reasons if one != told or stage.name is not StageName.INFERENCE]
    time = "estimated_inference_time" if word == "inference" else f"{word}_time"
    measured = stage.reason is None
    return StageView(
        title=stage_title(stage),
        anchor=fact(time).anchor,
        badge=Badge(stage.verdict.trust.value if measured else "not measured"),
        reasons=condensed(reasons, 3) if measured else [stage.reason or ""],
        time=figure(profile, time, "Time"),
        kind=_kind(stage, say),
        memory=[
            figure(profile, f"{word}_memory_peak_range", "Peak"),
            figure(profile, f"{word}_memory_increase_range", "Increase"),
        ],
        more=_more(profile, stage),
    )


def _kind(stage: Stage, say: Say) -> str:
    """What the card's figure is of its runs; of a range, what its upper end is."""
    time = stage.time
    if time is None or not time.count:
        return ""
    if time.count < 2:
        return say("one run")
    count, ranged = f"{time.count:,}", time.lower_ns is not None
    if stage.name is StageName.INFERENCE:
        return say(
            "upper end: minimum of {count} iterations" if ranged else "minimum of {count} iterations", count=count
        )
    return say("upper end: minimum of {count} runs" if ranged else "minimum of {count} runs", count=count)


def _more(profile: Profile, stage: Stage) -> list[Figure]:
    """What a card says below its main figures; only what was measured."""
    word = stage.name.value
    found = [figure(profile, f"{word}_time_median", "Median")]
    if word == "inference":
        found += [figure(profile, "first_inference_time"), figure(profile, "inference_memory_growth")]
    found += [figure(profile, accelerator_fact(stage.name, key), _title(key)) for key in stage.accelerator]
    return [item for item in found if item.reason is None]


def _title(key: str) -> str:
    """A runtime's own key as words: ``NPU allocated``."""
    words = key.removesuffix("_bytes").split("_")
    return " ".join([words[0].upper() if len(words[0]) <= 3 else words[0].capitalize(), *words[1:]])
