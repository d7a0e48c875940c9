"""What jobs that make a model have in common."""

from __future__ import annotations

from pathlib import Path

from dynolab.client.jobs import Job
from dynolab.client.models import Model
from dynolab.client.results import MadeJobResult
from dynolab.client.status import JobArtifactType


class MadeJob(Job):
    """A job that makes a model of another one: its target model."""

    _log = JobArtifactType.HUB_LOG

    @property
    def model(self) -> Model:
        """What it is made of."""
        return Model.find(self._transport, self._document["model_id"])

    @property
    def target_model(self) -> Model:
        """What it makes; it has no bytes until the job is done, and may be handed to the next job at once."""
        return Model.find(self._transport, self._document["target_model_id"])

    def get_target_model(self) -> Model | None:
        """What it made, once it is over; None where it failed."""
        return self.target_model if self.wait().success else None

    def download_target_model(self, filename: str | Path | None = None) -> str | None:
        """What it made, into a folder (by default this one) or under a name: where it is. Waits for the job; None where it failed."""
        found = self.get_target_model()
        return None if found is None else found.download(filename or ".")

    def download_results(self, artifacts_dir: str | Path) -> MadeJobResult:
        """Log and target model, as far as they are there, in a folder. Waits for the job."""
        found = super().download_results(artifacts_dir)
        path = self.download_target_model(found.artifacts_dir)
        return MadeJobResult(found.status, found.url, found.artifacts_dir, path)
