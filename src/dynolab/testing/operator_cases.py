"""ONNX's own operator models, out of the package ``onnx``: each in a folder with its inputs and the outputs that are expected."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.runtimes._elements import element_name, plain

MODEL, NOTES = "model.onnx", "case.json"
STORED = ("simple", "pytorch-converted", "pytorch-operator")
"""Folders of the package's test data that hold models with inputs and outputs; those of ``node`` are made by its code."""
LIGHT = "light"
"""Real networks with constant weights, and their outputs for a ramp from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case in its folder. A value that is no tensor (a sequence, a missing optional one) has no file."""

    folder: Path
    name: str
    rtol: float
    atol: float
    inputs: Mapping[str, str | None]
    """By name the .npy file, in the model's order."""
    outputs: Mapping[str, tuple[str, str] | None]
    """By name the element type and the .npy file, in the model's order."""

    @property
    def model(self) -> Path:
        """The model's file."""
        return self.folder / MODEL


@dataclass(frozen=True, slots=True)
class _Found:
    """A case as the package has it."""

    name: str
    model: Any
    inputs: Mapping[str, Any]
    outputs: Sequence[Any]
    rtol: float
    atol: float


def read(folder: Path) -> Case:
    """The case that :func:`write` put there."""
    notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    outputs = {name: tuple(found) if found else None for name, found in notes.pop("outputs").items()}
    return Case(folder, outputs=outputs, **notes)


def write(folder: Path) -> Iterator[Path]:
    """A folder for each case there is."""
    for found in (*_light(), *_made(), *_stored()):
        yield _written(folder / found.name, found)


def write_some(folder: Path, names: Mapping[str, Collection[str]]) -> Iterator[Path]:
    """A folder for each of these cases, by the module of ``onnx.backend.test.case.node`` that makes them: quicker than all."""
    wanted = {name for some in names.values() for name in some}
    for found in _made(names):
        if found.name.partition("/")[2] in wanted:
            yield _written(folder / found.name, found)


def _made(modules: Collection[str] = ()) -> Iterator[_Found]:
    from onnx.backend.test.case import node
    from onnx.backend.test.loader import load_node_model_tests

    for module in modules:
        import_module(f"{node.__name__}.{module}")
    for case in node._NodeTestCases if modules else load_node_model_tests():
        given, outputs = ([_value(one) for one in side] for side in case.data_sets[0])
        inputs = {value.name: array for value, array in zip(case.model.graph.input, given, strict=False)}
        yield _Found(f"node/{case.name}", case.model, inputs, outputs, case.rtol, case.atol)


def _stored() -> Iterator[_Found]:
    import onnx
    from onnx.backend.test.loader import DATA_DIR, load_model_tests

    for kind in STORED:
        for case in sorted(load_model_tests(kind=kind), key=lambda one: one.name):
            place = Path(DATA_DIR, kind, case.name)
            model, data = onnx.load(str(place / "model.onnx")), place / "test_data_set_0"
            inputs = {value.name: _loaded(data / f"input_{i}.pb", value) for i, value in enumerate(model.graph.input)}
            outputs = [_loaded(data / f"output_{i}.pb", value) for i, value in enumerate(model.graph.output)]
            yield _Found(f"{kind}/{case.name}", model, inputs, outputs, case.rtol, case.atol)


def _light() -> Iterator[_Found]:
    import onnx
    from onnx.backend.test.loader import DATA_DIR, load_model_tests

    for case in sorted(load_model_tests(kind="real"), key=lambda one: one.name):
        path = Path(DATA_DIR, LIGHT, Path(case.url).name)
        model = onnx.load(str(path))
        weights = {tensor.name for tensor in model.graph.initializer}
        fed = next(value for value in model.graph.input if value.name not in weights)
        shape = tuple(dim.dim_value or 1 for dim in fed.type.tensor_type.shape.dim)
        ramp = np.arange(np.prod(shape), dtype=np.float64).reshape(shape) / np.prod(shape)
        output = _loaded(path.with_name(f"{path.stem}_output_0.pb"), model.graph.output[0])
        yield _Found(
            f"{LIGHT}/{case.model_name}", model, {fed.name: ramp.astype(np.float32)}, [output], case.rtol, case.atol
        )


def _loaded(path: Path, declared: Any) -> Any:
    """The array in a file of the package, or None where it is no tensor or there is none."""
    import onnx

    if declared.type.WhichOneof("value") != "tensor_type" or not path.exists():
        return None
    return _value(onnx.TensorProto.FromString(path.read_bytes()))


def _value(found: Any) -> Any:
    import onnx

    return onnx.numpy_helper.to_array(found) if isinstance(found, onnx.TensorProto) else found


def _written(folder: Path, found: _Found) -> Path:
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(found.model.SerializeToString())
    graph = found.model.graph
    weights = {tensor.name for tensor in graph.initializer}
    fed = [(name, array) for name, array in found.inputs.items() if name not in weights]
    given = zip(graph.output, found.outputs, strict=False)
    notes = {
        "name": found.name,
        "rtol": found.rtol,
        "atol": found.atol,
        "inputs": {name: _kept(folder / f"input-{i}.npy", array) for i, (name, array) in enumerate(fed)},
        "outputs": {value.name: _expected(folder / f"output-{i}.npy", array) for i, (value, array) in enumerate(given)},
    }
    (folder / NOTES).write_text(json.dumps(notes), encoding="utf-8")
    return folder


def _expected(path: Path, array: Any) -> tuple[str, str] | None:
    name = _kept(path, array)
    return (element_name(array), name) if name is not None else None


def _kept(path: Path, value: Any) -> str | None:
    if not isinstance(value, np.ndarray | np.generic):
        return None
    np.save(path, plain(np.asarray(value)))
    return path.name
