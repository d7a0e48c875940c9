"""The doctor's findings on recorded devices."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.doctor import cpu, load, page_cache, sandboxes, timers
from dynolab.doctor.base import Place
from dynolab.doctor.examine import examine
from dynolab.measure import pagecache
from dynolab.measure.protocol import Residency
from dynolab.sandbox import base as sandbox
from dynolab.spec.findings import Finding

Recorded = Callable[[str], Path]


def findings(root: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(root, workspace=root.parent, sample_s=0.001)}


def test_a_hot_laptop_on_battery(recorded: Recorded) -> None:
    found = findings(recorded("laptop"))
    assert found["governor"].state == "warning"
    assert found["governor"].fix.startswith("echo performance | sudo tee /sys/")
    assert found["turbo"].fix == "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
    assert found["temperature"].state == "problem"
    assert "97 °C, 446 throttle events" in found["temperature"].found
    assert found["power"].found == "BAT0: Discharging, power profile low-power"
    assert found["swap"].state == "problem"
    assert found["huge pages"].state == "warning"
    assert found["hyper-threads"].state == "warning"
    assert found["clock source"].state == "problem"


def test_a_raspberry_pi_that_is_held_back(recorded: Recorded) -> None:
    found = findings(recorded("raspberry_pi"))
    assert found["temperature"].state == "problem"
    assert found["turbo"].state == "ok"
    assert found["clock source"].state == "ok"
    assert found["pressure (PSI)"].state == "warning"
    assert found["swap"].state == "ok"


def test_a_virtual_machine_in_a_container_with_half_a_cpu(recorded: Recorded) -> None:
    found = findings(recorded("virtual_machine"))
    assert found["governor"].state == "unknown"
    assert found["temperature"].state == "unknown"
    assert found["CPU quota"].state == "problem"
    assert found["CPU quota"].found.startswith("0.50 CPUs")
    assert "virtual machine" in found["hyper-threads"].found


def test_an_emulated_machine_and_sensors_of_energy(recorded: Recorded) -> None:
    found = findings(recorded("qemu_arm"))
    assert (found["emulation"].state, found["energy"].state) == ("warning", "unknown")
    assert found["emulation"].found == "emulated: a machine of QEMU that shows no KVM"
    assert (found["energy"].found, found["energy"].fix) == ("no power sensor", "")


def test_a_board_with_a_power_monitor(recorded: Recorded) -> None:
    found = findings(recorded("jetson_orin"))
    assert (found["emulation"].state, found["energy"].state) == ("ok", "ok")
    assert found["energy"].found.startswith("power monitor (VDD_GPU_SOC, ")


def test_a_counter_for_root_alone_is_opened_by_a_command(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone = root / "sys" / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    original = Path.read_text

    def barred(path: Path, *given: str, **named: str) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", barred)  # the tests may be root, whom no mode stops
    found = findings(root)["energy"]
    assert (found.state, found.found.partition(":")[0]) == (
        "unknown",
        "RAPL is there, but only root may read it (CVE-2020-8694)",
    )
    assert found.fix.startswith("sudo chmod a+r /sys/class/powercap/*/energy_uj")


def test_an_empty_tree_is_unknown_and_no_failure(root: Path) -> None:
    root.mkdir()
    found = findings(root)
    assert found["load"].state == "unknown"
    assert found["memory peaks (clear_refs)"].state == "problem"
    assert found["swap"].state == "unknown"


def test_worst_first_and_every_trouble_names_its_cost(recorded: Recorded, root: Path) -> None:
    found = examine(recorded("laptop"), workspace=root.parent, sample_s=0.001)
    order = ["problem", "warning", "unknown", "ok"]
    states = [order.index(finding.state) for finding in found]
    assert states == sorted(states)
    assert all(finding.cost for finding in found if finding.state in ("problem", "warning"))
    assert len({finding.name for finding in found}) == len(found)


def test_the_machine_at_hand() -> None:
    found = {finding.name: finding for finding in examine(sample_s=0.02)}
    assert found["timer"].state in ("ok", "warning")
    assert {"load", "steal", "steady speed", "cold loads (page cache)"} <= found.keys()


def test_no_sandbox_is_told_loudly_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_SANDBOX", "none")
    (found,) = sandboxes.confinement(Place(Path("/"), Path("/"), 0.0))
    assert (found.state, found.fix) == ("problem", "sudo apt-get install bubblewrap")
    assert found.cost.startswith("NO SANDBOX")
    monkeypatch.delenv("DYNOLAB_SANDBOX")
    monkeypatch.setattr(sandbox, "problem", lambda name: None if name == "landlock" else f"no {name}")
    (found,) = sandboxes.confinement(Place(Path("/"), Path("/"), 0.0))
    assert (found.state, found.fix) == ("warning", "sudo apt-get install bubblewrap")
    assert found.found.endswith("stronger ones: bubblewrap: no bubblewrap; namespaces: no namespaces")


@pytest.mark.parametrize(
    ("answers", "state"),
    [((1 << 20, 0), "ok"), ((1 << 20, 1 << 20), "problem"), ((None, None), "warning"), ((0, 0), "warning")],
)
def test_a_workspace_that_keeps_its_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answers: tuple[int | None, int | None], state: str
) -> None:
    left = list(answers)
    monkeypatch.setattr(pagecache, "residency", lambda paths: Residency(left.pop(0), 1 << 20))
    place = Place(tmp_path, tmp_path, 0.0)
    (found,) = page_cache.eviction(place)
    assert found.name == "cold loads (page cache)"
    assert found.state == state
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_is_not_there(tmp_path: Path) -> None:
    found = {finding.name: finding for finding in examine(tmp_path, workspace=tmp_path / "none", sample_s=0.001)}
    assert found["cold loads (page cache)"].state == "unknown"


@pytest.mark.parametrize(
    ("share", "state", "text"),
    [(0.0, "ok", "0 %"), (0.0004, "ok", "<0.1 %"), (0.16, "problem", "16.0 %")],
)
def test_what_the_hypervisor_took_has_its_unit(share: float, state: str, text: str) -> None:
    found = load._stolen(share)
    assert (found.state, found.found) == (state, f"the hypervisor took {text} of one CPU")


@pytest.mark.parametrize(
    ("content", "words"), [("Rss: 80000 kB\n", "no line Pss_Anon"), (None, "cannot be read (Linux before 4.14")]
)
def test_without_what_memory_is_read_from_it_is_not_measured(
    recorded: Recorded, content: str | None, words: str
) -> None:
    root = recorded("laptop")
    rollup = root / "proc/self/smaps_rollup"
    rollup.unlink() if content is None else rollup.write_text(content)
    found = findings(root)["memory edges (smaps_rollup)"]
    assert found.state == "problem"
    assert words in found.found
    assert found.cost.startswith("memory is not measured")


def test_the_way_to_cold_files_is_the_workspace(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pagecache, "evict", lambda path, *, inside: None)
    monkeypatch.setattr(pagecache, "residency", lambda paths: Residency(4096, 4096))
    found = findings(recorded("laptop"))["cold loads (page cache)"]
    assert found.state == "problem"
    assert found.fix.startswith("export DYNOLAB_WORKSPACE=")


@pytest.mark.parametrize(("celsius", "state"), [(79, "ok"), (80, "warning")])
def test_a_device_is_hot_from_eighty_degrees_on(recorded: Recorded, celsius: int, state: str) -> None:
    root = recorded("raspberry_pi")
    for counter in root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/*"):
        counter.unlink()
    for zone in root.glob("sys/class/thermal/thermal_zone*/temp"):
        zone.write_text(f"{celsius * 1000}\n")
    for brake in root.glob("sys/class/thermal/cooling_device*/cur_state"):
        brake.write_text("0\n")
    firmware = root / "sys/devices/platform/soc/soc:firmware/get_throttled"
    if firmware.exists():
        firmware.write_text("0\n")
    assert findings(root)["temperature"].state == state


def timer(monkeypatch: pytest.MonkeyPatch, steps: list[int]) -> Finding:
    """What is found of a clock whose readings lie such steps apart, over and over."""
    readings = itertools.accumulate(itertools.cycle(steps))
    monkeypatch.setattr("dynolab.doctor.timers.time.perf_counter_ns", lambda: next(readings))
    (found,) = timers.timer(Place(Path("/"), Path("/"), 0.0))
    return found


@pytest.mark.parametrize(
    ("steps", "state", "told"),
    [
        ([40], "ok", 40),
        ([1000], "ok", 1000),
        ([1001], "warning", 1001),
        ([20, 20, 900, 900, 900], "ok", 900),
        ([20, 20, 5000, 5000, 5000], "warning", 5000),
        ([0, 0, 50, 50, 50], "ok", 50),
        ([0, 0, 0, 50, 50], "warning", 0),
    ],
)
def test_a_clock_is_slow_by_its_median_step_and_coarse_where_most_steps_are_none(
    monkeypatch: pytest.MonkeyPatch, steps: list[int], state: str, told: int
) -> None:
    found = timer(monkeypatch, steps)
    assert (found.state, int(found.found.split()[0])) == (state, told)


@pytest.mark.parametrize(
    ("cores", "quota", "state"),
    [(2, 1.99, "problem"), (2, 2.0, "ok"), (None, 0.99, "problem"), (None, 1.0, "ok")],
)
def test_a_quota_holds_back_where_it_is_less_than_the_machine(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, cores: int | None, quota: float, state: str
) -> None:
    """A system that does not tell its CPUs has one."""
    root = recorded("laptop")
    (root / "sys/fs/cgroup/user.slice/cpu.max").write_text(f"{quota * 100_000:.0f} 100000\n")
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    (found,) = cpu.cpu_quota(Place(root, root, 0.0))
    assert (found.state, found.found[:4]) == (state, f"{quota:.2f}")
