"""dynolab: what a model costs on a real device. Also AI Hub's names: ``import dynolab as hub``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from dynolab.client.client import Client, Dataset, Device, InferenceJob, InternalError, Job, Model, ProfileJob
    from dynolab.errors import Error, UserError
    from dynolab.jobs.profile import profile
    from dynolab.spec.profiles import Profile

_HUB = "dynolab.client.client"
_FUNCTIONS = [
    "get_dataset",
    "get_datasets",
    "get_device_attributes",
    "get_devices",
    "get_job",
    "get_job_summaries",
    "get_model",
    "get_models",
    "set_verbose",
    "submit_inference_job",
    "submit_profile_job",
    "upload_dataset",
    "upload_model",
]
_HOMES = {"Error": "dynolab.errors", "Profile": "dynolab.spec.profiles", "UserError": "dynolab.errors"} | {
    "profile": "dynolab.jobs.profile"
}
__all__ = ["Client", "Dataset", "Device", "Error", "InferenceJob", "InternalError", "Job", "Model"]
__all__ += ["Profile", "ProfileJob", "UserError", "profile", *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: ``import dynolab`` itself stays light."""
    if name == "__version__":
        return import_module("importlib.metadata").version("dynolab")
    if name not in __all__:
        raise AttributeError(f"module 'dynolab' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, _HUB)), name)


def __dir__() -> list[str]:
    return __all__
