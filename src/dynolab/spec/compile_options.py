"""Options of compile jobs, in AI Hub's grammar: ``--target_runtime onnx --output_names logits --truncate_64bit_io``.

Names and AI Hub's defaults are those of its documentation (compile options, app.aihub.qualcomm.com/docs/hub/api.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynolab.spec.option_grammar import Kind, KnownOption, OptionTable, OptionValue

_TYPES = ("int8", "int16", "w8a16", "w4a8", "w4a16", "float16")

OPTIONS: tuple[KnownOption, ...] = (
    KnownOption("target_runtime", Kind.WORD, "What the model is compiled for: a toolchain's name.", hub_default="tflite",
                default="onnx"),
    KnownOption("output_names", Kind.NAMES, "Names of the outputs, in their order."),
    KnownOption("truncate_64bit_io", Kind.BOOLEAN, "Whether inputs and outputs of 64-bit integers become 32-bit ones.",
                hub_default=False, default=False),
    KnownOption("truncate_64bit_tensors", Kind.BOOLEAN, "Whether all tensors of 64-bit integers become 32-bit ones.",
                hub_default=False, default=False),
    KnownOption("force_channel_last_input", Kind.NAMES, "Inputs that are fed channel-last: NHWC for NCHW."),
    KnownOption("force_channel_last_output", Kind.NAMES, "Outputs that come channel-last."),
    KnownOption("quantize_full_type", Kind.WORD, "Element types that weights and activations are quantised to.",
                allowed=_TYPES),
    KnownOption("quantize_weight_type", Kind.WORD, "Element type that weights alone are stored as.", allowed=("float16",)),
    KnownOption("quantize_io", Kind.BOOLEAN, "Whether a quantised model's inputs and outputs are quantised, too.",
                hub_default=False, default=False),
    KnownOption("quantize_io_type", Kind.WORD, "Element type of quantised inputs and outputs.", allowed=("int8", "uint8")),
    KnownOption("qnn_graph_name", Kind.WORD, "Name of the graph in a QNN file.", needs="qnn"),
    KnownOption("qnn_options", Kind.GROUP, "Options of Qualcomm's QNN.", needs="qnn"),
    KnownOption("context_enable_graphs", Kind.WORD, "Names of the graphs that are enabled.", "qnn_options", needs="qnn"),
    KnownOption("qairt_version", Kind.WORD, "Version of Qualcomm's AI Runtime: major.minor, default or latest.", needs="qnn"),
    KnownOption("compute_unit", Kind.WORDS, "Compute units that the compiled model is meant for.", hub_default="all",
                default="all", allowed=("all", "npu", "gpu", "cpu")),
)  # fmt: skip
TABLE = OptionTable(OPTIONS)
FORMATS = {
    "onnx": "onnx",
    "openvino": "openvino_ir",
    "tflite": "tflite",
    "torch": "aot_inductor",
    "qnn_dlc": "qnn_dlc",
    "qnn_context_binary": "qnn_context_binary",
    "precompiled_qnn_onnx": "precompiled_qnn_onnx",
}
"""The format that a target's models have, under the hub's names; a target that is not here has one of its own name."""


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """Parsed options of one compile job; what was not given has dynolab's default."""

    plain: Mapping[str, OptionValue] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """The toolchain's name."""
        return str(self.plain.get("target_runtime", TABLE.top_level["target_runtime"].default))

    @property
    def given(self) -> tuple[str, ...]:
        """Names of all top-level options that were given, the target apart: each has an effect, or somebody is told."""
        return tuple(name for name in (*self.plain, *self.groups) if name != "target_runtime")

    @property
    def quantize_io_type(self) -> str | None:
        """The element type of quantised inputs and outputs; None: the model's own."""
        given = self.plain.get("quantize_io_type")
        return None if given is None else str(given)

    def is_set(self, name: str) -> bool:
        """Whether a switch was given and is on."""
        return self.plain.get(name) is True

    def names(self, name: str) -> tuple[str, ...]:
        """The tensor names of a list, in their order; empty when it was not given."""
        given = self.plain.get(name)
        return tuple(str(given).split(",")) if given else ()


def parse(text: str) -> CompileOptions:
    """The options that ``text`` asks for. Raises as :meth:`OptionTable.parse` does."""
    given = TABLE.parse(text)
    return CompileOptions(given.plain, given.groups)
