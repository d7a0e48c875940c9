"""Job options in AI Hub's grammar: ``--max_profiler_iterations 100 --onnx_options "intra_op_num_threads=2"``.

One table, :data:`OPTIONS`, drives the parser, its messages and the docs. Names, types and AI Hub's defaults are those of
its documentation (app.aihub.qualcomm.com/docs/hub/api.html, profile and inference options); the OpenVINO, PyTorch and
some ONNX Runtime options are dynolab's own.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from dynolab.errors import Bug, SpecInvalid
from dynolab.spec.measurements import ComputeUnit
from dynolab.spec.option_grammar import Given, Kind, KnownOption, OptionTable, OptionValue

PARSED_MOST = 128
"""Texts of which it is remembered what they ask for: a job's is looked at some times while it is submitted, and many jobs' are alike."""


@dataclass(frozen=True, slots=True)
class Options:
    """Parsed options. ``groups`` maps a group such as ``onnx_options`` to its typed values that were *given*.

    Two of them are equal when they ask for the same, however it was written: ``text`` is not compared.
    """

    text: str = field(default="", compare=False)
    compute_units: tuple[ComputeUnit, ...] = ()
    """Requested units in order of preference; empty: all that the runtime offers."""
    max_profiler_iterations: int | None = None
    """None: not given."""
    max_profiler_time_s: float = 600.0
    repeats: int = 3
    sustained_s: float | None = None
    """How long the model infers without a pause, after all else; None: not at all."""
    groups: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict)
    plain: Mapping[str, OptionValue] = field(default_factory=dict)
    """The other top-level options that were given, such as ``qairt_version``; a list is kept as ``a,b``."""

    @property
    def runtime(self) -> str | None:
        """The runtime that was asked for; None: the format's own."""
        given = self.plain.get("runtime")
        return None if given is None else str(given)

    def given(self) -> dict[str, OptionValue]:
        """The top-level options that differ from their defaults, by name, as they are written; groups apart."""
        found, default = dict(self.plain), Options()
        if self.compute_units:
            found["compute_unit"] = ",".join(unit.lower() for unit in self.compute_units)
        if self.max_profiler_iterations is not None:
            found["max_profiler_iterations"] = self.max_profiler_iterations
        if self.max_profiler_time_s != default.max_profiler_time_s:
            found["max_profiler_time"] = self.max_profiler_time_s
        if self.repeats != default.repeats:
            found["repeats"] = self.repeats
        if self.sustained_s is not None:
            found["sustained"] = f"{self.sustained_s:.3f}".rstrip("0").rstrip(".") + "s"
        return found

    def group(self, name: str) -> Mapping[str, OptionValue]:
        """The values given in one group; empty when it was not given."""
        return self.groups.get(name, {})

    def value(self, group: str, key: str) -> OptionValue | None:
        """The value given for one key of a group, or else dynolab's default; None: the runtime's own."""
        return self.group(group).get(key, TABLE.keys[group][key].default)

    def listed(self, name: str) -> tuple[str, ...]:
        """The words of a list such as ``onnx_execution_providers``, in their order; empty when it was not given."""
        given = self.plain.get(name)
        return tuple(str(given).split(",")) if given else ()

    def unused_by(self, used: Collection[str]) -> tuple[str, ...]:
        """What was given and has no effect for a runtime that reads ``used``: top-level names and ``group.key`` paths.

        ``used`` holds top-level names (``onnx_options``, ``onnx_execution_providers``), single keys
        (``tflite_options.number_of_threads``) and vendor stacks (``qnn``). A group's name covers its keys, save those
        that need a vendor stack which ``used`` does not hold. A group of which the runtime reads nothing is named once,
        without keys.
        """
        unused = [name for name in self.plain if name not in used and name != "runtime"]
        for group, given in self.groups.items():
            if group not in TABLE.keys:
                unused += [] if group in used else [group]
                continue
            idle = [f"{group}.{key}" for key in given if not TABLE.keys[group][key].read_by(used)]
            unused += idle if TABLE.top_level[group].read_by(used) else [group]
        return tuple(unused)


# ---- the table -------------------------------------------------------------------------------------------------------

DURATION = re.compile(r"(?P<count>[0-9]{1,10}(?:\.[0-9]{1,3})?)(?P<unit>s|m|h)?", re.ASCII)
"""A length of time: ``90``, ``90s``, ``10m``, ``1.5h``."""
SUSTAINED_LEAST_S, SUSTAINED_MOST_S = 5.0, 12 * 3600.0
"""A shorter run shows no steady state; in a hub an attempt runs for a day at most."""

