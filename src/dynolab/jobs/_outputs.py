"""What two inference jobs put out, held against each other by a confined process: their files are anybody's."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager
from pathlib import Path

from dynolab.connections.local import own_folder
from dynolab.errors import SpecInvalid
from dynolab.jobs import _confined as confined
from dynolab.jobs import _toolchain_child as shared
from dynolab.spec import codec
from dynolab.spec.compared_outputs import ComparedOutputs
from dynolab.spec.verifies import AtLeast

_CHILD = ("-P", "-m", "dynolab.jobs._outputs_child")
MAX_S = 120.0
MEMORY_FACTOR, MEMORY_LEAST_BYTES = 6, 512 << 20
"""Both datasets, what their values are as float64, and the differences."""


def outputs_folder() -> AbstractContextManager[Path]:
    """A folder for two files to compare; what a process that was killed left of one is removed by the next."""
    return own_folder("outputs-")


def compare_outputs(a: Path, b: Path, *, at_least: AtLeast, max_bytes: int) -> ComparedOutputs:
    """What stands in B's file against what stands in A's, both .h5 files of outputs.

    Raises :class:`SpecInvalid` for what is none, or is not of the same inputs, and :class:`~dynolab.errors.TooLarge` past
    ``max_bytes`` of both.
    """
    with own_folder("compare-outputs-") as folder, Path(os.devnull).open("rb") as nothing:
        order = {
            "a": str(a.resolve()),
            "b": str(b.resolve()),
            "max_bytes": max_bytes,
            "at_least": codec.encode(at_least),
        }
        (folder / shared.ORDER_FILE).write_text(json.dumps(order), encoding="utf-8")
        answer = confined.ask(
            _CHILD,
            ["outputs"],
            nothing,
            folder,
            readable=[a.resolve(), b.resolve()],
            max_s=MAX_S,
            max_bytes=max(MEMORY_LEAST_BYTES, MEMORY_FACTOR * max_bytes),
            kind=SpecInvalid,
            hint="download both datasets, and look at them",
        )
    return codec.decode(ComparedOutputs, answer, "what was found of two jobs' outputs")
