"""A profile document as the official client's ``ProfileDetail``. Microseconds and bytes; what was not measured stays unset."""

from __future__ import annotations

from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.profiles import Profile, Stage

MAJOR, MINOR = 1, 8


def microseconds(ns: int) -> int:
    """Rounded half up; what was measured is never 0, because clients divide by it."""
    return max(1, (ns + 500) // 1000) if ns > 0 else 0


def detail(profile: Profile) -> pb.ProfileDetail:
    """Everything of a profile that the protocol has a place for."""
    compile_, first, warm, inference = profile.stages
    found = pb.ProfileDetail(major_version=MAJOR, minor_version=MINOR)
    found.execution_time = _minimum(inference)
    found.compile_time, found.cold_load_time, found.warm_load_time = map(_minimum, (compile_, first, warm))
    found.after_compile_peak_memory, found.after_cold_load_peak_memory = _peak(compile_), _peak(first)
    found.after_warm_load_peak_memory, found.after_execution_peak_memory = _peak(warm), _peak(inference)
    for stage, usage in (
        (compile_, found.compile_memory),
        (first, found.cold_load_memory),
        (warm, found.warm_load_memory),
        (inference, found.execution_memory),
    ):
        if stage.memory is not None:
            usage.increase.lower, usage.increase.upper = stage.memory.increase.lower, stage.memory.increase.upper
            usage.peak.lower, usage.peak.upper = stage.memory.peak.lower, stage.memory.peak.upper
    found.all_compile_times.extend(_values(compile_))
    found.all_cold_load_times.extend(_values(first))
    found.all_warm_load_times.extend(_values(warm))
    found.all_execution_times.extend(_values(inference))
    found.layer_details.extend(_layer(index, layer) for index, layer in enumerate(profile.layers.layers))
    for name, settings in ((profile.runtime.name, profile.runtime.effective), ("environment", profile.environment)):
        properties = [pb.RuntimeConfigProperty(key=key, value=value) for key, value in settings.items()]
        found.runtime_config.append(pb.RuntimeConfig(name=name, properties=properties))
    for name, version in profile.runtime.versions.items():
        found.tool_versions.append(pb.ToolVersion(name=TOOL_NAMES.get(name, name), version=version))
    return found


UNITS = {
    ComputeUnit.CPU: pb.COMPUTE_UNIT_CPU,
    ComputeUnit.GPU: pb.COMPUTE_UNIT_GPU,
    ComputeUnit.NPU: pb.COMPUTE_UNIT_NPU,
}
TOOL_NAMES = {"onnxruntime": "ONNX Runtime", "onnx": "ONNX", "ai-edge-litert": "LiteRT"}
"""Names that published recipes look for, by distribution."""


def _minimum(stage: Stage) -> int:
    """The stage's figure, or 0: the protocol's fields here are not optional."""
    return microseconds(stage.time.minimum_ns) if stage.time else 0


def _peak(stage: Stage) -> int:
    return stage.memory.peak.upper if stage.memory else 0


def _values(stage: Stage) -> list[int]:
    return [microseconds(ns) for run in stage.timing_runs if run.chosen for ns in run.values_ns]


def _layer(index: int, layer: Layer) -> pb.LayerDetail:
    """A layer below half a microsecond reads 0, so that layers still add up."""
    found = pb.LayerDetail(
        name=layer.name,
        compute_unit=UNITS[layer.compute_unit],
        layer_type_name=layer.type,
        id=str(index),
        delegate_name=layer.delegate or "",
        execution_time=(layer.time_ns + 500) // 1000,
    )
    if layer.cycles is not None:
        found.execution_cycles = layer.cycles
    return found
