"""The process that compiles one model, confined: it runs a toolchain, then both models on the same inputs.

Started by ``compile``; ``order.json`` in its folder says what is wanted.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic_ns

from dynolab.errors import Error, ModelNotSupported
from dynolab.jobs import _confined as confined
from dynolab.spec import codec
from dynolab.spec.compile_options import parse
from dynolab.spec.compiles import COMPILED_SCHEMA, Compiled, InputSpec, OutputCheck
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.tensors import TensorSpec
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains.base import Made, Order, Toolchain, toolchain_named

ORDER_FILE, MADE_FOLDER, SCRATCH_FOLDER = "order.json", "made", "scratch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the process is asked for."""

    name: str
    model: str
    format: ModelFormat
    file_bytes: int
    options: str
    input_specs: dict[str, InputSpec] = field(default_factory=dict)
    seed: int = 0
    notices: tuple[Notice, ...] = ()
    python: str | None = None
    """Of the toolchain's own environment."""


def compile_one(folder: Path, wanted: Wanted, begun_ns: int) -> Compiled:
    """The compiled model's document; its files are left in the folder. Raises what the toolchain raises."""
    options = parse(wanted.options)
    toolchain = toolchain_named(options.target)
    order = Order(
        model=Path(wanted.model),
        format=wanted.format,
        file_bytes=wanted.file_bytes,
        folder=folder / MADE_FOLDER,
        scratch=folder / SCRATCH_FOLDER,
        options=options,
        input_specs=wanted.input_specs,
        python=None if wanted.python is None else Path(wanted.python),
    )
    for place in (order.folder, order.scratch):
        place.mkdir()
    made = toolchain.compile(order)
    time_ns, peak_bytes = monotonic_ns() - begun_ns, _peak_bytes()
    files = sorted(path for path in order.folder.rglob("*") if path.is_file())
    compiled = Compiled(
        schema=COMPILED_SCHEMA,
        target=toolchain.name,
        name=wanted.name,
        entry=made.entry,
        files=tuple(FileFact(str(path.relative_to(order.folder)), path.stat().st_size) for path in files),
        inputs=made.inputs,
        outputs=made.outputs,
        source=made.source,
        compiled=made.compiled,
        tools=toolchain.versions(wanted.format),
        options=wanted.options,
        time_ns=time_ns,
        peak_bytes=peak_bytes,
        notices=(*wanted.notices, *made.notices),
    )
    try:
        return replace(compiled, checks=_checks(toolchain, order, made, wanted.seed))
    except MemoryError:
        return replace(compiled, check_reason="both models at once take more memory than this process may use")
    except Exception as error:  # noqa: BLE001 - the model is made: why its numbers are not known is an answer, too
        reason = error.message if isinstance(error, Error) else f"{type(error).__name__}: {error}"
        return replace(compiled, check_reason=reason.strip().splitlines()[0][:400] if reason.strip() else "no reason")


def _peak_bytes() -> int:
    """The most memory that this process held resident, or one that it started and that ended."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _checks(toolchain: Toolchain, order: Order, made: Made, seed: int) -> tuple[OutputCheck, ...]:
    inputs = numbers.seeded([_sized(one, order.input_specs) for one in made.inputs], seed)
    before = toolchain.reference(order, made, inputs)
    after = toolchain.run(order, made, inputs)
    return numbers.compare(made.output_names, before, after)


def _sized(spec: TensorSpec, asked: Mapping[str, InputSpec]) -> TensorSpec:
    """With the sizes that were asked for, where the compiled model leaves them open."""
    sizes = asked[spec.name].shape if spec.name in asked else ()
    pairs = list(zip(spec.shape, sizes, strict=False))
    fits = len(spec.shape) == len(sizes) and all(not isinstance(own, int) or own == size for own, size in pairs)
    return replace(spec, shape=sizes) if fits else spec


def main(arguments: list[str], begun_ns: int) -> int:
    """``NAME FOLDER``: compile as the folder's order says; the answer goes there as well."""
    name, folder = arguments[0], Path(arguments[1])
    wanted = codec.decode(Wanted, json.loads((folder / ORDER_FILE).read_text(encoding="utf-8")))
    return confined.answer(folder, lambda: codec.encode(compile_one(folder, wanted, begun_ns)), name, ModelNotSupported)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], monotonic_ns()))
