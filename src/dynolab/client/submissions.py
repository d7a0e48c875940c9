"""The part of the client that submits jobs and finds them again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

from dynolab.client import results
from dynolab.client.base import LIST_DEFAULT
from dynolab.client.datasets import Dataset, DatasetEntries
from dynolab.client.device_queries import DeviceQueries
from dynolab.client.devices import Device
from dynolab.client.inference_jobs import InferenceJob
from dynolab.client.jobs import Job
from dynolab.client.results import JobSummary
from dynolab.client.status import JobType, State, hub_states
from dynolab.client.transport import object_path
from dynolab.client.uploads import Uploads
from dynolab.errors import SpecInvalid
from dynolab.spec import requirements as requirements_module
from dynolab.spec.duets import DEFAULT_BUDGET_S, DEFAULT_FLOOR

AIHUB_KINDS = {
    "profile": JobType.INFERENCE,
    "inference": JobType.INFERENCE,
    "compile": JobType.COMPILE,
    "quantize": JobType.QUANTIZE,
    "link": JobType.LINK,
}
"""The kinds of jobs that AI Hub has, too, and what it calls them."""


class Submissions(DeviceQueries, Uploads):
    """Jobs."""

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
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        requirements: Sequence[str] = (),
        keep_artifact: bool = False,
    ) -> Any:
        """Profile a model on a device: a :class:`ProfileJob`; on several, a list of them.

        A hub that takes no more jobs for now is asked again, for up to 10 minutes; with ``retry=False`` that is raised.
        Beyond AI Hub's arguments: of the jobs that wait, those of the highest ``priority`` go first; a job is queued when
        all that it ``waits_for`` are done; an attempt may run for ``deadline_s`` seconds; inputs whose
        dimensions the model leaves open get their ``input_shapes``; the profile is held against ``requirements``, such as ``estimated_inference_time <= 33 ms``; with ``keep_artifact`` what compile makes is kept
        (:meth:`~dynolab.client.inference_jobs.InferenceJob.download_artifact`).
        """
        more = more_asked(priority, waits_for, deadline_s, input_shapes, requirements, keep_artifact)
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
        input_shapes: Mapping[str, Sequence[int]] | None = None,
        requirements: Sequence[str] = (),
        keep_artifact: bool = False,
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
                input_shapes=input_shapes,
                requirements=requirements,
                keep_artifact=keep_artifact,
            )
        more = more_asked(priority, waits_for, deadline_s, input_shapes, requirements, keep_artifact)
        data = self.dataset_of(inputs, project)
        asked = {"kind": "inference", "measures": profile, "name": name or "", "options": options, **more}
        return self._submit(
            model, device, {**asked, "dataset_id": data.dataset_id, "project_id": self._in(project)}, retry
        )

    def submit_compare_job(
        self,
        model: Any,
        baseline: Any,
        device: Device | list[Device],
        name: str | None = None,
        options: str = "",
        retry: bool = True,
        project: str | None = None,
        *,
        baseline_options: str | None = None,
        floor: float = DEFAULT_FLOOR,
        limit: float | None = None,
        budget_s: float = DEFAULT_BUDGET_S,
        stages: Sequence[str] = ("inference",),
        memory: bool = True,
        priority: int = 0,
        waits_for: Sequence[Job | str] = (),
        deadline_s: float | None = None,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> Any:
        """Have a model take turns with a baseline on one device, and decide which is slower: a :class:`CompareJob`; on several, a list.

        The baseline is side A, the model side B. ``baseline_options``: those of A; None: the same. Times within the share
        ``floor`` count as alike; with ``limit`` it is decided whether B is slower by more than that share. The job stops when
        the ``stages`` are decided, or after ``budget_s`` seconds. The rest as in :meth:`submit_profile_job`.
        """
        devices = device if isinstance(device, list) else [device]
        own_options = options if baseline_options is None else baseline_options
        for one in devices:
            if isinstance(one, Device):
                self.check_device(one, own_options, baseline)
        base = self._at_hub(baseline, self._in(project))
        comparison = {
            "model_id": base.model_id,
            "options": baseline_options,
            "floor": floor,
            "limit": limit,
            "budget_s": budget_s,
            "stages": list(stages),
            "memory": memory,
        }
        more = more_asked(priority, waits_for, deadline_s, input_shapes, (), False)
        asked = {"kind": "compare", "name": name or "", "options": options, "comparison": comparison, **more}
        return self._submit(model, device, {**asked, "project_id": self._in(project)}, retry)

    def dataset_of(self, inputs: Dataset | DatasetEntries | str, project: str | None = None) -> Dataset:
        """The dataset at the hub: the same, the one of an id, or batches by input name, which are uploaded."""
        if isinstance(inputs, Dataset):
            return inputs
        if isinstance(inputs, Mapping):
            return self.upload_dataset(inputs, project=project)
        return self.get_dataset(inputs)

    def _submit(self, model: Any, device: Device | list[Device], asked: dict[str, Any], retry: bool) -> Any:
        devices = device if isinstance(device, list) else [device]
        if not devices or not all(isinstance(one, Device) for one in devices):
            raise SpecInvalid(f"{device!r} is no device", hint="dynolab.Device(NAME), or one of get_devices()")
        wanted = [self.check_device(one, asked["options"], model) for one in devices]
        found = self._submit_to(model, wanted, asked, retry)
        return found if isinstance(device, list) else found[0]

    def _submit_to(self, model: Any, devices: Sequence[Device], asked: dict[str, Any], retry: bool) -> list[Any]:
        """A job for each device, which was looked at before."""
        source = self._at_hub(model, asked["project_id"])
        return [self._submitted({**asked, "model_id": source.model_id, "device": one.wanted}, retry) for one in devices]

    def _submitted(self, asked: dict[str, Any], retry: bool) -> Any:
        once = {"Idempotency-Key": uuid.uuid4().hex}
        return self.job(self.api.send("POST", "jobs", asked, patient=retry, **once))

    def get_job(self, job_id: str, job_type: JobType | None = None) -> Any:
        """One job. Raises :class:`NotFound`. ``job_type`` is there because AI Hub's has it."""
        return Job.of(self.transport, self.api.get(object_path("jobs", job_id)))

    def get_job_summaries(
        self,
        offset: int = 0,
        limit: int = LIST_DEFAULT,
        creator: str | None = None,
        state: State | list[State] | str | None = None,
        type: JobType | None = None,
        project: str | None = None,
    ) -> list[JobSummary]:
        """What lists show of jobs, newest first; of one creator, in some states, of one kind, of one project."""
        states = hub_states(state)
        kinds = [kind for kind, its_type in AIHUB_KINDS.items() if type in (None, JobType.UNSPECIFIED, its_type)]
        if states == [] or not kinds:
            return []
        wanted = {"creator": creator, "state": states, "project": self._in(project) or None, "kind": kinds}
        found = self.transport.list_documents("jobs", offset, limit, **wanted)
        return [results.summary(one, self.config.pages) for one in found]

    def job(self, document: dict[str, Any]) -> InferenceJob:
        """The job of a reply's document."""
        return cast(InferenceJob, Job.of(self.transport, document))  # all kinds that the client knows are of this class


def more_asked(
    priority: int,
    waits_for: Sequence[Job | str],
    deadline_s: float | None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    requirements: Sequence[str] = (),
    keep_artifact: bool = False,
) -> dict[str, Any]:
    """What a submission says beyond AI Hub's arguments, as far as it says it. Raises :class:`SpecInvalid`."""
    ids = [one.job_id if isinstance(one, Job) else one for one in waits_for]
    required = [requirements] if isinstance(requirements, str) else list(requirements)
    for text in required:
        requirements_module.parse(text)
    found = {
        "priority": priority or None,
        "waits_for": ids or None,
        "deadline_s": deadline_s,
        "input_shapes": {name: list(shape) for name, shape in (input_shapes or {}).items()} or None,
        "requirements": required or None,
        "keeps_artifact": keep_artifact or None,
    }
    return {name: value for name, value in found.items() if value is not None}
