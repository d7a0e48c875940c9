"""The tree of errors: who is to blame, what a program sees, and the way over the wire and back."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from dynolab import errors
from dynolab.errors import Bug, Error, from_dict


def _tree(root: type[Error]) -> list[type[Error]]:
    return [root, *(kind for child in root.__subclasses__() for kind in _tree(child))]


ALL = _tree(Error)
BRANCHES = {
    errors.UserError: "SpecInvalid ModelInvalid ModelNotSupported NotFound Conflict Forbidden "
    "Unauthorized TooLarge MediaTypeInvalid Outdated RateLimited DependencyFailed",
    errors.DeviceError: "DeviceLost DeviceBusy TransferFailed DeviceUnstable DeviceUnfit",
    errors.WorkerError: "LoadFailed InferenceFailed WorkerCrashed WorkerTimeout OutOfMemory",
}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_survives_json(kind: type[Error]) -> None:
    error = kind("shape [1] does not fit", hint="give [2]", details={"shape": [1], "input": "x", "deep": {"a": None}})
    again = from_dict(json.loads(json.dumps(error.to_dict())))
    assert type(again) is kind
    assert (again.code, str(again), again.hint, again.details) == (
        kind.__name__,
        "shape [1] does not fit",
        "give [2]",
        {"shape": [1], "input": "x", "deep": {"a": None}},
    )
    assert from_dict(kind("bare").to_dict()).hint is None


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickle_and_copy(kind: type[Error]) -> None:
    error = kind("message", hint="hint", details={"a": 1})
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(again), again.to_dict()) == (kind, error.to_dict())


@pytest.mark.parametrize("branch", BRANCHES, ids=lambda kind: kind.__name__)
def test_the_branches_hold_what_the_house_says(branch: type[Error]) -> None:
    assert {kind.__name__ for kind in branch.__subclasses__()} == set(BRANCHES[branch].split())


def test_blame_and_retries_follow_the_branch() -> None:
    for kind in _tree(errors.UserError):
        assert kind.blame == "user"
        assert 400 <= kind.http_status < 500
        assert kind.exit_code == 2
    assert {kind.blame for kind in _tree(errors.DeviceError)} == {"device"}
    assert all(kind.retriable for kind in _tree(errors.DeviceError))
    assert {kind.blame for kind in _tree(errors.WorkerError)} == {"model"}
    assert not any(kind.retriable for kind in _tree(errors.WorkerError))
    assert {errors.PluginMissing.blame, errors.StorageFull.blame} == {"setup"}
    assert (errors.StorageFull.http_status, errors.StorageFull.retriable) == (507, False)
    assert (Bug.blame, Bug.retriable, Bug.http_status) == ("us", False, 500)


def test_every_error_is_drawn_in_the_tree_on_top_of_the_file() -> None:
    drawn = (errors.__doc__ or "").split()
    assert [kind.__name__ for kind in ALL if kind.__name__ not in drawn] == []


def test_a_code_that_is_not_known_is_a_bug_and_keeps_its_message() -> None:
    for document in ({"code": "Exception", "message": "m"}, {"message": "m"}, {"code": None, "message": "m"}):
        assert type(from_dict(document)) is Bug
        assert str(from_dict(document)) == "m"
    assert str(from_dict({})) == "no message"
    assert from_dict({"code": "NotFound", "details": "broken", "hint": ""}).details == {}


def test_details_that_json_cannot_say_become_text() -> None:
    details = {"file": Path("a/b"), "ratio": float("nan"), "seen": {3}, "items": (1, b"x"), "cause": ValueError("v")}
    document = Bug("m", details=details).to_dict()
    assert json.loads(json.dumps(document, allow_nan=False))["details"] == {
        "file": "a/b",
        "ratio": "nan",
        "seen": "{3}",
        "items": [1, "b'x'"],
        "cause": "v",
    }


def test_details_are_a_copy() -> None:
    details: dict[str, object] = {"a": 1}
    error = Bug("m", details=details)
    details["a"] = 2
    assert error.details == {"a": 1}
