"""The client itself, and AI Hub's functions over the one that the settings describe."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from dynolab.client.compare_jobs import CompareJob
from dynolab.client.compile_jobs import CompileJob
from dynolab.client.datasets import Dataset
from dynolab.client.devices import Device, Framework
from dynolab.client.inference_jobs import InferenceJob, ProfileJob
from dynolab.client.jobs import Job
from dynolab.client.link_jobs import LinkJob
from dynolab.client.models import Model, SourceModelType
from dynolab.client.quantize_jobs import QuantizeDtype, QuantizeJob
from dynolab.client.results import (
    CompileJobResult,
    CompileJobSummary,
    InferenceJobResult,
    InferenceJobSummary,
    JobResult,
    JobSummary,
    LinkJobResult,
    LinkJobSummary,
    QuantizeJobResult,
    QuantizeJobSummary,
)
from dynolab.client.settings import ClientConfig
from dynolab.client.status import JobArtifactType, JobStatus, JobType
from dynolab.client.toolchains import Toolchains
from dynolab.errors import Bug as InternalError

ProfileJobResult, ProfileJobSummary = InferenceJobResult, InferenceJobSummary
"""AI Hub's client has had one class for both since 0.56."""


class Client(Toolchains):
    """A hub, by its address and token (default: the configured one).

    ``profile`` names another settings file beside the usual one; ``client_mode`` is there because AI Hub's has it.
    """


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
    "CompareJob",
    "CompileJob",
    "CompileJobResult",
    "CompileJobSummary",
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
    "LinkJob",
    "LinkJobResult",
    "LinkJobSummary",
    "Model",
    "ProfileJob",
    "ProfileJobResult",
    "ProfileJobSummary",
    "QuantizeDtype",
    "QuantizeJob",
    "QuantizeJobResult",
    "QuantizeJobSummary",
    "SourceModelType",
]
