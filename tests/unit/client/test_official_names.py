"""AI Hub's names: what its client offers (recorded, with its version), ours offers with the same parameters."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

import dynolab
from dynolab.client import client as client_module

RECORDED = Path(__file__).parents[2] / "data" / "qai_hub_0.56.0_names.json"
OFFICIAL: dict[str, Any] = json.loads(RECORDED.read_text())
NOT_HERE = {
    "IOSpec", "InputSpecs", "TensorSpec",  # the hub opens no models, so it knows no tensors before a job has run
    "ModelMetadataKey", "Project",
}  # fmt: skip
ATTRIBUTES_NOT_HERE = {
    "Job": {"hub_version"},
    "Model": {"input_spec", "output_spec", "metadata"},
    "Client": set(),
    "ClientConfig": {"client_mode"},
    "SourceModelType": {"AIMET_ONNX", "AIMET_PT", "MLMODEL", "MLMODELC", "MLPACKAGE", "ORT",
                        "QNN_LIB_AARCH64_ANDROID", "QNN_LIB_X86_64_LINUX", "TETRART"},
    "QuantizeDtype": {"UINT4", "UINT8", "UINT16"},
}  # fmt: skip
"""What ours does not have, by class; also in the classes below it."""
CLASSES = [name for name in OFFICIAL["classes"] if name not in NOT_HERE]


def parameters(function: Any) -> list[list[Any]]:
    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is one.POSITIONAL_OR_KEYWORD:
            default = getattr(one.default, "name", one.default)
            found.append([one.name] if one.default is one.empty else [one.name, default])
    return found


def fits(ours: list[list[Any]], theirs: list[list[Any]]) -> bool:
    """Whether a call that theirs takes is taken by ours: same names in the same order, and nothing that was optional needed."""
    pairs = zip(ours, theirs, strict=False)
    same = all(one[0] == other[0] and (len(other) == 1 or one == other) for one, other in pairs)
    return len(ours) >= len(theirs) and same and all(len(one) == 2 for one in ours[len(theirs) :])


@pytest.mark.parametrize("name", OFFICIAL["functions"])
def test_a_function_takes_what_theirs_takes(name: str) -> None:
    ours = parameters(getattr(dynolab, name))
    assert fits(ours, OFFICIAL["functions"][name]), f"{ours} is not {OFFICIAL['functions'][name]}"
    assert name in dynolab.__all__


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_what_theirs_has(name: str) -> None:
    kind = getattr(dynolab, name)
    kinds = [base.__name__ for base in kind.__mro__]
    excused = set().union(*(ATTRIBUTES_NOT_HERE.get(base, set()) for base in kinds))
    there = {
        *dir(kind),
        *getattr(kind, "__dataclass_fields__", {}),
        *getattr(kind, "__members__", {}),
        *vars(client_of(kind)),
    }
    assert set(OFFICIAL["classes"][name]["others"]) - there == excused & set(OFFICIAL["classes"][name]["others"])
    for method, theirs in OFFICIAL["classes"][name]["methods"].items():
        ours = parameters(getattr(kind, method))
        assert fits(ours, theirs), f"{name}.{method}: {ours} is not {theirs}"


def client_of(kind: type) -> object:
    """An object of a class whose attributes come with it; for all others, one without any."""
    if kind is dynolab.Client:
        return dynolab.Client(dynolab.ClientConfig("dl_x", "http://127.0.0.1:9"))
    return type("Nothing", (), {})()


def test_every_other_name_is_refused_by_name() -> None:
    everything = {*OFFICIAL["functions"], *OFFICIAL["classes"], *OFFICIAL["words"]}
    missing = {name for name in everything if not hasattr(dynolab, name)}
    assert missing == NOT_HERE


def test_names_are_there_before_a_hub_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DYNOLAB_HUB_URL", raising=False)
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(tmp_path / "none.ini"))
    client_module.default.cache_clear()
    with pytest.raises(dynolab.UserError, match="no hub is configured"):
        dynolab.get_devices()


def test_a_status_is_its_state_and_its_name() -> None:
    state = dynolab.JobStatus.State
    status = dynolab.JobStatus(state.FAILED, "out of memory")
    assert status == state.FAILED == state(30)
    assert status == "FAILED"
    assert (status.failure, status.finished, status.success, status.running, status.pending) == (1, 1, 0, 0, 0)
    assert status != dynolab.JobStatus(state.FAILED, "another")
    assert {status.symbol, dynolab.JobStatus(state.SUCCESS).symbol, dynolab.JobStatus(state.CREATED).symbol} == set(
        "❌✅⏳"
    )
    assert state.MEASURING_PERFORMANCE in dynolab.JobStatus.all_running_states()
    assert state.CREATED not in dynolab.JobStatus.all_running_states()
