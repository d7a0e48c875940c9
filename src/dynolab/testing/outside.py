"""An outside distribution for tests: a module and its metadata in a folder, as an installer would leave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

SCALE = """\
import numpy as np
from dynolab.errors import ModelInvalid
from dynolab.formats import Format, Mark
from dynolab.runtimes.base import Runtime, Session, check_units
from dynolab.spec.measurements import ComputeUnit, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.tensors import TensorSpec

X = (TensorSpec("x", "float32", (1, 64)),)
format = Format("scale", endings=(".scl",), title="Scale", marks=(Mark(b"SCALE "),), beside=(".wgt",))

class Product(Session):
    inputs, outputs = X, (TensorSpec("y", "float32", (1, 64)),)
    def __init__(self, factor): self._factor = factor
    def bind(self, inputs, outputs): self._x, self._y = inputs["x"], np.zeros((1, 64), np.float32)
    def runner(self): return lambda: np.multiply(self._x, self._factor, out=self._y)
    def fetch(self): return {"y": self._y}
    def effective(self): return {"threads": "1"}

class Scale(Runtime):
    name, formats, distributions = "scale", (ModelFormat("scale"),), ("dynolab-scale",)
    units = (ComputeUnit.CPU,)
    row = RuntimeRow(artifact=None, wiped="nothing: there are no caches", lazy="nothing")
    def import_library(self): pass
    def describe(self, target): return Description(X, Product.outputs)
    def load(self, target):
        check_units(target.options, self.units, self.name)
        return Product(np.float32(target.model.with_suffix(".wgt").read_text()))

plugin = Scale()
"""
"""A module with a runtime, and a format of its own: a number in a file beside the model's, by which the input is multiplied."""


def distribution(
    folder: Path, name: str, source: str, points: Mapping[str, Mapping[str, str]], requires: Sequence[str] = ()
) -> Path:
    """The folder, which belongs on PYTHONPATH then; ``points`` are entry points by group, as in ``pyproject.toml``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name.replace('-', '_')}.py").write_text(source, encoding="utf-8")
    metadata = folder / f"{name.replace('-', '_')}-0.1.dist-info"
    metadata.mkdir()
    told = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n", *(f"Requires-Dist: {one}\n" for one in requires)]
    (metadata / "METADATA").write_text("".join(told), encoding="utf-8")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()) for group, values in points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder
