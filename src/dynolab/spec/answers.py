"""What a comparison answers: the same words for saved profiles and for duets."""

from __future__ import annotations

from enum import StrEnum


class Answer(StrEnum):
    """Whether a figure changed."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CANNOT_TELL = "cannot tell"
