"""What a machine offers to a hub."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dynolab import errors
from dynolab.agent import offer as offer_module
from dynolab.agent.offer import Serves, ask, offer, offer_of
from dynolab.measure.environment import device_facts
from dynolab.runtimes.base import loaded_runtimes
from dynolab.sandbox.base import strongest
from dynolab.spec.device_attributes import attributes, description

KEPT = "loaded-runtimes.json"


def test_the_sandbox_is_an_attribute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_state(monkeypatch, tmp_path)
    assert f"sandbox:{strongest().name}" in offer().attributes
    monkeypatch.setenv("DYNOLAB_SANDBOX", "none")
    assert "sandbox:none" in offer().attributes


def test_a_machine_keeps_its_id_which_is_no_other_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ids = []
    for state in ("one", "one", "other"):
        use_state(monkeypatch, tmp_path / state)
        ids.append(offer().id)
    assert ids[0] == ids[1] != ids[2]
    assert all(str(uuid.UUID(one)) == one for one in ids)
    assert (tmp_path / "one" / "device-id").stat().st_mode & 0o777 == 0o600
    assert offer("bench").name == "bench"


def test_a_computer_is_called_what_ai_hub_calls_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_state(monkeypatch, tmp_path)
    found = offer().attributes
    assert (found[0], "format:compute" in found) == (f"os:{platform.system().lower()}", True)


def test_an_offer_is_made_of_the_facts_of_the_device_that_is_served(recorded: Callable[[str], Path]) -> None:
    """An agent for boards by ssh hands in what was read there; nothing of its own machine is in the offer."""
    facts = device_facts(recorded("raspberry_pi"))
    found = offer_of(facts, Serves({}, "landlock"), identity="board-1")
    assert (found.id, found.name, found.os) == ("board-1", "Raspberry Pi 5 Model B", "12")
    assert found.attributes == (*attributes(facts), "sandbox:landlock")
    assert (found.frameworks, found.description) == ({}, description(facts))


def test_two_boards_of_one_model_are_offered_under_one_name(recorded: Callable[[str], Path]) -> None:
    facts = device_facts(recorded("rock_5b"))
    first, second = (offer_of(facts, Serves({}, "none"), identity=one) for one in ("a", "b"))
    assert (first.name, first.os, first.attributes) == (second.name, second.os, second.attributes)
    assert first.id != second.id


def test_a_runtime_that_does_not_load_is_not_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library that is installed and broken, as one built for another CPU is; the others are known to load."""
    use_state(monkeypatch, tmp_path, but="onnxruntime")
    broken = tmp_path / "library" / "onnxruntime"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(broken.parent), prepend=os.pathsep)
    rows = {one.name: one for one in loaded_runtimes()}
    assert rows["onnxruntime"].unavailable == "it is installed, and loading it ends the process (SIGILL)"
    assert not [one for one in offer().attributes if one.startswith("runs:onnxruntime")]
    (broken / "__init__.py").write_text("raise ImportError('libomp.so: cannot open shared object file')\n")
    rows = {one.name: one for one in loaded_runtimes()}
    why = "it is installed, and does not load: ImportError: libomp.so: cannot open shared object file"
    assert rows["onnxruntime"].unavailable == why
    monkeypatch.delenv("PYTHONPATH")
    assert {one.name: one for one in loaded_runtimes()}["onnxruntime"].unavailable is None
    assert any(key.startswith("onnxruntime:") for key in loaded_before())


def use_state(monkeypatch: pytest.MonkeyPatch, folder: Path, *, but: str = "no runtime") -> None:
    """A state of its own, which remembers the libraries that load, ``but`` one: loading them all takes seconds."""
    known = [key for key in loaded_before() if not key.startswith(f"{but}:")]
    folder.mkdir(exist_ok=True)
    (folder / KEPT).write_text(json.dumps(known))
    monkeypatch.setenv("DYNOLAB_STATE", str(folder))


def loaded_before() -> list[str]:
    """The keys of the libraries that loaded, all of them tried by now."""
    loaded_runtimes()
    return [str(key) for key in json.loads((Path(os.environ["DYNOLAB_STATE"]) / KEPT).read_text())]


def killed_times(count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The next processes that are run are killed, so many; the exit codes of all."""
    run, codes = subprocess.run, list[int]()

    def ended(command: list[str], **how: Any) -> Any:
        own = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        done = run([sys.executable, "-c", own] if len(codes) < count else command, **how)
        codes.append(done.returncode)
        return done

    monkeypatch.setattr(subprocess, "run", ended)
    return codes


def test_an_offer_that_somebody_kills_is_found_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = killed_times(2, monkeypatch)
    assert ask("bench").name == "bench"
    assert codes == [-9, -9, 0]


def test_an_offer_that_is_killed_again_and_again_is_the_devices_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = killed_times(9, monkeypatch)
    with pytest.raises(errors.DeviceLost, match="what finds out what this machine offers was ended from outside"):
        ask("bench")
    assert codes == [-9, -9, -9]


def test_a_copied_card_gets_an_id_of_its_own_and_a_board_keeps_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))
    found = []
    for board in ("mac:a", "mac:a", None, "mac:b", "mac:b"):
        monkeypatch.setattr("dynolab.measure.identity.hardware", lambda board=board: board)
        found.append(offer_module._identity())
    first, again, unknown, other, other_again = found
    assert first == again == unknown, "what is not known is no other board"
    assert other == other_again != first


def test_an_id_of_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_STATE", str(tmp_path))
    (tmp_path / "device-id").write_text("an-older-id")
    monkeypatch.setattr("dynolab.measure.identity.hardware", lambda: "mac:a")
    assert offer_module._identity() == "an-older-id"
    monkeypatch.setattr("dynolab.measure.identity.hardware", lambda: "mac:b")
    assert offer_module._identity() != "an-older-id", "it was written down where it was made by then"
