"""Every route of the pages, found in the application itself, with its address filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

pytest.importorskip("pgqueuer")

from dynolab.hub.pages.application import create_pages

OF_ID = {
    "/jobs/{id}": "job",
    "/models/{id}": "model",
    "/datasets/{id}": "dataset",
    "/devices/{id:path}": "device",
    "/devices/boards/{id:path}": "device",
    "/devices/pools/{id}": "pool",
    "/account/tokens/{id}": "token",
    "/account/sessions/{id}": "session",
    "/submit/uploads/{what}/{id}": "model",
}
"""What the ``id`` of addresses that begin so is one of."""
WORDS = {
    "format": "json",
    "what": "model",
    "invitation": "forged",
    "token": "forged",
    "organisation": "acme",
    "project": "acme.vision",
    "digest": "0",
    "name": "index.html",
}
"""What stands for the other parts."""


@dataclass(frozen=True)
class Way:
    """A method and an address as the application has it; ``about`` is what its id is one of."""

    method: str
    path: str

    @property
    def about(self) -> str | None:
        return next((kind for begin, kind in OF_ID.items() if self.path.startswith(begin)), None)

    def filled(self, ids: Mapping[str, str]) -> str:
        """The address with the ids by kind put in. A part that this module does not know fails the test that asks."""

        def value(found: re.Match[str]) -> str:
            name = found[1].partition(":")[0]
            if name == "id":
                assert self.about is not None, f"tests/web/walk.py does not know what the id in {self.path} is one of"
                return ids[self.about]
            assert name in WORDS, f"tests/web/walk.py does not know what stands for {name!r} in {self.path}"
            return WORDS[name]

        return re.sub(r"\{([^}]+)\}", value, self.path)


def ways(method: str) -> list[Way]:
    """All that take the method."""
    found = []
    for route in create_pages().routes:
        methods = getattr(route, "methods", None)
        assert methods, f"{route!r} is no plain route: tests/web/walk.py has to learn to walk it"
        if method in methods:
            found.append(Way(method, str(getattr(route, "path", ""))))
    return found
