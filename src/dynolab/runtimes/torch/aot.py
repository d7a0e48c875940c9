"""AOTInductor: an exported program becomes a package of native code, and is loaded from it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.torch import files
from dynolab.runtimes.torch import model_facts as facts

INPUTS_KEY = "dynolab_inputs"
"""Entry of the package's metadata with its inputs' names and element types in order: AOTInductor keeps none."""
COMPILERS = ("g++", "clang++", "c++")


def compiler_missing() -> str | None:
    """Why inductor would find no C++ compiler, with the way out, or None."""
    candidates = (os.environ.get("CXX", ""), *COMPILERS)
    if any(name and shutil.which(name) for name in candidates):
        return None
    return "AOTInductor needs a C++ compiler, and there is none on this machine: apt-get install g++, or set CXX"


def build(
    program: Any, package: Path, cache: Path, name: str, *, inputs: Sequence[str] = (), max_autotune: bool = False
) -> None:
    """Write the package, in this process and its children; the number of threads is compiled in on a CPU.

    ``inputs``: other names for the program's, in its order. Raises :class:`ModelNotSupported` with PyTorch's reason; ``name``
    is the model's in it.
    """
    import torch
    from torch import _inductor as inductor

    own = facts.user_tensors(program)
    names = inputs or [one for one, _ in own]
    kept = [[one, str(value.dtype).removeprefix("torch.")] for one, (_, value) in zip(names, own, strict=True)]
    settings: dict[str, Any] = {
        "max_autotune": max_autotune,
        "compile_threads": 1,
        "aot_inductor.metadata": {INPUTS_KEY: json.dumps(kept)},
    }
    try:
        with files.quiet(), torch.no_grad(), files.environment(TORCHINDUCTOR_CACHE_DIR=str(cache)):
            inductor.aoti_compile_and_package(program, package_path=str(package), inductor_configs=settings)
    except RuntimeError as error:
        raise ModelNotSupported(f"AOTInductor cannot compile {name}: {files.useful(error)}") from error


def open_package(package: Path, cache: Path, device_index: int) -> tuple[Any, list[tuple[str, str]]]:
    """The package, and name and element type of its inputs in order. -1 is the CPU."""
    from torch import _inductor as inductor

    with files.quiet(), files.environment(TORCHINDUCTOR_CACHE_DIR=str(cache)):
        found = inductor.aoti_load_package(str(package), device_index=device_index)
    return found, [(name, dtype) for name, dtype in json.loads(found.get_metadata()[INPUTS_KEY])]
