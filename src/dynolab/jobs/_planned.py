"""How many processes each pass of a measurement gets, so that progress can tell of how many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynolab.measure import plan
from dynolab.spec import options
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.progress import Event


def processes(spec: ProfileSpec) -> dict[tuple[str, str], int]:
    """Processes by stage and pass. A compilation that takes long is timed once: only its outcome tells."""
    loop = len(plan.loop_iterations(options.parse(spec.options), spec.processes))
    timed = {("first_load", "time"): spec.processes, ("inference", "time"): loop}
    return {
        **timed,
        ("compile", "memory"): 1,
        **{(name, "memory"): spec.processes for name in ("first_load", "inference")},
    }


def counted(receive: Callable[[Event], None], spec: ProfileSpec) -> Callable[[Event], None]:
    """A receiver that passes events on with ``of``, the number of processes, where the plan knows it and they are no more."""
    planned: Mapping[tuple[str, str], int] = processes(spec)

    def passed(event: Event) -> None:
        of = planned.get((str(event.get("stage")), str(event.get("text"))))
        more: dict[str, Any] = {"of": of} if of is not None and event.get("process", of + 1) <= of else {}
        receive({**event, **more})

    return passed
