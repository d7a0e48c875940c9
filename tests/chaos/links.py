"""TCP links between agents and a hub that can be cut, stalled and mended."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
AT_ONCE = struct.pack("ii", 1, 0)
"""Of SO_LINGER: a close is a reset, as when a cable is pulled and a router gives up (socket(7))."""
CHUNK = 1 << 16


class Link:
    """One way through: connections to ``url`` lead to the hub while it is whole."""

    def __init__(self, network: Network, host: str, port: int) -> None:
        self._network, self._host, self._port = network, host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.carried_bytes = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Every connection is reset, and so is every new one."""
        self._network.call(self._set(is_cut=True, flows=True))

    def stall(self) -> None:
        """Connections stay, and nothing comes through."""
        self._network.call(self._set(is_cut=False, flows=False))

    def mend(self) -> None:
        """All comes through again, also what was held back."""
        self._network.call(self._set(is_cut=False, flows=True))

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._set(is_cut=True, flows=True)
        await self._server.wait_closed()

    async def _set(self, *, is_cut: bool, flows: bool) -> None:
        self._is_cut = is_cut
        (self._flows.set if flows else self._flows.clear)()
        if is_cut:
            for writer in list(self._writers):
                _reset(writer)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            _reset(writer)
            return
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            there, far = await asyncio.open_connection(self._host, self._port)
            self._writers.add(far)
            await asyncio.gather(self._carry(reader, far), self._carry(there, writer))
        except OSError:
            _reset(writer)
        finally:
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    one.close()
                    with suppress(OSError):
                        await one.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(CHUNK):
            await self._flows.wait()
            self.carried_bytes += len(content)
            writer.write(content)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    own = writer.get_extra_info("socket")
    if own is not None:
        with suppress(OSError):
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    writer.transport.abort()


class Network:
    """Links to one hub, carried by a thread of their own."""

    def __init__(self, hub: str) -> None:
        parts = urlsplit(hub)
        assert parts.hostname is not None
        assert parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._links: list[Link] = []

    def call(self, what: Coroutine[Any, Any, T]) -> T:
        """What it gives, once it is through."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def link(self) -> Link:
        """A new one."""
        made = Link(self, self._host, self._port)
        self.call(made.open())
        self._links.append(made)
        return made

    def close(self) -> None:
        """End all of it."""
        for one in self._links:
            self.call(one.close())
        self.call(self._ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _ended(self) -> None:
        """Every connection's task has ended."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=10)
