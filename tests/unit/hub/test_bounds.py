"""Every text, list and document that somebody may send has a bound: the tables are made of the descriptions themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

pytest.importorskip("fastapi")

from dynolab.errors import SpecInvalid
from dynolab.hub.api.application import create_api
from dynolab.hub.usecases import bounds
from dynolab.spec import codec
from dynolab.spec.agents import ClaimRequest, Outcome, ProbeReport, Renewal
from dynolab.spec.board_health import FIGURES

MANY = 30_000


def fields(api: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every field of every document that the JSON API is sent, with its description."""
    schemas = api["components"]["schemas"]
    for name, schema in schemas.items():
        if schema.get("additionalProperties") is False:  # only what is asked forbids others
            yield from ((name, field, said) for field, said in schema.get("properties", {}).items())


def unbounded(said: Mapping[str, Any]) -> bool:
    """Whether a text, list or mapping somewhere in a field may be of any size."""
    if any(unbounded(one) for one in said.get("anyOf", ())):
        return True
    kind = said.get("type")
    if kind == "string":
        # An instant is no longer than its grammar has it.
        return said.get("format") != "date-time" and not {"maxLength", "enum", "const"} & said.keys()
    if kind == "array":
        return "maxItems" not in said or unbounded(said["items"])
    if kind == "object" and "additionalProperties" in said:
        return "maxProperties" not in said or unbounded(said["additionalProperties"])
    return False


def test_every_field_that_the_json_api_is_sent_has_a_bound() -> None:
    found = list(fields(create_api().openapi()))
    assert len(found) > 25, "the table reads the description"
    assert [(name, field) for name, field, said in found if unbounded(said)] == []


def test_every_parameter_that_the_json_api_is_sent_has_a_bound() -> None:
    paths = create_api().openapi()["paths"]
    found = [
        (path, one["name"], one["schema"])
        for path, verbs in paths.items()
        for verb in verbs.values()
        for one in verb.get("parameters", ())
        if one["in"] != "path"  # the server bounds an address
    ]
    assert len(found) > 10
    loose = [(path, name) for path, name, said in found if unbounded(said) and said.get("type") != "array"]
    assert loose == []
    assert [name for _, name, said in found if said.get("type") == "array" and "maxItems" not in said] == []


DEVICE = {"id": "board", "name": "board", "os": "1", "attributes": ["os:linux"], "description": "one",
          "frameworks": {"onnxruntime": "1.22"}, "join": "ana@example.org"}  # fmt: skip
TENSOR = {"name": "x", "dtype": "float32", "shape": [1, 3]}
DOCUMENTS: dict[type[Any], dict[str, Any]] = {
    ClaimRequest: {"protocol": 2, "device": DEVICE, "wait_s": 1.0, "unfit": "disk full"},
    ProbeReport: {
        "protocol": 2,
        "device": DEVICE,
        "probe": {
            "figures": dict.fromkeys(FIGURES, 1),
            "cores": 4,
            "identity": "kernel 1",
            "others_share": 0.1,
            "celsius": 40.0,
            "took_ns": 1,
        },
    },
    Renewal: {"progress": {"stage": "compile"}, "log": "line"},
    Outcome: {
        "error": {"code": "Bug", "message": "no", "hint": None, "details": {}},
        "summary": {"estimated_inference_time_ns": 1},
        "tensors": {"inputs": [TENSOR], "outputs": [TENSOR], "fixed": True},
        "made": {"kind": "onnx", "is_directory": False},
    },
}


def grown(value: Any) -> Iterator[Any]:
    """The same document, each time with one text, list or mapping grown far beyond reason."""
    if isinstance(value, str):
        yield value * MANY
    elif isinstance(value, list):
        yield value * MANY
        for number, one in enumerate(value):
            yield from ([*value[:number], other, *value[number + 1 :]] for other in grown(one))
    elif isinstance(value, dict):
        if value.keys() == DEVICE["frameworks"].keys():
            yield {f"{number}": "1" for number in range(MANY)}
            yield {"x" * MANY: "1"}
        for name, one in value.items():
            yield from (value | {name: other} for other in grown(one))


def check(kind: type[Any], document: Any) -> Any:
    decoded = codec.decode(kind, document)
    if isinstance(decoded, ClaimRequest):
        return bounds.check_offer(decoded.device)
    if isinstance(decoded, ProbeReport):
        bounds.check_offer(decoded.device)
        return bounds.check_probe(decoded.probe)
    return bounds.check_renewal(decoded) if isinstance(decoded, Renewal) else bounds.checked_outcome(decoded)


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: str(kind.__name__))
def test_every_field_of_an_agents_documents_has_a_bound(kind: type[Any]) -> None:
    document = DOCUMENTS[kind]
    assert document.keys() == {field.name for field in dataclasses.fields(kind)}, "a new field needs a place here"
    check(kind, document)
    for larger in grown(document):
        if kind is Renewal and larger["log"] != document["log"]:
            continue  # its end is kept
        if kind is ClaimRequest and larger["unfit"] != document["unfit"]:
            continue  # its beginning is kept
        if kind is Outcome and larger["error"] != document["error"]:
            told = check(kind, larger)
            assert bounds._bytes(told.error) <= bounds.ERROR_BYTES
            assert told.error["code"]
            continue
        with pytest.raises(SpecInvalid):
            check(kind, larger)


def test_progress_and_summary_are_no_place_for_files() -> None:
    for outcome in (Outcome(summary={"x": "y" * MANY}), Outcome(summary={f"{one}": one for one in range(5000)})):
        with pytest.raises(SpecInvalid, match="summary"):
            bounds.checked_outcome(outcome)
    with pytest.raises(SpecInvalid, match="progress"):
        bounds.check_renewal(Renewal({"text": "y" * MANY}))


def test_a_shape_has_no_more_dimensions_than_an_array_can_have() -> None:
    numpy = pytest.importorskip("numpy")

    def array(count: int) -> None:
        numpy.empty([1] * count)

    def shape(count: int) -> None:
        bounds.check_shapes({"x": [1] * count})

    def tensor(count: int) -> None:
        said = {"inputs": [TENSOR | {"shape": [1] * count}], "outputs": [], "fixed": True}
        check(Outcome, {**DOCUMENTS[Outcome], "tensors": said})

    def is_taken(door: Any, count: int) -> bool:
        try:
            door(count)
        except (ValueError, SpecInvalid):
            return False
        return True

    counts = range(1, 100)
    [limit] = [count for count in counts if is_taken(array, count) and not is_taken(array, count + 1)]
    for door in (shape, tensor):
        assert [is_taken(door, count) for count in counts] == [count <= limit for count in counts]
