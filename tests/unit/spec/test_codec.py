"""Documents: everything that is written reads back equal, and what does not fit is named with its place."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum, StrEnum
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import Bug, SpecInvalid
from dynolab.spec.codec import decode, encode
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.measurements import Range
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import Options, parse
from dynolab.spec.profiles import Profile, Stage, Verdict

BUSY = settings(deadline=None)  # other tests run beside this one: a slow example is no mistake


def fill(kind: Any, random: Random) -> Any:
    """Some value of an annotated type: every field of every dataclass below it is set, optional ones now and then."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return fill(random.choice(arguments), random)
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(fill(arguments[0], random) for _ in range(random.randrange(4)))
    if origin is tuple:
        return tuple(fill(each, random) for each in arguments)
    if origin in (dict, Mapping):
        return {fill(arguments[0], random): fill(arguments[1], random) for _ in range(random.randrange(4))}
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{each.name: fill(hints[each.name], random) for each in fields(kind)})  # type: ignore[operator] # a class found at run time
    if issubclass(kind, Enum):
        return random.choice(list(kind))
    simple = {
        bool: random.random() < 0.5,
        int: random.randrange(-(10**18), 10**18),
        float: random.choice([random.gauss(0, 1e9), 0.0, 3.0, 1e-300]),
        str: random.choice(["", "a", "ü\n", "x.y[0]", "\u2028", "1"]),
        ModelFormat: ModelFormat(random.choice(["onnx", "of_nobody_here"])),
        Path: Path(random.choice(["m.onnx", "/a/b"])),
        type(None): None,
    }
    return simple[kind]


def through_json(value: object) -> Any:
    return json.loads(json.dumps(encode(value), allow_nan=False))


@settings(BUSY, max_examples=40)
@given(st.integers(0, 2**32))
def test_a_whole_profile_reads_back_equal(seed: int) -> None:
    profile = fill(Profile, Random(seed))
    assert decode(Profile, through_json(profile)) == profile


@BUSY
@given(st.integers(0, 2**32))
def test_a_profile_job_reads_back_equal(seed: int) -> None:
    spec = fill(ProfileSpec, Random(seed))
    assert decode(ProfileSpec, through_json(spec)) == spec


def test_parsed_options_read_back_with_their_types() -> None:
    options = parse("--onnx_options device_id=1;allow_spinning=true --max_profiler_time 2 --qairt_version 2")
    again = decode(Options, through_json(options))
    assert again == options
    assert again.group("onnx_options")["allow_spinning"] is True
    assert again.plain["qairt_version"] == "2"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Leaf:
    count: int
    share: float = 0.5
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    pair: tuple[int, str] = (1, "a")
    named: dict[Colour, Leaf] = field(default_factory=dict)
    maybe: Leaf | None = None
    either: int | str | None = None
    listed: list[float] = field(default_factory=list)
    root: Path = Path()


def test_documents_hold_plain_json_values() -> None:
    tree = Tree((Leaf(1),), named={Colour.BLUE: Leaf(2, 1.5)}, root=Path("a/b"))
    assert encode(tree) == {
        "leaves": [{"count": 1, "share": 0.5, "colour": "red"}],
        "pair": [1, "a"],
        "named": {"blue": {"count": 2, "share": 1.5, "colour": "red"}},
        "maybe": None,
        "either": None,
        "listed": [],
        "root": "a/b",
    }
    assert all(type(key) is str for key in encode(tree)["named"])


def test_what_a_document_leaves_out_is_the_default_and_what_it_adds_is_ignored() -> None:
    tree = decode(Tree, {"leaves": [{"count": 3, "weight": 9}], "comment": "new"})
    assert tree == Tree((Leaf(3),))


