"""How fast a large model goes into a hub on this machine, and what it costs the hub's memory.

python tests/benchmarks/hub_upload.py [--bytes 1073741824] [--runs 3]

Parts as the official client sends them, one after the other. In the last run the connection is cut amid a part, which is
then sent again; the model that comes back must be the one that was sent.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.testing.running_hub import RunningHub, running_hub

PIECE = 1 << 20
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "model.tflite")
        piece = bytes(range(256)) * (PIECE // 256)
        with source.open("wb") as file:
            for number in range(asked.bytes // PIECE):
                file.write(number.to_bytes(8, "little") + piece[8:])
        with running_hub(Path(name, "hub"), "--no-agent") as hub:
            before, peak = resident(hub), Peak(hub)
            rates = [asked.bytes / MIB / upload(hub, source, cut=False) for _ in range(asked.runs)]
            upload(hub, source, cut=True)
            print(f"| upload of {asked.bytes / MIB:.0f} MiB | most {max(rates):.0f}, least {min(rates):.0f} MiB/s |")
            print(f"| the hub's resident memory meanwhile | {before:.0f} MB before, {peak.end():.0f} MB at most |")
            print("| a part cut off amid it and sent again | the model is whole |")


def upload(hub: RunningHub, source: Path, *, cut: bool) -> float:
    """Seconds from the first byte to the complete model."""
    headers = {"Authorization": f"token {hub.token}", "Client-Version": "0.56.0"}
    size = source.stat().st_size
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers, timeout=120) as http:
        model = pb.Model(name="net", model_type=pb.MODEL_TYPE_TFLITE).SerializeToString()
        model_id = pb.CreateUpdateResponse.FromString(http.post("models/", content=model).content).id
        start = time.perf_counter()
        answer = http.get(f"models/{model_id}/multipart_upload/", params={"file_size": size})
        begun = pb.FileMultipartUploadURL.FromString(answer.content)
        etags = []
        for number, url in enumerate(begun.urls):
            length = min(begun.max_part_size, size - number * begun.max_part_size)
            if cut and number == 1:
                cut_off(url, source, number * begun.max_part_size, length)
            content = part(source, number * begun.max_part_size, length)
            answer = http.put(url, content=content, headers={"Content-Length": str(length)})
            etags.append(answer.raise_for_status().headers["etag"])
        complete = pb.FileMultipartUploadComplete(upload_id=begun.upload_id, etags=etags)
        http.post(f"models/{model_id}/multipart_upload/", content=complete.SerializeToString()).raise_for_status()
        took = time.perf_counter() - start
        if cut:
            assert digest(download(http, model_id)) == digest(part(source, 0, size))
    return took


def part(source: Path, at: int, length: int) -> Iterator[bytes]:
    with source.open("rb") as file:
        file.seek(at)
        while length > 0 and (piece := file.read(min(PIECE, length))):
            length -= len(piece)
            yield piece


def cut_off(url: str, source: Path, at: int, length: int) -> None:
    """Half of a part, then nothing."""
    to = urlsplit(url)
    with socket.create_connection((str(to.hostname), int(to.port or 80))) as line:
        line.sendall(f"PUT {to.path} HTTP/1.1\r\nHost: {to.netloc}\r\nContent-Length: {length}\r\n\r\n".encode())
        for piece in part(source, at, length // 2):
            line.sendall(piece)


def download(http: httpx.Client, model_id: str) -> Iterator[bytes]:
    found = pb.FileDownloadURL.FromString(http.get(f"models/{model_id}/download/").content)
    with httpx.stream("GET", found.url, timeout=120) as answer:
        yield from answer.iter_bytes(PIECE)


def digest(pieces: Iterator[bytes]) -> str:
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    return state.hexdigest()


def resident(hub: RunningHub) -> float:
    """The hub's resident set in MB."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{hub.process.pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


class Peak:
    """The most that the hub's resident set was, looked at ten times a second."""

    def __init__(self, hub: RunningHub) -> None:
        self._hub, self._most, self._over = hub, 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self._most = max(self._most, resident(self._hub))


if __name__ == "__main__":
    main()
