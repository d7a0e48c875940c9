"""dynolab: what a model costs on a real device. Also AI Hub's names: ``import dynolab as hub``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from dynolab.client.client import *  # noqa: F403 - the names are listed there
    from dynolab.client.local import compare, profile
    from dynolab.client.token_end import TokenEndsSoon
    from dynolab.errors import Error, UserError
    from dynolab.spec.duets import Duet
    from dynolab.spec.profiles import Profile

_HUB = "dynolab.client.client"
_CLASSES = [
    *("CompileJob", "CompileJobResult", "CompileJobSummary", "QuantizeJob", "QuantizeJobResult", "QuantizeJobSummary"),
    *("Client", "ClientConfig", "Dataset", "Device", "Framework", "InferenceJob", "InferenceJobResult"),
    *(
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
    ),
    *("ProfileJob", "ProfileJobResult", "ProfileJobSummary", "QuantizeDtype", "SourceModelType"),
]
_FUNCTIONS = [
    *("get_dataset", "get_datasets", "get_device_attributes", "get_devices", "get_frameworks", "get_job"),
    *("get_job_summaries", "get_model", "get_models", "set_session_token", "set_verbose"),
    *("submit_compile_and_link_jobs", "submit_compile_and_profile_jobs", "submit_compile_job", "submit_inference_job"),
    *("submit_link_job", "submit_profile_job", "submit_quantize_job", "upload_dataset", "upload_model"),
]
_HOMES = {
    "Duet": "dynolab.spec.duets",
    "Error": "dynolab.errors",
    "Profile": "dynolab.spec.profiles",
    "TokenEndsSoon": "dynolab.client.token_end",
    "UserError": "dynolab.errors",
    "compare": "dynolab.client.local",
    "profile": "dynolab.client.local",
}
__all__ = ["Duet", "Error", "Profile", "TokenEndsSoon", "UserError", "compare", "profile", *_CLASSES, *_FUNCTIONS]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first used: ``import dynolab`` itself stays light."""
    if name == "__version__":
        return import_module("importlib.metadata").version("dynolab")
    if name not in __all__:
        raise AttributeError(f"module 'dynolab' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, _HUB)), name)


def __dir__() -> list[str]:
    return __all__