_INT, _NUMBER, _BOOL, _WORD, _WORDS = Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.WORD, Kind.WORDS
_DELEGATES = ("qnn", "qnn-gpu", "nnapi", "nnapi-gpu", "gpu", "xnnpack")
_PROVIDERS = (
    "qnn", "qnn-gpu", "directml", "cpu", "cuda", "tensorrt", "openvino", "dnnl", "xnnpack", "coreml", "nnapi", "webgpu",
    "migraphx", "vitisai",
)  # fmt: skip


def _top(
    name: str, kind: Kind, text: str, hub: OptionValue | None = None, *, ours: OptionValue | None = None,
    allowed: tuple[str, ...] = (), minimum: float | None = None, above: float | None = None, needs: str | None = None,
    read: bool = True, pattern: str | None = None,
) -> KnownOption:  # fmt: skip
    return KnownOption(name, kind, text, None, hub, ours, allowed, pattern, minimum, above, needs, read)


def _key(
    group: str, name: str, kind: Kind, text: str, hub: OptionValue | None = None, *, ours: OptionValue | None = None,
    allowed: tuple[str, ...] = (), pattern: str | None = None, minimum: float | None = None,
    read: bool = True,
) -> KnownOption:  # fmt: skip
    return KnownOption(name, kind, text, group, hub, ours, allowed, pattern, minimum, read=read)


def _vendor_keys(group: str, needs: str, *rows: tuple[str, Kind, OptionValue | None, str]) -> list[KnownOption]:
    """Keys of a vendor's stack, checked by type alone: name, kind, AI Hub's default, sentence."""
    return [KnownOption(name, kind, text, group, hub, needs=needs) for name, kind, hub, text in rows]


_TOP = [
    _top("compute_unit", _WORDS, "Compute units to run on, in order of preference.", "all", ours="all",
         allowed=("all", "npu", "gpu", "cpu")),
    _top("max_profiler_iterations", _INT, "Most timed iterations, all processes together. Not given: 100, and as many more "
         "as the range of their times takes to get narrow, within bounds.", 100, minimum=1),
    _top("max_profiler_time", _NUMBER, "Most seconds for warm-up and timed iterations, all processes together.", 600.0,
         ours=600.0, above=0),
    _top("repeats", _INT, "Fresh processes for each load and memory pass (dynolab's own).", ours=3, minimum=1),
    _top("sustained", _WORD, "How long the model infers without a pause after all else, to see whether the device keeps its pace "
         "(dynolab's own).", allowed=("30s", "10m", "1h"), pattern=DURATION.pattern),
    _top("runtime", _WORD, "Runtime that runs the model; without it, the format's own (dynolab's own)."),
    _top("dequantize_outputs", _BOOL, "Whether quantised outputs come back as floating-point numbers.", True,
         read=False),
    _top("qairt_version", _WORD, "Version of Qualcomm's AI Runtime: major.minor, default or latest.", needs="qnn"),
    _top("runtime_debug", _BOOL, "Whether the runtime logs more than usual.", read=False),
    _top("tflite_delegates", _WORDS, "TFLite delegates, in order of preference.", allowed=_DELEGATES),
    _top("onnx_execution_providers", _WORDS, "ONNX Runtime's execution providers, in order of preference (AI Hub knows "
         "the first three).", allowed=_PROVIDERS),
    _top("tflite_options", Kind.GROUP, "Options of TFLite (LiteRT) and its delegates."),
    _top("onnx_options", Kind.GROUP, "Options of ONNX Runtime's session and providers."),
    _top("qnn_options", Kind.GROUP, "Options of Qualcomm's QNN.", needs="qnn"),
    _top("openvino_options", Kind.GROUP, "Options of OpenVINO (dynolab's own)."),
    _top("torch_options", Kind.GROUP, "Options of PyTorch (dynolab's own)."),
]  # fmt: skip

