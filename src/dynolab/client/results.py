"""What a list says of a job, and what it left, as AI Hub's client gives them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dynolab.client.queue_text import queue_text
from dynolab.client.status import JobStatus, JobType, state_of


@dataclass
class JobResult:
    """What a job left, in a folder."""

    status: JobStatus
    url: str | None
    artifacts_dir: str


@dataclass
class InferenceJobResult(JobResult):
    """Likewise; ``profile`` is AI Hub's dictionary, None where nothing was measured."""

    profile: dict[str, Any] | None = None


@dataclass
class MadeJobResult(JobResult):
    """Likewise; ``target_model`` is where the file of the model that was made lies, None where the job failed."""

    target_model: str | None = None


CompileJobResult = QuantizeJobResult = LinkJobResult = MadeJobResult
"""AI Hub's client has a class for each."""


@dataclass
class JobSummary:
    """A job as a list shows it."""

    job_id: str
    name: str
    date: datetime
    username: str
    status: JobStatus
    job_type: JobType
    url: str
    device_name: str | None


@dataclass
class InferenceJobSummary(JobSummary):
    """Likewise, with its headline figures: time in microseconds, memory in bytes; None until they are measured."""

    profiling: bool = False
    estimated_inference_time: int | None = None
    inference_memory_peak_range: tuple[int, int] | None = None


@dataclass
class CompileJobSummary(JobSummary):
    """A compile job as a list shows it."""


@dataclass
class QuantizeJobSummary(JobSummary):
    """A quantize job as a list shows it."""


@dataclass
class LinkJobSummary(JobSummary):
    """A link job as a list shows it."""


def summary(document: dict[str, Any], pages: str) -> JobSummary:
    """The summary of a hub's document; ``pages`` is where the hub's pages are."""
    if document["kind"] == "compile":
        return CompileJobSummary(**_common(document, pages), job_type=JobType.COMPILE)
    if document["kind"] == "quantize":
        return QuantizeJobSummary(**_common(document, pages), job_type=JobType.QUANTIZE)
    if document["kind"] == "link":
        return LinkJobSummary(**_common(document, pages), job_type=JobType.LINK)
    figures = document["summary"] or {}
    time_ns, memory = figures.get("estimated_inference_time_ns"), figures.get("inference_memory_peak_bytes")
    return InferenceJobSummary(
        **_common(document, pages),
        job_type=JobType.INFERENCE,
        profiling=document["measures"],
        estimated_inference_time=None if time_ns is None else round(time_ns / 1000),
        inference_memory_peak_range=None if memory is None else (memory[0], memory[1]),
    )


def _common(document: dict[str, Any], pages: str) -> dict[str, Any]:
    """What a list shows of jobs of all kinds."""
    return {
        "job_id": document["id"],
        "name": document["name"],
        "date": datetime.fromisoformat(document["created_at"]),
        "username": document["owner"],
        "status": status(document),
        "url": job_url(document["id"], pages),
        "device_name": document["device"]["name"] or None,
    }


def status(document: dict[str, Any]) -> JobStatus:
    """Where the job of a document stands; while it waits, with its place in the queue and about when it begins."""
    failure = document["failure"]
    return JobStatus(
        state_of(document["kind"], document["state"]), failure["message"] if failure else queue_text(document)
    )


def job_url(job_id: str, pages: str) -> str:
    """A job's page."""
    return f"{pages}/jobs/{job_id}/"
