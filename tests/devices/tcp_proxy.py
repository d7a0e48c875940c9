"""A bad line to any TCP server: latency, stalls, little bandwidth, resets, and a line on which nothing arrives any more."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

BLOCK = 16 << 10
MOST_WAITING = 64
"""Blocks under way in one direction: about what the buffers of a real line hold."""
LOOK_S = 0.01


class TcpProxy:
    """Listens on ``port`` and passes what comes to a server and back, as badly as it is told. Settings may change at any time."""

    def __init__(self, to_port: int, *, connect: Callable[[], socket.socket] | None = None) -> None:
        """``connect`` makes a connection to the server where that takes more than its port; it may block."""
        self._connect = connect or (lambda: socket.create_connection(("127.0.0.1", to_port)))
        self.delay_s = 0.0
        """Added in each direction: a round trip takes twice as long."""
        self.bytes_per_s: float | None = None
        """The most that passes, for each connection and direction."""
        self.passed = 0
        """Bytes passed so far, in both directions."""
        self.onward = 0
        """Bytes that came so far to be sent to the server."""
        self.accepted = 0
        """Connections made so far."""
        self.resets = 0
        """How often connections were reset so far."""
        self._swallow = False
        self._still_until = 0.0
        self._reset_at: list[int] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self._server = starting.result()
        self.port = int(self._server.sockets[0].getsockname()[1])

    def stall(self, seconds: float) -> None:
        """Nothing passes for a while; then all that waited does."""
        self._still_until = time.monotonic() + seconds

    def swallow(self, on: bool = True) -> None:
        """A half-open line: both ends stay connected, and what they say is lost. It does not come later."""
        self._swallow = on

    def reset(self) -> None:
        """Reset all connections now."""
        asyncio.run_coroutine_threadsafe(self._reset(), self._loop).result()

    def reset_after(self, byte_counts: Iterable[int]) -> None:
        """Reset all connections each time that so many more bytes have passed: in the middle of a transfer."""
        at, planned = self.passed, []
        for count in byte_counts:
            at += count
            planned.append(at)
        self._reset_at = planned

    def close(self) -> None:
        """Reset what is open, and listen no more."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._open.add(writer)
        with suppress(OSError, asyncio.CancelledError):
            made = await asyncio.to_thread(self._connect)
            onward_reader, onward_writer = await asyncio.open_connection(sock=made)
            self._open.add(onward_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass(reader, onward_writer, onward=True))
                both.create_task(self._pass(onward_reader, writer))
            self._open.discard(onward_writer)
        self._open.discard(writer)
        writer.close()
        self._serving.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, onward: bool = False) -> None:
        """One direction: what is read is put in a queue with the moment at which it is due at the other end."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_WAITING)
        sending = asyncio.ensure_future(self._send(waiting, writer))
        try:
            with suppress(OSError):
                while block := await reader.read(BLOCK):
                    self.onward += len(block) if onward else 0
                    if not self._swallow:
                        await waiting.put((time.monotonic() + self.delay_s, block))
            await waiting.put((time.monotonic() + self.delay_s, b""))
            await sending
        finally:
            sending.cancel()

    async def _send(self, waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, block = await waiting.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            while time.monotonic() < self._still_until or (self._swallow and not block):
                await asyncio.sleep(LOOK_S)
            if not block:
                writer.close()
                return
            if self._swallow or writer.transport.is_closing():
                continue
            with suppress(OSError):
                await self._send_block(block, writer)

    async def _send_block(self, block: bytes, writer: asyncio.StreamWriter) -> None:
        self.passed += len(block)
        if self._reset_at and self.passed >= self._reset_at[0]:
            self._reset_at.pop(0)
            await self._reset()
            return
        writer.write(block)
        await writer.drain()
        if self.bytes_per_s:
            await asyncio.sleep(len(block) / self.bytes_per_s)

    async def _reset(self) -> None:
        """A reset, not a goodbye: with SO_LINGER of no seconds, what is under way is thrown away (socket(7))."""
        self.resets += bool(self._open)
        for writer in self._open:
            found = writer.get_extra_info("socket")
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._open.clear()

    async def _shut(self) -> None:
        self._server.close()
        await self._reset()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()


@contextmanager
def tcp_proxy(to_port: int) -> Iterator[TcpProxy]:
    """One before a server of this machine, until the block ends."""
    proxy = TcpProxy(to_port)
    try:
        yield proxy
    finally:
        proxy.close()
