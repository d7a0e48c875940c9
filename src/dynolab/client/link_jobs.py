"""Jobs that make one file of several models, and what they leave."""

from __future__ import annotations

from dynolab.client.made_jobs import MadeJob
from dynolab.client.models import Model
from dynolab.errors import NotFound
from dynolab.spec import codec
from dynolab.spec.links import Linked


class LinkJob(MadeJob, kinds=("link",)):
    """A job that makes one file of several models, each a graph of it."""

    @property
    def models(self) -> list[Model]:
        """What it is made of, in order."""
        ids = [self._document["model_id"], *(one["id"] for one in self._document["linked_models"])]
        return [Model.find(self._transport, one) for one in ids]

    @property
    def linked(self) -> Linked:
        """What is told of the file, once it is there. Raises :class:`NotFound` when the job failed."""
        found = self.wait()
        if not found.success:
            raise NotFound(f"the job {self.job_id} left no linked model: {found.message}")
        document = self._transport.api.get(f"jobs/{self.job_id}/linked")
        return codec.decode(Linked, document, f"the linked model of {self.job_id}")
