"""The agent's HTTP: the one file of this room that knows the library. Failures of the way are retried here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from dynolab import errors
from dynolab.spec import codec
from dynolab.spec.agents import (
    Assignment,
    ClaimRequest,
    FileLink,
    Outcome,
    ProbeAnswer,
    ProbeReport,
    Renewal,
    RenewalAnswer,
)

CHUNK_BYTES = 1 << 20
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 5.0
T = TypeVar("T")
Unreachable = httpx.TransportError
"""What a call raises when there is no hub at the other end, or none that answers in time."""
REFUSED: dict[int, type[errors.Error]] = {
    413: errors.TooLarge,
    415: errors.MediaTypeInvalid,
    422: errors.SpecInvalid,
    507: errors.StorageFull,
}
"""What is refused for good by its status alone: a proxy before the hub has words of its own for it."""


NOTHING_THERE = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
"""A server answered, but no hub's."""


class HubDoor:
    """The hub as an agent sees it. Threads may share one."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._base = url.rstrip("/") + "/api/agent/v1"
        self._client = httpx.Client(timeout=httpx.Timeout(60, connect=5))
        self._token = {"Authorization": f"Bearer {token}"}
        self._given_up = threading.Event()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def give_up(self) -> None:
        """From now on a call that fails is not tried again: it raises."""
        self._given_up.set()

    def claim(self, request: ClaimRequest) -> Assignment | None:
        """A job, or None when none came in time. Raises what the hub refused with, and :data:`Unreachable`.

        Raises :class:`~dynolab.errors.NotFound` where a server answers that is no hub.
        """
        answer = self._asked("claim", codec.encode(request))
        return None if answer is None else codec.decode(Assignment, answer, "the hub's assignment")

    def report_probe(self, report: ProbeReport) -> ProbeAnswer:
        """What the hub makes of a probe. Raises what :meth:`claim` does."""
        answer = self._asked("probes", codec.encode(report))
        return codec.decode(ProbeAnswer, answer, "the hub's answer")

    def renew(self, attempt: str, renewal: Renewal) -> RenewalAnswer:
        """Start the lease anew. Raises :class:`~dynolab.errors.Conflict` when the attempt is over."""
        answer = self._post(f"attempts/{attempt}/renew", codec.encode(renewal))
        return codec.decode(RenewalAnswer, answer, "the hub's answer")

    def finish(self, attempt: str, outcome: Outcome) -> None:
        """Say how the attempt ended; tried until the hub answers. Raises what it refused with."""
        self._again(lambda: self._post(f"attempts/{attempt}/finish", codec.encode(outcome)))

    def fetch(self, attempt: str, what: str, link: FileLink, folder: Path) -> Path:
        """The attempt's ``model``, ``baseline``, ``dataset`` or ``linked-0``, in the folder.

        Raises :class:`~dynolab.errors.TransferFailed` when not all of it came.
        """
        return self._again(lambda: self._fetch(f"{self._base}/files/{what}/{attempt}", link, folder))

    def store(self, attempt: str, what: str, path: Path) -> None:
        """Send a file that the attempt leaves: ``result``, ``output``, ``artifact`` or ``log``; tried until the hub answers.

        Raises what it refused with.
        """
        url = f"{self._base}/files/{what}/{attempt}"

        def chunks() -> Iterator[bytes]:
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk

        headers = {"Content-Length": str(path.stat().st_size), **self._token}
        self._again(lambda: _checked(self._client.put(url, content=chunks(), headers=headers)))

    def _fetch(self, url: str, link: FileLink, folder: Path) -> Path:
        target = folder / Path(link.name).name
        with self._client.stream("GET", url, headers=self._token) as answer:
            _checked(answer)
            with target.open("wb") as file:
                for chunk in answer.iter_bytes(CHUNK_BYTES):
                    file.write(chunk)
        if target.stat().st_size != link.bytes:
            raise errors.TransferFailed(f"{target.stat().st_size} of {link.bytes} bytes of {link.name} came")
        return target

    def _again(self, call: Callable[[], T]) -> T:
        return again(call, self._given_up)

    def _asked(self, path: str, document: Any) -> Any:
        """The answer of a hub that may be none."""
        try:
            return self._post(path, document)
        except errors.DeviceLost as error:
            if error.details.get("status") not in NOTHING_THERE:
                raise
            raise errors.NotFound(
                f"there is no hub of dynolab at {self._url}: {error}", hint="dynolab agent --hub URL"
            ) from error

    def _post(self, path: str, document: Any) -> Any:
        answer = _checked(self._client.post(f"{self._base}/{path}", json=document, headers=self._token))
        return answer.json() if answer.status_code == httpx.codes.OK else None


def _checked(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is a good one; else the error that it holds."""
    if answer.is_success:
        return answer
    answer.read()
    try:
        document = answer.json()
    except ValueError:
        document = {}
    told = isinstance(document, dict) and "code" in document
    if kind := REFUSED.get(answer.status_code):
        raise errors.from_dict(document) if told else kind(f"it answered {answer.status_code} {answer.reason_phrase}")
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS or not told:
        text = f"it answered {answer.status_code} to {answer.request.url.path}"
        raise errors.DeviceLost(text, details={"status": answer.status_code})
    raise errors.from_dict(document)


def again(call: Callable[[], T], given_up: threading.Event | None = None) -> T:
    """The outcome of a call that is tried again, ever more slowly, as long as the hub cannot be reached.

    Once ``given_up`` is set, the call's own error is raised.
    """
    pause_s, given_up = RETRY_FIRST_S, given_up or threading.Event()
    while True:
        try:
            return call()
        except (Unreachable, errors.DeviceLost):
            if given_up.wait(pause_s):
                raise
            pause_s = min(2 * pause_s, RETRY_MOST_S)
