"""PyTorch's model files, opened without unpickling anything but tensors and plain values."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dynolab.errors import ModelInvalid, ModelNotSupported
from dynolab.spec.models import ModelFormat

_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
}  # fmt: skip
_SAVE = {
    ModelFormat.TORCHSCRIPT: "save it with torch.jit.save(torch.jit.trace(model, example), 'model.pt')",
    ModelFormat.EXPORTED_PROGRAM: "save it with torch.export.save(torch.export.export(model, (example,)), 'model.pt2')",
}


_UNREADABLE = (
    RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, NotImplementedError, OSError,
    zipfile.BadZipFile,
)  # fmt: skip
"""What ``torch.export.load`` raises for a program that makes no sense."""
_REFUSALS = ("SerializeError", "SpecViolationError")
"""Of PyTorch's own private modules: the latter for a program that calls what is no operator (torch 2.13)."""


@contextmanager
def quiet() -> Iterator[None]:
    """PyTorch warns of its own deprecations, which its callers can do nothing about."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        yield


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def names_in(path: Path, kind: ModelFormat) -> list[str]:
    """The archive's entries, once it is clear that it is of this kind. Raises :class:`ModelInvalid` for all else.

    A plain pickle is refused here, unopened, and so is an archive with native code, which ``torch.export.load`` would
    load as a library.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelInvalid(
            f"{path.name} is no PyTorch archive ({error}); it was not opened", hint=_SAVE[kind]
        ) from error
    if any("/data/aotinductor/" in name for name in names):
        raise ModelInvalid(
            f"{path.name} holds compiled native code, which is never loaded from a model", hint=_SAVE[kind]
        )
    if kind == ModelFormat.TORCHSCRIPT:
        known = any(name.endswith("/constants.pkl") for name in names)
    else:
        known = any("/models/" in name or name == "serialized_exported_program.json" for name in names)
    if not known:
        raise ModelInvalid(f"{path.name} is an archive, but holds no {kind}; it was not opened", hint=_SAVE[kind])
    return names


def open_torchscript(path: Path, device: str, *, known: bool = False) -> Any:
    """The module, ready for inference. TorchScript is read by PyTorch's C++ reader, which runs no Python pickle.

    ``known``: an earlier process saw that the file is of this kind, so that a load that is measured need not.
    """
    import torch

    if not known:
        names_in(path, ModelFormat.TORCHSCRIPT)
    try:
        with quiet():
            return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        if "Unknown builtin op" in str(error):
            operator = str(error).split("Unknown builtin op:")[1].split()[0].rstrip(".")
            raise ModelNotSupported(f"PyTorch has no operator {operator}, which {path.name} uses") from error
        raise ModelInvalid(f"PyTorch cannot read {path.name}: {useful(error)}") from error


def open_program(path: Path, *, known: bool = False) -> Any:
    """The exported program; pickled objects inside are held to tensors and plain values. ``known`` as above.

    ``torch.export.load`` alone falls back to unpickling anything (torch 2.13, ``deserialize_torch_artifact``), unless
    this variable forbids it. A program may still name any function below ``torch``: it is as trusted as a script.
    """
    import torch

    if not known:
        names_in(path, ModelFormat.EXPORTED_PROGRAM)
    try:
        with quiet(), environment(TORCH_FORCE_WEIGHTS_ONLY_LOAD="1"):
            return torch.export.load(path)
    except pickle.UnpicklingError as error:
        raise ModelInvalid(f"{path.name} holds pickled objects that are no tensors; they were not opened") from error
    except _UNREADABLE as error:
        raise ModelInvalid(f"PyTorch cannot read {path.name}: {useful(error)}") from error
    except Exception as error:  # of classes that torch does not export, known by their names; all others go on
        if type(error).__name__ not in _REFUSALS:
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:400]
        raise ModelInvalid(f"PyTorch cannot read {path.name}: {reason}") from error


def useful(error: Exception) -> str:
    """The last line of PyTorch's message, which is the reason; those before tell the way there (at most 400 signs)."""
    text = str(error).split("This is an internal miniz error")[0].strip()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:400] if lines else type(error).__name__


def entry(path: Path, ending: str) -> bytes | None:
    """The content of the archive's first entry whose name ends so."""
    with zipfile.ZipFile(path) as archive:
        found = next((name for name in archive.namelist() if name.endswith(ending)), None)
        return archive.read(found) if found is not None else None


def traced_inputs(path: Path) -> list[tuple[str, tuple[int, ...] | None]]:
    """Element types and shapes that ``forward`` was traced with; empty for a scripted model."""
    content = entry(path, "/traced_inputs.pkl")
    if content is None:
        return []
    try:
        document = _ShapeReader(content).load()
        return [value if isinstance(value, tuple) else ("float32", None) for value in document["forward"]]
    except (pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError, AttributeError, IndexError):
        return []


class _ShapeReader(pickle.Unpickler):
    """Reads the pickle of a tracing's inputs; it can build (type, shape) pairs, lists and dicts, and nothing else."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content))

    def find_class(self, module: str, name: str) -> Callable[..., object] | str:
        """Stand-ins for the few names that such a pickle uses; any other is refused."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        known: Mapping[tuple[str, str], Callable[..., object]] = {
            ("torch._utils", "_rebuild_tensor_v2"): lambda storage, _offset, sizes, *_: (storage, tuple(sizes)),
            ("torch.jit._pickle", "restore_type_tag"): lambda value, _tag: value,
            ("collections", "OrderedDict"): dict,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is not a part of a tracing's inputs")
        return known[module, name]

    def persistent_load(self, pid: Any) -> object:
        """Element type of a storage."""
        return pid[1]
