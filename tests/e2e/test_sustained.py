"""A sustained run through the command line: the curve, the place where a model gets slower, and what ends it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.spec import codec
from dynolab.spec.profiles import Profile
from dynolab.testing.commands import command

FEW = ("--repeats", "1", "--options", "--max_profiler_iterations 1")
SECOND = 10**9


def profiled(model: Path, *arguments: str) -> tuple[Profile, str]:
    """The document that was written, and what was printed."""
    output = model.parent / "out"
    done = command("profile", str(model), *FEW, "-o", str(output), *arguments)
    assert done.returncode == 0, done.stderr
    return codec.decode(Profile, json.loads((output / "profile.json").read_text())), done.stdout + done.stderr


def test_a_steady_model_keeps_its_pace_and_leaves_a_curve(null_model: Callable[..., Path]) -> None:
    model = null_model(busy_ns=300_000)
    profile, told = profiled(model, "--sustained", "6s")
    found = profile.sustained
    assert found is not None
    assert found.asked_s == 6
    assert 6 * SECOND <= found.wall_ns < 9 * SECOND
    assert 20 <= len(found.windows) <= 30
    for before, after in zip(found.windows, found.windows[1:], strict=False):
        assert before.at_ns + before.wall_ns <= after.at_ns
    assert sum(one.wall_ns for one in found.windows) >= 0.95 * found.wall_ns, "without a pause"
    assert all(300_000 <= one.minimum_ns <= one.median_ns and one.count > 0 and one.kernel_ns for one in found.windows)
    assert (found.slowed_after_ns, found.cause) == (None, None)
    assert found.ratio_lower < 1 < found.ratio_upper
    assert "no throttling seen within 6" in told
    assert "Sustained " in told
    assert "sustained: inferring for 6 s without a pause" in told
    rows = list(csv.DictReader((model.parent / "out" / "sustained.csv").read_text().splitlines()))
    assert [int(row["median_ns"]) for row in rows] == [one.median_ns for one in found.windows]
    assert "Sustained run" in (model.parent / "out" / "report.html").read_text()


def test_a_model_that_gets_slower_is_found_with_the_time_and_by_how_much(null_model: Callable[..., Path]) -> None:
    profile, told = profiled(null_model(busy_ns=300_000, slower_after_s=3, slower_times=2), "--sustained", "6s")
    found = profile.sustained
    assert found is not None
    assert found.slowed_after_ns is not None
    assert 2 * SECOND < found.slowed_after_ns < 4 * SECOND
    assert found.ratio_lower < 2 < found.ratio_upper
    assert found.cause is not None
    assert "slower after" in told
    assert [one.code for one in profile.notices if one.code.startswith("sustained")] == ["sustained-slower"]


def test_a_model_that_fails_in_it_keeps_what_was_measured_before(null_model: Callable[..., Path]) -> None:
    """It leaves 100 kB behind in each inference: the stages' few fit into the limit, those of seconds do not."""
    profile, told = profiled(null_model(leak_bytes=100_000), "--sustained", "10s", "--memory-limit", "600MB")
    assert profile.sustained is None
    assert profile.sustained_reason is not None
    assert profile.sustained_reason.startswith("the sustained run failed: ")
    assert "memory" in profile.sustained_reason
    assert profile.inference.time is not None
    assert "the sustained run failed" in told
    assert not (null_model().parent / "out" / "sustained.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--sustained", "soon"), "soon"),
        (("--sustained", "10 m"), "10 m"),
        (("--sustained", "2s"), "a sustained run of 2 s: it takes 5 s to 12 h"),
        (("--sustained", "20h"), "it takes 5 s to 12 h"),
        (("--sustained", "10m", "--timeout", "600"), "--timeout 600 ends before the sustained run of 600 s is over"),
        (("--sustained", "10m", "--options", "--sustained 1h"), "--sustained is given twice"),
    ],
)
def test_a_length_that_does_not_do_is_refused(
    null_model: Callable[..., Path], arguments: tuple[str, ...], told: str
) -> None:
    done = command("profile", str(null_model()), *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_comparison_has_none(null_model: Callable[..., Path]) -> None:
    model = null_model()
    done = command("compare", str(model), str(model), "--options-a", "--sustained 10s")
    assert done.returncode == 2
    assert "--sustained is an option of profile jobs" in done.stderr
