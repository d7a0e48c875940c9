"""Jobs that have two models take turns on a device, and what they find."""

from __future__ import annotations

import json
from pathlib import Path

from dynolab.client.jobs import Job
from dynolab.client.models import Model
from dynolab.client.results import JobResult
from dynolab.errors import NotFound
from dynolab.spec import codec
from dynolab.spec.duets import Duet


class CompareJob(Job, kinds=("compare",)):
    """A job that decides whether its model, side B, is slower or larger than another, the baseline, side A."""

    @property
    def model(self) -> Model:
        """The model that is judged: side B."""
        return Model.find(self._transport, self._document["model_id"])

    @property
    def baseline(self) -> Model:
        """What it is compared with: side A."""
        return Model.find(self._transport, self._document["comparison"]["model_id"])

    @property
    def comparison(self) -> Duet:
        """The answers with all values, once it is over. Raises :class:`NotFound` when the job left none."""
        found = self.wait()
        if not found.success:
            raise NotFound(f"the job {self.job_id} left no comparison: {found.message}")
        document = self._transport.api.get(f"jobs/{self.job_id}/comparison")
        return codec.decode(Duet, document, f"the comparison of {self.job_id}")

    def download_comparison(self, filename: str | Path) -> str:
        """The same as JSON there, or in that folder: where it is. Waits for the job."""
        path = Path(filename).expanduser()
        if path.is_dir():
            path /= f"{self.name}_{self.job_id}_comparison.json"
        path.write_text(json.dumps(codec.encode(self.comparison), indent=1) + "\n", encoding="utf-8")
        return str(path)

    def download_results(self, artifacts_dir: str | Path) -> JobResult:
        """Log and comparison, as far as they are there, in a folder. Waits for the job."""
        found = super().download_results(artifacts_dir)
        if found.status.success:
            self.download_comparison(artifacts_dir)
        return found
