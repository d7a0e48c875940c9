"""The compare job: a duet of two models on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dynolab.errors import Bug
from dynolab.jobs import _arguments as arguments
from dynolab.jobs import _campaigns as campaigns
from dynolab.jobs.base import Context, JobType, Progress
from dynolab.spec.duets import DEFAULT_BUDGET_S, DEFAULT_FLOOR, Duet, DuetSpec
from dynolab.spec.jobs import DEFAULT_SEED, ProfileSpec
from dynolab.spec.measurements import StageName


class CompareJob(JobType[DuetSpec, Duet]):
    """Has two workers take turns on the device, and makes the duet document of what they showed."""

    name = "compare"

    def validate(self, spec: DuetSpec) -> DuetSpec:
        raise Bug("not built yet")

    def run(self, spec: DuetSpec, context: Context) -> Duet:
        raise Bug("not built yet")

    def summary(self, result: Duet) -> dict[str, Any]:
        return {stage.name.value: stage.answer.value for stage in result.stages}


def compare(
    a: str | Path,
    b: str | Path,
    *,
    runtime_a: str | None = None,
    runtime_b: str | None = None,
    options_a: str = "",
    options_b: str = "",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    input_ranges: Mapping[str, tuple[float, float]] | None = None,
    input_files: Mapping[str, str | Path] | None = None,
    floor: float = DEFAULT_FLOOR,
    limit: float | None = None,
    budget_s: float = DEFAULT_BUDGET_S,
    stages: Sequence[StageName] = (StageName.INFERENCE,),
    memory: bool = True,
    seed: int = DEFAULT_SEED,
    timeout_s: float | None = None,
    memory_limit_bytes: int | None = None,
    progress: Progress | None = None,
) -> Duet:
    """Compare two model files on this machine by a duet: the Python form of ``dynolab compare A B``.

    ``floor`` and ``limit`` are shares (0.02 is 2 %); see :class:`~dynolab.spec.duets.DuetSpec`. Raises
    :class:`dynolab.errors.UserError` for what cannot work and :class:`dynolab.errors.WorkerError` when a model fails: the
    message names the side, and nothing is left behind.
    """

    def side(model: str | Path, runtime: str | None, options: str) -> ProfileSpec:
        return ProfileSpec(
            model=Path(model),
            runtime=runtime,
            options=options,
            input_shapes=arguments.shapes(input_shapes),
            input_ranges=arguments.ranges(input_ranges),
            input_files=arguments.paths(input_files),
            seed=seed,
            timeout_s=timeout_s,
            memory_limit_bytes=memory_limit_bytes,
        )

    spec = DuetSpec(
        side(a, runtime_a, options_a), side(b, runtime_b, options_b), floor, limit, budget_s, tuple(stages), memory
    )
    return plugin.run(spec, Context(campaigns.this_machine(), progress or (lambda _: None)))


plugin = CompareJob()
