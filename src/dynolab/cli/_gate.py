"""How ``dynolab gate`` comes to its decision: a duet of two models, or the ranges of two profiles."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynolab.cli import _device, _duet, _parse, _progress, _side_by_side
from dynolab.cli.compare import short_names
from dynolab.cli.report import read
from dynolab.connections.base import Connection
from dynolab.doctor import reached
from dynolab.errors import NotFound, SpecInvalid
from dynolab.jobs.base import Asking, Context
from dynolab.jobs.compare import plugin as duet_job
from dynolab.jobs.profile import plugin as profile_job
from dynolab.measure import environment
from dynolab.spec import gate, input_shapes
from dynolab.spec.duets import DEFAULT_BUDGET_S, Duet, DuetSpec, DuetTerms
from dynolab.spec.gate import Gate, Limits
from dynolab.spec.jobs import DEFAULT_SEED, ProfileSpec
from dynolab.spec.likeness import Unlike
from dynolab.spec.percent import read_percent
from dynolab.spec.profiles import Profile

ANY_TIME = 10.0
"""Where only memory is held to a limit, a duet may stop as soon as no time is eleven times as long: that is soon."""
_REFUSED = ("precision", "runtime")
"""Of what two sides of a duet may differ in: inputs that are called otherwise are told, and compared."""
_FOR_MODELS = {"budget": "--budget"}
_FOR_A_PROFILE = {"repeats": "--repeats"}
_FOR_RUNS = {
    "device": "--device",
    "wait": "--wait",
    "runtime": "--runtime",
    "options": "--options",
    "shapes": "--input-shape",
    "ranges": "--input-range",
    "files": "--input-file",
    "timeout": "--timeout",
    "memory_limit": "--memory-limit",
    "require_sandbox": "--require-sandbox",
}


def run(model: Path, asked: Mapping[str, Any]) -> Gate:
    """The decision. Raises :class:`~dynolab.errors.UserError` before anything is measured for what cannot be decided."""
    begun, baseline = time.monotonic(), asked["baseline"]
    limits = _limits(asked)
    for path, what in ((model, "MODEL"), (baseline, "--baseline")):
        if not path.exists():
            raise NotFound(f"{what} {path}: there is no such file or folder")
    _device.check(asked["device"], require_sandbox=asked["require_sandbox"])
    saved = _duet.is_profile(model), _duet.is_profile(baseline)
    if saved == (False, False):
        _refuse(
            asked,
            _FOR_A_PROFILE,
            "is for a baseline that is a saved profile: two models take turns until it is decided",
        )
        found = _take_turns(model, baseline, limits, asked)
    elif saved[1]:
        _refuse(asked, _FOR_MODELS, "is for two models that take turns, and the baseline is a saved profile")
        if saved[0]:
            _refuse(asked, _FOR_RUNS, "is for a model that is run, and both are saved profiles")
        found = _against_profile(model, baseline, limits, asked, is_saved=saved[0])
    else:
        raise SpecInvalid(
            f"{model} is a saved profile, and --baseline {baseline} a model: they never took turns",
            hint="name two models, or two profiles, or a model and the baseline's profile",
        )
    return replace(found, wall_s=time.monotonic() - begun)


def _refuse(asked: Mapping[str, Any], names: Mapping[str, str], why: str) -> None:
    """Raise for an option that has nothing to say here."""
    for name, option in names.items():
        if asked[name] not in (None, (), False):
            raise SpecInvalid(f"{option} {why}", hint="leave it out")


def _limits(asked: Mapping[str, Any]) -> Limits:
    slower, memory = (
        None if asked[name] is None else read_percent(asked[name], option)
        for name, option in (("max_slower", "--max-slower"), ("max_memory", "--max-memory"))
    )
    if slower is None and asked["stages"]:
        raise SpecInvalid(
            f"--stage {asked['stages'][0]}: no limit is given for its time", hint="give one, such as --max-slower 10%"
        )
    return Limits(slower, memory, _duet.stages(asked["stages"]))


def _spec(model: Path, asked: Mapping[str, Any]) -> ProfileSpec:
    return ProfileSpec(
        model=model,
        runtime=asked["runtime"],
        options=asked["options"] or "",
        input_shapes=input_shapes.parse_shapes(asked["shapes"], "--input-shape"),
        input_ranges=_parse.ranges(asked["ranges"]),
        input_files=_parse.files(asked["files"]),
        repeats=asked["repeats"],
        seed=DEFAULT_SEED,
        timeout_s=asked["timeout"],
        memory_limit_bytes=_parse.size(asked["memory_limit"]) if asked["memory_limit"] else None,
    )


# ---- two models ------------------------------------------------------------------------------------------------------


def _take_turns(model: Path, baseline: Path, limits: Limits, asked: Mapping[str, Any]) -> Gate:
    """Two models on one device; the baseline is side A."""
    if baseline.suffix != model.suffix and not asked["force"]:
        kinds = (one.suffix or "a folder" for one in (baseline, model))
        raise SpecInvalid(Unlike("format", *kinds).refusal(str(baseline)), hint=_FORCE)
    one = _spec(model, asked)
    spec = duet_job.validate(
        DuetSpec(
            a=replace(one, model=baseline),
            b=one,
            terms=DuetTerms(
                limit=ANY_TIME if limits.slower is None else limits.slower,
                budget_s=DEFAULT_BUDGET_S if asked["budget"] is None else asked["budget"],
                stages=limits.stages,
                memory=limits.memory is not None,
            ),
        ),
        here=_device.is_here(asked["device"]),
    )
    found = _duet.take_turns(spec, asked)
    loud = _duet.loud(found)
    apart = [one for one in loud if one.split(": ")[1] in _REFUSED]
    if apart and not asked["force"]:
        raise SpecInvalid(f"--baseline {baseline}: {'; '.join(apart)}", hint=_FORCE)
    names = short_names(baseline, model)
    checks = tuple(gate.of_duet(found, limits))
    return Gate(names[1], names[0], _turns(found), checks, tuple(loud))


def _turns(found: Duet) -> str:
    pairs = f"{len(found.pairs)} pairs of fresh processes"
    return f"The two took turns on {found.device.name}: {pairs}, {found.wall_s:.0f} s; times are medians, intervals hold {100 * found.confidence:g} %."


# ---- a saved profile -------------------------------------------------------------------------------------------------


def _against_profile(model: Path, path: Path, limits: Limits, asked: Mapping[str, Any], *, is_saved: bool) -> Gate:
    """A model, or its saved profile, against the baseline's profile."""
    baseline = read(path)
    gate.check_measured(baseline, str(path), limits)
    if is_saved:
        measured = read(model)
        gate.check_measured(measured, str(model), limits)
    else:
        measured = _measured(model, baseline, path, asked)
    return gate.hold(baseline, measured, limits, names=short_names(path, model), force=asked["force"])


