"""What a running job is at: its phases in their order, for how long it runs, and how long that usually takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from sqlalchemy import Row

from dynolab.hub.pages.texts import Texts
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.estimate_end import usual_seconds
from dynolab.spec.show import show_change, show_time
from dynolab.spec.toolchain_support import MAKING

STAGES = ("compile", "first_load", "warm_load", "inference")
COUNT_MOST = 10**15


@dataclass(frozen=True, slots=True)
class Step:
    """A phase of the work: ``state`` is ``before``, ``now`` or ``over``."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Running:
    """The phases, what the agent said last, and seconds: those of this attempt by now, and of one like it in all."""

    steps: Sequence[Step]
    event: Mapping[str, Any]
    elapsed_s: int
    usual_s: int | None

    @property
    def left_s(self) -> int | None:
        """About how long it still takes; None: not known, or longer than it usually does."""
        return None if self.usual_s is None or self.elapsed_s > self.usual_s else self.usual_s - self.elapsed_s

    def _narrowing(self, t: Texts) -> str:
        """The interval of a duet so far."""
        pair, ratio = _count(self.event, "pair"), self.event.get("ratio")
        if pair is None:
            return ""
        if not isinstance(ratio, list) or [type(one) for one in ratio] != [float] * 3 or not all(map(isfinite, ratio)):
            return t("progress-pair", pair=pair)
        return t("progress-pair-change", pair=pair, change=show_change(*ratio))

    def detail(self, t: Texts) -> str:
        """What the phase is at: the stage, and the process or iteration of how many, where the agent told."""
        stage, process, of = self.event.get("stage"), _count(self.event, "process"), _count(self.event, "of")
        if self.event.get("event") == "iteration":
            count, minimum = _count(self.event, "count"), _count(self.event, "minimum_ns")
            if count is None or of is None or minimum is None:
                return ""
            return t("progress-iteration", count=count, of=of, minimum=show_time(minimum))
        if self.event.get("event") == "duet":
            return self._narrowing(t)
        if stage == "fetch":
            return t("progress-fetch")
        if stage not in (*STAGES, "total"):
            return ""
        name = t(f"stage-{stage}")
        if process is None:
            return name
        if of is None or of < process:
            return t("progress-process", stage=name, process=process)
        return t("progress-process-of", stage=name, process=process, of=of)


async def running(hub: Hub, row: Row[Any], attempts: Sequence[Row[Any]]) -> Running | None:
    """What the job whose row this is is at; None: no attempt of it runs."""
    now = next((one for one in reversed(attempts) if one.state == "running"), None)
    if now is None:
        return None
    event: Mapping[str, Any] = now.progress if isinstance(now.progress, dict) else {}
    elapsed = (datetime.now(UTC) - now.started_at).total_seconds()
    usual = await usual_seconds(hub, row)
    return Running(
        steps=phases(row.kind, row.measures, event),
        event=event,
        elapsed_s=max(0, round(elapsed)),
        usual_s=None if usual is None else max(1, round(usual)),
    )


def phases(kind: str, measures: bool, event: Mapping[str, Any]) -> list[Step]:
    """The phases of a job of this kind, of which the event says which one is now."""
    names = [
        "prepare",
        *([kind] if kind in MAKING else []),
        *(["times", "memory"] if kind == "compare" else []),
        *(["infer"] if kind == "inference" else []),
        *(["times", "memory", "layers"] if measures else []),
    ]
    now = kind if kind in MAKING and event.get("event") == "note" else phase(event)
    at = names.index(now) if now in names else 0
    return [
        Step(name, "over" if number < at else "now" if number == at else "before") for number, name in enumerate(names)
    ]


def phase(event: Mapping[str, Any]) -> str:
    """The phase that an event is of; an agent may have sent what it likes."""
    stage = event.get("stage")
    if event.get("event") == "iteration":
        return "times"
    if stage in ("layers", "infer"):
        return str(stage)
    if stage in (*STAGES, "total"):
        return "memory" if event.get("text") == "memory" or stage == "total" else "times"
    return "prepare"


def _count(event: Mapping[str, Any], name: str) -> int | None:
    found = event.get(name)
    return found if isinstance(found, int) and 0 <= found <= COUNT_MOST else None