def test_types_come_back_as_annotated() -> None:
    tree = decode(Tree, {"leaves": [{"count": 1, "share": 2}], "named": {"red": {"count": 1}}, "listed": [1]})
    assert type(tree.leaves[0].share) is float
    assert tree.leaves[0].colour is Colour.RED
    assert [type(key) for key in tree.named] == [Colour]
    assert [type(value) for value in tree.listed] == [float]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "document: None is not Tree"),
        ([], "document: [] is not Tree"),
        ({}, "document: the field 'leaves' is missing"),
        ({"leaves": [{"count": 1}, {}]}, "document.leaves[1]: the field 'count' is missing"),
        ({"leaves": [{"count": "1"}]}, "document.leaves[0].count: '1' is not int"),
        ({"leaves": [{"count": 1.0}]}, "document.leaves[0].count: 1.0 is not int"),
        ({"leaves": [{"count": True}]}, "document.leaves[0].count: True is not int"),
        ({"leaves": [{"count": 1, "share": True}]}, "document.leaves[0].share: True is not float"),
        ({"leaves": [{"count": 1, "share": None}]}, "document.leaves[0].share: None is not float"),
        ({"leaves": [{"count": 1, "share": float("nan")}]}, "document.leaves[0].share: nan is not float"),
        ({"leaves": [{"count": 1, "share": 10**400}]}, "document.leaves[0].share: 1000"),
        ({"leaves": [{"count": 1, "colour": "green"}]}, "document.leaves[0].colour: 'green' is not Colour"),
        ({"leaves": [{"count": 1, "colour": ["red"]}]}, "document.leaves[0].colour: ['red'] is not Colour"),
        ({"leaves": {"count": 1}}, "document.leaves: {'count': 1} is not tuple"),
        ({"leaves": "abc"}, "document.leaves: 'abc' is not tuple"),
        ({"leaves": [], "pair": [1]}, "document.pair: 2 values are needed, 1 were given"),
        ({"leaves": [], "pair": [1, 2]}, "document.pair[1]: 2 is not str"),
        ({"leaves": [], "named": []}, "document.named: [] is not dict"),
        ({"leaves": [], "named": {"green": {"count": 1}}}, "document.named, a key: 'green' is not Colour"),
        ({"leaves": [], "named": {"red": {"count": None}}}, "document.named.red.count: None is not int"),
        ({"leaves": [], "maybe": {"count": "x"}}, "document.maybe.count: 'x' is not int"),
        ({"leaves": [], "either": 1.5}, "document.either: 1.5 is not int or str or null"),
        ({"leaves": [], "listed": ["x"]}, "document.listed[0]: 'x' is not float"),
        ({"leaves": [], "root": 5}, "document.root: 5 is not Path"),
        ({"leaves": ["y" * 200]}, "document.leaves[0]: 'yyy"),
    ],
)
def test_a_misfit_is_named_with_its_place_and_value(document: object, message: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        decode(Tree, document)
    assert refused.value.message.startswith(message)
    assert len(refused.value.message) < 120


def test_the_words_that_an_enum_knows_are_the_hint() -> None:
    with pytest.raises(SpecInvalid) as refused:
        decode(Verdict, {"trust": "fine"}, "stage.verdict")
    assert refused.value.message == "stage.verdict.trust: 'fine' is not Trust"
    assert refused.value.hint == "one of: clean, noisy, invalid"


def test_a_missing_field_of_a_nested_stage_is_found() -> None:
    document = through_json(fill(Stage, Random(1)))
    del document["verdict"]["trust"]
    with pytest.raises(SpecInvalid, match=r"warm_load\.verdict: the field 'trust' is missing"):
        decode(Stage, document, "warm_load")


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (Range(1, {2}), "document.upper: {2} (set)"),  # type: ignore[arg-type] # wrong on purpose
        ({"a": [1, b"x"]}, "document.a[1]: b'x' (bytes)"),
        (Leaf(1, float("nan")), "document.share: nan"),
        ((float("-inf"),), "document[0]: -inf"),
        (object, "document: <class 'object'> (type)"),
    ],
)
def test_what_json_cannot_say_is_a_bug_with_its_place(value: object, place: str) -> None:
    with pytest.raises(Bug) as refused:
        encode(value)
    assert refused.value.message.startswith(place)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from([each.name for each in fields(Tree)] + ["count", "red"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@BUSY
@given(_JSON)
def test_any_document_is_read_or_refused_as_invalid(document: object) -> None:
    try:
        tree = decode(Tree, document)
    except SpecInvalid:
        return
    assert decode(Tree, through_json(tree)) == tree
