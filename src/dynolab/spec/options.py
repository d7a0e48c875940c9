"""Job options in AI Hub's grammar: ``--max_profiler_iterations 100 --onnx_options "intra_op_num_threads=2"``.

One table, :data:`OPTIONS`, drives the parser, its messages and the docs. Names, types and AI Hub's defaults are those of
its documentation (app.aihub.qualcomm.com/docs/hub/api.html, profile and inference options); the OpenVINO, PyTorch and
some ONNX Runtime options are dynolab's own.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite

from dynolab.errors import SpecInvalid
from dynolab.spec.measurements import ComputeUnit

OptionValue = int | float | bool | str


class Kind(StrEnum):
    """What an option takes."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "true or false"
    WORD = "word"
    WORDS = "comma-separated words"
    GROUP = "key=value;key=value"


@dataclass(frozen=True, slots=True)
class KnownOption:
    """One option, or one key of a group, with everything that is known of it."""

    name: str
    kind: Kind
    text: str
    """One sentence: what it does."""
    group: str | None = None
    """The group that the key belongs to; None at the top level."""
    hub_default: OptionValue | None = None
    """AI Hub's documented default; None where it documents none or has no such option."""
    default: OptionValue | None = None
    """dynolab's default; None: it does nothing about it, so that the runtime's own default holds."""
    allowed: tuple[str, ...] = ()
    """Every word that is taken; empty: any."""
    pattern: str | None = None
    """A regular expression for the words that are taken, where they cannot be listed; ``allowed`` then shows examples."""
    minimum: float | None = None
    above: float | None = None
    """A number must be greater than this."""
    needs: str | None = None
    """The vendor stack without which it has no effect: ``qnn``, ``gpu`` (TFLite's GPU delegate) or ``nnapi``."""
    read: bool = True
    """False: AI Hub has it, and no runtime here reads it though none of these stacks is needed."""

    @property
    def idle(self) -> bool:
        """Whether it is only accepted, so that options written for AI Hub work, and no runtime here reads it."""
        return not self.read or self.needs is not None

    def read_by(self, used: Collection[str]) -> bool:
        """Whether it has an effect for a runtime that reads ``used`` (see :meth:`Options.unused_by`)."""
        if self.group is None:
            return any(word.partition(".")[0] == self.name for word in used)
        return self.path in used or (self.group in used and (self.needs is None or self.needs in used))

    @property
    def path(self) -> str:
        """The name for programs: ``qairt_version``, ``onnx_options.execution_mode``."""
        return self.name if self.group is None else f"{self.group}.{self.name}"

    @property
    def written(self) -> str:
        """The name as people write it: ``--qairt_version``, ``--onnx_options execution_mode``."""
        return f"--{self.name}" if self.group is None else f"--{self.group} {self.name}"

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        if self.allowed:
            joined = ", ".join(self.allowed)
            return f"{'some' if self.kind is Kind.WORDS else 'one'} of {joined}"
        limit = f" >= {self.minimum:g}" if self.minimum is not None else ""
        return self.kind.value + limit + (f" > {self.above:g}" if self.above is not None else "")


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
        return found

    def group(self, name: str) -> Mapping[str, OptionValue]:
        """The values given in one group; empty when it was not given."""
        return self.groups.get(name, {})

    def value(self, group: str, key: str) -> OptionValue | None:
        """The value given for one key of a group, or else dynolab's default; None: the runtime's own."""
        return self.group(group).get(key, _KEYS[group][key].default)

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
            idle = [f"{group}.{key}" for key in given if not _KEYS[group][key].read_by(used)]
            unused += idle if _TOP_LEVEL[group].read_by(used) else [group]
        return tuple(unused)


# ---- the table -------------------------------------------------------------------------------------------------------

_INT, _NUMBER, _BOOL, _WORD, _WORDS = Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.WORD, Kind.WORDS
_DELEGATES = ("qnn", "qnn-gpu", "nnapi", "nnapi-gpu", "gpu", "xnnpack")
_PROVIDERS = (
    "qnn", "qnn-gpu", "directml", "cpu", "cuda", "tensorrt", "openvino", "dnnl", "xnnpack", "coreml", "nnapi", "webgpu",
    "migraphx", "vitisai",
)  # fmt: skip


def _top(
    name: str, kind: Kind, text: str, hub: OptionValue | None = None, *, ours: OptionValue | None = None,
    allowed: tuple[str, ...] = (), minimum: float | None = None, above: float | None = None, needs: str | None = None,
    read: bool = True,
) -> KnownOption:  # fmt: skip
    return KnownOption(name, kind, text, None, hub, ours, allowed, None, minimum, above, needs, read)


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

