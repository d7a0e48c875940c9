"""Readings on recorded trees of a hot laptop, a Raspberry Pi and a virtual machine, and on the machine at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from dynolab import plugins
from dynolab.errors import Bug
from dynolab.measure import witnesses
from dynolab.measure.readings import (
    clock,
    context_switches,
    cpu_quota,
    faults,
    neighbours,
    pressure,
    reference_kernel,
    run_queue,
    steal,
    swap,
    thermal,
)
from dynolab.measure.readings.base import Reading, Unavailable
from dynolab.testing.waiting import until

DEVICES = Path(__file__).parents[2] / "data" / "devices"
PACKAGE = "dynolab.measure.readings"
NAMES = witnesses.all_names()


def tree(folder: Path, device: str) -> Path:
    for name, content in json.loads((DEVICES / f"{device}.json").read_text(encoding="utf-8")).items():
        write(folder, name, content)
    return folder


def write(folder: Path, name: str, content: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    return tree(tmp_path, "laptop")


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    return tree(tmp_path, "raspberry_pi")


@pytest.fixture
def vm(tmp_path: Path) -> Path:
    return tree(tmp_path, "virtual_machine")


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
def test_every_reading_names_its_values_and_answers_or_says_why_not(name: str) -> None:
    reading = plugins.load(PACKAGE, name)
    assert isinstance(reading, Reading)
    assert reading.name == name
    assert (type(reading).__doc__ or "").strip()
    try:
        values = reading.read()
    except Unavailable as error:
        pytest.skip(f"not on this machine: {error}")
    assert values
    assert values.keys() <= reading.fields.keys()
    assert all(isinstance(value, float) for value in values.values())


@pytest.mark.parametrize("name", sorted(set(plugins.names(PACKAGE)) - {"reference_kernel"}))
def test_every_reading_of_an_empty_tree_is_unavailable_or_from_a_system_call(name: str, tmp_path: Path) -> None:
    reading = plugins.load(PACKAGE, name)
    assert isinstance(reading, Reading)
    with pytest.raises(Unavailable):
        reading.read(tmp_path)


@pytest.mark.parametrize("name", plugins.names(PACKAGE))
@pytest.mark.parametrize("device", ["laptop", "raspberry_pi", "virtual_machine"])
def test_every_reading_understands_every_recorded_device(name: str, device: str, tmp_path: Path) -> None:
    taken = witnesses.snapshot((name,), root=tree(tmp_path, device))
    assert "not understood" not in taken.unavailable.get(name, "")


def test_run_queue_sums_over_threads(laptop: Path) -> None:
    assert run_queue.plugin.read(laptop) == {"delay_ns": 30e6, "on_cpu_ns": 8e9, "main_cpu_ns": 5e9}


def test_run_queue_of_a_kernel_without_the_figures_is_unavailable(laptop: Path) -> None:
    for task in (laptop / "proc/self/task").iterdir():
        (task / "schedstat").write_text("0 0 0\n")
    with pytest.raises(Unavailable, match="CONFIG_SCHED_INFO"):
        run_queue.plugin.read(laptop)


def test_a_thread_that_exits_between_listing_and_reading_is_left_out(laptop: Path) -> None:
    (laptop / "proc/self/task/101/schedstat").unlink()
    assert run_queue.plugin.read(laptop)["on_cpu_ns"] == 5e9


def test_run_queue_counts_the_cpu_time_of_all_threads() -> None:
    def spin() -> None:
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass

    before = run_queue.plugin.read()["on_cpu_ns"]
    other = threading.Thread(target=spin)
    other.start()
    spin()
    assert run_queue.plugin.read()["on_cpu_ns"] > before
    other.join()


def test_context_switches_sum_over_threads(laptop: Path) -> None:
    assert context_switches.plugin.read(laptop) == {"involuntary": 200.0, "voluntary": 100.0}


def test_context_switches_of_a_thread_that_has_ended_count() -> None:
    def wait() -> None:
        for _ in range(20):
            threading.Event().wait(0.005)

    before = context_switches.plugin.read()["voluntary"]
    other = threading.Thread(target=wait)
    other.start()
    other.join()
    assert context_switches.plugin.read()["voluntary"] - before >= 10, (
        "some waits are over before they begin, on a busy machine"
    )


def test_steal_in_nanoseconds(vm: Path) -> None:
    assert steal.plugin.read(vm) == {"stolen_ns": 4.5e9}


def test_neighbours_is_the_machine_less_ourselves_and_our_children(laptop: Path) -> None:
    values = neighbours.plugin.read(laptop)
    busy_ticks, own_ticks = 9000 + 20 + 3000 + 50 + 30, 500 + 100 + 30 + 10
    assert values["others_cpu_ns"] == (busy_ticks - own_ticks) * 1e7
    assert values["tick_ns"] == 1e7
    assert values["cores"] == 4


def test_neighbours_counts_who_runs_besides_our_own_threads(laptop: Path) -> None:
    assert neighbours.plugin.read(laptop)["runnable_others"] == 2


def test_neighbours_is_not_fooled_by_a_name_with_brackets(laptop: Path) -> None:
    stat = laptop / "proc/self/stat"
    stat.write_text(stat.read_text().replace("(a (b) c)", "(x) R 1 2 (y)"))
    assert neighbours.plugin.read(laptop)["others_cpu_ns"] == (12100 - 640) * 1e7


QUOTAS = {
    "two": (
        {"proc/self/cgroup": "0::/box/app\n"},
        {
            "sys/fs/cgroup/cpu.stat": "usage_usec 5\n",
            "sys/fs/cgroup/box/cpu.stat": "usage_usec 5\nnr_periods 10\nnr_throttled 2\nthrottled_usec 300\n",
            "sys/fs/cgroup/box/app/cpu.stat": "nr_periods 70\nnr_throttled 65\nthrottled_usec 4000\n",
        },
        {"periods": 80, "throttled_periods": 67, "throttled_ns": 4.3e6},
    ),
    "one": (
        {"proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/x\n0::/\n"},
        {"sys/fs/cgroup/cpu,cpuacct/x/cpu.stat": "nr_periods 4\nnr_throttled 1\nthrottled_time 900\n"},
        {"periods": 4, "throttled_periods": 1, "throttled_ns": 900},
    ),
    "two beside one": (
        {"proc/self/cgroup": "4:memory:/x\n0::/y\n"},
        {"sys/fs/cgroup/unified/y/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_usec 2\n"},
        {"periods": 9, "throttled_periods": 3, "throttled_ns": 2000},
    ),
}


@pytest.mark.parametrize("version", QUOTAS)
def test_a_quota_of_any_group_around_the_process_counts(tmp_path: Path, version: str) -> None:
    own, groups, expected = QUOTAS[version]
    for path, content in {**own, **groups}.items():
        write(tmp_path, path, content)
    assert cpu_quota.plugin.read(tmp_path) == expected


def test_without_a_group_that_counts_there_is_no_reading(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/\n")
    write(tmp_path, "sys/fs/cgroup/cpu.stat", "usage_usec 5\n")
    with pytest.raises(Unavailable, match="no control group"):
        cpu_quota.plugin.read(tmp_path)


def test_pressure_in_microseconds(laptop: Path) -> None:
    values = pressure.plugin.read(laptop)
    assert values["cpu_some_us"] == 9e6
    assert values["memory_full_us"] == 2e4
    assert values["io_some_us"] == 7e5


def test_pressure_is_unavailable_where_the_kernel_has_none(pi: Path) -> None:
    with pytest.raises(Unavailable, match="proc/pressure/cpu"):
        pressure.plugin.read(pi)


def test_faults_tell_what_came_from_storage(laptop: Path) -> None:
    assert faults.plugin.read(laptop) == {"read_bytes": 4096000.0}
    assert faults.plugin.read()["minor"] > 0


def test_swap_of_our_own_and_of_all(laptop: Path) -> None:
    assert swap.plugin.read(laptop) == {"own_bytes": 256 * 1024, "pages_in": 1200.0, "pages_out": 3400.0}


def test_clock_over_all_cpus(laptop: Path) -> None:
    assert clock.plugin.read(laptop) == {"min_hz": 0.8e9, "max_hz": 3.4e9, "mean_hz": 2.1e9}


def test_clock_of_a_virtual_machine_is_what_cpuinfo_says(vm: Path) -> None:
    assert clock.plugin.read(vm)["max_hz"] == pytest.approx(2.499998e9)


def test_clock_looks_at_some_of_many_cpus(tmp_path: Path) -> None:
    for cpu in range(256):
        write(tmp_path, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", "2000000\n")
    assert clock.plugin.read(tmp_path)["mean_hz"] == 2e9


def test_thermal_of_a_laptop_that_throttles(laptop: Path) -> None:
    values = thermal.plugin.read(laptop)
    assert values["max_celsius"] == 97
    assert values["throttle_events"] == sum(range(10, 14)) + 4 * 100
    assert values["cooling_state"] == 2  # the processor's, not the fan's


def test_thermal_of_a_raspberry_pi_that_its_firmware_holds_back(pi: Path) -> None:
    assert thermal.plugin.read(pi) == {"max_celsius": 84.5, "firmware_throttled": 1.0}


def test_thermal_of_a_virtual_machine_is_unavailable(vm: Path) -> None:
    with pytest.raises(Unavailable, match="no thermal zone"):
        thermal.plugin.read(vm)


def test_the_reference_kernel_says_what_it_depends_on() -> None:
    assert reference_kernel.plugin.read()["integer_ns"] > 0
    assert "zlib" in reference_kernel.identity()


def test_the_reference_kernel_on_several_threads_leaves_none_of_them_and_the_affinity_as_it_was() -> None:
    threads, allowed = threading.active_count(), os.sched_getaffinity(0)
    team = reference_kernel.KernelTeam()
    assert team.slowest_ns(1) > 0
    assert threading.active_count() == threads, "alone it needs nobody"
    for _ in range(3):
        assert team.slowest_ns(3) > 0, "also on fewer CPUs than threads"
    assert threading.active_count() == threads + 2, "the same ones each time"
    assert os.sched_getaffinity(0) == allowed
    team.close()
    until(lambda: threading.active_count() == threads, "the threads to see it")


def test_the_reference_kernel_leaves_no_memory_behind() -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    reference_kernel.plugin.read()
    before = resident_bytes()
    for _ in range(3):
        reference_kernel.plugin.read()
    assert resident_bytes() - before < 1 << 20


def test_between_grows_counters_and_keeps_gauges(laptop: Path) -> None:
    before = witnesses.snapshot(NAMES, root=laptop)
    write(laptop, "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "17\n")
    write(laptop, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2000000\n")
    (laptop / "proc/self/task/101/schedstat").unlink()
    after = witnesses.snapshot(NAMES, root=laptop, closing=True)
    found = witnesses.between(before, after)
    assert found.wall_ns > 0
    assert found.grown["thermal.throttle_events"] == 7
    assert found.grown["run_queue.delay_ns"] == 0  # it fell with the thread
    assert (found.before["clock.max_hz"], found.after["clock.max_hz"]) == (3.4e9, 3e9)
    assert found.unavailable == {"nvidia": "there is no NVIDIA driver"}


def test_a_file_in_an_unknown_form_makes_its_reading_unavailable_and_no_other(laptop: Path) -> None:
    write(laptop, "proc/self/task/100/schedstat", "many few\n")
    found = witnesses.snapshot(NAMES, root=laptop)
    assert "not understood: ValueError" in found.unavailable["run_queue"]
    assert "swap.own_bytes" in found.values


def test_a_value_without_a_field_is_a_bug() -> None:
    odd = witnesses.Snapshot(NAMES, 0, {"steal.wrong": 1.0}, {})
    with pytest.raises(Bug, match=r"steal\.wrong"):
        witnesses.between(odd, odd)


def test_counters_are_read_next_to_the_pass(laptop: Path) -> None:
    order = list(witnesses.snapshot(NAMES, root=laptop).values)
    closing = list(witnesses.snapshot(NAMES, root=laptop, closing=True).values)
    assert order.index("neighbours.others_cpu_ns") < order.index("reference_kernel.integer_ns")
    assert order.index("reference_kernel.integer_ns") < order.index("run_queue.delay_ns")
    assert closing.index("run_queue.delay_ns") < closing.index("reference_kernel.integer_ns")


def test_a_snapshot_is_dated_on_the_side_of_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(witnesses, "time", SimpleNamespace(monotonic_ns=lambda: next(now)))
    monkeypatch.setattr(
        witnesses, "_readings", lambda names: [SimpleNamespace(name="late", read=lambda root: {"ns": next(now)})]
    )
    opening, closing = witnesses.snapshot(("late",)), witnesses.snapshot(("late",), closing=True)
    assert opening.at_ns > opening.values["late.ns"]
    assert closing.at_ns < closing.values["late.ns"]


def test_readings_bring_in_numpy_at_most() -> None:
    script = f"""
import sys
from pathlib import Path
from dynolab import plugins
for name in plugins.names({PACKAGE!r}):
    plugins.load({PACKAGE!r}, name)
import dynolab.measure.witnesses
tops = {{name.partition('.')[0] for name in sys.modules if not name.startswith('_')}}
print(*sorted(tops - sys.stdlib_module_names - {{'dynolab', 'numpy', '__main__'}}))
"""
    ran = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    foreign = {
        name
        for name in ran.stdout.split()
        if "editable" not in name and name not in {"sitecustomize", "distutils-precedence"}
    }
    assert foreign == set()
