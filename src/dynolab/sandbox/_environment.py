"""The environment of a confined process: an allow list, and nothing of the rest."""

from __future__ import annotations

import os
import site
from collections.abc import Mapping
from pathlib import Path

TUNING = (
    "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "PYTHONMALLOC", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_",
    "VECLIB_", "NUMEXPR_", "DNNL_", "ONEDNN_", "ORT_", "OV_", "OPENVINO_", "TORCH", "XNNPACK", "TF_NUM_", "TF_ENABLE_", "TF_XLA_", "CUDA_", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE",
)  # fmt: skip
"""Beginnings of the names of variables that change how memory is kept or how many threads compute."""
SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD")
"""A variable with one of these in its name is never passed on or recorded, however it begins."""
_PASSED = (
    "PATH", "LANG", "LANGUAGE", "LC_", "TZ", "LD_LIBRARY_PATH", "CXX", "CPATH", "LIBRARY_PATH", "CPLUS_INCLUDE_PATH",
    "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HSA_", "ZE_", "ONEAPI_", "NEO", "OCL_", "QNN_", "ADSP_LIBRARY_PATH",
    "PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE", "VIRTUAL_ENV",
    "SYSTEMROOT",
)  # fmt: skip
"""Beginnings of what programs need to be found and to speak, and Python to import what we import."""
_OWN = (
    "HOME", "USER", "LOGNAME", "XDG_", "TMPDIR", "DYNOLAB_WORKSPACE", "DYNOLAB_STATE", "DYNOLAB_LOCKS", "DYNOLAB_SANDBOX",
    "DYNOLAB_NO_CGROUP", "DYNOLAB_OFFER_NULL",
)  # fmt: skip
"""Beginnings of what dynolab's own processes on a device need besides: where their folders are, and how they measure."""
CONNECTING = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
"""What an agent needs to reach its hub; a proxy's address may hold a password."""
_UNLESS_GIVEN = {"OPENBLAS_THREAD_TIMEOUT": "20"}
"""How many cycles, as a power of two, OpenBLAS's threads spin before they sleep. numpy's own OpenBLAS starts one for each further core
when it is imported; with OpenBLAS's 2**26 each spins for 10 to 50 ms at every start of a process, for work that does not come. 2**20 is under
a millisecond, longer than the pause between two calls of a loop. Builds for OpenMP, such as torch's, do not read it (OpenBLAS: USAGE.md)."""
_FIXED = {"USER": "dynolab", "LOGNAME": "dynolab", "ORT_DISABLE_TELEMETRY": "1"}


def is_tuning(name: str) -> bool:
    """Whether a variable changes memory or threads, and bears no secret's name."""
    return name.startswith(TUNING) and not is_secret(name)


def is_secret(name: str) -> bool:
    """Whether a variable's name tells of a secret."""
    return any(word in name.upper() for word in SECRETS)


def scrubbed(scratch: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment to start a confined process with; its home and its temporary files lie in ``scratch``."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(_PASSED) and not is_secret(name)}
    kept |= {name: value for name, value in os.environ.items() if is_tuning(name)}
    places = {"HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp"), "PYTHONUSERBASE": site.getuserbase()}
    return {**_UNLESS_GIVEN, **kept, **_FIXED, **places, **extra}


def own_environment(*more: str) -> dict[str, str]:
    """The environment for dynolab's own processes on a device, which start the confined ones: an allow list, too.

    ``more``: names that this one needs besides, in small letters as well. Tokens, keys and a database's address stay behind.
    """
    wanted = {*more, *(name.lower() for name in more)}
    return {
        name: value
        for name, value in os.environ.items()
        if name in wanted or is_tuning(name) or (name.startswith((*_PASSED, *_OWN)) and not is_secret(name))
    }