_TOP_LEVEL: dict[str, KnownOption] = {option.name: option for option in OPTIONS if option.group is None}
_KEYS: dict[str, dict[str, KnownOption]] = {
    group.name: {option.name: option for option in OPTIONS if option.group == group.name}
    for group in _TOP
    if group.kind is Kind.GROUP
}
_OWN_FIELDS = ("compute_unit", "max_profiler_iterations", "max_profiler_time", "repeats")
NO_EFFECT = "accepted, no effect"
"""What stands for dynolab's default where an option is idle."""


def without_effect(name: str, runtime: str) -> str:
    """The sentence for an option that :meth:`Options.unused_by` names: whose doing it is that it has no effect."""
    group, _, key = name.partition(".")
    option = _KEYS[group][key] if key else _TOP_LEVEL[name]
    if not option.idle:
        return f"{name} has no effect on runtime {runtime}"
    why = f"it needs {option.needs}, which no runtime here brings" if option.needs else "no runtime here reads it"
    return f"{name} is accepted for compatibility with AI Hub and has no effect: {why}"


# ---- text to options -------------------------------------------------------------------------------------------------


def parse(text: str) -> Options:
    """The options that ``text`` asks for; what it leaves out has dynolab's default.

    Words are split as a POSIX shell does. Raises :class:`SpecInvalid`, naming the offending text and the nearest known
    names or the allowed values, for an option, key or value that is unknown, missing, given twice or of a wrong type.
    """
    plain: dict[str, OptionValue] = {}
    groups: dict[str, dict[str, OptionValue]] = {}
    for option, raw in _pairs(_words(text)):
        if option.name in plain or option.name in groups:
            raise SpecInvalid(f"--{option.name} is given twice", hint="give it once, with everything it should hold")
        if option.kind is Kind.GROUP:
            groups[option.name] = _parse_group(option, raw)
        else:
            plain[option.name] = _parse_value(option, raw)
    return Options(
        text=text,
        compute_units=_units(str(plain.get("compute_unit", "all"))),
        max_profiler_iterations=int(plain["max_profiler_iterations"]) if "max_profiler_iterations" in plain else None,
        max_profiler_time_s=float(plain.get("max_profiler_time", Options().max_profiler_time_s)),
        repeats=int(plain.get("repeats", Options().repeats)),
        groups=groups,
        plain={name: value for name, value in plain.items() if name not in _OWN_FIELDS},
    )


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SpecInvalid(f"the options {text!r} cannot be split into words: {error}", hint="close quotes") from error


def _pairs(words: list[str]) -> Iterator[tuple[KnownOption, str]]:
    """Each option with its raw value; a boolean that stands alone is ``true``."""
    rest = iter([*words, None])
    word = next(rest)
    while word is not None:
        if not word.startswith("--"):
            raise SpecInvalid(
                f"{word!r} is not an option", hint="options start with --, values with spaces need quotes"
            )
        name, equals, raw = word[2:].partition("=")
        option = _known_option(name)
        word = next(rest)
        if not equals and word is not None and not word.startswith("--"):
            raw, word = word, next(rest)
        elif not equals and option.kind is Kind.BOOLEAN:
            raw = "true"
        if not raw.strip():
            raise SpecInvalid(f"--{name} has no value", hint=f"it takes: {option.takes}")
        yield option, raw.strip()


def _known_option(name: str) -> KnownOption:
    if name in _TOP_LEVEL:
        return _TOP_LEVEL[name]
    inside = [f'--{group} "{name}=..."' for group, keys in _KEYS.items() if name in keys]
    hint = f"it belongs into {' or '.join(inside)}" if inside else _nearest(name, _TOP_LEVEL, prefix="--")
    raise SpecInvalid(f"there is no option --{name}", hint=hint)


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"did you mean {' or '.join(prefix + word for word in near)}?"
    return f"known: {', '.join(prefix + word for word in names)}"


def _parse_group(group: KnownOption, raw: str) -> dict[str, OptionValue]:
    values: dict[str, OptionValue] = {}
    known = _KEYS[group.name]
    for piece in filter(None, (part.strip() for part in raw.split(";"))):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if name not in known:
            _check_no_place(f"--{group.name} {name}", name, _PLACE_KEY)
            raise SpecInvalid(f"--{group.name} has no key {name!r} (in {piece!r})", hint=_nearest(name, known))
        if not equals or not value:
            raise SpecInvalid(f"--{group.name} {name} has no value", hint=f"{name}=..., {known[name].takes}")
        if name in values:
            raise SpecInvalid(f"--{group.name} {name} is given twice", hint="give each key once")
        values[name] = _parse_value(known[name], value)
    if not values:
        raise SpecInvalid(f"--{group.name} has no value", hint=f"it takes: {group.takes}")
    return values


