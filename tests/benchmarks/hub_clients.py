"""Agents and users of a hub as connections of this process, which speak the real HTTP by hand, so that they cost little beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec.agents import AGENT_PROTOCOL
from dynolab.testing.running_hub import RunningHub

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
NAME = "bench"
UNLIMITED = {"DYNOLAB_POSTS_PER_S": "1000000"}
"""This is one user with many hands."""
AGAIN_S = 0.2
"""How soon an agent asks again after it was not answered, as the real one does at first."""
ATTRIBUTES = ("framework:tflite", "runs:litert/tflite", "sandbox:bubblewrap")
LOST = ConnectionError, asyncio.IncompleteReadError
"""What a connection ends with when its hub is killed."""


class Line:
    """One connection, kept: HTTP/1.1 by hand. ``urls``: of a hub's replicas; where one is gone, the next is taken."""

    def __init__(self, urls: Sequence[str], headers: str, first: int = 0) -> None:
        self._places, self._headers, self._turn = [urlsplit(url) for url in urls], headers, first
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body. Raises one of :data:`LOST`; the next question then goes to the next replica."""
        at = self._places[self._turn % len(self._places)]
        try:
            if self._reader is None or self._writer is None:
                self._reader, self._writer = await asyncio.open_connection(at.hostname, at.port)
            head = (
                f"{method} {path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Length: {len(body)}\r\n{self._headers}\r\n"
            )
            self._writer.write(head.encode() + body)
            await self._writer.drain()
            status, *fields = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            length = next((int(field[15:]) for field in fields if field.lower().startswith(b"content-length:")), 0)
            return int(status.split()[1]), await self._reader.readexactly(length)
        except LOST:
            self._turn += 1
            self.close()
            raise
        except asyncio.CancelledError:
            self.close()
            raise


class Agent:
    """One slot, which serves one device."""

    def __init__(self, urls: Sequence[str], token: str, number: int, result: bytes) -> None:
        headers = f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self.line = Line(urls, headers, number)
        self.result = result
        device = {"id": f"{NAME}-{number}", "name": NAME, "os": "1.0", "attributes": ATTRIBUTES}
        self._claim = {"protocol": AGENT_PROTOCOL, "device": device}
        self.turned_away = 0
        """How often it was told to come again (429, 503)."""

    async def told(self, method: str, path: str, body: bytes, *known: int) -> tuple[int, bytes]:
        """The answer, asked for until a replica has one of these statuses."""
        while True:
            try:
                status, answer = await self.line.ask(method, path, body)
            except LOST:
                await asyncio.sleep(AGAIN_S)
                continue
            if status in known:
                return status, answer
            assert status in (429, 503), (status, answer)
            self.turned_away += 1
            await asyncio.sleep(AGAIN_S)

    async def claim(self, wait_s: float) -> dict[str, Any] | None:
        body = json.dumps(self._claim | {"wait_s": wait_s}).encode()
        status, answer = await self.told("POST", "/api/agent/v1/claim", body, 200, 204)
        return json.loads(answer) if status == 200 else None

    async def renew(self, attempt: str) -> None:
        body = b'{"progress": {"stage": "inference", "run": 1}}'
        await self.told("POST", f"/api/agent/v1/attempts/{attempt}/renew", body, 200)

    async def send(self, attempt: str, what: str) -> bool:
        """Send its result or log; whether the hub took it: the lease may have run out."""
        content = self.result if what == "result" else b"done\n" * 100
        status, _ = await self.told("PUT", f"/api/agent/v1/files/{what}/{attempt}", content, 204, 409)
        return status == 204

    async def finish(self, attempt: str) -> bool:
        """Whether the hub took the end."""
        body = b'{"summary": {"estimated_inference_time_ns": 1}}'
        status, _ = await self.told("POST", f"/api/agent/v1/attempts/{attempt}/finish", body, 204, 409)
        return status == 204

    async def leave(self, found: dict[str, Any]) -> bool:
        """Result, log and end of an attempt; whether the hub took the end: it is refused where the lease ran out."""
        attempt = found["attempt"]
        for what in ("result", "log"):
            if not await self.send(attempt, what):
                return False
        return await self.finish(attempt)


def submission(hub: RunningHub, device: str = NAME, file: Path = MODEL) -> bytes:
    """The body that submits a job, for a TFLite model that is uploaded here."""
    headers = {"Authorization": f"token {hub.token}", "Client-Version": "0.56.0"}
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers) as http:
        model = pb.Model(name="net", model_type=pb.MODEL_TYPE_TFLITE).SerializeToString()
        model_id = pb.CreateUpdateResponse.FromString(http.post("models/", content=model).content).id
        answer = http.get(f"models/{model_id}/multipart_upload/", params={"file_size": file.stat().st_size})
        begun = pb.FileMultipartUploadURL.FromString(answer.content)
        etags = [http.put(url, content=file.read_bytes()).headers["etag"] for url in begun.urls]
        complete = pb.FileMultipartUploadComplete(upload_id=begun.upload_id, etags=etags)
        http.post(f"models/{model_id}/multipart_upload/", content=complete.SerializeToString()).raise_for_status()
    asked = pb.InferenceJob(name="job", is_profiling_on=True)
    asked.model.model_id, asked.device.name = model_id, device
    return pb.Job(inference_job=asked).SerializeToString()


async def submit(line: Line, body: bytes) -> str:
    """The new job's id. Raises one of :data:`LOST`, and then nobody knows whether there is one."""
    while True:
        status, answer = await line.ask("POST", "/api/v1/jobs/", body)
        if status in (200, 201):
            return str(pb.CreateUpdateResponse.FromString(answer).id)
        assert status in (429, 503), (status, answer)
        await asyncio.sleep(AGAIN_S)


def users(urls: Sequence[str], token: str, count: int) -> list[Line]:
    headers = f"Authorization: token {token}\r\nClient-Version: 0.56.0\r\n"
    return [Line(urls, headers, number) for number in range(count)]
