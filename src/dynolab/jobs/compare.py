"""The compare job: a duet of two models on a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from dynolab import errors
from dynolab.connections.base import this_machine
from dynolab.jobs import _arguments as arguments
from dynolab.jobs import _campaigns as campaigns
from dynolab.jobs import _records as records
from dynolab.jobs._described import described_here
from dynolab.jobs._sources import ModelSource, open_source
from dynolab.jobs.base import Context, JobType, Progress
from dynolab.measure import duet, duet_figures, duet_memory_ratio, duet_ratio
from dynolab.measure.campaign_messages import Measured
from dynolab.measure.duet_messages import SIDES, DuetCampaign, DuetMeasured
from dynolab.measure.protocol import PROTOCOL_VERSION
from dynolab.spec import options as options_module
from dynolab.spec.answers import Answer
from dynolab.spec.duets import (
    DEFAULT_BUDGET_S,
    DEFAULT_FLOOR,
    KIND,
    SCHEMA_VERSION,
    Duet,
    DuetSide,
    DuetSpec,
    DuetTerms,
)
from dynolab.spec.jobs import DEFAULT_SEED, ProfileSpec
from dynolab.spec.measurements import Notice, StageName
from dynolab.spec.profiles import Tensor


class CompareJob(JobType[DuetSpec, Duet]):
    """Has two workers take turns on the device, and makes the duet document of what they showed."""

    name = "compare"

    def validate(self, spec: DuetSpec, *, here: bool = True) -> DuetSpec:
        """``here``: it is to run on this machine, which then needs the runtimes."""
        with ExitStack() as stack:
            return _validated(spec, _opened(spec, stack), here=here)

    def run(self, spec: DuetSpec, context: Context) -> Duet:
        with ExitStack() as stack:
            sources = _opened(spec, stack)
            spec = _validated(spec, sources, here=context.connection.is_here)
            measured, of_device = _measured(spec, sources, context)
        if measured.error is not None:
            error = errors.from_dict(measured.error)
            error.details.setdefault("log", measured.a.log + measured.b.log)
            raise error
        return _duet(spec, sources, measured, of_device)

    def summary(self, result: Duet) -> dict[str, Any]:
        first = result.stage(result.asked[0]).answer
        undirected = "unchanged" if first is Answer.UNCHANGED else "cannot-tell"
        return {
            "answer": result.headline,
            "word": {1: "slower", -1: "faster"}.get(result.direction, undirected),
            "stages": {stage.name.value: stage.answer.value for stage in result.stages},
            "memory": {one.name: one.answer.value for one in result.memory},
        }


Sources = tuple[ModelSource, ModelSource]


@contextmanager
def _naming(side: str) -> Iterator[None]:
    """An error that comes up inside names the side."""
    try:
        yield
    except errors.Error as error:
        error.message = f"{side}: {error.message}"
        raise


def _opened(spec: DuetSpec, stack: ExitStack) -> Sources:
    with _naming("A"):
        a = stack.enter_context(open_source(spec.a.model))
    with _naming("B"):
        options_module.check_sustained(options_module.parse(spec.b.options), measures=False)
        return a, stack.enter_context(open_source(spec.b.model))


def _validated(spec: DuetSpec, sources: Sources, *, here: bool) -> DuetSpec:
    spec.terms.check()
    with _naming("A"):
        options_module.check_sustained(options_module.parse(spec.a.options), measures=False)
        a = campaigns.validate_for(spec.a, sources[0], here=here)
    with _naming("B"):
        return replace(spec, a=a, b=campaigns.validate_for(spec.b, sources[1], here=here))


def _measured(spec: DuetSpec, sources: Sources, context: Context) -> tuple[DuetMeasured, list[Notice]]:
    what = f"comparison of {sources[0].name} and {sources[1].name}"
    a, b = (
        campaigns.runtime_for(one.runtime, source.format, here=context.connection.is_here)
        for one, source in zip((spec.a, spec.b), sources, strict=True)
    )
    with ExitStack() as stack:
        session, device, survey = stack.enter_context(campaigns.on_device([a.name, b.name], context, what))
        hot = campaigns.cooled(device, context)
        describe = [
            None if context.connection.is_here else stack.enter_context(described_here(one, source, runtime))
            for one, source, runtime in zip((spec.a, spec.b), sources, (a, b), strict=True)
        ]
        best = records.best(records.key(survey))
        of_a, of_b = (
            campaigns.pushed(one, source, runtime, session, f"{session.workspace}/{side}", best)
            for one, source, runtime, side in zip((spec.a, spec.b), sources, (a, b), SIDES, strict=True)
        )
        campaign = DuetCampaign(PROTOCOL_VERSION, of_a, of_b, spec.terms, spec.a.seed)
        measured = duet.carry_out(device, survey, campaign, describe)
        held = campaigns.hold(device, context, what)
        device.close()
        return measured, [*hot, *campaigns.beside(held)]


def _duet(spec: DuetSpec, sources: Sources, measured: DuetMeasured, of_device: Sequence[Notice]) -> Duet:
    a, b = (
        _side(one, source, found)
        for one, source, found in zip((spec.a, spec.b), sources, (measured.a, measured.b), strict=True)
    )
    after_ns = measured.decided_after_ns
    return Duet(
        schema_version=SCHEMA_VERSION,
        kind=KIND,
        dynolab_version=metadata.version("dynolab"),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        a=a,
        b=b,
        device=measured.a.device,
        environment=measured.a.environment,
        differences=duet_figures.differences(a, b),
        floor=spec.terms.floor,
        limit=spec.terms.limit,
        confidence=duet_ratio.CONFIDENCE,
        budget_s=spec.terms.budget_s,
        asked=spec.terms.stages,
        stages=duet_figures.stages(measured, spec.terms.floor, spec.a.seed),
        memory=duet_memory_ratio.figures(measured.a, measured.b, spec.terms.floor),
        memory_reason=measured.a.memory_reason or (None if spec.terms.memory else "memory passes were not asked for"),
        pairs=measured.pairs,
        decided_after_s=None if after_ns is None else after_ns / 1e9,
        wall_s=measured.wall_ns / 1e9,
        seed=spec.a.seed,
        log=measured.a.log + measured.b.log,
        notices=(*duet_figures.notices(measured), *(one.text for one in of_device)),
    )


def _side(spec: ProfileSpec, source: ModelSource, measured: Measured) -> DuetSide:
    found = measured.inspection
    if found is None:
        raise errors.Bug("a duet that ended well left no inspection")
    return DuetSide(
        model=campaigns.facts(source, measured),
        runtime=str(spec.runtime),
        options=spec.options,
        versions=measured.versions,
        effective=measured.effective,
        inputs=tuple(Tensor(item.spec, f"{item.source}, seed {spec.seed}") for item in found.inputs),
        outputs=tuple(Tensor(one, "the model") for one in found.outputs),
    )


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

    ``floor`` and ``limit`` are shares (0.02 is 2 %); see :class:`~dynolab.spec.duets.DuetTerms`. Raises
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

    terms = DuetTerms(floor, limit, budget_s, tuple(stages), memory)
    spec = DuetSpec(side(a, runtime_a, options_a), side(b, runtime_b, options_b), terms)
    return plugin.run(spec, Context(this_machine(), progress or (lambda _: None)))


plugin = CompareJob()
