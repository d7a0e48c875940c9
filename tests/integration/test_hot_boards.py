"""A board that is reached by an address and is hotter than usual gets a while to cool down; what it then still is is said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dynolab.agent import attempt
from dynolab.connections.base import connect
from dynolab.jobs.base import Asking, Context
from dynolab.jobs.profile import plugin as profile_job
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, COOL_FILE, Assignment, FileLink
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import Profile

from ..devices.fixtures import present
from ..devices.sshd import Sshd, sshd

OPTIONS = "--max_profiler_iterations 1 --repeats 1"


class Sensor:
    """A thermal zone, as the board's kernel shows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "thermal_zone0").mkdir(parents=True)
        self.show(40)

    def show(self, celsius: float) -> None:
        (self.folder / "thermal_zone0" / "temp").write_text(f"{celsius * 1000:.0f}\n")


@pytest.fixture(scope="module")
def sensor(tmp_path_factory: pytest.TempPathFactory) -> Sensor:
    return Sensor(tmp_path_factory.mktemp("thermal"))


@pytest.fixture(scope="module")
def board(sensor: Sensor) -> Iterator[Sshd]:
    with present("sshd", sshd(mounts={"/sys/class/thermal": sensor.folder})) as found:
        yield found


def null_model(folder: Path) -> Path:
    path = folder / "m.null"
    path.write_text(json.dumps({"busy_ns": 200_000}))
    return path


def test_a_hot_board_is_waited_for_until_it_is_cool(board: Sshd, sensor: Sensor, tmp_path: Path) -> None:
    told: list[str] = []

    def follow(event: Mapping[str, Any]) -> None:
        if event["event"] == "note":
            told.append(event["text"])
        if event["event"] == "note" and "cools down" in event["text"]:
            assert "inspect" not in told, "nothing is begun on a hot board"
            sensor.show(50)
        if event["event"] == "stage":
            told.append(event["stage"])

    sensor.show(81.2)
    spec = ProfileSpec(null_model(tmp_path), options=OPTIONS)
    asking = Asking(cool_celsius=55.0, cool_within_s=300.0)
    with board.as_home(), closing(connect(board.address)) as connection:
        profile = profile_job.run(profile_job.validate(spec, here=False), Context(connection, follow, asking))
    assert "it cools down: 81.2 °C, and up to 55.0 °C is usual before a job" in told
    assert [one for one in profile.notices if one.code == "hot-start"] == []


def test_a_job_on_a_board_that_stays_hot_goes_on_and_says_so(
    board: Sshd, sensor: Sensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_OFFER_NULL", "1")
    sensor.show(81.2)
    null_model(tmp_path)
    (tmp_path / COOL_FILE).write_text(json.dumps({"cool_celsius": 55.0, "cool_within_s": 1.0}))
    given = Assignment(AGENT_PROTOCOL, "a1", 1, "j1", "profile", OPTIONS, 15.0, FileLink("m.null", 1), ModelFormat.NULL)
    with board.as_home():
        outcome = attempt.carry_out(tmp_path, given, board.address)
    assert outcome.error is None
    assert "it cools down: 81.2 °C" in (tmp_path / "log.txt").read_text()
    profile = codec.decode(Profile, json.loads((tmp_path / "result.json").read_text()))
    (notice,) = [one for one in profile.notices if one.code == "hot-start"]
    assert notice.text.startswith("the device was at 81.2 °C when this began, and up to 55.0 °C is usual: it had 1 s")
