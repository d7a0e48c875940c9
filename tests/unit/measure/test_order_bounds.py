"""How long an answer is waited for."""

from __future__ import annotations

from dynolab.measure.order_bounds import RUN_S, SHORT_S, SLACK_S, bound_s
from dynolab.measure.orders import At, Idle, Run, Turns
from dynolab.measure.protocol import PROTOCOL_VERSION, Measure, RunKind, RunRequest
from dynolab.spec.holding import Claim, HolderKind
from dynolab.spec.models import ModelFormat

REQUEST = RunRequest(
    protocol=PROTOCOL_VERSION,
    kind=RunKind.SUSTAINED,
    measure=Measure.TIME,
    runtime="null",
    model="m",
    format=ModelFormat.NULL,
    artifact_dir="a",
    cache_dir="c",
    options_text="",
    seed=1,
    time_limit_ns=10_000_000_000,
    sustained_ns=600_000_000_000,
)


def test_a_run_is_given_what_its_loops_are_and_the_users_own_limit_is_nearer() -> None:
    assert bound_s(Run("", REQUEST)) == RUN_S + 610 + SLACK_S
    assert bound_s(Run("", REQUEST, timeout_s=30.0)) == 30 + SLACK_S


def test_turns_are_given_both_sides_limits() -> None:
    runs = (Run("a", REQUEST, timeout_s=30.0), Run("b", REQUEST, timeout_s=30.0))
    assert bound_s(Turns(runs, 1, 1, 1, 5_000_000_000)) == 65 + SLACK_S


def test_what_has_a_length_of_its_own_is_given_that_and_all_else_a_while() -> None:
    assert bound_s(Idle(20.0)) == 20 + SHORT_S
    assert bound_s(Claim("ada", "x", HolderKind.REACHED, wait_s=1800.0)) == 1800 + SHORT_S
    assert bound_s(At("a")) == bound_s(None) == SHORT_S
