"""Jobs at a hub: followed, waited for, and the log that they leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from time import monotonic, sleep
from typing import Any, ClassVar

from dynolab.client.devices import Device
from dynolab.client.handle import Handle
from dynolab.client.progress import Told, of_event, of_job
from dynolab.client.results import JobResult, job_url, status
from dynolab.client.status import JobArtifactType, JobStatus
from dynolab.client.transport import Transport
from dynolab.errors import Bug, NotFound, RateLimited, Unavailable
from dynolab.spec import untrusted

AWAY_MOST_S = 60.0
"""How long a hub that is waited at may be away: it may just be restarting."""
STREAM_PAUSE_S = 1.0
"""How long a stream of events that broke off is left alone."""
LOG_PAUSE_S = 2.0
"""As often as an agent tells of a log that grows."""
LOG_OVERLAP = 200
"""So many characters are the same where one look at a log goes on from the one before."""


class Job(Handle):
    """A job. What is over does not change; everything else is asked of the hub when it is needed."""

    KINDS: ClassVar[dict[str, type[Job]]] = {}
    """The class of each kind of job; classes enter themselves."""

    def __init_subclass__(cls, *, kinds: Sequence[str] = (), **named: Any) -> None:
        super().__init_subclass__(**named)
        Job.KINDS.update(dict.fromkeys(kinds, cls))

    @staticmethod
    def of(transport: Transport, document: dict[str, Any]) -> Job:
        """The job of a hub's document, of its kind's class."""
        kind = Job.KINDS.get(document["kind"])
        if kind is None:
            raise Bug(f"this client knows no jobs of kind {document['kind']!r}")
        return kind(transport, document)

    def __init__(self, transport: Transport, document: dict[str, Any]) -> None:
        self._transport, self._document = transport, document

    @property
    def document(self) -> dict[str, Any]:
        """The job as the hub's API gave it last."""
        return self._document

    @property
    def job_id(self) -> str:
        """Its id."""
        return str(self._document["id"])

    @property
    def job_type(self) -> str:
        """Its kind: ``profile``, ``inference`` or ``compare``."""
        return str(self._document["kind"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._document["name"])

    @property
    def owner(self) -> str:
        """The e-mail address of whom it belongs to."""
        return str(self._document["owner"])

    @property
    def project_id(self) -> str:
        """The id of the project that it was submitted to, or a label, or nothing."""
        return str(self._document["project_id"])

    @property
    def project(self) -> str | None:
        """``ORGANISATION.PROJECT``; None: a personal space."""
        return self._document.get("project")

    @property
    def options(self) -> str:
        """Its options, in AI Hub's grammar."""
        return str(self._document["options"])

    @property
    def date(self) -> datetime:
        """When it was submitted."""
        return datetime.fromisoformat(self._document["created_at"])

    @property
    def url(self) -> str:
        """Its page at the hub."""
        return job_url(self.job_id, self._transport.config.pages)

    @property
    def device(self) -> Device:
        """The device model that it asked for."""
        return Device(**self._document["device"])

    def get_status(self) -> JobStatus:
        """Where it stands now."""
        return self._refreshed()

    def _refreshed(self, away_most_s: float = 0.0) -> JobStatus:
        if self._document["finished_at"] is None:
            self._document = self._transport.api.awaited(f"jobs/{self.job_id}", away_most_s)
        return status(self._document)

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events as they come: ``state``, ``progress`` (what the agent is at), and ``end``, after which it is over."""
        events = self._transport.api.events(f"jobs/{self.job_id}/events")
        yield from (found for found in events if found[0] != "alive")

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until it is over; its end is known within a second. A hub that is away meanwhile is waited for, too, for up to 60 s.

        Raises :class:`TimeoutError` after ``timeout`` seconds. What interrupts the waiting does not touch the job.
        """
        if self._document["finished_at"] is not None:
            return status(self._document)
        end = None if timeout is None else monotonic() + timeout
        try:
            with self._transport.display.waiting(f"{self.job_id} {self.name}") as told:
                while not (found := self._refreshed(AWAY_MOST_S)).finished:
                    told(of_job(self._document))
                    self._watch(told, end)
                told(of_job(self._document))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self._goes_on) from None
        except SystemExit as stop:  # by a signal that whoever waits here heeds so
            stop.add_note(self._goes_on)
            raise
        return found

    @property
    def _goes_on(self) -> str:
        return f"the job {self.job_id} goes on at the hub: `dynolab jobs watch {self.job_id}` follows it again"

    def _watch(self, told: Told, end: float | None) -> None:
        """Tell what the hub says until the stream ends, for whichever reason, or the time is up."""
        left_s = None if end is None else end - monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError(f"{self._goes_on}; it was not over in time")
        try:
            for event, document in self._transport.api.events(f"jobs/{self.job_id}/events", left_s):
                if event == "progress" and document.get("stage") != "fetch":  # its state says that
                    told(of_event(document))
                elif event == "alive" or document.get("state") == "queued":
                    self.get_status()  # the place in the queue is told by the document alone
                    told(of_job(self._document))
                elif event == "state":
                    told(of_job(document))
                if end is not None and monotonic() >= end:
                    return
        except (Unavailable, RateLimited):
            sleep(STREAM_PAUSE_S)

    def log(self) -> str:
        """The log of the last attempt, while that runs as far as it has come. Raises :class:`NotFound` before there is one.

        Somebody else's device may have written it: what would be an order to a terminal is replaced.
        """
        return self._log_text()

    def _log_text(self, away_most_s: float = 0.0) -> str:
        return untrusted.printable(self._transport.api.text(f"jobs/{self.job_id}/log", away_most_s))

    def follow_log(self) -> Iterator[str]:
        """The log piece by piece as it comes, until the job is over. Another attempt begins anew. A hub that is away is waited for as by :meth:`wait`."""
        told = ""
        while True:
            over = self._refreshed(AWAY_MOST_S).finished
            try:
                text = self._log_text(AWAY_MOST_S)
            except NotFound:
                text = ""
            if text != told:
                yield _added(told, text)
                told = text
            if over:
                return
            sleep(LOG_PAUSE_S)

    def cancel(self) -> None:
        """Cancel it; one that runs stops when its agent hears of it. Raises :class:`Conflict` when it is over."""
        self._document = self._transport.api.send("POST", f"jobs/{self.job_id}/cancel")

    def rerun(self) -> Job:
        """Submit it once more."""
        return Job.of(self._transport, self._transport.api.send("POST", f"jobs/{self.job_id}/rerun"))

    def set_name(self, job_name: str) -> None:
        """Give it another name."""
        self._document = self._transport.api.send("PATCH", f"jobs/{self.job_id}", {"name": job_name})

    @property
    def _path(self) -> str:
        return f"jobs/{self.job_id}"

    def download_job_logs(self, output_dir: str | Path) -> list[str]:
        """The log, in a folder: where it is. Waits for the job; nothing where it left none."""
        self.wait()
        folder = Path(output_dir).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            text = self.log()
        except NotFound:
            return []
        path = folder / f"{self.job_id}_{'hub' if self._log is JobArtifactType.HUB_LOG else 'device'}.log"
        path.write_text(text, encoding="utf-8")
        return [str(path)]

    def get_available_artifacts(self) -> list[JobArtifactType]:
        """What it left beside its results, so far."""
        self.get_status()
        logs = [attempt["has_log"] for attempt in self._document.get("attempts", ())]
        return [self._log] if any(logs) else []

    _log: ClassVar[JobArtifactType] = JobArtifactType.DEVICE_LOG
    """Whose its log is: models are made at the hub, by machines that are no device of the job."""

    def download_artifacts_for_type(self, output_dir: str | Path, artifact_type: JobArtifactType) -> list[str]:
        """The files of one type, in a folder: where they are. Waits for the job."""
        return self.download_job_logs(output_dir) if artifact_type is self._log else []

    def download_results(self, artifacts_dir: str | Path) -> JobResult:
        """Everything that the job left, in a folder. Waits for the job."""
        folder = Path(artifacts_dir).expanduser().absolute()
        self.download_job_logs(folder)
        return JobResult(self.get_status(), self.url, str(folder))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(job_id={self.job_id!r}, name={self.name!r}, state={self._document['state']!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: name, state and device, and the way to its page."""
        document = self._document
        failure = f": {escape(document['failure']['message'])}" if document["failure"] else ""
        return (
            f'<div>{escape(self.job_type)} job <a href="{escape(self.url)}">{escape(self.job_id)}</a> '
            f"<b>{escape(self.name)}</b> on {escape(self.device.name)}: {escape(document['state'])}{failure}</div>"
        )


def _added(told: str, text: str) -> str:
    """What a log says beyond what was told of it. Of a long one the end alone is to be had while it is written."""
    if text.startswith(told):
        return text.removeprefix(told)
    begins = told.find(text[:LOG_OVERLAP])
    return text.removeprefix(told[begins:]) if begins >= 0 else text