_ONNX = [
    _key("onnx_options", "execution_mode", _WORD, "Whether independent nodes may run side by side.", "SEQUENTIAL",
         ours="SEQUENTIAL", allowed=("SEQUENTIAL", "PARALLEL")),
    _key("onnx_options", "intra_op_num_threads", _INT, "Threads inside one operator; 0: one per physical core.", 0,
         ours=0, minimum=0),
    _key("onnx_options", "inter_op_num_threads", _INT, "Threads across operators, for PARALLEL; 0: as many as cores.",
         0, ours=0, minimum=0),
    _key("onnx_options", "enable_memory_pattern", _BOOL, "Whether memory is planned ahead from earlier runs.", False,
         ours=True),
    _key("onnx_options", "enable_cpu_memory_arena", _BOOL, "Whether the CPU allocator keeps freed memory for later.",
         False, ours=True),
    _key("onnx_options", "graph_optimization_level", _WORD, "How far the graph is rewritten before it runs.",
         "ENABLE_ALL", ours="ENABLE_ALL",
         allowed=("DISABLE_ALL", "ENABLE_BASIC", "ENABLE_EXTENDED", "ENABLE_LAYOUT", "ENABLE_ALL")),
    _key("onnx_options", "allow_spinning", _BOOL, "Whether idle threads spin instead of sleeping (dynolab's own)."),
    _key("onnx_options", "set_denormal_as_zero", _BOOL, "Whether numbers too small for full precision count as 0 "
         "(dynolab's own)."),
    _key("onnx_options", "device_id", _INT, "Which of several accelerators is used (dynolab's own).", minimum=0),
    *_vendor_keys("onnx_options", "qnn",
           ("qnn_htp_performance_mode", _WORD, "burst", "Clock and voltage policy of the NPU."),
           ("qnn_htp_graph_optimization_mode", _INT, 3, "How hard the NPU's graph is optimised."),
           ("qnn_enable_htp_fp16_precision", _INT, 1, "Whether float32 models run as float16 on the NPU, 0 or 1.")),
]  # fmt: skip

_TFLITE = [
    _key("tflite_options", "enable_fallback", _BOOL, "Whether the CPU may take what a delegate refuses.", True,
         read=False),
    _key("tflite_options", "invoke_interpreter_on_cold_load", _BOOL, "Whether the first load also runs once.", False,
         read=False),
    _key("tflite_options", "number_of_threads", _INT, "Threads of the CPU kernels; -1: the runtime's choice.", -1,
         ours=-1, minimum=-1),
    _key("tflite_options", "signature", _WORD, "Which signature of the file runs; without it, the first (dynolab's own)."),
    _key("tflite_options", "release_dynamic_tensors", _BOOL, "Whether dynamic tensors are freed after use.", False,
         read=False),
    *_vendor_keys("tflite_options", "gpu",
           ("allow_fp32_as_fp16", _BOOL, True, "Whether the GPU may compute float32 as float16."),
           ("force_opengl", _BOOL, False, "Whether the GPU delegate must use OpenGL."),
           ("gpu_inference_preference", _WORD, "TFLITE_GPU_INFERENCE_PREFERENCE_SUSTAINED_SPEED",
            "What the GPU delegate prefers."),
           ("gpu_inference_priority1", _WORD, "TFLITE_GPU_INFERENCE_PRIORITY_MIN_LATENCY", "The first aim."),
           ("gpu_inference_priority2", _WORD, "TFLITE_GPU_INFERENCE_PRIORITY_MIN_MEMORY_USAGE", "The second aim."),
           ("gpu_inference_priority3", _WORD, "TFLITE_GPU_INFERENCE_PRIORITY_MAX_PRECISION", "The third aim."),
           ("gpu_max_delegated_partitions", _INT, 1, "Most parts of the graph that go to the GPU.")),
    *_vendor_keys("tflite_options", "nnapi",
           ("nnapi_execution_preference", _WORD, "kSustainedSpeed", "What NNAPI prefers."),
           ("nnapi_max_number_delegated_partitions", _INT, 3, "Most parts of the graph that go to NNAPI."),
           ("nnapi_allow_fp16", _BOOL, True, "Whether NNAPI may compute float32 as float16.")),
    *_vendor_keys("tflite_options", "qnn",
           ("qnn_log_level", _WORD, "kLogLevelWarn", "How much the QNN delegate logs."),
           ("qnn_graph_priority", _WORD, None, "Priority of the graph on the accelerator."),
           ("qnn_gpu_precision", _WORD, "kGpuFp16", "Precision on the GPU."),
           ("qnn_gpu_performance_mode", _WORD, "kGpuHigh", "Clock policy of the GPU."),
           ("qnn_dsp_performance_mode", _WORD, "kDspBurst", "Clock policy of the DSP."),
           ("qnn_dsp_encoding", _WORD, "kDspStatic", "Quantisation encoding on the DSP."),
           ("qnn_htp_performance_mode", _WORD, "kHtpBurst", "Clock and voltage policy of the NPU."),
           ("qnn_htp_precision", _WORD, "kHtpFp16", "Precision on the NPU."),
           ("qnn_htp_optimization_strategy", _WORD, "kHtpOptimizeForInference", "What the NPU's compiler aims at."),
           ("qnn_htp_use_conv_hmx", _BOOL, True, "Whether short convolutions use the NPU's matrix unit."),
           ("qnn_htp_use_fold_relu", _BOOL, False, "Whether ReLU is folded into convolutions."),
           ("qnn_htp_vtcm_size", _INT, None, "Megabytes of the NPU's own memory."),
           ("qnn_htp_num_hvx_threads", _INT, None, "Vector threads of the NPU.")),
]  # fmt: skip

