"""Jobs at a hub: followed, waited for, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from html import escape
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from dynolab.client.devices import Device
from dynolab.client.http import HubApi
from dynolab.client.progress import Told, of_event, of_job
from dynolab.client.results import InferenceJobResult, JobResult, job_url, status
from dynolab.client.shared import Shared
from dynolab.client.shown import ShownProfile
from dynolab.client.status import JobArtifactType, JobStatus
from dynolab.errors import Bug, DeviceLost, NotFound, RateLimited, from_dict
from dynolab.report.aihub import dictionary
from dynolab.spec import codec, untrusted
from dynolab.spec.profiles import Profile

if TYPE_CHECKING:
    from dynolab.client.client import Client
    from dynolab.client.files import Dataset, Model
    from dynolab.jobs._datasets.h5 import Array

AWAY_MOST_S = 60.0
"""How long a hub that is waited at may be away: it may just be restarting."""
AWAY_PAUSE_S = 1.0
LOG_PAUSE_S = 2.0
"""As often as an agent tells of a log that grows."""
LOG_OVERLAP = 200
"""So many characters are the same where one look at a log goes on from the one before."""


class Job(Shared):
    """A job. What is over does not change; everything else is asked of the hub when it is needed."""

    def __init__(self, owner: Client, document: dict[str, Any]) -> None:
        self._owner, self._document = owner, document

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
        """Its kind: ``profile`` or ``inference``."""
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
        """The project that it was submitted to, or nothing."""
        return str(self._document["project_id"])

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
        return job_url(self.job_id, self._owner.config.pages)

    @property
    def device(self) -> Device:
        """The device model that it asked for."""
        return Device(**self._document["device"])

    @property
    def model(self) -> Model:
        """Its model."""
        return self._owner.get_model(self._document["model_id"])

    @property
    def verbose(self) -> bool:
        """Whether waiting for it is shown."""
        return self._owner.verbose

    def get_status(self) -> JobStatus:
        """Where it stands now."""
        if self._document["finished_at"] is None:
            self._document = self._owner.api.get(f"jobs/{self.job_id}")
        return status(self._document)

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events as they come: ``state``, ``progress`` (what the agent is at), and ``end``, after which it is over."""
        events = self._owner.api.events(f"jobs/{self.job_id}/events")
        yield from (found for found in events if found[0] != "alive")

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until it is over; its end is known within a second. A hub that restarts meanwhile is waited for, too.

        Raises :class:`TimeoutError` after ``timeout`` seconds. What interrupts the waiting does not touch the job.
        """
        if self._document["finished_at"] is not None:
            return status(self._document)
        end = None if timeout is None else monotonic() + timeout
        try:
            with self._owner.display.waiting(f"{self.job_id} {self.name}") as told:
                while not (found := self._status_patiently()).finished:
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

    def _status_patiently(self) -> JobStatus:
        away_until = monotonic() + AWAY_MOST_S
        while True:
            try:
                return self.get_status()
            except DeviceLost:
                if monotonic() >= away_until:
                    raise
                sleep(AWAY_PAUSE_S)

    def _watch(self, told: Told, end: float | None) -> None:
        """Tell what the hub says until the stream ends, for whichever reason, or the time is up."""
        left_s = None if end is None else end - monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError(f"{self._goes_on}; it was not over in time")
        try:
            for event, document in self._owner.api.events(f"jobs/{self.job_id}/events", left_s):
                if event == "progress" and document.get("stage") != "fetch":  # its state says that
                    told(of_event(document))
                elif event == "alive" or document.get("state") == "queued":
                    self.get_status()  # the place in the queue is told by the document alone
                    told(of_job(self._document))
                elif event == "state":
                    told(of_job(document))
                if end is not None and monotonic() >= end:
                    return
        except (DeviceLost, RateLimited):
            sleep(AWAY_PAUSE_S)

    def log(self) -> str:
        """The log of the last attempt, while that runs as far as it has come. Raises :class:`NotFound` before there is one.

        Somebody else's device may have written it: what would be an order to a terminal is replaced.
        """
        return untrusted.printable(self._owner.api.text(f"jobs/{self.job_id}/log"))

    def follow_log(self) -> Iterator[str]:
        """The log piece by piece as it comes, until the job is over. Another attempt begins anew."""
        told = ""
        while True:
            over = self.get_status().finished
            try:
                text = self.log()
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
        self._document = self._owner.api.send("POST", f"jobs/{self.job_id}/cancel")

    def rerun(self) -> Job:
        """Submit it once more."""
        return self._owner.job(self._owner.api.send("POST", f"jobs/{self.job_id}/rerun"))

    def set_name(self, job_name: str) -> None:
        """Give it another name."""
        self._document = self._owner.api.send("PATCH", f"jobs/{self.job_id}", {"name": job_name})

    def _place(self) -> tuple[HubApi, str]:
        return self._owner.api, f"jobs/{self.job_id}"

    def download_job_logs(self, output_dir: str | Path) -> list[str]:
        """The log, in a folder: where it is. Waits for the job; nothing where it left none."""
        self.wait()
        folder = Path(output_dir).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            text = self.log()
        except NotFound:
            return []
        path = folder / f"{self.job_id}_device.log"
        path.write_text(text, encoding="utf-8")
        return [str(path)]

    def get_available_artifacts(self) -> list[JobArtifactType]:
        """What it left beside its results, so far."""
        self.get_status()
        logs = [attempt["has_log"] for attempt in self._document.get("attempts", ())]
        return [JobArtifactType.DEVICE_LOG] if any(logs) else []

    def download_artifacts_for_type(self, output_dir: str | Path, artifact_type: JobArtifactType) -> list[str]:
        """The files of one type, in a folder: where they are. Waits for the job."""
        return self.download_job_logs(output_dir) if artifact_type is JobArtifactType.DEVICE_LOG else []

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


class InferenceJob(Job):
    """A job that measures, or infers from a dataset, or both. As in AI Hub's client, profile jobs are of this class too."""

    @property
    def profiling(self) -> bool:
        """Whether it measures."""
        return bool(self._document["measures"])

    @property
    def inputs(self) -> Dataset | None:
        """The dataset that it infers from; None: random values."""
        return self._data("dataset_id")

    @property
    def outputs(self) -> Dataset | None:
        """What it inferred, as far as it is there."""
        return self._data("output_dataset_id")

    @property
    def shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and element type by input name; empty before the job has measured them."""
        if not self.profiling or not self.get_status().success:
            return {}
        return {one.spec.name: (one.spec.sizes, one.spec.dtype) for one in self.profile.inputs}

    def _data(self, key: str) -> Dataset | None:
        return self._owner.get_dataset(self._document[key]) if self._document[key] else None

    def measured(self) -> Profile:
        """The profile, once it is over. Raises the error that the job failed with."""
        if self.wait().failure:
            raise from_dict(self._document["failure"])
        return self.profile

    @property
    def profile(self) -> ShownProfile:
        """The whole profile document, once it is over. Raises :class:`NotFound` when the job left none."""
        found = self.wait()
        if not found.success:
            raise NotFound(f"the job {self.job_id} left no profile: {found.message}")
        document = self._owner.api.get(f"jobs/{self.job_id}/profile")
        return codec.decode(ShownProfile, document, f"the profile of {self.job_id}")

    def download_profile(self, filename: str | Path | None = None) -> dict[str, Any] | str:
        """``execution_summary`` and ``execution_detail``; with a folder or file name, as JSON there, and where it is.

        Times are microseconds, memory bytes. Waits for the job; an empty dictionary where it was not to measure.
        """
        found = {} if self.wait().success and not self.profiling else dictionary(self.profile)
        if filename is None:
            return found
        path = Path(filename).expanduser()
        if path.is_dir():
            path /= f"{self.name}_{self.job_id}_results.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return str(path)

    def download_artifact(self, filename: str | Path) -> str | None:
        """What compile made on the device, as a zip file there or in that folder: where it is. Waits for the job.

        None where nothing was kept: the job was not to, it failed, or its runtime compiles nothing.
        """
        self.wait()
        return None if self._document["artifact_bytes"] is None else self.fetch_artifact(filename)

    def fetch_artifact(self, filename: str | Path) -> str:
        """The same, as it is now. Raises :class:`NotFound`, which says why, where nothing was kept."""
        return str(self._fetch("artifact", Path(filename), f"downloading the artifact of {self.job_id}"))

    def get_output_dataset(self) -> Dataset | None:
        """What it inferred, once it is over; None when it failed or had no dataset."""
        return self.outputs if self.wait().success else None

    def download_output_data(self, filename: str | Path | None = None) -> dict[str, list[Array]] | str | None:
        """The outputs by name, a list of batches each; with a folder or file name, as HDF5 there. None as above."""
        found = self.get_output_dataset()
        return None if found is None else found.download(filename)

    def download_results(self, artifacts_dir: str | Path) -> InferenceJobResult:
        """Log, outputs, compiled artifact and profile, as far as they were kept, in a folder. Waits for the job."""
        found = super().download_results(artifacts_dir)
        self.download_output_data(found.artifacts_dir)
        if found.status.success:
            self.download_artifact(found.artifacts_dir)
        profile = self.download_profile() if found.status.success else {}
        if profile:
            self.download_profile(found.artifacts_dir)
        measured = profile if isinstance(profile, dict) and profile else None
        return InferenceJobResult(found.status, found.url, found.artifacts_dir, measured)


ProfileJob = InferenceJob
"""AI Hub's client has had one class for both since 0.56."""
KINDS = {"profile": InferenceJob, "inference": InferenceJob}


def made(owner: Client, document: dict[str, Any]) -> InferenceJob:
    """The job of a document, of its kind's class."""
    kind = KINDS.get(document["kind"])
    if kind is None:
        raise Bug(f"this client knows no jobs of kind {document['kind']!r}")
    return kind(owner, document)


def _added(told: str, text: str) -> str:
    """What a log says beyond what was told of it. Of a long one the end alone is to be had while it is written."""
    if text.startswith(told):
        return text.removeprefix(told)
    begins = told.find(text[:LOG_OVERLAP])
    return text.removeprefix(told[begins:]) if begins >= 0 else text
