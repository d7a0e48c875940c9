"""The client itself, and AI Hub's functions over the one that the settings describe."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, wraps
from pathlib import Path
from typing import Any

from dynolab.client import files, jobs, progress, results, settings
from dynolab.client.devices import Device, Framework
from dynolab.client.files import Dataset, DatasetEntries, Model, SourceModelType
from dynolab.client.http import HubApi
from dynolab.client.jobs import InferenceJob, Job, ProfileJob
from dynolab.client.progress import Display
from dynolab.client.results import InferenceJobResult, InferenceJobSummary, JobResult, JobSummary
from dynolab.client.settings import ClientConfig
from dynolab.client.status import JobArtifactType, JobStatus, JobType, State, hub_states
from dynolab.client.toolchains import QuantizeDtype, Toolchains
from dynolab.errors import Bug as InternalError
from dynolab.errors import NotFound, SpecInvalid
from dynolab.spec import options as options_module

LIST_DEFAULT = 50
PAGE = 200
"""The most entries that the hub gives at once."""
ProfileJobResult, ProfileJobSummary = InferenceJobResult, InferenceJobSummary
"""AI Hub's client has had one class for both since 0.56."""


class Client(Toolchains):
    """A hub, by its address and token (default: the configured one).

    ``profile`` names another settings file beside the usual one; ``client_mode`` is there because AI Hub's has it.
    """

    def __init__(
        self,
        config: ClientConfig | None = None,
        profile: str | None = None,
        default_project_id: str | None = None,
        client_mode: str = "library",
        *,
        display: Display | None = None,
    ) -> None:
        self.config = config or settings.load(profile)
        self.verbose = self.config.verbose
        self.api = HubApi(self.config)
        self._project, self._display = default_project_id, display

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def set_verbose(self, verbose: bool = True) -> None:
        """Whether transfers and waiting are shown, where somebody looks: on a terminal, in a notebook."""
        self.verbose = verbose

    def set_session_token(self, token: str) -> None:
        """Use another token than the configured one from now on."""
        self.config = replace(self.config, api_token=token)
        self.api.sign_in(token)

    @property
    def display(self) -> Display:
        """Where progress is shown."""
        return self._display or progress.chosen(self.verbose)

    # -- devices ------------------------------------------------------------------------------------------------

    def get_devices(self, name: str = "", os: str = "", attributes: str | list[str] | None = None) -> list[Device]:
        """The device models that fit, newest system first."""
        wanted = Device(name, os, attributes or []).wanted
        found = self.api.get("devices", name=name or None, os=os or None, attribute=wanted["attributes"] or None)
        return [Device(one["name"], one["os"], one["attributes"]) for one in found["devices"]]

    def known(self, device: Device) -> Device:
        """The same device. Raises :class:`NotFound` before anything is uploaded for one that the hub does not have."""
        if not self.get_devices(device.name, device.os, device.attributes):
            shown = " ".join(filter(None, [device.name, device.os, *device.wanted["attributes"]]))
            raise NotFound(f"no device matches {shown!r}", hint="`dynolab devices` lists those that are known")
        return device

    @staticmethod
    def checked(text: str) -> str:
        """The same options. Raises :class:`SpecInvalid` for what AI Hub's grammar does not have."""
        options_module.parse(text)
        return text

    def get_device_attributes(self) -> list[str]:
        """Every attribute that some device has."""
        return sorted({attribute for one in self.get_devices() for attribute in one.attributes})

    def get_frameworks(self) -> list[Framework]:
        """What the hub's devices run, by name, the newest version first."""
        found = self.api.get("frameworks")["frameworks"]
        return [Framework(one["name"], one["version"], [], one["version"]) for one in found]

    # -- models and datasets ------------------------------------------------------------------------------------

    def upload_model(self, model: Any, name: str | None = None, project: str | None = None) -> Model:
        """Upload a file, a folder, a .zip, or an ONNX or TorchScript model in memory.

        Raises :class:`NotFound`, :class:`SpecInvalid` and :class:`ModelInvalid` before anything goes.
        """
        with files.model_file(model) as path, files.packed(path) as (file, kind, is_directory):
            asked = {
                "name": name or path.stem,
                "kind": str(kind),
                "is_directory": is_directory,
                "project_id": self._in(project),
            }
            made = self.api.send("POST", "models", asked, patient=True)
            return Model(self, self._upload(f"models/{made['id']}", file, f"model {made['name']}"))

    def upload_dataset(
        self, data: DatasetEntries | str | Path, name: str | None = None, project: str | None = None
    ) -> Dataset:
        """Upload batches by input name, or an .h5 file."""
        with files.dataset_file(data) as file:
            asked = {"name": name or file.stem, "project_id": self._in(project)}
            made = self.api.send("POST", "datasets", asked, patient=True)
            return Dataset(self, self._upload(f"datasets/{made['id']}", file, f"dataset {made['name']}"))

    def _upload(self, path: str, file: Path, what: str) -> dict[str, Any]:
        begun = self.api.send("POST", f"{path}/uploads", {"size": file.stat().st_size}, patient=True)
        with self.display.transfer(f"uploading {what}") as counted:
            etags = self.api.upload(file, begun["urls"], begun["part_bytes"], counted)
        done = f"{path}/uploads/{begun['upload_id']}/complete"
        found: dict[str, Any] = self.api.send("POST", done, {"etags": etags}, patient=True)
        return found

    def _in(self, project: str | None) -> str:
        return project or self._project or ""

    def get_model(self, model_id: str) -> Model:
        """One model. Raises :class:`NotFound`."""
        return Model(self, self.api.get(_at("models", model_id)))

    def get_models(self, offset: int = 0, limit: int = LIST_DEFAULT, project: str | None = None) -> list[Model]:
        """Models, newest first."""
        return [Model(self, one) for one in self.listed("models", offset, limit, project=project)]

    def get_dataset(self, dataset_id: str) -> Dataset:
        """One dataset. Raises :class:`NotFound`."""
        return Dataset(self, self.api.get(_at("datasets", dataset_id)))

    def get_datasets(self, offset: int = 0, limit: int = LIST_DEFAULT) -> list[Dataset]:
        """Datasets, newest first."""
        return [Dataset(self, one) for one in self.listed("datasets", offset, limit)]

    # -- jobs ---------------------------------------------------------------------------------------------------

    def submit_profile_job(
        self,
        model: Any,
        device: Device | list[Device],
        name: str | None = None,
        options: str = "",
        retry: bool = True,
        project: str | None = None,
        *,
        priority: int = 0,
        waits_for: Sequence[Job | str] = (),
        deadline_s: float | None = None,
    ) -> Any:
        """Profile a model on a device: a :class:`ProfileJob`; on several, a list of them.

        A hub that takes no more jobs for now is asked again, for up to 10 minutes; with ``retry=False`` that is raised.
        Beyond AI Hub's arguments: of the jobs that wait, those of the highest ``priority`` go first; a job is queued when
        all that it ``waits_for`` are done; an attempt may run for ``deadline_s`` seconds.
        """
        more = _more(priority, waits_for, deadline_s)
        asked = {"kind": "profile", "measures": True, "name": name or "", "options": options, **more}
        return self._submit(model, device, {**asked, "project_id": self._in(project)}, retry)

    def submit_inference_job(
        self,
        model: Any,
        device: Device | list[Device],
        inputs: Dataset | DatasetEntries | str | None = None,
        name: str | None = None,
        options: str = "",
        retry: bool = True,
        profile: bool = True,
        project: str | None = None,
        *,
        priority: int = 0,
        waits_for: Sequence[Job | str] = (),
        deadline_s: float | None = None,
    ) -> Any:
        """Infer from a dataset: an :class:`InferenceJob`; without inputs, a profile with random ones. The rest as above."""
        if inputs is None:
            if not profile:
                raise SpecInvalid("an inference job without inputs and without profiling has nothing to do")
            return self.submit_profile_job(
                model,
                device,
                name,
                options,
                retry,
                project,
                priority=priority,
                waits_for=waits_for,
                deadline_s=deadline_s,
            )
        more = _more(priority, waits_for, deadline_s)
        data = inputs if isinstance(inputs, Dataset) else self._dataset(inputs)
        asked = {"kind": "inference", "measures": profile, "name": name or "", "options": options, **more}
        return self._submit(
            model, device, {**asked, "dataset_id": data.dataset_id, "project_id": self._in(project)}, retry
        )

    def _dataset(self, inputs: DatasetEntries | str) -> Dataset:
        return self.upload_dataset(inputs) if isinstance(inputs, Mapping) else self.get_dataset(inputs)

    def _submit(self, model: Any, device: Device | list[Device], asked: dict[str, Any], retry: bool) -> Any:
        devices = device if isinstance(device, list) else [device]
        if not devices or not all(isinstance(one, Device) for one in devices):
            raise SpecInvalid(f"{device!r} is no device", hint="dynolab.Device(NAME), or one of get_devices()")
        self.checked(asked["options"])
        wanted = [self.known(one) for one in devices]
        source = model if isinstance(model, Model) else self.upload_model(model)
        found = [self._submitted({**asked, "model_id": source.model_id, "device": one.wanted}, retry) for one in wanted]
        return found if isinstance(device, list) else found[0]

    def _submitted(self, asked: dict[str, Any], retry: bool) -> InferenceJob:
        once = {"Idempotency-Key": uuid.uuid4().hex}
        return self.job(self.api.send("POST", "jobs", asked, patient=retry, **once))

    def get_job(self, job_id: str, job_type: JobType | None = None) -> InferenceJob:
        """One job. Raises :class:`NotFound`. ``job_type`` is there because AI Hub's has it."""
        return self.job(self.api.get(_at("jobs", job_id)))

    def get_job_summaries(
        self,
        offset: int = 0,
        limit: int = LIST_DEFAULT,
        creator: str | None = None,
        state: State | list[State] | str | None = None,
        type: JobType | None = None,
        project: str | None = None,
    ) -> list[InferenceJobSummary]:
        """What lists show of jobs, newest first; of one creator, in some states, of one kind."""
        states = hub_states(state)
        if states == [] or type not in (None, JobType.UNSPECIFIED, JobType.INFERENCE):
            return []
        found = self.listed("jobs", offset, limit, creator=creator, state=states, project=project)
        return [results.summary(one, self.config.pages) for one in found]

    def job(self, document: dict[str, Any]) -> InferenceJob:
        """The job of a reply's document."""
        return jobs.made(self, document)

    # -- the rest -----------------------------------------------------------------------------------------------

    def listed(self, what: str, offset: int, limit: int, **query: Any) -> list[dict[str, Any]]:
        """The hub's documents, newest first, without the first ``offset``, at most ``limit``; page by page."""
        if offset < 0 or limit < 0:
            raise SpecInvalid(f"offset {offset} and limit {limit} cannot be", hint="both are 0 or more")
        found: list[dict[str, Any]] = []
        before = None
        while len(found) < offset + limit:
            page = self.api.get(what, limit=min(offset + limit - len(found), PAGE), before=before, **query)
            found += page[what]
            before = page["next"]
            if before is None:
                break
        return found[offset:]


