"""What a question that is held open costs: 10,000 agents wait at one replica, and each holds what is made here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

CONNECTION = "dynolab.connection"
"""Where a request's ASGI scope has its :class:`Connection`."""


class Connection(Protocol):
    """A client's connection, which tells when it is gone without a task that waits for that."""

    def call_when_lost(self, call: Callable[[], None] | None) -> None:
        """Have ``call`` called once the client has hung up, at once if it has; None: nobody is to be called any more."""


class LeanEvent(asyncio.Event):
    """An event of 0.1 kB: asyncio's own has a deque of 0.7 kB, however few wait for it."""

    __slots__ = ("_futures", "_value")

    def __init__(self, *, is_set: bool = False) -> None:
        self._value = is_set
        self._futures: list[asyncio.Future[None]] | None = None

    def __repr__(self) -> str:
        return f"LeanEvent({'set' if self._value else 'not set'}, {len(self._futures or ())} wait)"

    def is_set(self) -> bool:
        """Whether nobody has to wait."""
        return self._value

    def set(self) -> None:
        """All who wait go on."""
        self._value = True
        for one in self._futures or ():
            if not one.done():
                one.set_result(None)

    def clear(self) -> None:
        """Who asks from now on waits."""
        self._value = False

    async def wait(self) -> Literal[True]:
        """True, once it is set."""
        if self._value:
            return True
        future = asyncio.get_running_loop().create_future()
        if self._futures is None:
            self._futures = [future]
        else:
            self._futures.append(future)
        try:
            await future
        finally:
            self._futures.remove(future)
        return True
