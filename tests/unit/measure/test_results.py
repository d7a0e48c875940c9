"""A worker's result is held against what was asked; whatever else it says, nothing but its own job suffers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynolab import errors
from dynolab.measure.protocol import RESULT_FILE, Measure, RunKind, RunRequest, RunResult
from dynolab.measure.results import read_result
from dynolab.spec import codec
from dynolab.testing.harness import Harness

MakeHarness = Callable[..., Harness]
KINDS = (
    (RunKind.INSPECT, Measure.NOTHING),
    (RunKind.FIRST_LOAD, Measure.TIME),
    (RunKind.INFERENCE, Measure.TIME),
    (RunKind.INFERENCE, Measure.MEMORY),
    (RunKind.TOTAL, Measure.MEMORY),
    (RunKind.LAYERS, Measure.TIME),
)


@pytest.fixture(scope="module")
def honest(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[tuple[RunKind, Measure], tuple[RunRequest, dict[str, Any]]]:
    """What was asked and what an honest worker answered, by kind of run."""
    from dynolab.measure.executor import process

    folder = tmp_path_factory.mktemp("results")
    (folder / "model.null").write_text("{}", encoding="utf-8")
    asked: list[RunRequest] = []
    run = process.run

    def noting(place: Path, request: RunRequest, **more: Any) -> process.Outcome:
        asked.append(request)
        return run(place, request, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "run", noting)
        from dynolab.spec.models import ModelFormat

        harness = Harness(folder / "work", folder / "model.null", ModelFormat.NULL, "null")
        harness.inspect()
        found = {}
        for kind, measure in KINDS:
            result = harness.good(kind, measure, iterations=1 if measure is Measure.MEMORY else 3)
            found[kind, measure] = asked[-1], codec.encode(result)
    return found


def told(folder: Path, request: RunRequest, document: object) -> RunResult:
    (folder / RESULT_FILE).write_text(json.dumps(document), encoding="utf-8")
    return read_result(folder, request)


@pytest.mark.parametrize(("kind", "measure"), KINDS)
def test_an_honest_result_is_taken_as_it_is(honest: Any, tmp_path: Path, kind: RunKind, measure: Measure) -> None:
    request, document = honest[kind, measure]
    assert codec.encode(told(tmp_path, request, document)) == document


@pytest.mark.parametrize(("kind", "measure"), KINDS)
def test_the_result_of_another_kind_of_run_is_not_taken(
    honest: Any, tmp_path: Path, kind: RunKind, measure: Measure
) -> None:
    for other, (_, document) in honest.items():
        if other[0] is not kind:
            with pytest.raises(errors.WorkerCrashed, match="is no result of"):
                told(tmp_path, honest[kind, measure][0], document)


WRONG: tuple[tuple[RunKind, Measure, tuple[str | int, ...], object], ...] = (
    (RunKind.INFERENCE, Measure.TIME, ("import_ns",), -1),
    (RunKind.INFERENCE, Measure.TIME, ("import_ns",), None),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "values_ns"), []),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "values_ns"), [0]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "values_ns"), [1, 2, 3, 4]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "values_ns"), [1.5]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "warmup_ns"), [-1]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "witnesses"), None),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "warm_load"), None),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "warm_load", "files"), [{"path": "../../x", "bytes": 1}]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "warm_load", "files"), [{"path": "/x", "bytes": 1}]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "warm_load", "files"), [{"path": "x", "bytes": -1}]),
    (RunKind.INFERENCE, Measure.MEMORY, ("stages", "inference", "edges"), []),
    (RunKind.INFERENCE, Measure.MEMORY, ("stages", "inference", "edges", 0, "at_ns"), 2**60),
    (RunKind.INFERENCE, Measure.MEMORY, ("stages", "inference", "edges", 0, "resident_bytes"), -5),
    (RunKind.INFERENCE, Measure.MEMORY, ("import_edges",), []),
    (RunKind.TOTAL, Measure.MEMORY, ("total", "edges"), []),
    (RunKind.FIRST_LOAD, Measure.TIME, ("residency",), None),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection",), None),
    (RunKind.INSPECT, Measure.NOTHING, ("floor_ns",), 0),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "inputs", 0, "spec", "shape"), [2**40, 2**40]),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "inputs", 0, "spec", "shape"), [-1]),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "outputs", 0, "shape"), ["open"]),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "description", "operators"), -1),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass",), None),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "time_ns"), -1),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "compute_unit"), "BRAIN"),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "lower_ns"), -1),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "times_ns", 0, 0), -1),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "times_ns", 0), [1, 1]),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "calm"), [True]),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "overlaps_ns"), [1]),
)


@pytest.mark.parametrize(("kind", "measure", "place", "value"), WRONG, ids=map(str, range(len(WRONG))))
def test_what_no_worker_finds_is_not_taken(
    honest: Any, tmp_path: Path, kind: RunKind, measure: Measure, place: tuple[str | int, ...], value: object
) -> None:
    request, document = honest[kind, measure]
    with pytest.raises(errors.WorkerCrashed, match="what a process of the model left"):
        told(tmp_path, request, changed(document, place, value))


RIGHT: tuple[tuple[RunKind, Measure, tuple[str | int, ...], object], ...] = (
    (RunKind.INFERENCE, Measure.TIME, ("import_ns",), 0),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "values_ns"), [1, 2, 3]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "warmup_ns"), []),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "warmup_ns"), [0]),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "first_ns"), 0),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "inference", "io_bytes"), 0),
    (RunKind.INFERENCE, Measure.TIME, ("stages", "warm_load", "files"), [{"path": "x", "bytes": 0}]),
    (RunKind.INFERENCE, Measure.MEMORY, ("stages", "inference", "edges", 0, "swap_bytes"), 0),
    (RunKind.INSPECT, Measure.NOTHING, ("floor_ns",), 1),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "inputs", 0, "spec", "shape"), [0, 2**40]),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "outputs", 0, "shape"), []),
    (RunKind.INSPECT, Measure.NOTHING, ("inspection", "description", "operators"), 0),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "time_ns"), 0),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "output_bytes"), 0),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "cycles"), None),
    (RunKind.LAYERS, Measure.TIME, ("layer_pass", "layers", 0, "cycles"), 0),
)


@pytest.mark.parametrize(("kind", "measure", "place", "value"), RIGHT, ids=map(str, range(len(RIGHT))))
def test_the_least_that_a_worker_may_find_is_taken(
    honest: Any, tmp_path: Path, kind: RunKind, measure: Measure, place: tuple[str | int, ...], value: object
) -> None:
    request, document = honest[kind, measure]
    sound = changed(document, place, value)
    assert codec.encode(told(tmp_path, request, sound)) == sound


def changed(document: Any, place: tuple[str | int, ...], value: object) -> Any:
    copy = json.loads(json.dumps(document))
    inner = copy
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return copy


def test_outputs_lie_in_the_runs_own_folder(honest: Any, tmp_path: Path) -> None:
    request, document = honest[RunKind.INSPECT, Measure.NOTHING]
    asked = replace(request, kind=RunKind.INFER, batches=({"x": "x.npy"},))
    sound = {**document, "inspection": None, "outputs": [{"y": str(tmp_path / "output-0-0.npy")}]}
    assert told(tmp_path, asked, sound).outputs == ({"y": str(tmp_path / "output-0-0.npy")},)
    for path in ("/etc/passwd", str(tmp_path / ".." / "x.npy"), str(tmp_path / "deeper" / "x.npy"), "x.npy"):
        with pytest.raises(errors.WorkerCrashed, match="an output at"):
            told(tmp_path, asked, {**sound, "outputs": [{"y": path}]})
    with pytest.raises(errors.WorkerCrashed, match="outputs of 2 batches instead of 1"):
        told(tmp_path, asked, {**sound, "outputs": sound["outputs"] * 2})


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_changed_it_is_taken_or_refused_and_nothing_breaks(honest: Any, tmp_path: Path, seed: int) -> None:
    """Any value of an honest result replaced by any other."""
    picks = random.Random(seed)
    values = (None, 0, -1, 2**62, 1.5, "", "x" * 100, [], {}, [[]], {"x": []}, True)
    for request, document in honest.values():
        for _ in range(60):
            place = somewhere(document, picks)
            try:
                told(tmp_path, request, changed(document, place, picks.choice(values)))
            except errors.WorkerCrashed:
                continue


def somewhere(document: Any, picks: random.Random) -> tuple[str | int, ...]:
    """A place in a document, any depth."""
    place: list[str | int] = []
    while isinstance(document, dict | list) and document and (not place or picks.random() < 0.8):
        step = picks.choice(list(document) if isinstance(document, dict) else range(len(document)))
        place.append(step)
        document = document[step]
    return tuple(place)


def test_what_a_worker_fails_with_is_read_to_a_bound(honest: Any, tmp_path: Path) -> None:
    request, document = honest[RunKind.INFERENCE, Measure.TIME]
    error = errors.LoadFailed("m" * 5_000, hint="h" * 5_000, details={"log": "l" * 30_000}).to_dict()
    found = told(tmp_path, request, {"protocol": document["protocol"], "error": error}).error
    assert found is not None
    sizes = [len(str(found["message"])), len(str(found["hint"])), len(found["details"]["log"])]  # type: ignore[index] # a dict
    assert sizes == [4_000, 1_000, 20_000]
