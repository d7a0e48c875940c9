"""Options of link jobs, in AI Hub's grammar: ``--qairt_version default``.

Names are those of its documentation (link options, app.aihub.qualcomm.com/docs/hub/api.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynolab.spec.option_grammar import Kind, KnownOption, OptionTable, OptionValue

OPTIONS: tuple[KnownOption, ...] = (
    KnownOption("qairt_version", Kind.WORD, "Version of Qualcomm's AI Runtime: major.minor, default or latest.", needs="qnn"),
    KnownOption("qnn_options", Kind.GROUP, "Options of Qualcomm's QNN.", needs="qnn"),
    KnownOption("context_enable_graphs", Kind.WORD, "Names of the graphs that are enabled.", "qnn_options", needs="qnn"),
)  # fmt: skip
TABLE = OptionTable(OPTIONS)


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """Parsed options of one link job."""

    plain: Mapping[str, OptionValue] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of all options that were given: each has an effect, or somebody is told."""
        return (*self.plain, *self.groups)


def parse(text: str) -> LinkOptions:
    """The options that ``text`` asks for. Raises as :meth:`OptionTable.parse` does."""
    given = TABLE.parse(text)
    return LinkOptions(given.plain, given.groups)
