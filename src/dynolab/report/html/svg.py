"""SVG as safe markup: elements whose attributes are escaped, and the scales that charts are drawn on.

Across, places are percentages, so that a chart is as wide as its page and its words keep their size; down, pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import floor, log10

from markupsafe import Markup, escape


def element(tag: str, *children: object, **attributes: object) -> Markup:
    """One element. ``class_`` and ``stroke_width`` become ``class`` and ``stroke-width``; None is left out."""
    named = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None)
    opened = "".join((f"<{tag}", *(f' {name}="{escape(value)}"' for name, value in named)))
    inner = "".join(
        map(escape, children)
    )  # Markup's own methods would escape each piece anew, which takes ten times as long
    return Markup(f"{opened}>{inner}</{tag}>" if children else f"{opened}/>")


def picture(height: int, parts: Iterable[Markup], *, label: str, class_: str = "") -> Markup:
    """An ``svg`` as wide as its place and ``height`` pixels high; ``label`` says in words what it shows."""
    return element("svg", *parts, role="img", aria_label=label, width="100%", height=height, class_=class_ or None)


def percent(share: float) -> str:
    """A share of the width: ``37.25%``."""
    text = f"{share * 100:.2f}".rstrip("0").rstrip(".")
    return f"{text or '0'}%"


def nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) within ``low`` and ``high``, about as many as asked."""
    span = high - low
    if span <= 0:
        return [low]
    raw = span / max(about, 1)
    power = 10 ** floor(log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = -floor(-low / step)
    return [index * step for index in range(first, floor(high / step + 1e-9) + 1)]


def linear(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """The mapping from ``low`` .. ``high`` to ``first`` .. ``last``; values outside are drawn at the ends."""
    span = (high - low) or 1.0
    return lambda value: first + (last - first) * min(max((value - low) / span, 0.0), 1.0)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that ``share`` of the ordered values do not pass (nearest rank); 0 when there are none."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0
