"""The rows of the layer table as markup. There may be ten thousand: a template takes five times as long for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from dynolab.report.base import clean
from dynolab.report.html.words import breaks

if TYPE_CHECKING:
    from dynolab.report.html.layers import LayerRow


def layer_rows(rows: Sequence[LayerRow], graph_at: str, fallback: str, out: str) -> Markup:
    """A body of the table. Whatever is no number is escaped here.

    ``graph_at`` is an address that a layer's number is put behind; empty: names lead nowhere. ``fallback`` marks a layer
    that ran elsewhere than it was asked for; ``out`` is said before the output where that is narrow, empty: in English.
    """
    place, tag, said = escape(graph_at), f' <span class="tag">{escape(fallback)}</span>', ""
    if out:
        said = f' data-out="{escape(out)}"'
    return Markup("\n").join(Markup(_row(row, place, tag, said)) for row in rows)


def _row(row: LayerRow, place: str, tag: str, said: str) -> str:
    name, unit = escape(clean(row.name)), escape(row.unit)
    linked = f'<a href="{place}{row.number:d}">{name}</a>' if place else name
    spread = f' title="{escape(row.spread)}"' if row.spread else ""
    by = f"<small>{escape(clean(row.delegate))}</small>" if row.delegate else ""
    return (
        f'<tr data-t="{row.time_ns:d}" data-o="{row.output_bytes:d}"><td class="num">{row.number:d}</td>'
        f'<td class="name">{linked}{by}</td><td>{breaks(row.type)}</td>'
        f'<td><i class="key unit-{unit.lower()}"></i>{unit}{tag if row.fallback else ""}</td>'
        f'<td class="num"{spread}>{escape(row.time)}</td><td class="share w{row.width:d}">{escape(row.share)}</td>'
        f'<td class="num{"" if row.output_bytes >= 0 else " none"}"{said}>{escape(row.output)}</td></tr>'
    )