def _measured(model: Path, baseline: Profile, path: Path, asked: Mapping[str, Any]) -> Profile:
    """The model's profile, asked for as the baseline's was where nothing else is said."""
    spec, request = _spec(model, asked), baseline.request
    spec = replace(
        spec,
        runtime=spec.runtime or baseline.runtime.name,
        options=request.options if asked["options"] is None else spec.options,
        input_shapes={**request.input_shapes, **spec.input_shapes},
        input_ranges={**request.input_ranges, **spec.input_ranges},
        input_files={**{name: Path(file) for name, file in request.input_files.items()}, **spec.input_files},
        repeats=request.repeats if spec.repeats is None else spec.repeats,
        seed=request.seed,
    )

    asking = Asking(wait_s=_parse.wait(asked["wait"]))
    with _device.opened(asked["device"], require_sandbox=asked["require_sandbox"]) as connection:
        if not asked["force"]:
            _check_device(baseline, path, connection, str(spec.runtime))
        spec = profile_job.validate(spec, here=connection.is_here)

        def once(one: ProfileSpec) -> Profile:
            with _progress.follow(one) as progress:
                return profile_job.run(one, Context(connection, progress, asking))

        return _side_by_side.measured(spec, [baseline], once)


def _check_device(baseline: Profile, path: Path, connection: Connection, runtime: str) -> None:
    """Raise before anything is measured where the baseline is from another device."""
    claim, tell = _device.look_claim(), _device.say
    is_here = connection.is_here
    facts = environment.device_facts() if is_here else reached.survey_of(connection, claim, tell, [runtime]).device
    if baseline.device.name != facts.name:
        raise gate.refused(str(path), [Unlike("device", baseline.device.name, facts.name)])


_FORCE = "give a baseline that is like it; --force compares them anyway, and says so"
