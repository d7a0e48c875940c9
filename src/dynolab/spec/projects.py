"""What projects are called: by id, or by name."""

from __future__ import annotations

import re

from dynolab.errors import SpecInvalid

ID = re.compile(r"r[a-z0-9]{12}")


def is_project(named: str) -> bool:
    """Whether a word has the form of a project's id or name (``ORGANISATION.PROJECT``); else it may be a label."""
    return "." in named or ID.fullmatch(named) is not None


def check_project(named: str, source: str) -> str:
    """The word, where it may be a project; ``source`` is told with it. Raises :class:`SpecInvalid`."""
    if not is_project(named):
        raise SpecInvalid(
            f"{source} {named!r} is no project", hint="ORGANISATION.PROJECT, such as acme.vision, or its id"
        )
    return named
