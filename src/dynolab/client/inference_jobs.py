"""Jobs that measure a model or infer from a dataset, and what they leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynolab.client.datasets import Dataset
from dynolab.client.jobs import Job
from dynolab.client.models import Model
from dynolab.client.profile_view import ProfileView
from dynolab.client.results import InferenceJobResult
from dynolab.client.status import JobArtifactType
from dynolab.errors import NotFound, from_dict
from dynolab.report import trace
from dynolab.report.aihub import dictionary
from dynolab.spec import codec
from dynolab.spec.compared_outputs import ComparedOutputs
from dynolab.spec.profiles import Profile

if TYPE_CHECKING:
    from dynolab.jobs._datasets.h5 import Array


class InferenceJob(Job, kinds=("profile", "inference")):
    """A job that measures, or infers from a dataset, or both. As in AI Hub's client, profile jobs are of this class too."""

    @property
    def model(self) -> Model:
        """Its model."""
        return Model.find(self._transport, self._document["model_id"])

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
        return Dataset.find(self._transport, self._document[key]) if self._document[key] else None

    def measured(self) -> Profile:
        """The profile, once it is over. Raises the error that the job failed with."""
        if self.wait().failure:
            raise from_dict(self._document["failure"])
        return self.profile

    @property
    def profile(self) -> ProfileView:
        """The whole profile document, once it is over. Raises :class:`NotFound` when the job left none."""
        found = self.wait()
        if not found.success:
            raise NotFound(f"the job {self.job_id} left no profile: {found.message}")
        document = self._transport.api.get(f"jobs/{self.job_id}/profile")
        return codec.decode(ProfileView, document, f"the profile of {self.job_id}")

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

    def get_available_artifacts(self) -> list[JobArtifactType]:
        """As of any job; what was measured has a timeline as well."""
        measured = self.profiling and self.get_status().success
        return [*super().get_available_artifacts(), *([JobArtifactType.PROFILE_TRACE] if measured else [])]

    def download_artifacts_for_type(self, output_dir: str | Path, artifact_type: JobArtifactType) -> list[str]:
        """The files of one type, in a folder: where they are. Waits for the job. The timeline is for Perfetto or chrome://tracing."""
        if artifact_type is not JobArtifactType.PROFILE_TRACE:
            return super().download_artifacts_for_type(output_dir, artifact_type)
        if not self.wait().success or not self.profiling:
            return []
        folder = Path(output_dir).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.job_id}_profile_trace.json"
        path.write_text(trace.plugin.render([self.profile]), encoding="utf-8")
        return [str(path)]

    def get_output_dataset(self) -> Dataset | None:
        """What it inferred, once it is over; None when it failed or had no dataset."""
        return self.outputs if self.wait().success else None

    def download_output_data(self, filename: str | Path | None = None) -> dict[str, list[Array]] | str | None:
        """The outputs by name, a list of batches each; with a folder or file name, as HDF5 there. None as above."""
        found = self.get_output_dataset()
        return None if found is None else found.download(filename)

    def compare_outputs(self, other: InferenceJob) -> ComparedOutputs:
        """What another job put out for the same inputs, held against this one's: largest error, PSNR, a classifier's answers.

        Waits for both. Raises the error that one failed with, and :class:`~dynolab.errors.Conflict` where one has no outputs.
        """
        for one in (self, other):
            if one.wait().failure:
                raise from_dict(one.document["failure"])
        document = self._transport.api.get(f"jobs/{self.job_id}/compared-outputs", **{"with": other.job_id})
        return codec.decode(ComparedOutputs, document, f"the outputs of {self.job_id} and {other.job_id}")

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