_QNN = _vendor_keys(
    "qnn_options",
    "qnn",
    ("context_async_execution_queue_depth_numeric", _INT, None, "Depth of the queue of asynchronous executions."),
    ("context_enable_graphs", _WORD, None, "Names of the graphs of a context that are enabled."),
    ("context_error_reporting_options_level", _WORD, None, "How much is told of an error."),
    ("context_error_reporting_options_storage_limit", _INT, None, "Kilobytes kept for error reports."),
    ("context_memory_limit_hint", _INT, None, "Megabytes that the context should not exceed."),
    ("context_priority", _WORD, None, "Priority of the context."),
    ("context_gpu_performance_hint", _WORD, "HIGH", "Clock policy of the GPU."),
    ("context_gpu_use_gl_buffers", _BOOL, None, "Whether the GPU uses OpenGL buffers."),
    ("context_htp_performance_mode", _WORD, "BURST", "Clock and voltage policy of the NPU."),
    ("default_graph_priority", _WORD, None, "Priority of a graph."),
    ("default_graph_gpu_precision", _WORD, "USER_PROVIDED", "Precision on the GPU."),
    ("default_graph_gpu_disable_memory_optimizations", _BOOL, None, "Turns the GPU's memory optimisations off."),
    ("default_graph_gpu_disable_node_optimizations", _BOOL, None, "Turns the GPU's node optimisations off."),
    ("default_graph_gpu_disable_queue_recording", _BOOL, None, "Turns the GPU's queue recording off."),
    ("default_graph_htp_disable_fold_relu_activation_into_conv", _BOOL, None, "Keeps ReLU apart from convolutions."),
    ("default_graph_htp_disable_short_depth_conv_on_hmx", _BOOL, None, "Keeps short convolutions off the matrix unit."),
    ("default_graph_htp_num_hvx_threads", _INT, 4, "Vector threads of the NPU."),
    ("default_graph_htp_optimization_type", _WORD, None, "Which optimisation the value below belongs to."),
    ("default_graph_htp_optimization_value", _INT, None, "How hard the NPU's graph is optimised, 1 to 3."),
    ("default_graph_htp_precision", _WORD, "FLOAT16", "Precision on the NPU."),
    ("default_graph_htp_vtcm_size", _INT, 4, "Megabytes of the NPU's own memory."),
)

_OPENVINO = [
    _key("openvino_options", "performance_hint", _WORD, "What OpenVINO tunes itself for.", ours="LATENCY",
         allowed=("LATENCY", "THROUGHPUT", "CUMULATIVE_THROUGHPUT")),
    _key("openvino_options", "inference_precision", _WORD, "Element type that layers compute in.",
         allowed=("f32", "bf16", "f16")),
    _key("openvino_options", "inference_num_threads", _INT, "Threads of the CPU; 0: as many as cores.", minimum=0),
    _key("openvino_options", "num_streams", _INT, "Inferences that may run side by side.", minimum=1),
    _key("openvino_options", "enable_hyper_threading", _BOOL, "Whether both logical cores of a core are used."),
]  # fmt: skip

_TORCH = [
    _key("torch_options", "num_threads", _INT, "Threads inside one operator.", minimum=1),
    _key("torch_options", "num_interop_threads", _INT, "Threads across operators.", minimum=1),
    _key("torch_options", "device", _WORD, "Where the model runs.", allowed=("cpu", "cuda", "cuda:N"),
         pattern=r"cpu|cuda(:\d{1,3})?"),
    _key("torch_options", "float32_matmul_precision", _WORD, "How exact float32 matrix products are.",
         allowed=("highest", "high", "medium")),
    _key("torch_options", "input_types", _WORD, "Element types of a scripted module's inputs: `ids:int64,mask:int64`."),
    _key("torch_options", "max_autotune", _BOOL, "Whether the compiler times several kernels and keeps the fastest."),
]  # fmt: skip

OPTIONS: tuple[KnownOption, ...] = (*_TOP, *_ONNX, *_TFLITE, *_QNN, *_OPENVINO, *_TORCH)
"""Every known option and group key. Those with ``needs`` are checked by type alone: their vendors' lists of words grow."""

