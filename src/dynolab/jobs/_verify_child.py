"""The process that runs two models on the same inputs, confined, and holds their outputs against each other.

Started by ``verify``; ``order.json`` in its folder says what is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from time import monotonic_ns

from dynolab.errors import ModelNotSupported
from dynolab.jobs import _samples as data
from dynolab.jobs import _toolchain_child as shared
from dynolab.jobs import _verify_layers as layers
from dynolab.jobs._verify_sides import GivenSide, Sample, Side, WantedSide, open_side
from dynolab.measure import inputs
from dynolab.measure.protocol import InputWishes
from dynolab.runtimes._elements import element_name
from dynolab.spec import matching
from dynolab.spec.compiles import POOR_PSNR_DB
from dynolab.spec.matching import Match, Matches
from dynolab.spec.measurements import Layer, Notice
from dynolab.spec.tensors import TensorSpec
from dynolab.spec.verifies import (
    SAMPLES_MOST,
    SEEDED_SAMPLES,
    VERIFIED_SCHEMA,
    AtLeast,
    Verdict,
    Verified,
)
from dynolab.spec.verify_layers import LAYER_SAMPLES, LayerChecks, with_times
from dynolab.toolchains import _carried as carried
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains.base import Array

LAYERS_HERE = "models that run on a device are not looked into: without --device, dynolab verify compares layers here"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the process is asked for."""

    a: WantedSide
    b: WantedSide
    data_name: str | None
    data: tuple[data.DataFile, ...]
    samples: int | None
    seed: int
    at_least: AtLeast
    layers: bool | None = None
    times: bool = False
    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    input_ranges: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fed:
    """The samples for the sides that run on devices: how many, and each file's input, by its path in the folder that was made."""

    samples: int
    inputs: dict[str, str]


def samples_for_devices(folder: Path, wanted: Wanted) -> Fed:
    """The samples that the sides on devices are to run, written down. Raises as :func:`verify_both` does."""
    made, scratch = shared.folders(folder)
    shared.say(folder, "making the inputs")
    a, b = (
        open_side(name, one, made, scratch, wanted.input_shapes) for name, one in (("A", wanted.a), ("B", wanted.b))
    )
    _settle_integers(a, b)
    fed = matching.match_inputs(a.inputs, b.inputs)
    count, samples, _ = _samples(wanted, _specs(a.inputs, b.inputs, fed), a, b)
    written: dict[str, str] = {}
    for sample, run in samples:
        if isinstance(a, GivenSide):
            run()
        if isinstance(b, GivenSide):
            b(_for_b(sample, b.inputs, fed))
    for side in (a, b):
        written |= side.written if isinstance(side, GivenSide) else {}
    return Fed(count, written)


def verify_both(folder: Path, wanted: Wanted, begun_ns: int) -> Verified:
    """The document of what was found. Raises a :class:`~dynolab.errors.UserError` that names the side."""
    made, scratch = shared.folders(folder)
    shared.say(folder, "reading both models")
    a, b = (
        open_side(name, one, made, scratch, wanted.input_shapes) for name, one in (("A", wanted.a), ("B", wanted.b))
    )
    notices = _settle_integers(a, b)
    fed = matching.match_inputs(a.inputs, b.inputs)
    specs = _specs(a.inputs, b.inputs, fed)
    count, samples, chosen = _samples(wanted, specs, a, b)
    found, first = _Outputs(), list[tuple[Sample, Sample]]()
    for number, (sample, run) in enumerate(samples, 1):
        shared.say(folder, f"sample {number} of {count}")
        converted = _for_b(sample, b.inputs, fed)
        found.add(sample, run(), b(converted))
        if len(first) < LAYER_SAMPLES:
            first.append((sample, converted))
    time_ns, peak_bytes = shared.spent(begun_ns)
    verified = Verified(
        schema=VERIFIED_SCHEMA,
        a=a.ran(),
        b=b.ran(),
        samples=count,
        data=wanted.data_name,
        seed=wanted.seed,
        inputs=fed.pairs,
        outputs=found.matches.pairs,
        shapes=found.shapes,
        accuracy=numbers.accuracy(found.comparison, found.ranks),
        at_least=wanted.at_least,
        time_ns=time_ns,
        peak_bytes=peak_bytes,
        only_a=found.matches.only_a,
        only_b=found.matches.only_b,
        notices=(*notices, *(Notice("info", "default-shape", text) for text in chosen)),
    )
    verified = replace(verified, notices=(*verified.notices, *_coarse(verified)))
    if wanted.layers is False or (wanted.layers is None and verified.verdict is not Verdict.POOR):
        return verified
    if wanted.a.on_device or wanted.b.on_device:
        return replace(verified, layers_reason=LAYERS_HERE)
    inside, reason = shared.compared(lambda: _layers(folder, wanted, a, b, first))
    time_ns, peak_bytes = shared.spent(begun_ns)
    return replace(verified, layers=inside, layers_reason=reason, time_ns=time_ns, peak_bytes=peak_bytes)


def _layers(folder: Path, wanted: Wanted, a: Side, b: Side, samples: Sequence[tuple[Sample, Sample]]) -> LayerChecks:
    """Both models layer by layer. Raises a :class:`~dynolab.errors.UserError` with the reason why that cannot be."""
    timed: dict[str, list[Layer]] = {}
    for name, side, sample in (("a", a, samples[0][0]), ("b", b, samples[0][1])) if wanted.times else ():
        shared.say(folder, f"timing the layers of {side.name}")
        timed[name] = side.layers(sample)
    for side in (a, b):
        side.close()
    limit_db = POOR_PSNR_DB if wanted.at_least.psnr_db is None else wanted.at_least.psnr_db
    as_files = [(a.as_file(one), b.as_file(other)) for one, other in samples]
    found = layers.compare(a.traced(), b.traced(), as_files, limit_db, lambda text: shared.say(folder, text))
    for name, told in timed.items():
        found = with_times(found, name, told)
    return found


