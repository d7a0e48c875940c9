"""A network of packets between this machine and a namespace of its own, that loses, delays and holds back what it carries.

Two TUN devices (Linux, Documentation/networking/tuntap.rst), one on either side, and a thread that carries packets from one to
the other: so the kernel's own TCP meets the loss, on kernels too that were built without netem. It needs root.
"""

from __future__ import annotations

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 1500
_NUMBERS = itertools.count(os.getpid() % 16000)


def able() -> bool:
    """Whether this user, on this kernel, may make such a network."""
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        return False
    try:
        made = PacketNetwork()
    except (OSError, subprocess.CalledProcessError):
        return False
    made.close()
    return True


class PacketNetwork:
    """``near`` is this machine's address in it, ``far`` the namespace's, where ``within`` begins a command that runs there."""

    def __init__(self, seed: int = 1) -> None:
        number = next(_NUMBERS) % 16000
        self.near, self.far = (
            f"10.213.{number // 64}.{number % 64 * 4 + 1}",
            f"10.213.{number // 64}.{number % 64 * 4 + 2}",
        )
        self._space, names = f"drill{number}", (f"dn{number}", f"df{number}")
        self.within: Sequence[str] = ("ip", "netns", "exec", self._space)
        self.loss, self.delay_s, self.is_cut = 0.0, 0.0, False
        self.carried = self.dropped = 0
        self._draw = random.Random(seed)
        self._ended = threading.Event()
        _run("ip", "netns", "add", self._space)
        self._ends = [_tun(name) for name in names]
        try:
            _run("ip", "addr", "add", self.near, "peer", self.far, "dev", names[0])
            _run("ip", "link", "set", names[0], "up")
            _run("ip", "link", "set", names[1], "netns", self._space)
            _run(*self.within, "ip", "addr", "add", self.far, "peer", self.near, "dev", names[1])
            for name in ("lo", names[1]):
                _run(*self.within, "ip", "link", "set", name, "up")
        except BaseException:
            self._drop()
            raise
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def mend(self) -> None:
        """All comes through again, at once."""
        self.loss, self.delay_s, self.is_cut = 0.0, 0.0, False

    def close(self) -> None:
        """Take it away; what runs in the namespace is to have ended."""
        self._ended.set()
        self._thread.join()
        self._drop()

    def _drop(self) -> None:
        for end in self._ends:
            os.close(end)
        subprocess.run(["ip", "netns", "del", self._space], check=False)

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        count = itertools.count()
        while not self._ended.is_set():
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, end, packet = heapq.heappop(waiting)
                self._pass(end, packet)
            patience_s = min(0.1, max(0.0, waiting[0][0] - now)) if waiting else 0.1
            for ready in select.select(self._ends, [], [], patience_s)[0]:
                packet = os.read(ready, MTU + 100)
                if self.is_cut or self._draw.random() < self.loss:
                    self.dropped += 1
                    continue
                other = self._ends[1] if ready == self._ends[0] else self._ends[0]
                if self.delay_s:
                    heapq.heappush(waiting, (time.monotonic() + self.delay_s, next(count), other, packet))
                else:
                    self._pass(other, packet)

    def _pass(self, end: int, packet: bytes) -> None:
        try:
            os.write(end, packet)
            self.carried += 1
        except OSError:
            self.dropped += 1  # the device is down: as a cable that is out


def _tun(name: str) -> int:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
