"""The process that runs two models on the same inputs, confined, and holds their outputs against each other.

Started by ``verify``; ``order.json`` in its folder says what is wanted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from time import monotonic_ns

from dynolab.errors import Error, ModelNotSupported, WorkerError
from dynolab.jobs import _samples as data
from dynolab.jobs import _toolchain_child as shared
from dynolab.jobs import _verify_layers as layers
from dynolab.measure import inputs
from dynolab.measure.protocol import InputWishes
from dynolab.runtimes._elements import element_name
from dynolab.spec import matching
from dynolab.spec.compiles import POOR_PSNR_DB
from dynolab.spec.matching import Match, Matches
from dynolab.spec.measurements import Layer, Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import parse
from dynolab.spec.tensors import TensorSpec
from dynolab.spec.verifies import (
    SAMPLES_MOST,
    SEEDED_SAMPLES,
    VERIFIED_SCHEMA,
    AtLeast,
    Verdict,
    Verified,
    VerifiedSide,
)
from dynolab.spec.verify_layers import LAYER_SAMPLES, LayerChecks, with_times
from dynolab.toolchains import _carried as carried
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains import _runs as runs
from dynolab.toolchains._layer_values.base import Traced, layer_values_of
from dynolab.toolchains.base import Array

TIMED_RUNS = 10
"""Inferences that the layers' times are the medians of."""
Sample = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class WantedSide:
    """One model, and how it is run."""

    model: str
    told: VerifiedSide


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


@contextmanager
def _naming(side: str) -> Iterator[None]:
    """An error that comes up inside names the side, and is no fault of ours."""
    try:
        yield
    except WorkerError as error:
        raise ModelNotSupported(f"{side}: {error.message}", hint=error.hint, details=error.details) from error
    except Error as error:
        error.message = f"{side}: {error.message}"
        raise


class _Side:
    """One model as it runs here."""

    def __init__(self, name: str, wanted: WantedSide, scratch: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """``shapes``: for a TorchScript file, which may record none of its own."""
        self.name, self.told = name, wanted.told
        self.path = Path(wanted.model)
        place = scratch / name
        place.mkdir()
        with _naming(name):
            self._running = runs.Running(self.told.runtime, self.path, self.told.format, place, self.told.options)
            described = self._running.describe(shapes if self.told.format == ModelFormat.TORCHSCRIPT else {})
        self.inputs, self.outputs = described.inputs, described.outputs
        self.scales = carried.Scales()

    def __call__(self, sample: Sample) -> dict[str, Array]:
        """The outputs for inputs as ``inputs`` has them. Raises :class:`ModelNotSupported` and what else the runtime raises."""
        with _naming(self.name):
            found = self._running(self.as_file(sample))
        return self.scales.real(found)

    def as_file(self, sample: Sample) -> dict[str, Array]:
        """Inputs as ``inputs`` has them, as the file has them."""
        return self.scales.quantized(sample)

    def traced(self) -> Traced:
        """The same model, to look into. Raises :class:`ModelNotSupported`."""
        with _naming(self.name):
            values = layer_values_of(self.told.runtime, self.told.format)
            if values is None:
                raise ModelNotSupported(f"{self.told.runtime} tells no tensors inside of {self.told.format} models")
            return values.open(self.path, self.told.format, parse(self.told.options))

    def layers(self, sample: Sample) -> list[Layer]:
        """What its layers take."""
        with _naming(self.name):
            return self._running.layers(self.as_file(sample), TIMED_RUNS)

    def close(self) -> None:
        """Give the loaded model back; it is loaded again where it must be."""
        self._running.close()

    def as_real(self) -> None:
        """From now on, integers that stand for real numbers go in and out as those."""
        self.scales = carried.of(self.path, self.told.format)
        self.inputs = self.scales.specs(self.inputs)

    def ran(self) -> VerifiedSide:
        return replace(self.told, effective=self._running.effective())


def verify_both(folder: Path, wanted: Wanted, begun_ns: int) -> Verified:
    """The document of what was found. Raises a :class:`~dynolab.errors.UserError` that names the side."""
    _, scratch = shared.folders(folder)
    shared.say(folder, "reading both models")
    a, b = (_Side(name, one, scratch, wanted.input_shapes) for name, one in (("A", wanted.a), ("B", wanted.b)))
    notices = _settle_integers(a, b)
    fed = matching.match_inputs(a.inputs, b.inputs)
    specs = _specs(a.inputs, b.inputs, fed)
    count, samples, chosen = _samples(wanted, specs, a, b)
    found, first = _Outputs(), list[tuple[Sample, Sample]]()
    for number, (sample, before) in enumerate(samples, 1):
        shared.say(folder, f"sample {number} of {count}")
        converted = _for_b(sample, b.inputs, fed)
        found.add(sample, before, b(converted))
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
    inside, reason = shared.compared(lambda: _layers(folder, wanted, a, b, first))
    time_ns, peak_bytes = shared.spent(begun_ns)
    return replace(verified, layers=inside, layers_reason=reason, time_ns=time_ns, peak_bytes=peak_bytes)


def _layers(folder: Path, wanted: Wanted, a: _Side, b: _Side, samples: Sequence[tuple[Sample, Sample]]) -> LayerChecks:
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


def _settle_integers(a: _Side, b: _Side) -> list[Notice]:
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
    wanted: Wanted, specs: Sequence[TensorSpec], a: _Side, b: _Side
) -> tuple[int, Iterator[tuple[Sample, dict[str, Array]]], list[str]]:
    """How many there are, each with A's outputs, and a sentence for each size that was chosen by default."""
    if wanted.data:
        loaded = data.load(wanted.data, specs)[: wanted.samples or SAMPLES_MOST]
        return len(loaded), ((sample, a(sample)) for sample in loaded), []
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
        return count, chain([(first, outputs)], ((sample, a(sample)) for sample in rest)), chosen
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


if __name__ == "__main__":
    begun_ns = monotonic_ns()
    sys.exit(shared.main(sys.argv[1:], Wanted, lambda folder, wanted: verify_both(folder, wanted, begun_ns)))