_TRUE, _FALSE = ("true", "1"), ("false", "0")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _parse_value(option: KnownOption, raw: str) -> OptionValue:
    value: OptionValue | None = None
    if option.kind is Kind.BOOLEAN:
        value = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}.get(raw.lower())
    elif option.kind is Kind.INTEGER:
        value = int(raw) if _INTEGER.fullmatch(raw) else None
    elif option.kind is Kind.NUMBER:
        value = float(raw) if _DECIMAL.fullmatch(raw) and isfinite(float(raw)) else None
    elif option.kind is Kind.WORDS:
        return _parse_words(option, raw)
    else:
        value = _parse_word(option, raw)
    if value is None or not _within(option, value):
        raise SpecInvalid(f"{option.written} does not take {raw!r}", hint=f"it takes: {option.takes}")
    return value


_PLACE_KEY = re.compile(
    r"path|file|dir\b|_dir|folder|librar|plugin|extension|custom_?op|cache|dump|prefix|location|external|^(ep|session)\.",
    re.IGNORECASE,
)
"""What keys are called that vendors read paths from, or names of libraries to load: ``session.optimized_model_filepath``."""
_PLACE_VALUE = re.compile(r"[/\\\0]|^\.\.|\.(so|dll|dylib|py)\b", re.IGNORECASE)


def _check_no_place(what: str, text: str, place: re.Pattern[str]) -> None:
    """No option of dynolab names a file or a library: a job could have the device load code, or read and write files."""
    if place.search(text):
        raise SpecInvalid(
            f"{what[:200]} names a file or a library of the device, which no job may",
            hint="leave it out: what is loaded and where is written, the device decides",
        )


def _within(option: KnownOption, value: OptionValue) -> bool:
    if isinstance(value, bool | str):
        return True
    return (option.minimum is None or value >= option.minimum) and (option.above is None or value > option.above)


def _parse_word(option: KnownOption, raw: str) -> str | None:
    """The word in the table's own spelling (case does not matter), or None when it is not allowed."""
    if option.pattern is not None:
        return raw.lower() if re.fullmatch(option.pattern, raw.lower(), re.ASCII) else None
    if option.allowed:
        return {word.lower(): word for word in option.allowed}.get(raw.lower())
    _check_no_place(f"{option.written} {raw!r}", raw, _PLACE_VALUE)
    return raw


def _parse_words(option: KnownOption, raw: str) -> str:
    words: list[str] = []
    for piece in (part.strip() for part in raw.split(",")):
        word = _parse_word(option, piece)
        if not word:
            raise SpecInvalid(
                f"{option.written} does not take {piece!r} (in {raw!r})", hint=f"it takes: {option.takes}"
            )
        if word in words:
            raise SpecInvalid(f"{option.written} names {word} twice (in {raw!r})", hint="name each once")
        words.append(word)
    if "all" in words and len(words) > 1:
        raise SpecInvalid(f"{option.written} takes 'all' or single words, not both: {raw!r}")
    return ",".join(words)


def _units(words: str) -> tuple[ComputeUnit, ...]:
    return () if words == "all" else tuple(ComputeUnit(word.upper()) for word in words.split(","))


# ---- options to text -------------------------------------------------------------------------------------------------


def format_options(options: Options) -> str:
    """The canonical text of ``options``: defaults left out, in the table's order; :func:`parse` gives equal options.

    Raises :class:`SpecInvalid` for hand-made options that no text can express, such as a group without keys.
    """
    given = options.given()
    for group, values in options.groups.items():
        keys = [key for key in _KEYS.get(group, values) if key in values]
        given[group] = ";".join(f"{key}={_write(values[key])}" for key in keys)
    order = list(_TOP_LEVEL)
    names = sorted(given, key=lambda name: order.index(name) if name in order else len(order))
    text = " ".join(_write_option(name, _write(given[name])) for name in names)
    if parse(text) != options:
        raise SpecInvalid(f"these options cannot be written as text: {options}")
    return text


def _write(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _write_option(name: str, value: str) -> str:
    quoted = shlex.quote(value)
    return f"--{name}={quoted}" if value.startswith("--") else f"--{name} {quoted}"
