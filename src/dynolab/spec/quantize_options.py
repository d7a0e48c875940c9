"""Options of quantize jobs, in AI Hub's grammar: ``--range_scheme min_max``.

Names and AI Hub's defaults are those of its documentation (quantize options, app.aihub.qualcomm.com/docs/hub/api.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynolab.spec.option_grammar import Kind, KnownOption, OptionTable, OptionValue

OPTIONS: tuple[KnownOption, ...] = (
    KnownOption("range_scheme", Kind.WORD, "How the ranges of activations follow from the calibration data.",
                hub_default="auto", default="auto", allowed=("auto", "mse_minimizer", "min_max")),
    KnownOption("lite_mp", Kind.GROUP, "Layers that lose most keep a wider type."),
    KnownOption("percentage", Kind.INTEGER, "How many of the layers, in percent.", "lite_mp", minimum=1),
    KnownOption("override_qtype", Kind.WORD, "The type that they keep.", "lite_mp", allowed=("int16", "fp16")),
)  # fmt: skip
TABLE = OptionTable(OPTIONS)


@dataclass(frozen=True, slots=True)
class QuantizeOptions:
    """Parsed options of one quantize job; what was not given has dynolab's default."""

    plain: Mapping[str, OptionValue] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict)

    @property
    def range_scheme(self) -> str:
        """``auto``, ``mse_minimizer`` or ``min_max``."""
        return str(self.plain.get("range_scheme", TABLE.top_level["range_scheme"].default))

    @property
    def given(self) -> tuple[str, ...]:
        """Names of all options that were given: each has an effect, or is refused."""
        return (*self.plain, *self.groups)


def parse(text: str) -> QuantizeOptions:
    """The options that ``text`` asks for. Raises as :meth:`OptionTable.parse` does."""
    given = TABLE.parse(text)
    return QuantizeOptions(given.plain, given.groups)
