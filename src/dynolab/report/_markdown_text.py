"""Text inside Markdown."""

from __future__ import annotations

from dynolab.report.base import crop

_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]#|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;",
                                                                             "@": "&#64;"})  # fmt: skip


def plain(text: str, width: int = 200) -> str:
    """The text as Markdown that reads as the text itself: no markup, no mention, no second line."""
    return crop(text, width).translate(_MARKS)
