"""A thousand uploads at once to one replica: how long they take, what is refused, and what they cost its memory.

python tests/benchmarks/hub_uploads.py [--uploads 1000] [--bytes 2097152] [--s3]

Every connection sends the beginning of its file and waits until all others have done so; so all are open at the same time. Then the
rest comes, each upload is completed, and some are fetched again and compared. The aim: all are kept, byte for byte.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from hub_clients import LOST, UNLIMITED, Line
from hub_processes import pss
from hub_servers import database_server

from dynolab.testing import object_stores
from dynolab.testing.running_hub import RunningHub, running_hub

COMPARED, FIRST = 20, 32 << 10


def content(number: int, size: int) -> bytes:
    """Bytes that no other upload has."""
    piece = hashlib.sha256(str(number).encode()).digest()
    return piece * (size // len(piece))


class Uploads:
    """All of them; ``asking`` bounds how many JSON questions are on their way at once."""

    def __init__(self, hub: RunningHub, asked: argparse.Namespace) -> None:
        self.hub, self.size, self.count = hub, asked.bytes, asked.uploads
        self.open, self.failed, self.again = 0, list[str](), 0
        self.all_open, self.asking = asyncio.Event(), asyncio.Semaphore(50)

    async def json(self, line: Line, path: str, document: object) -> dict[str, Any]:
        async with self.asking:
            while True:
                try:
                    status, answer = await line.ask("POST", f"/api/hub/v1{path}", json.dumps(document).encode())
                except asyncio.IncompleteReadError:
                    self.again += 1  # the hub has ended a connection that lay idle, waiting for its turn
                    continue
                if status not in (429, 503):
                    break
                self.again += 1
                await asyncio.sleep(0.5)
        assert status in (200, 201), (status, answer)
        found: dict[str, Any] = json.loads(answer)
        return found

    async def begun(self, number: int) -> tuple[str, dict[str, Any]]:
        """A model, and the address that its bytes are to go to."""
        line = self.line()
        model = (await self.json(line, "/models", {"name": f"net {number}", "kind": "onnx"}))["id"]
        begun = await self.json(line, f"/models/{model}/uploads", {"size": self.size})
        line.close()
        return model, begun

    async def one(self, number: int, model: str, begun: dict[str, Any]) -> str | None:
        """The model's id; None where it was refused."""
        line = self.line()
        try:
            etag = await self.put(begun["urls"][0], content(number, self.size))
            await self.json(line, f"/models/{model}/uploads/{begun['upload_id']}/complete", {"etags": [etag]})
        except (AssertionError, *LOST) as error:
            self.failed.append(f"{type(error).__name__}: {error}"[:200])
            return None
        finally:
            line.close()
        return model

    def line(self) -> Line:
        headers = f"Authorization: Bearer {self.hub.token}\r\nContent-Type: application/json\r\n"
        return Line([self.hub.url], headers)

    async def put(self, url: str, body: bytes) -> str:
        at = urlsplit(url)
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        try:
            path = f"{at.path}?{at.query}" if at.query else at.path
            writer.write(f"PUT {path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            writer.write(body[:FIRST])
            await writer.drain()
            self.open += 1
            if self.open == self.count:
                self.all_open.set()
            await self.all_open.wait()
            writer.write(body[FIRST:])
            await writer.drain()
            status, *fields = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            assert status.split()[1] == b"200", status
            return next(field[5:].strip().decode() for field in fields if field.lower().startswith(b"etag:"))
        finally:
            writer.close()


async def watch(hub: RunningHub, most: list[float]) -> None:
    while True:
        most.append(pss(hub.process.pid)["hub"])
        await asyncio.sleep(0.5)


async def measure(hub: RunningHub, asked: argparse.Namespace) -> bool:
    before, seen = pss(hub.process.pid)["hub"], list[float]()
    uploads = Uploads(hub, asked)
    begun = await asyncio.gather(*(uploads.begun(number) for number in range(asked.uploads)))
    watching, start = asyncio.create_task(watch(hub, seen)), time.perf_counter()
    models = await asyncio.gather(*(uploads.one(number, *one) for number, one in enumerate(begun)))
    took = time.perf_counter() - start
    watching.cancel()
    kept = {number: model for number, model in enumerate(models) if model is not None}
    wrong = await asyncio.to_thread(compared, hub, kept, asked.bytes)
    print(f"| {asked.uploads} uploads of {asked.bytes / (1 << 20):g} MiB at once | {len(kept)} kept after {took:.0f} s, "
          f"{asked.uploads * asked.bytes / took / (1 << 20):.0f} MiB/s; {uploads.again} questions asked again |")  # fmt: skip
    print(f"| one replica's PSS, before and meanwhile | {before:.0f} MB, {max(seen):.0f} MB at most: "
          f"{(max(seen) - before) * 1e3 / asked.uploads:.0f} kB for each |")  # fmt: skip
    passed = len(kept) == asked.uploads and not wrong
    print(
        f"| fetched again and compared | {min(COMPARED, len(kept))}, {wrong} differ | {'PASS' if passed else 'FAIL'} |",
        flush=True,
    )
    for reason in sorted(set(uploads.failed))[:5]:
        print(f"| refused | {reason} |")
    return passed


def compared(hub: RunningHub, kept: dict[int, str], size: int) -> int:
    """How many of some that were fetched are not what was sent."""
    wrong = 0
    with httpx.Client(headers={"Authorization": f"Bearer {hub.token}"}, timeout=120, follow_redirects=True) as http:
        for number, model in list(kept.items())[:: max(1, len(kept) // COMPARED)][:COMPARED]:
            url = http.get(f"{hub.url}/api/hub/v1/models/{model}/download").raise_for_status().json()["url"]
            wrong += http.get(url).content != content(number, size)
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=2 << 20)
    parser.add_argument("--s3", action="store_true", help="blobs in an S3 server, in place of a folder")
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name, database_server(Path(name, "postgres")) as server, ExitStack() as stack:
        environment = {"DYNOLAB_DATABASE_URL": server.dsn, **UNLIMITED}
        if asked.s3:
            store = stack.enter_context(object_stores.s3())
            environment |= {"DYNOLAB_BLOBS_URL": f"{store.url}/hub", **store.environment}
        hub = stack.enter_context(running_hub(Path(name, "hub"), "--no-agent", environment=environment))
        passed = asyncio.run(measure(hub, asked))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