def _coarse(found: Verified) -> Iterator[Notice]:
    """What may be the matter where the numbers are poor: a side that computes more coarsely than files say."""
    for name, side in (("A", found.a), ("B", found.b)):
        precision = side.effective.get("inference_precision")
        if found.verdict is Verdict.POOR and precision in ("bf16", "f16"):
            way = f"--options-{name.lower()} '--openvino_options \"inference_precision=f32\"'"
            yield Notice("warning", "coarse-precision", f"{name} computes in {precision}: {way} has it compute in f32")


class _Outputs:
    """Both models' outputs, sample after sample; which belong together is decided with the first."""

    def __init__(self) -> None:
        self.matches, self.shapes = Matches(()), dict[str, str]()
        self.comparison, self.ranks = numbers.Comparison(()), numbers.Agreement()

    def add(self, sample: Sample, before: Mapping[str, Array], after: Mapping[str, Array]) -> None:
        """Raises :class:`~dynolab.errors.SpecInvalid` where nothing belongs together."""
        if not self.matches.pairs:
            self.matches = matching.match_outputs(_specs_of(before), _specs_of(after))
            self.comparison = numbers.Comparison([one.a for one in self.matches.pairs])
            self.shapes = _shapes(sample, before)
        one = [before[pair.a] for pair in self.matches.pairs]
        other = [carried.laid_out(after[pair.b], pair.layout, before[pair.a].shape) for pair in self.matches.pairs]
        self.comparison.add(one, other)
        self.ranks.add(one, other)


def _settle_integers(a: Side, b: Side) -> list[Notice]:
    """Where one model alone takes integers for real numbers, they go in and out of it as such, which is told."""
    notices = []
    for one, other in ((a, b), (b, a)):
        if carried.takes_integers(one.inputs, one.outputs) and carried.takes_real(other.inputs, other.outputs):
            one.as_real()
            if one.scales:
                text = f"{one.name} takes and gives integers for real numbers: they are converted by its own scales ({one.scales})"
                notices.append(Notice("info", "integers-converted", text))
    return notices


def _specs(a: Sequence[TensorSpec], b: Sequence[TensorSpec], fed: Matches) -> list[TensorSpec]:
    """A's inputs, with sizes that B alone fixes."""
    known = {one.name: one for one in b}
    return [matching.merged(one, known[pair.b], pair.layout) for one, pair in zip(a, fed.pairs, strict=True)]


def _samples(
    wanted: Wanted, specs: Sequence[TensorSpec], a: Side, b: Side
) -> tuple[int, Iterator[tuple[Sample, Callable[[], dict[str, Array]]]], list[str]]:
    """How many there are, each with what gives A's outputs for it, and a sentence for each size that was chosen by default."""
    if wanted.data:
        loaded = data.load(wanted.data, specs)[: wanted.samples or SAMPLES_MOST]
        return len(loaded), ((sample, partial(a, sample)) for sample in loaded), []
    of_b = {one.name for one in b.inputs} - {one.name for one in a.inputs}  # their sizes are A's by now
    shapes = {name: shape for name, shape in wanted.input_shapes.items() if name not in of_b}
    wishes = InputWishes(shapes, wanted.input_ranges)
    count, failed = wanted.samples or SEEDED_SAMPLES, None
    for candidate in inputs.CANDIDATES:
        plans, chosen = inputs.plan(specs, wishes, candidate)
        first = inputs.make(plans, wanted.seed)
        try:
            outputs = a(first)
        except ModelNotSupported as error:
            failed = failed or error
            continue
        rest = (inputs.make(plans, wanted.seed + number) for number in range(1, count))
        return (
            count,
            chain([(first, partial(dict, outputs))], ((sample, partial(a, sample)) for sample in rest)),
            chosen,
        )
    raise failed or ModelNotSupported("the model does not run on random inputs")


def _for_b(sample: Sample, b: Sequence[TensorSpec], fed: Matches) -> dict[str, Array]:
    """The same values as B takes them, in B's order."""
    known, pairs = {one.name: one for one in b}, {pair.b: pair for pair in fed.pairs}
    return {name: _converted(sample[pairs[name].a], pairs[name], spec) for name, spec in known.items()}


def _converted(array: Array, pair: Match, spec: TensorSpec) -> Array:
    wanted = tuple(size for size in spec.shape if isinstance(size, int)) if spec.bound else None
    return carried.fed(array, pair.layout, wanted, spec.dtype)


def _specs_of(outputs: Mapping[str, Array]) -> list[TensorSpec]:
    return [TensorSpec(name, element_name(array), array.shape) for name, array in outputs.items()]


def _shapes(sample: Sample, outputs: Mapping[str, Array]) -> dict[str, str]:
    told = chain((("input", *one) for one in sample.items()), (("output", *one) for one in outputs.items()))
    return {f"{kind}:{name}": str(list(array.shape)) for kind, name, array in told}


def asked(folder: Path, wanted: Wanted, begun_ns: int) -> Verified | Fed:
    """The samples while a side on a device has given nothing yet; else what was found."""
    sides = [one.on_device for one in (wanted.a, wanted.b) if one.on_device is not None]
    if any(not one.given for one in sides):
        return samples_for_devices(folder, wanted)
    return verify_both(folder, wanted, begun_ns)


if __name__ == "__main__":
    begun_ns = monotonic_ns()
    sys.exit(shared.main(sys.argv[1:], Wanted, lambda folder, wanted: asked(folder, wanted, begun_ns)))