def _more(priority: int, waits_for: Sequence[Job | str], deadline_s: float | None) -> dict[str, Any]:
    """What a submission says beyond AI Hub's arguments, as far as it says it."""
    ids = [one.job_id if isinstance(one, Job) else one for one in waits_for]
    found = {"priority": priority or None, "waits_for": ids or None, "deadline_s": deadline_s}
    return {name: value for name, value in found.items() if value is not None}


def _at(kind: str, id: str) -> str:
    """The path of one object. Raises :class:`SpecInvalid` for an id that would be another path."""
    if not str(id).isalnum() or not str(id).isascii():
        raise SpecInvalid(f"{id!r} is no id of {kind}", hint="ids are letters and digits")
    return f"{kind}/{id}"


@cache
def default() -> Client:
    """The client of the configured hub, made when it is first needed."""
    return Client()


def _function(name: str) -> Callable[..., Any]:
    """A method of the default client as a function; the client is made when it is called."""
    method = getattr(Client, name)

    @wraps(method)
    def function(*arguments: Any, **named: Any) -> Any:
        return getattr(default(), name)(*arguments, **named)

    signature = inspect.signature(method)
    function.__signature__ = signature.replace(  # type: ignore[attr-defined] # read by inspect
        parameters=list(signature.parameters.values())[1:]
    )
    return function


def __getattr__(name: str) -> Any:
    """AI Hub's functions (``get_devices``, ``submit_profile_job``, ...): methods of the default client."""
    if not name.startswith(("get_", "set_", "submit_", "upload_")) or not hasattr(Client, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _function(name)


__all__ = [
    "Client",
    "ClientConfig",
    "Dataset",
    "Device",
    "Framework",
    "InferenceJob",
    "InferenceJobResult",
    "InferenceJobSummary",
    "InternalError",
    "Job",
    "JobArtifactType",
    "JobResult",
    "JobStatus",
    "JobSummary",
    "JobType",
    "Model",
    "ProfileJob",
    "ProfileJobResult",
    "ProfileJobSummary",
    "QuantizeDtype",
    "SourceModelType",
]