OWN_GROUP = re.compile(r"[a-z][a-z0-9_]*_options", re.ASCII)
"""How the group is called in which a runtime's own options stand: its name, then ``_options``."""
TABLE = OptionTable(OPTIONS, others=OWN_GROUP)
_OWN_FIELDS = ("compute_unit", "max_profiler_iterations", "max_profiler_time", "repeats", "sustained")
NO_EFFECT = "accepted, no effect"
"""What stands for dynolab's default where an option is idle."""


def without_effect(name: str, runtime: str) -> str:
    """The sentence for an option that :meth:`Options.unused_by` names: whose doing it is that it has no effect."""
    group, _, key = name.partition(".")
    if group not in TABLE.top_level:
        return f"{name} has no effect on runtime {runtime}"
    option = TABLE.keys[group][key] if key else TABLE.top_level[name]
    if not option.idle:
        return f"{name} has no effect on runtime {runtime}"
    why = f"it needs {option.needs}, which no runtime here brings" if option.needs else "no runtime here reads it"
    return f"{name} is accepted for compatibility with AI Hub and has no effect: {why}"


def group_of(runtime: str) -> str:
    """The group in which a runtime's own options stand."""
    return f"{runtime}_options"


def check_groups(options: Options, runtimes: Collection[str]) -> None:
    """Whether every group is one of the table's, or of a runtime that is there.

    Raises :class:`SpecInvalid`, naming the nearest: where the options are parsed, nobody can know what runtimes there are.
    """
    known = {*TABLE.top_level, *(group_of(name) for name in runtimes)}
    for group in options.groups:
        if group not in known:
            near = difflib.get_close_matches(group, sorted(known), n=3)
            hint = f"did you mean {' or '.join(f'--{one}' for one in near)}?" if near else ""
            raise SpecInvalid(
                f"there is no option --{group}", hint=hint or f"runtimes there: {', '.join(sorted(runtimes))}"
            )


# ---- text to options, and back ----------------------------------------------------------------------------------------


@lru_cache(PARSED_MOST)
def parse(text: str) -> Options:
    """The options that ``text`` asks for; what it leaves out has dynolab's default. Raises as :meth:`OptionTable.parse` does."""
    given = TABLE.parse(text)
    plain = given.plain
    return Options(
        text=text,
        compute_units=_units(str(plain.get("compute_unit", "all"))),
        max_profiler_iterations=int(plain["max_profiler_iterations"]) if "max_profiler_iterations" in plain else None,
        max_profiler_time_s=float(plain.get("max_profiler_time", Options().max_profiler_time_s)),
        repeats=int(plain.get("repeats", Options().repeats)),
        sustained_s=_seconds(str(plain["sustained"])) if "sustained" in plain else None,
        groups=given.groups,
        plain={name: value for name, value in plain.items() if name not in _OWN_FIELDS},
    )


def _seconds(text: str) -> float:
    """Of a text such as ``10m``, which the table has let pass."""
    found = seconds_of(text)
    if found is None:
        raise Bug(f"{text!r} is no length of time")
    return found


def seconds_of(text: str) -> float | None:
    """Of a text such as ``10m``; None: it is no length of time."""
    found = DURATION.fullmatch(text)
    if found is None:
        return None
    return round(float(found["count"]) * {"h": 3600, "m": 60}.get(found["unit"] or "s", 1), 3)


def check_sustained(options: Options, *, measures: bool) -> None:
    """Raise :class:`SpecInvalid` for a sustained run of a length that does not do, or in a job that does not profile one model."""
    length_s = options.sustained_s
    if length_s is None:
        return
    if not measures:
        raise SpecInvalid("--sustained is an option of profile jobs", hint="leave it out, or have the job measure")
    if not SUSTAINED_LEAST_S <= length_s <= SUSTAINED_MOST_S:
        raise SpecInvalid(f"a sustained run of {length_s:g} s: it takes 5 s to 12 h", hint="such as 30s, 10m or 1h")


def _units(words: str) -> tuple[ComputeUnit, ...]:
    return () if words == "all" else tuple(ComputeUnit(word.upper()) for word in words.split(","))


def format_options(options: Options) -> str:
    """The canonical text of ``options``: defaults left out, in the table's order; :func:`parse` gives equal options.

    Raises :class:`SpecInvalid` for hand-made options that no text can express, such as a group without keys.
    """
    text = TABLE.write(Given(options.given(), options.groups))
    if parse(text) != options:
        raise SpecInvalid(f"these options cannot be written as text: {options}")
    return text
