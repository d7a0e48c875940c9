"""In which language the words of a report are said."""

from __future__ import annotations

from typing import Protocol


class Say(Protocol):
    """Says English words in the page's language; what stands in braces is filled with ``values``."""

    def __call__(self, words: str, /, **values: object) -> str: ...


def plainly(words: str, /, **values: object) -> str:
    """The English words as they are."""
    return words.format(**values) if values else words
