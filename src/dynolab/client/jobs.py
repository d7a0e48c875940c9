"""Jobs at a hub: followed, waited for, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from dynolab.client.devices import Device
from dynolab.errors import Bug, NotFound, WorkerTimeout, from_dict
from dynolab.report.aihub import dictionary
from dynolab.spec import codec
from dynolab.spec.profiles import Profile

if TYPE_CHECKING:
    from dynolab.client.client import Client
    from dynolab.client.files import Dataset, Model
    from dynolab.jobs._datasets.h5 import Array

CODES = {
    "queued": "CREATED",
    "preparing": "PROVISIONING_DEVICE",
    "running": "MEASURING_PERFORMANCE",
    "done": "SUCCESS",
    "failed": "FAILED",
    "cancelled": "FAILED",
}
"""AI Hub's words for a hub's states."""


@dataclass(frozen=True, slots=True)
class JobStatus:
    """Where a job stands: AI Hub's ``code`` for it, the hub's own ``state``, and the reason of a failure."""

    state: str
    message: str | None = None

    @property
    def code(self) -> str:
        """AI Hub's word for the state."""
        if self.state == "running" and self.message is None:
            return CODES["running"]
        return CODES[self.state]

    @property
    def success(self) -> bool:
        """Whether the job is done."""
        return self.state == "done"

    @property
    def failure(self) -> bool:
        """Whether it failed or was cancelled."""
        return self.state in ("failed", "cancelled")

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.success or self.failure

    @property
    def running(self) -> bool:
        """Whether a device has it."""
        return self.state in ("preparing", "running")

    @property
    def pending(self) -> bool:
        """Whether it waits for one."""
        return self.state == "queued"


class Job:
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
    def name(self) -> str:
        """Its name."""
        return str(self._document["name"])

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
        return f"{self._owner.address.url}/jobs/{self.job_id}/"

    @property
    def device(self) -> Device:
        """The device model that it asked for."""
        return Device(**self._document["device"])

    @property
    def model(self) -> Model:
        """Its model."""
        return self._owner.get_model(self._document["model_id"])

    def get_status(self) -> JobStatus:
        """Where it stands now."""
        if self._document["finished_at"] is None:
            self._document = self._owner.api.get(f"jobs/{self.job_id}")
        failure = self._document["failure"]
        return JobStatus(self._document["state"], failure["message"] if failure else None)

    def follow(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Events as they come: ``state``, ``progress`` (what the agent is at), and ``end``, after which it is over."""
        yield from self._owner.api.events(f"jobs/{self.job_id}/events")

    def wait(self, timeout: float | None = None) -> JobStatus:
        """Wait until it is over; its end is known within a second. Raises :class:`WorkerTimeout` after ``timeout`` s."""
        end = None if timeout is None else monotonic() + timeout
        while not (status := self.get_status()).finished:
            for event, document in self.follow():
                self._owner.say(self, event, document)
                if end is not None and monotonic() >= end:
                    raise WorkerTimeout(f"the job {self.job_id} is not over after {timeout:g} s; it goes on at the hub")
        return status

    def cancel(self) -> None:
        """Cancel it. Raises :class:`~dynolab.errors.Conflict` when it is over."""
        self._document = self._owner.api.send("POST", f"jobs/{self.job_id}/cancel")

    def rerun(self) -> Job:
        """Submit it once more: the new job."""
        return self._owner.job(self._owner.api.send("POST", f"jobs/{self.job_id}/rerun"))

    def delete(self) -> None:
        """Delete it with its results."""
        self._owner.api.send("DELETE", f"jobs/{self.job_id}")

    def set_name(self, job_name: str) -> None:
        """Give it another name."""
        self._document = self._owner.api.send("PATCH", f"jobs/{self.job_id}", {"name": job_name})

    def log(self) -> str:
        """The log of its last attempt. Raises :class:`NotFound` when there is none yet."""
        return self._owner.api.text(f"jobs/{self.job_id}/log")

    def get_sharing(self) -> list[str]:
        """With whom it is shared."""
        return list(self._owner.api.get(f"jobs/{self.job_id}/sharing")["emails"])

    def modify_sharing(self, add_emails: Sequence[str] = (), delete_emails: Sequence[str] = ()) -> None:
        """Share it, with its model and data, or stop."""
        document = {"add": list(add_emails or ()), "remove": list(delete_emails or ())}
        self._owner.api.send("PATCH", f"jobs/{self.job_id}/sharing", document)

    def disable_sharing(self) -> None:
        """Share it with nobody."""
        self._owner.api.send("DELETE", f"jobs/{self.job_id}/sharing")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(job_id={self.job_id!r}, name={self.name!r}, state={self._document['state']!r})"


class ProfileJob(Job):
    """A job that measures."""

    def measured(self) -> Profile:
        """The profile, once it is over. Raises the error that the job failed with."""
        if self.wait().failure:
            raise from_dict(self._document["failure"])
        return self.profile

    @property
    def profile(self) -> Profile:
        """The whole profile document, once it is over. Raises :class:`NotFound` when the job left none."""
        status = self.wait()
        if not status.success:
            raise NotFound(f"the job {self.job_id} left no profile: {status.message}")
        return codec.decode(
            Profile, self._owner.api.get(f"jobs/{self.job_id}/profile"), f"the profile of {self.job_id}"
        )

    def download_profile(self, filename: str | Path | None = None) -> dict[str, Any] | str:
        """``execution_summary`` and ``execution_detail``; with a folder or file name, as JSON there, and where it is.

        Times are microseconds, memory bytes. Waits for the job.
        """
        found = dictionary(self.profile)
        if filename is None:
            return found
        path = Path(filename)
        if path.is_dir():
            path /= f"{self.name}_{self.job_id}_results.json"
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return str(path)

    def download_results(self, artifacts_dir: str | Path = ".") -> dict[str, str]:
        """Everything that the job left, into a folder: where each is."""
        folder = Path(artifacts_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.wait()
        log = folder / f"{self.job_id}_device.log"
        log.write_text(self.log(), encoding="utf-8")
        return {"log": str(log), "profile": str(self.download_profile(folder))}


class InferenceJob(ProfileJob):
    """A job that infers from a dataset, and may measure as well."""

    def get_output_dataset(self) -> Dataset | None:
        """What it inferred, once it is over; None when it failed."""
        if not self.wait().success or self._document["output_dataset_id"] is None:
            return None
        return self._owner.get_dataset(self._document["output_dataset_id"])

    def download_output_data(self, filename: str | Path | None = None) -> dict[str, list[Array]] | str | None:
        """The outputs by name, a list of batches each; with a folder or file name, as HDF5 there. None when it failed."""
        found = self.get_output_dataset()
        return None if found is None else found.download(filename)


KINDS = {"profile": ProfileJob, "inference": InferenceJob}


def made(owner: Client, document: dict[str, Any]) -> Job:
    """The job of a document, of its kind's class."""
    kind = KINDS.get(document["kind"])
    if kind is None:
        raise Bug(f"this client knows no jobs of kind {document['kind']!r}")
    return kind(owner, document)
