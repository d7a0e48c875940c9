"""Boards behind sshd in a hub and without one: two at once, one whose cable is pulled, one whose clock is years off; and numbers that are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("onnxruntime")

from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.connections.base import connect, this_machine
from dynolab.jobs._datasets import h5
from dynolab.jobs.base import Context
from dynolab.jobs.inference import plugin as inference_job
from dynolab.jobs.profile import plugin as profile_job
from dynolab.measure.device import Device as Executor
from dynolab.spec.jobs import InferenceSpec, ProfileSpec
from dynolab.testing.clocks import WallClock, compiler
from dynolab.testing.models import onnx_net
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until

from ..devices.fixtures import present
from ..devices.sshd import Sshd, sshd
from .test_reached_devices import LEAST, agent, attempts, boards

SHORT = "--repeats 1 --max_profiler_iterations 20"


@pytest.fixture(scope="module")
def user(hub: RunningHub) -> Iterator[Client]:
    found = Client(ClientConfig(hub.token, hub.url, verbose=False))
    yield found
    found.close()


# ---- two boards of one agent -----------------------------------------------------------------------------------------


@pytest.fixture
def two_boards(tmp_path: Path) -> Iterator[tuple[Sshd, Sshd]]:
    """Two machines to whoever looks: each has a machine-id and a processor's name of its own."""
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "machine-id").write_text(f"{name.encode().hex():0<32}\n")
            own = {"/etc/machine-id": tmp_path / name / "machine-id"}
            found.append(stack.enter_context(present("sshd", sshd(mounts=own))))
        yield found[0], found[1]


def test_one_agent_serves_two_boards_at_once_and_goes_on_with_one_when_the_other_is_pulled(
    hub: RunningHub, user: Client, two_boards: tuple[Sshd, Sshd], tmp_path: Path
) -> None:
    one, two = two_boards
    net = onnx_net(tmp_path / "net.onnx")
    before = {board["id"] for board in boards(hub)}

    def served() -> list[dict[str, Any]]:
        return [board for board in boards(hub) if board["id"] not in before]

    with one.as_home():
        addresses = ["--device", one.address, "--device", two.be_known_to(one, "two")]
        with agent(hub, tmp_path / "state", *addresses, "--runtimes", "onnxruntime"):
            until(lambda: len(served()) == 2, "two boards", within_s=240)
            model = user.upload_model(net)
            (name,) = {board["name"] for board in served()}
            jobs = [user.submit_profile_job(model, Device(name), options="--repeats 1") for _ in range(2)]
            until(lambda: all(measures(board) for board in two_boards), "work on both at once")
            two.close()  # its cable is pulled
            later = [user.submit_profile_job(model, Device(name), options=LEAST) for _ in range(2)]
            for job in later:
                assert job.wait().success, job.log()
            two.open()
            for job in jobs:
                assert job.wait().success, job.log()
    ran_on = {one["device_id"] for job in (*jobs, *later) for one in attempts(hub, job.job_id)}
    assert len(ran_on) == 2
    for board in two_boards:
        until(lambda board=board: not board.processes(), "quiet boards")


def measures(board: Sshd) -> bool:
    """Whether a model's process runs there, or has left what it measured, in a session that goes on."""
    return any((board.cache / "workspaces").glob("run-*/runs/*"))


# ---- inference -------------------------------------------------------------------------------------------------------


def test_numbers_of_an_inference_job_by_address_are_those_of_this_machine(
    hub: RunningHub, user: Client, ssh_device: Sshd, tmp_path: Path
) -> None:
    net = onnx_net(tmp_path / "net.onnx")
    batches = {"x": [np.random.default_rng(seed).random((1, 3, 16, 16), dtype=np.float32) for seed in range(3)]}
    with (
        ssh_device.as_home(),
        agent(hub, tmp_path / "state", "--device", ssh_device.address, "--name", "by address"),
    ):
        until(lambda: user.get_devices("by address"), "device", within_s=240)
        job = user.submit_inference_job(user.upload_model(net), Device("by address"), batches, profile=False)
        assert job.wait().success, job.log()
        there = job.download_output_data()
    h5.write(tmp_path / "in.h5", batches)
    spec = InferenceSpec(ProfileSpec(net), tmp_path / "in.h5", tmp_path / "out.h5", measures=False)
    with closing(this_machine()) as connection:
        inference_job.run(inference_job.validate(spec), Context(connection, lambda event: None))
    here = h5.read(tmp_path / "out.h5")
    assert isinstance(there, dict)
    assert there.keys() == here.keys()
    for name, arrays in here.items():
        for a, b in zip(arrays, there[name], strict=True):
            np.testing.assert_array_equal(a, b)


# ---- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [timedelta(days=-365 * 20), timedelta(days=365 * 12)], ids=str)
def test_a_board_whose_date_is_wrong_gives_the_same_results_with_right_dates(tmp_path: Path, off: timedelta) -> None:
    if (found := compiler()) is None:
        pytest.skip("no C compiler is here: apt-get install gcc libc6-dev")
    clock = WallClock(tmp_path, found, int(off.total_seconds()))  # of a board without a battery, or never set
    path = tmp_path / "m.null"
    path.write_text(json.dumps({"busy_ns": 200_000}))
    spec = ProfileSpec(path, options=SHORT)
    begun = datetime.now(UTC).replace(microsecond=0)
    with present("sshd", sshd(variables={"LD_PRELOAD": clock.environment["LD_PRELOAD"]})) as board, board.as_home():
        with closing(connect(board.address)) as connection, connection.session(["null"], print) as session:
            told = datetime.fromisoformat(Executor(session, lambda event: None).look("null").clock)
            assert abs(told - begun - off) < timedelta(minutes=10), "its date is wrong indeed"
        for _ in range(2):  # the second finds all that it needs there, and keeps the first's figures in mind
            with closing(connect(board.address)) as connection:
                profile = profile_job.run(
                    profile_job.validate(spec, here=False), Context(connection, lambda event: None)
                )
            time = profile.inference.time
            assert time is not None
            assert 200_000 <= time.minimum_ns < 400_000
            assert begun <= datetime.fromisoformat(profile.created_at) <= datetime.now(UTC)
            assert str(begun.year + round(off.days / 365)) not in json.dumps(profile.environment)
        assert list((board.cache / "workspaces").glob("run-*")) == []
