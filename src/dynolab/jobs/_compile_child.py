"""The process that compiles one model, confined: it runs a toolchain, then both models on the same inputs.

Started by ``compile``; ``order.json`` in its folder says what is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic_ns

from dynolab.jobs import _toolchain_child as shared
from dynolab.jobs import _verify_layers as layers
from dynolab.spec.chipsets import chipset_named
from dynolab.spec.compile_options import parse
from dynolab.spec.compiles import COMPILED_SCHEMA, POOR_PSNR_DB, Compiled, InputSpec, Numbers, OutputCheck
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import parse as parse_options
from dynolab.spec.tensors import TensorSpec
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains._layer_values.base import layer_values_of
from dynolab.toolchains.base import RUNTIMES, Array, Made, Order, Toolchain, toolchain_named

COMPUTED_BY = {**RUNTIMES, ModelFormat.OPENVINO_IR: "openvino"}
"""Who computes a compiled model for the comparison."""


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
    chipset: str = ""
    timeout_s: float = 0.0
    """After which the process is ended."""


def compile_one(folder: Path, wanted: Wanted, begun_ns: int) -> Compiled:
    """The compiled model's document; its files are left in the folder. Raises what the toolchain raises."""
    options = parse(wanted.options)
    toolchain = toolchain_named(options.target)
    made_folder, scratch = shared.folders(folder)
    order = Order(
        model=Path(wanted.model),
        format=wanted.format,
        file_bytes=wanted.file_bytes,
        folder=made_folder,
        scratch=scratch,
        options=options,
        input_specs=wanted.input_specs,
        python=None if wanted.python is None else Path(wanted.python),
        chipset=chipset_named(wanted.chipset) if wanted.chipset else None,
        ends_ns=begun_ns + int(wanted.timeout_s * 1e9),
    )
    made = toolchain.compile(order)
    time_ns, peak_bytes = shared.spent(begun_ns)
    files = shared.files(made_folder)
    beside = tuple(one for one in files if made.beside and Path(one.path).is_relative_to(made.beside))
    compiled = Compiled(
        schema=COMPILED_SCHEMA,
        target=toolchain.name,
        name=wanted.name,
        entry=made.entry,
        files=tuple(one for one in files if one not in beside),
        inputs=made.inputs,
        outputs=made.outputs,
        source=made.source,
        compiled=made.compiled,
        tools=toolchain.versions(wanted.format),
        options=wanted.options,
        time_ns=time_ns,
        peak_bytes=peak_bytes,
        notices=(*wanted.notices, *made.notices),
        quantizations=made.quantizations,
        npu=made.npu,
        beside=beside,
    )
    checks, reason = shared.compared(lambda: _checks(toolchain, order, made, wanted.seed))
    compiled = replace(compiled, checks=checks or (), check_reason=reason)
    if compiled.numbers is Numbers.POOR:
        parting, _ = shared.compared(lambda: _parting(order, made, wanted.seed))
        compiled = replace(compiled, notices=(*compiled.notices, *([parting] if parting is not None else [])))
    return compiled


def _parting(order: Order, made: Made, seed: int) -> Notice | None:
    """Where the numbers part, if both models tell; the compiled one is computed in float32, as for the comparison."""
    sides = (RUNTIMES.get(order.format, ""), order.format), (COMPUTED_BY.get(made.format, ""), made.format)
    source, compiled = (layer_values_of(*side) for side in sides)
    if source is None or compiled is None:
        return None
    exact = parse_options('--openvino_options "inference_precision=f32"')
    opened = source.open(order.model, order.format, exact), compiled.open(order.folder / made.entry, made.format, exact)
    return layers.parting(opened, [_inputs(order, made, seed)], POOR_PSNR_DB)


def _inputs(order: Order, made: Made, seed: int) -> dict[str, Array]:
    sized = [_sized(one, order.input_specs) for one in made.inputs]
    return numbers.seeded(sized, seed, {one.name for one in made.quantizations})


def _checks(toolchain: Toolchain, order: Order, made: Made, seed: int) -> tuple[OutputCheck, ...]:
    inputs = _inputs(order, made, seed)
    before = toolchain.reference(order, made, inputs)
    after = toolchain.run(order, made, inputs)
    return numbers.compare(made.output_names, before, after)


def _sized(spec: TensorSpec, asked: Mapping[str, InputSpec]) -> TensorSpec:
    """With the sizes that were asked for, where the compiled model leaves them open."""
    sizes = asked[spec.name].shape if spec.name in asked else ()
    pairs = list(zip(spec.shape, sizes, strict=False))
    fits = len(spec.shape) == len(sizes) and all(not isinstance(own, int) or own == size for own, size in pairs)
    return replace(spec, shape=sizes) if fits else spec


if __name__ == "__main__":
    begun_ns = monotonic_ns()
    sys.exit(shared.main(sys.argv[1:], Wanted, lambda folder, wanted: compile_one(folder, wanted, begun_ns)))
