"""Load: models are uploaded, jobs submitted, cancelled and deleted without a pause, and what the hub acknowledged is kept in mind."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx

OVER = ("done", "failed", "cancelled")
TRY_S = 40.0
"""The longest that one request is waited for: the official client's own patience is 28 s."""
MODEL_EVERY, MODELS_KEPT = 20, 2
"""Jobs to a model; older ones are deleted."""
WAITS_EVERY, CANCELS_EVERY, DELETES_EVERY = 5, 9, 4
"""Of so many jobs one waits for that before it, one is cancelled at once, and one is deleted once it is over."""
DEPENDENCY_FAILED = "DependencyFailed"


class Load:
    """One user. A request that was not answered is sent again with its idempotency key until it is."""

    def __init__(self, url: Callable[[], str], token: str, pool: str, *, per_s: float, open_most: int = 40) -> None:
        self.acknowledged: dict[str, str] = {}
        """The idempotency key of each job, by its id."""
        self.models: list[str] = []
        self.cancelled: set[str] = set()
        """Jobs of which a cancel was asked for: they may be done before it came."""
        self.deleted: set[str] = set()
        """Jobs that the hub said are deleted: they are to be gone."""
        self.needed: dict[str, str] = {}
        """The job that a job waits for."""
        self.statuses: Counter[str] = Counter()
        self.without_retry_after = 0
        self.waited_s: list[float] = []
        """For each job, from the first request to the acknowledgement."""
        self._url, self._pool, self._per_s, self._open_most = url, pool, per_s, open_most
        self._http = httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=httpx.Timeout(TRY_S, connect=5))
        self._open: list[str] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.failed = ""
        """Why it ended by itself; empty: it did not."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what is on its way is waited for."""
        self._ended.set()
        self._thread.join(180)
        assert not self._thread.is_alive(), "a request is not answered"

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer's document, tried until it comes. Raises :class:`AssertionError` for a refusal."""
        return self._answer(method, path, body).json()

    def _answer(
        self, method: str, path: str, body: object = None, *, key: str = "", refused: tuple[int, ...] = ()
    ) -> httpx.Response:
        """The answer, tried until it comes; ``refused``: with which of these a refusal is no mistake."""
        headers = {"Idempotency-Key": key} if key else {}
        url = f"/api/hub/v1/{path}"
        while (answer := self._sent(method, self._url() + url, refused, headers=headers, json=body)) is None:
            time.sleep(0.3)
        return answer

    def _sent(self, method: str, url: str, refused: tuple[int, ...] = (), **rest: Any) -> httpx.Response | None:
        """The answer; None where it is to be asked again. Raises :class:`AssertionError` for a refusal."""
        try:
            answer = self._http.request(method, url, **rest)
        except httpx.TransportError as error:
            self.statuses[type(error).__name__] += 1
            return None
        self.statuses[str(answer.status_code)] += 1
        if answer.status_code in (503, 429, 507):
            self.without_retry_after += answer.status_code == 503 and "retry-after" not in answer.headers
            return None
        assert answer.is_success or answer.status_code in refused, (
            f"{method} {url}: {answer.status_code} {answer.text[:500]}"
        )
        return answer

    def _run(self) -> None:
        try:
            number = 0
            while not self._ended.is_set():
                if len(self._open) >= self._open_most:
                    self._settle()
                    continue
                if number % MODEL_EVERY == 0:
                    self._upload(number)
                    self._clear()
                if number % 3 == 0:
                    self._settle()
                self._submit(number)
                number += 1
                self._ended.wait(1 / self._per_s)
        except Exception as error:  # noqa: BLE001 - told by whoever looks at the drill
            self.failed = f"{type(error).__name__}: {error}"

    def _upload(self, number: int) -> None:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("net.null", json.dumps({"busy_ns": 20_000 + number}))
        data = content.getvalue()
        model = None
        while model is None:
            made = self.ask("POST", "models", {"name": f"net {number}", "kind": "onnx", "is_directory": True})["id"]
            begun = self.ask("POST", f"models/{made}/uploads", {"size": len(data)})
            etags = [self._put(url, data) for url in begun["urls"]]
            self.ask("POST", f"models/{made}/uploads/{begun['upload_id']}/complete", {"etags": etags})
            model = made
        self.models.append(model)

    def _put(self, url: str, data: bytes) -> str:
        path = "/" + url.split("/", 3)[3]
        while (answer := self._sent("PUT", self._url() + path, content=data)) is None:
            time.sleep(0.3)
        return str(answer.headers["etag"])

    def _submit(self, number: int) -> None:
        key, began = f"job {number}", time.monotonic()
        asked: dict[str, object] = {
            "kind": "profile",
            "model_id": self.models[-1],
            "name": key,
            "device": {"name": self._pool, "os": "", "attributes": []},
        }
        needed = self._open[-1] if number % WAITS_EVERY == 0 and self._open else ""
        asked |= {"waits_for": [needed]} if needed else {}
        answer = self._answer("POST", "jobs", asked, key=key, refused=(409, 422) if needed else ())
        if not answer.is_success:
            assert answer.json()["code"] == DEPENDENCY_FAILED, answer.text
            return
        job_id = answer.json()["id"]
        self.acknowledged[job_id] = key
        self.waited_s.append(time.monotonic() - began)
        self._open.append(job_id)
        if needed:
            self.needed[job_id] = needed
        if number % CANCELS_EVERY == 0:
            self.cancelled.add(job_id)
            self._answer("POST", f"jobs/{job_id}/cancel", refused=(409,))  # it may be over already

    def _settle(self) -> None:
        """Those that were over when they were looked at wait no more; some are deleted then."""
        for job_id in self._open[:5]:
            job = self.ask("GET", f"jobs/{job_id}")
            if job["state"] not in OVER:
                continue
            self._open.remove(job_id)
            needed = job_id in self.needed.values() or job_id in self.needed
            if not needed and int(self.acknowledged[job_id].split()[1]) % DELETES_EVERY == 0:
                self._answer("DELETE", f"jobs/{job_id}", refused=(404,))  # an answer that was lost: it is gone already
                self.deleted.add(job_id)
        self._ended.wait(0.2)

    def _clear(self) -> None:
        """Delete models that are older than those that are kept, as far as no job that is not over uses them."""
        for model in self.models[:-MODELS_KEPT]:
            if self._answer("DELETE", f"models/{model}", refused=(404, 409)).status_code != 409:
                self.models.remove(model)
