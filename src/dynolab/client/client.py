"""The client itself, and AI Hub's functions over the one that the settings describe."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dynolab.client import files, jobs, settings
from dynolab.client.devices import Device
from dynolab.client.files import Dataset, DatasetEntries, Model
from dynolab.client.http import Counted, HubApi
from dynolab.client.jobs import InferenceJob, Job, ProfileJob
from dynolab.client.settings import HubAddress
from dynolab.errors import Bug as InternalError
from dynolab.errors import SpecInvalid

LIST_DEFAULT = 50


class Client:
    """A hub, by its address and token (default: the configured one)."""

    def __init__(self, address: HubAddress | None = None, *, verbose: bool = True) -> None:
        self.address = address or settings.load()
        self.verbose = verbose
        self.api = HubApi(self.address)

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def set_verbose(self, verbose: bool = True) -> None:
        """Whether transfers and waiting are told on standard error."""
        self.verbose = verbose

    # -- devices ------------------------------------------------------------------------------------------------

    def get_devices(self, name: str = "", os: str = "", attributes: str | Sequence[str] | None = None) -> list[Device]:
        """The device models that fit, newest system first."""
        wanted = Device(name, os, list([attributes] if isinstance(attributes, str) else attributes or [])).wanted
        found = self.api.get("devices", name=name or None, os=os or None, attribute=wanted["attributes"] or None)
        return [Device(one["name"], one["os"], one["attributes"]) for one in found["devices"]]

    def get_device_attributes(self) -> list[str]:
        """Every attribute that some device has."""
        return sorted({attribute for one in self.get_devices() for attribute in one.attributes})

    # -- models and datasets ------------------------------------------------------------------------------------

    def upload_model(self, model: str | Path, name: str | None = None, project: str | None = None) -> Model:
        """Upload a file, a folder or a .zip. Raises :class:`NotFound` and :class:`ModelInvalid` before anything goes."""
        path = Path(model)
        with files.packed(path) as (file, kind, is_directory):
            asked = {
                "name": name or path.stem,
                "kind": str(kind),
                "is_directory": is_directory,
                "project_id": project or "",
            }
            made = self.api.send("POST", "models", asked)
            return Model(self.api, self._upload(f"models/{made['id']}", file, f"model {made['name']}"), self._told)

    def upload_dataset(
        self, data: DatasetEntries | str | Path, name: str | None = None, project: str | None = None
    ) -> Dataset:
        """Upload batches by input name, or an .h5 file."""
        with files.dataset_file(data) as file:
            made = self.api.send("POST", "datasets", {"name": name or file.stem, "project_id": project or ""})
            shown = self._upload(f"datasets/{made['id']}", file, f"dataset {made['name']}")
        return Dataset(self.api, shown, self._told)

    def _upload(self, path: str, file: Path, what: str) -> dict[str, Any]:
        begun = self.api.send("POST", f"{path}/uploads", {"size": file.stat().st_size})
        told = self._told(f"uploading {what}")
        etags = self.api.upload(file, begun["urls"], begun["part_bytes"], told)
        found: dict[str, Any] = self.api.send("POST", f"{path}/uploads/{begun['upload_id']}/complete", {"etags": etags})
        return found

    def get_model(self, model_id: str) -> Model:
        """One model. Raises :class:`NotFound`."""
        return Model(self.api, self.api.get(f"models/{model_id}"), self._told)

    def get_models(self, limit: int = LIST_DEFAULT) -> list[Model]:
        """Models, newest first."""
        return [Model(self.api, one, self._told) for one in self._listed("models", limit)]

    def get_dataset(self, dataset_id: str) -> Dataset:
        """One dataset. Raises :class:`NotFound`."""
        return Dataset(self.api, self.api.get(f"datasets/{dataset_id}"), self._told)

    def get_datasets(self, limit: int = LIST_DEFAULT) -> list[Dataset]:
        """Datasets, newest first."""
        return [Dataset(self.api, one, self._told) for one in self._listed("datasets", limit)]

    # -- jobs ---------------------------------------------------------------------------------------------------

    def submit_profile_job(
        self,
        model: Model | str | Path,
        device: Device | list[Device],
        name: str | None = None,
        options: str = "",
        project: str | None = None,
    ) -> Any:
        """Profile a model on a device: a :class:`ProfileJob`; on several, a list of them."""
        return self._submit("profile", model, device, None, name, options, True, project)

    def submit_inference_job(
        self,
        model: Model | str | Path,
        device: Device | list[Device],
        inputs: Dataset | DatasetEntries | str | None = None,
        name: str | None = None,
        options: str = "",
        profile: bool = True,
        project: str | None = None,
    ) -> Any:
        """Infer from a dataset: an :class:`InferenceJob`; without inputs, a profile with random ones."""
        if inputs is None:
            if not profile:
                raise SpecInvalid("an inference job without inputs and without profiling has nothing to do")
            return self.submit_profile_job(model, device, name, options, project)
        data = inputs if isinstance(inputs, Dataset) else self._dataset(inputs)
        return self._submit("inference", model, device, data, name, options, profile, project)

    def _dataset(self, inputs: DatasetEntries | str) -> Dataset:
        return self.upload_dataset(inputs) if isinstance(inputs, Mapping) else self.get_dataset(inputs)

    def _submit(
        self,
        kind: str,
        model: Model | str | Path,
        device: Device | list[Device],
        data: Dataset | None,
        name: str | None,
        options: str,
        measures: bool,
        project: str | None,
    ) -> Any:
        source = model if isinstance(model, Model) else self.upload_model(model)
        asked = {
            "kind": kind,
            "model_id": source.model_id,
            "name": name or "",
            "options": options,
            "measures": measures,
            "dataset_id": data.dataset_id if data else None,
            "project_id": project or "",
        }
        devices = device if isinstance(device, list) else [device]
        found = [
            self.job(
                self.api.send("POST", "jobs", {**asked, "device": one.wanted}, **{"Idempotency-Key": uuid.uuid4().hex})
            )
            for one in devices
        ]
        return found if isinstance(device, list) else found[0]

    def get_job(self, job_id: str) -> Job:
        """One job. Raises :class:`NotFound`."""
        return self.job(self.api.get(f"jobs/{job_id}"))

    def get_job_summaries(
        self, limit: int = LIST_DEFAULT, creator: str | None = None, state: str | None = None
    ) -> list[Job]:
        """Jobs, newest first; of one creator, or in one of the hub's states."""
        return [self.job(one) for one in self._listed("jobs", limit, creator=creator, state=state)]

    def job(self, document: dict[str, Any]) -> Job:
        """The job of a reply's document."""
        return jobs.made(self, document)

    # -- the rest -----------------------------------------------------------------------------------------------

    def _listed(self, what: str, limit: int, **query: Any) -> list[dict[str, Any]]:
        """As many entries as were asked for, page by page."""
        found: list[dict[str, Any]] = []
        before = None
        while len(found) < limit:
            page = self.api.get(what, limit=min(limit - len(found), 200), before=before, **query)
            found += page[what]
            before = page["next"]
            if before is None:
                break
        return found

    def _told(self, what: str) -> Counted:
        """Who is told how a transfer goes."""
        shown = -1

        def counted(done: int, size: int) -> None:
            nonlocal shown
            percent = 100 * done // max(1, size)
            if self.verbose and sys.stderr.isatty() and percent != shown:
                shown = percent
                sys.stderr.write(f"\r{what}: {percent} % of {size / 1e6:.1f} MB" + ("\n" if done == size else ""))

        return counted

    def say(self, job: Job, event: str, document: Mapping[str, Any]) -> None:
        """One event of a job that is waited for, in words."""
        if self.verbose:
            text = document.get("state") or " ".join(
                str(document[key]) for key in ("stage", "text", "process") if key in document
            )
            if text and event != "end":
                sys.stderr.write(f"{job.job_id}: {text}\n")


@cache
def default() -> Client:
    """The client of the configured hub, made when it is first needed."""
    return Client()


def __getattr__(name: str) -> Any:
    """AI Hub's functions (``get_devices``, ``submit_profile_job``, ...): methods of the default client."""
    if name.startswith("_") or not hasattr(Client, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(default(), name)


__all__ = ["Client", "Dataset", "Device", "InferenceJob", "InternalError", "Job", "Model", "ProfileJob"]
