"""Every drill, for a third of a minute; and that what the frame judges by is seen when it does not hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from dynolab.testing.clocks import compiler
from dynolab.testing.object_stores import Missing

from . import packets, postgres_pair
from .drill_soak import RISE_MOST, Samples, fitted, judged
from .frame import Outcome, judge, judge_check, names, play
from .light_agents import figure_of
from .load import Load

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
SHORT = {"soak": 1.0}
"""Minutes of those that a third of one tells nothing of."""


def why_not(name: str) -> str:
    """Why a drill cannot be played here; empty: it can."""
    if name in ("network", "half_open") and not packets.able():
        return "needs root, TUN devices and network namespaces"
    if name == "disks" and os.geteuid() != 0:
        return "only root mounts file systems"
    if name == "clocks" and compiler() is None:
        return "needs a C compiler, for a clock that can be set"
    if name == "failover" and not postgres_pair.able():
        return "needs PostgreSQL's pg_basebackup, pg_ctl and psql"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(names()) - {"boards"}))  # which has a test of its own
def test_nothing_is_lost_doubled_stuck_or_left(name: str, tmp_path: Path) -> None:
    if why := why_not(name):
        pytest.skip(why)
    try:
        found = play(name, seed=1, minutes=SHORT.get(name, 0.3), folder=tmp_path / name)
    except Missing as error:
        pytest.skip(str(error))
    assert found.holds, found.document
    assert found.acknowledged >= 3


# ---- what it judges by -----------------------------------------------------------------------------------------------


def job(number: int, **changes: Any) -> dict[str, Any]:
    told = {"estimated_inference_time_ns": figure_of(f"j{number}")}
    sound = {"state": "done", "name": f"job {number}", "attempts": [{"state": "done"}], "summary": told}
    return {**sound, **changes}


def judged_of(*jobs: dict[str, Any]) -> Outcome:
    load, outcome = Load(lambda: "", "", "", per_s=1.0), Outcome("none", 1, 1.0)
    load.waited_s = [1.0]
    judge(load, {f"j{number}": one for number, one in enumerate(jobs, 1)}, outcome)
    load.close()
    return outcome


def test_what_holds_is_let_pass() -> None:
    three = {"code": "DeviceLost", "details": {"attempts": [1, 2, 3]}, "message": "lost"}
    assert judged_of(job(1), job(2, state="failed", failure=three, attempts=[])).holds


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("stuck", {"state": "running"}),
        ("doubled", {"attempts": [{"state": "done"}, {"state": "done"}]}),
        ("doubled", {"name": "job 1"}),
        ("lost", {"summary": {"estimated_inference_time_ns": 5}}),
        ("lost", {"summary": None}),
        ("lost", {"state": "failed", "failure": {"code": "Bug", "details": {}, "message": "who knows"}}),
        ("lost", {"state": "failed", "failure": {"code": "DependencyFailed", "details": {}, "message": "x"}}),
        ("lost", {"state": "cancelled"}),
    ],
)
def test_what_does_not_hold_is_counted(column: str, changes: dict[str, Any]) -> None:
    assert getattr(judged_of(job(1), job(2, **changes)), column)


@pytest.mark.parametrize(
    ("name", "column"),
    [("object-has-an-owner", "orphans"), ("one-job-an-idempotency-key", "doubled"), ("job-queued", "wrong")],
)
def test_what_the_check_finds_is_counted(name: str, column: str) -> None:
    problem = {"what": "x", "why": "y"}
    outcome = Outcome("none", 1, 1.0)
    judge_check({"checks": [{"name": name, "state": "wrong", "problems": [problem]}], "counts": {}}, outcome)
    assert getattr(outcome, column)
    assert not outcome.holds


def test_a_line_is_fitted_by_least_squares() -> None:
    line = fitted([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0)])
    assert (round(line.begins, 9), round(line.rises, 9)) == (1.0, 3.0)


@pytest.mark.parametrize("name", RISE_MOST)
def test_what_rises_is_not_flat(name: str) -> None:
    samples = Samples.__new__(Samples)
    samples.taken = [(float(at), dict.fromkeys(RISE_MOST, 50.0)) for at in range(20)]
    assert judged(samples) == []
    for at, one in samples.taken:
        one[name] += at * RISE_MOST[name] / 5
    assert len(judged(samples)) == 1


def test_few_samples_tell_nothing() -> None:
    samples = Samples.__new__(Samples)
    samples.taken = []
    assert judged(samples)
