"""The adb server of this machine, spoken to directly: devices, and streams to services on them.

A request is four hexadecimal digits of length and a text; the answer OKAY, or FAIL and a reason in the same form (adb's
docs/dev/services.md). A library that wraps it hides those reasons, and has no stream both ways.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from dynolab.errors import DeviceLost, Error, Forbidden, NotFound, PluginMissing

CONNECT_S = 5.0
ANSWER_S = 15.0
"""For a server's or a device's answer to a request, not for what a service then does."""
START_S = 30.0
DEFAULT_PORT = 5037
INSTALL = "install adb: apt-get install adb, Android's platform tools, or pip install adbutils, which holds it"


def server_address() -> tuple[str, int]:
    """Where the server is: by adb's own variables, or at its usual port of this machine."""
    named = os.environ.get("ADB_SERVER_SOCKET", "")
    if named.startswith("tcp:"):
        host, _, port = named.removeprefix("tcp:").rpartition(":")
        with suppress(ValueError):
            return host or "127.0.0.1", int(port)
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "127.0.0.1")
    with suppress(ValueError):
        return host, int(os.environ.get("ANDROID_ADB_SERVER_PORT", DEFAULT_PORT))
    return host, DEFAULT_PORT


def program() -> str | None:
    """Where adb is: on the path, or in the package adbutils, whose wheels hold it; None: it is not here."""
    found = shutil.which("adb")
    if found is not None:
        return found
    package = importlib.util.find_spec("adbutils")
    inside = [Path(place, "binaries", "adb") for place in (package.submodule_search_locations or ())] if package else []
    return next((str(path) for path in inside if os.access(path, os.X_OK)), None)


def listens() -> bool:
    """Whether a server is there."""
    with suppress(OSError):
        socket.create_connection(server_address(), CONNECT_S).close()
        return True
    return False


def connect() -> socket.socket:
    """A connection to the server, which is started if there is none. Raises :class:`PluginMissing`, :class:`DeviceLost`."""
    try:
        return _connected()
    except ConnectionRefusedError:
        _start()
    except OSError as error:
        raise _unreachable(error) from error
    try:
        return _connected()
    except OSError as error:
        raise _unreachable(error) from error


def _connected() -> socket.socket:
    made = socket.create_connection(server_address(), CONNECT_S)
    made.settimeout(ANSWER_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _unreachable(error: OSError) -> DeviceLost:
    host, port = server_address()
    return DeviceLost(f"no adb server answers at {host}:{port}: {error.strerror or error}", hint="adb start-server")


def _start() -> None:
    host, port = server_address()
    adb = program()
    if adb is None:
        raise PluginMissing(f"no adb server runs at {host}:{port}, and adb is not installed", hint=INSTALL)
    command = [adb, "-L", f"tcp:{host}:{port}", "start-server"]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=START_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceLost(f"adb does not start its server: {error}", hint="try: adb start-server") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise DeviceLost(f"adb does not start its server: {''.join(last)}", hint="try: adb start-server")


def ask(made: socket.socket, request: str) -> None:
    """Send a request, and wait for OKAY. Raises :class:`ConnectionError` with the reason of a FAIL, OSError for a broken line."""
    content = request.encode()
    made.sendall(f"{len(content):04x}".encode() + content)
    word = read(made, 4)
    if word == b"OKAY":
        return
    if word == b"FAIL":
        raise Refused(read(made, int(read(made, 4), 16)).decode(errors="replace"))
    raise ConnectionError(f"the adb server answers {word!r}")


class Refused(Exception):
    """What the server said after FAIL."""


def read(made: socket.socket, count: int) -> bytes:
    """So many bytes. Raises :class:`ConnectionError` when the line is closed before."""
    parts = bytearray()
    while len(parts) < count:
        part = made.recv(count - len(parts))
        if not part:
            raise ConnectionError("the line was closed")
        parts += part
    return bytes(parts)


def devices() -> dict[str, str]:
    """The devices that the server knows: state (``device``, ``offline``, ``unauthorized``) by serial number."""
    with connect() as made:
        try:
            ask(made, "host:devices")
            lines = read(made, int(read(made, 4), 16)).decode(errors="replace").splitlines()
        except (OSError, Refused, ValueError) as error:
            raise DeviceLost(f"the adb server does not say which devices there are: {error}") from error
    return {serial: state for serial, _, state in (line.partition("\t") for line in lines) if state}


def features(serial: str) -> frozenset[str]:
    """What the device's adbd can do. Raises what :func:`open_service` does."""
    with connect() as made:
        try:
            ask(made, f"host-serial:{serial}:features")
            return frozenset(read(made, int(read(made, 4), 16)).decode(errors="replace").split(","))
        except Refused as refused:
            raise _refusal(serial, str(refused)) from refused
        except (OSError, ValueError) as error:
            raise DeviceLost(f"adb://{serial} went away: {error}") from error


def connect_again(serial: str) -> None:
    """Have the server connect anew to a device that is reached by network; one at a cable comes back by itself.

    By itself the server waits for ten seconds between tries (adb's transport.cpp). Whether it worked shows at the next request.
    """
    if ":" not in serial:
        return
    for request in (f"host:disconnect:{serial}", f"host:connect:{serial}"):
        with suppress(OSError, Refused, Error, ValueError), connect() as made:
            made.settimeout(CONNECT_S)  # a device that is not there keeps the server waiting for longer
            ask(made, request)
            read(made, int(read(made, 4), 16))


def open_service(serial: str, service: str) -> socket.socket:
    """A stream to a service of a device, such as ``shell,v2,raw:id``.

    Raises :class:`NotFound` for a device that the server never heard of, :class:`Forbidden` for one that does not let this
    machine in, :class:`DeviceLost`.
    """
    made = connect()
    try:
        ask(made, f"host:transport:{serial}")
        ask(made, service)
    except Refused as refused:
        made.close()
        raise _refusal(serial, str(refused)) from refused
    except (OSError, ValueError) as error:
        made.close()
        raise DeviceLost(f"adb://{serial} went away: {error}") from error
    return made


def _refusal(serial: str, reason: str) -> Error:
    if "not found" in reason:
        known = ", ".join(sorted(devices())) or "none"
        return NotFound(
            f"adb knows no device {serial!r}: {known}",
            hint="plug it in, or: adb connect HOST:PORT; USB debugging has to be on, in its developer options",
        )
    if "unauthorized" in reason or "no permissions" in reason:
        return Forbidden(
            f"adb://{serial} does not let this machine in: {reason}",
            hint="unlock the device and allow USB debugging for this computer; for 'no permissions' see adb's udev rules",
        )
    return DeviceLost(f"adb://{serial} cannot be reached: {reason}", hint="adb devices lists what there is")
