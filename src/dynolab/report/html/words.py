"""How the words of a page are set.

Figures stay with their units, names break where a person would.
"""

from __future__ import annotations

import re
from functools import lru_cache

from markupsafe import Markup, escape

from dynolab.report.base import clean
from dynolab.spec.show import show_bytes

_BYTES = re.compile(r"\b(\d{4,18}) bytes\b")
_PERCENT = re.compile(r"(?<=\d) ?%(?!\w)")
_MICRO = re.compile(r"(?<=\d) us\b")
_UNIT = re.compile(r"(?<=\d) (?=(?:ns|µs|ms|s|B|kB|MB|GB|GHz|MHz|x|°C)\b)")
_OPTION = re.compile(r"(--[a-z][\w-]*)")
_SEAM = re.compile(r"(?<=[_/.:])(?=[^_/.:\s])")
"""Where a name may break: after what joins its words."""


SHORT = 100
"""Characters of a name that is remembered."""


def prose(text: str) -> Markup:
    """A sentence with its bytes in larger units, each figure on one line with its unit, and its options unbroken."""
    text = _BYTES.sub(lambda found: show_bytes(int(found[1])), clean(text))
    text = _MICRO.sub(" µs", text)
    text = _UNIT.sub("\N{NO-BREAK SPACE}", _PERCENT.sub("\N{NO-BREAK SPACE}%", text))
    parts = _OPTION.split(text)
    return Markup("").join(
        Markup('<span class="keep">{}</span>').format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def breaks(text: str) -> Markup:
    """A name that may break between its words, and only there while they fit: ``enable_<wbr>cpu_<wbr>pinning``."""
    return _breaks_again(text) if len(text) <= SHORT else _breaks(text)


@lru_cache(1024)
def _breaks_again(text: str) -> Markup:
    """The types of ten thousand layers are a dozen."""
    return _breaks(text)


def _breaks(text: str) -> Markup:
    return Markup("<wbr>").join(_SEAM.split(clean(text)))
