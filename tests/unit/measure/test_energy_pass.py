"""The energy pass from end to end: a policy, an executor and real workers, on a counter that grows as the clock does."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from dynolab.measure import energy_figures, profiling
from dynolab.measure.campaign_messages import Campaign, Measured
from dynolab.measure.clock import now_ns
from dynolab.measure.device import Device
from dynolab.measure.executor.verbs import Executor
from dynolab.measure.orders import Verb, document_of, line_of
from dynolab.measure.protocol import PROTOCOL_VERSION, InputWishes
from dynolab.measure.readings import energy
from dynolab.spec.models import ModelFormat

IDLE_WATTS, LOOP_WATTS = 5.0, 25.0
RANGE_JOULES = 20.0
"""The counter wraps after less than a second of the loop."""


class Here:
    """A line to an executor in this very process; ``orders`` are those that it was given."""

    def __init__(self, workspace: Path) -> None:
        self._lines: deque[str] = deque()
        self.executor = Executor(workspace, lambda event: self._lines.append(line_of(event)))
        self.orders: list[dict[str, Any]] = []

    def send(self, line: str) -> None:
        order = document_of(line) or {}
        self.orders.append(order)
        if order["verb"] != Verb.CLOSE:
            value = self.executor.carry_out(order["verb"], order.get("with"))
            self._lines.append(line_of({"answer": order["order"], "at_ns": now_ns(), "value": value}))

    def receive(self, within_s: float) -> str | None:
        return self._lines.popleft() if self._lines else None

    def ended(self) -> tuple[int, str]:
        return 0, ""


class Counter(energy.Energy):
    """RAPL of a machine that uses more while a worker runs, written as the kernel shows it just before it is read."""

    def __init__(self, root: Path, runs: Path) -> None:
        super().__init__()
        self.root, self._runs = root, runs
        self._joules, self._at_ns = 3.0, now_ns()

    def told(self, root: Path = Path("/")) -> tuple[dict[str, float], dict[str, str]]:
        del root
        now = now_ns()
        self._joules += (LOOP_WATTS if self._is_busy() else IDLE_WATTS) * (now - self._at_ns) / 1e9
        self._at_ns = now
        (self.root / "energy_uj").write_text(f"{int(self._joules % RANGE_JOULES * 1e6)}\n")
        return super().told(self.root.parents[3])

    def sources(self, root: Path = Path("/")) -> dict[str, str]:
        del root
        return super().sources(self.root.parents[3])

    def _is_busy(self) -> bool:
        """Whether the last run has begun and left no result."""
        last = max(self._runs.glob("*"), default=None)
        return last is not None and not (last / "result.json").exists()


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """Of a model that sleeps 5 ms, two repeats."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    model = workspace / "slow.null"
    model.write_text(json.dumps({"shape": [1], "sleep_s": 0.005, "at": "inference"}))
    return Campaign(
        protocol=PROTOCOL_VERSION,
        folder=str(workspace),
        runtime="null",
        model=str(model),
        format=ModelFormat.NULL,
        files=(str(model),),
        options_text="--max_profiler_iterations 10",
        wishes=InputWishes(),
        repeats=2,
        seed=1,
    )


def carried_out(campaign: Campaign) -> tuple[Measured, Here]:
    here = Here(Path(campaign.folder))
    device = Device(here, lambda event: None)
    try:
        return profiling.carry_out(device, device.look("null"), campaign), here
    finally:
        here.executor.close()


def test_the_energy_of_an_inference_is_that_of_the_counter(
    campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = tmp_path / "root" / "sys" / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text(f"{int(RANGE_JOULES * 1e6)}\n")
    monkeypatch.setattr(energy, "plugin", Counter(zone, Path(campaign.folder) / "runs"))
    monkeypatch.setattr("dynolab.measure.energy_pass.LOOP_S", 1.5)
    measured, _ = carried_out(campaign)
    assert measured.energy is not None
    assert [len(measured.energy.idle), len(measured.energy.loops)] == [3, 2]
    told = energy_figures.summary(measured.energy)
    assert (told.reason, told.source) == (None, "RAPL (package-0)")
    assert told.idle_watts == pytest.approx(IDLE_WATTS, rel=0.05)
    assert told.loop_watts == pytest.approx(LOOP_WATTS, rel=0.05)
    slept = (LOOP_WATTS - IDLE_WATTS) * 0.005
    assert told.joules is not None
    assert told.joules >= 0.9 * slept, "no inference is shorter than its sleep"
    for samples, joules in zip(measured.energy.loops, told.sensors[0].all_joules, strict=True):
        inside = energy_figures.within(samples)
        seconds = (inside[-1].at_ns - inside[0].at_ns) / 1e9 / (inside[-1].count - inside[0].count)
        assert joules == pytest.approx((LOOP_WATTS - IDLE_WATTS) * seconds, rel=0.1)


@pytest.mark.skipif(Path("/sys/class/powercap/intel-rapl:0").exists(), reason="this machine has a sensor")
def test_where_no_sensor_is_nothing_more_is_run(campaign: Campaign) -> None:
    measured, here = carried_out(campaign)
    assert measured.error is None
    assert measured.energy is not None
    assert (measured.energy.loops, measured.energy.sources) == ((), {})
    verbs = [one["verb"] for one in here.orders]
    assert verbs.count(Verb.IDLE) == 1
    assert not any(one["with"].get("reads_energy") for one in here.orders if one["verb"] == Verb.RUN)
