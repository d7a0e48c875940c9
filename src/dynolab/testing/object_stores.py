"""Object stores of a cloud's kind on this machine, for tests: each a server of somebody else's, with the environment that leads to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

READY_WITHIN_S = 30.0
BUCKET = "bucket"
AZURE_ACCOUNT = "devstoreaccount1"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's account and key, which its documentation names: everybody knows them."""
AZURE_VERSION = "2021-12-02"


class Missing(Exception):
    """The server's program is not installed; the message says how to install it."""


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """A running store: URLs of places in it begin with ``url``, and a hub needs ``environment`` to reach it."""

    url: str
    environment: Mapping[str, str]


@contextmanager
def s3() -> Iterator[ObjectStore]:
    """ministack's S3, with an empty bucket. Raises :class:`Missing`."""
    with _ministack() as address:
        yield ObjectStore(f"s3://{BUCKET}", s3_environment(address))


def s3_environment(address: str) -> dict[str, str]:
    """What leads S3's client to an address."""
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    return {**keys, "AWS_ENDPOINT": address}


@contextmanager
def gcs(folder: Path) -> Iterator[ObjectStore]:
    """Google's client on ministack: what obstore speaks is Cloud Storage's XML interface, which is S3's but for signatures."""
    with _ministack() as address:
        account = {"gcs_base_url": address, "disable_oauth": True, "client_email": "", "private_key": ""}
        file = folder / "service-account.json"
        file.write_text(json.dumps({**account, "private_key_id": ""}), encoding="utf-8")
        yield ObjectStore(f"gs://{BUCKET}", {"GOOGLE_SERVICE_ACCOUNT": str(file)})


@contextmanager
def azure() -> Iterator[ObjectStore]:
    """Azurite's blobs, with an empty container. Raises :class:`Missing`."""
    program = shutil.which("azurite-blob")
    if program is None:
        raise Missing("azurite-blob is not on PATH: npm install --global azurite")
    port = _free_port()
    place = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
    address = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    with _server([program, *place, "--silent", "--disableTelemetry"], {}, lambda: _make_container(address)):
        names = {"AZURE_STORAGE_ACCOUNT_NAME": AZURE_ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": AZURE_KEY}
        yield ObjectStore(f"az://{BUCKET}", {**names, "AZURE_STORAGE_ENDPOINT": address})


@contextmanager
def _ministack() -> Iterator[str]:
    if importlib.util.find_spec("ministack") is None:
        raise Missing("ministack is not installed: pip install ministack")
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    environment = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "s3"}
    make = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
    with _server([sys.executable, "-m", "ministack.app"], environment, lambda: _send(make)):
        yield address


@contextmanager
def _server(command: Sequence[str], environment: Mapping[str, str], prepare: Callable[[], None]) -> Iterator[None]:
    """The server's process, once what is to be prepared on it succeeded."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                prepare()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def _make_container(address: str) -> None:
    """Signed as Azure's manual says, "Authorize with Shared Key"."""
    date = formatdate(usegmt=True)
    headers = f"x-ms-date:{date}\nx-ms-version:{AZURE_VERSION}\n"
    text = f"PUT{12 * chr(10)}{headers}/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{BUCKET}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256)).decode()
    made = urllib.request.Request(f"{address}/{BUCKET}?restype=container", method="PUT")
    made.add_header("x-ms-date", date)
    made.add_header("x-ms-version", AZURE_VERSION)
    made.add_header("Authorization", f"SharedKey {AZURE_ACCOUNT}:{signature}")
    _send(made)


def _send(request: urllib.request.Request) -> None:
    """Send it past any proxy. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5):
        pass


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
