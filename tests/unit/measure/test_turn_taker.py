"""One side of a duet: it takes turns, and stands still in between, whatever its runtime's threads do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dynolab import errors
from dynolab.measure import profiling
from dynolab.measure.campaign import Runner
from dynolab.measure.campaign_messages import Campaign
from dynolab.measure.duet import WARM_UP_NS
from dynolab.measure.executor.place import PlaceFolder
from dynolab.measure.executor.turns import TurnTaker
from dynolab.measure.orders import Files, Place
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes, Measure, RunKind
from dynolab.measure.turns import TURN_MOST
from dynolab.spec.models import ModelFormat
from dynolab.testing.direct_device import direct_device
from dynolab.testing.waiting import until

ONNX = Path(__file__).parents[3] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"


def taker_of(folder: Path, source: Path, runtime: str, kind: ModelFormat, options: str = "") -> TurnTaker:
    """One side of a duet for the model, which was inspected."""
    place = folder / "side"
    (place / "model").mkdir(parents=True)
    model = str(shutil.copy(source, place / "model"))
    wishes = InputWishes(shapes={"x": (1, 3, 48, 192)} if kind == ModelFormat.ONNX else {})
    device = direct_device(folder)
    asked = Campaign(PROTOCOL_VERSION, str(place), runtime, model, kind, (model,), options, wishes, 1, 1, place="side")
    made = Runner(device, device.look(runtime), asked)
    profiling.inspect(made)
    run = made.order(made.request(RunKind.TURNS, Measure.TIME, time_limit_ns=WARM_UP_NS), Files.WARM)
    return TurnTaker(PlaceFolder(folder, Place("again", (model,))), run)


def null(folder: Path, text: str = "{}") -> TurnTaker:
    model = folder / "m.null"
    model.write_text(text, encoding="utf-8")
    return taker_of(folder, model, "null", ModelFormat.NULL)


def cpu_ns(pid: int) -> int:
    """What all threads of a process ran so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            total += int(task.joinpath("schedstat").read_text().split()[0])
    return total


def stands_still(pid: int) -> bool:
    """Whether all its threads are stopped."""
    states = [
        task.joinpath("stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


def test_a_turn_is_as_long_as_it_is_asked_to_be(tmp_path: Path) -> None:
    with null(tmp_path, '{"busy_ns": 100000}') as taker:
        taker.await_ready()
        windows = [taker.take("a", count) for count in (1, 7, TURN_MOST)]
        outcome = taker.finish()
    assert [len(window.values_ns) for window in windows] == [1, 7, TURN_MOST]
    assert all(min(window.warmup_ns, *window.values_ns) >= 100_000 for window in windows)
    assert all(len(window.kernels_ns) == 2 and min(window.kernels_ns) > 0 for window in windows)
    assert outcome.result.stages["warm_load"].values_ns[0] > 0


def test_spinning_threads_stand_still_when_it_is_not_their_turn(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    options = '--onnx_options "intra_op_num_threads=2"'
    with taker_of(tmp_path, ONNX, "onnxruntime", ModelFormat.ONNX, options) as taker:
        taker.await_ready()
        taker.take("a", 20)
        pid = taker.worker.pid
        until(lambda: stands_still(pid), "all threads to stop", every_s=0.001)  # each does so when it gets a CPU
        before = cpu_ns(pid)
        time.sleep(0.3)  # for as long as a spinning thread would show
        assert cpu_ns(pid) == before
        taker.take("a", 20)
        assert cpu_ns(taker.worker.pid) > before
        taker.finish()


def test_a_model_that_writes_to_the_channel_is_found_out(tmp_path: Path) -> None:
    ours, models = socket.socketpair()
    with null(tmp_path) as taker, ours, models:
        taker._ours.close()
        taker._ours = ours
        models.sendall(b"\xff" * 8)
        with pytest.raises(errors.WorkerCrashed, match="no duration: -1 ns"):
            taker.await_ready()


def test_a_worker_that_ends_before_its_time_is_told_by_its_end(tmp_path: Path) -> None:
    with null(tmp_path) as taker:
        taker.await_ready()
        os.kill(taker.worker.pid, signal.SIGKILL)
        with pytest.raises(errors.DeviceLost, match="SIGKILL"):
            taker.take("a", 1)
