"""Health of boards in the hub's use cases: probes, quarantine and release, drift, lost devices, each on a bench in this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import func, insert, select, update

from dynolab.errors import Conflict, DeviceBusy, DeviceUnfit, Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.tables import attempt, device, job, probe
from dynolab.hub.usecases.base import Account
from dynolab.hub.usecases.change_health import quarantine_board, release_board
from dynolab.hub.usecases.change_pool import PoolChange, change_pool
from dynolab.hub.usecases.claim_attempt import claim_attempt
from dynolab.hub.usecases.end_attempt import BUSY_MOST, MAX_ATTEMPTS, sweep_leases
from dynolab.hub.usecases.estimate_start import estimate_start
from dynolab.hub.usecases.find_board_states import BoardFilter, BoardState, find_board_states
from dynolab.hub.usecases.find_boards import find_load
from dynolab.hub.usecases.find_probes import MARKS, POINTS, find_probes
from dynolab.hub.usecases.report_probe import report_probe
from dynolab.hub.usecases.sweep_probes import KEPT_DAYS, sweep_probes
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, Outcome, ProbeAnswer, ProbeReport
from dynolab.spec.board_health import BAD_MOST, BAND_LEAST, GOOD_LEAST, Probe
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench], Awaitable[None]]
Run = Callable[..., None]
USUAL = Probe({"slowest_core_ns": 100_000, "fastest_core_ns": 90_000, "memory_ns": 3_000_000}, 4, "kernel 1", 0.0, 40.0)
SLOW = replace(USUAL, figures={**USUAL.figures, "slowest_core_ns": 200_000})


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    def carry_out(drill: Drill, **settings: object) -> None:
        on_bench(postgres, tmp_path, drill, **settings)

    return carry_out


async def report(bench: Bench, *probes: Probe, board: int = 1) -> ProbeAnswer:
    """The answer to the last of these probes of a board."""
    for one in probes:
        answer = await report_probe(bench.hub, bench.agent, ProbeReport(AGENT_PROTOCOL, bench.offer(board), one))
    return answer


async def learn(bench: Bench, board: int = 1) -> None:
    await report(bench, *[USUAL] * BAND_LEAST, board=board)


async def state_of(bench: Bench, board: int = 1, account: Account | None = None) -> BoardState:
    [found] = await find_board_states(bench.hub, account or bench.user, BoardFilter(id=bench.offer(board).id), limit=1)
    return found


async def estimated(bench: Bench, job_id: str) -> Any:
    return await estimate_start(bench.hub, await bench.row(job, job_id), 1)


def test_a_quarantined_board_is_given_nothing_and_its_peers_have_its_jobs(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await learn(bench)
        answer = await report(bench, SLOW)
        assert (answer.state, answer.again_in_s) == ("good", 15.0)
        first = await bench.submit(await bench.model())
        assert await bench.claim() is None, "it is probed again first"
        assert (await state_of(bench)).probed_again
        answer = await report(bench, SLOW)
        assert answer.state == "quarantined"
        assert "its slowest core takes 2.00 times as long as usual" in answer.why
        shown = await state_of(bench)
        assert (shown.state, shown.health, shown.why) == ("free", "quarantined", answer.why)
        assert shown.health_since is not None
        [load] = await find_load(bench.hub, bench.user, name=bench.name)
        assert load.quarantined == (answer.why,)
        assert await bench.claim() is None
        assert (await estimated(bench, first)).seconds == 0, "its peer is free"
        assert (await bench.claimed(2)).job_id == first

    run(drill)


def test_where_all_boards_are_out_of_order_a_job_waits_and_says_why(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await learn(bench)
        await report(bench, *[SLOW] * BAD_MOST)
        job_id = await bench.submit(await bench.model())
        found = await estimated(bench, job_id)
        assert (found.seconds, found.reason) == (None, "unwell")
        [why] = found.unwell
        assert why.startswith(f"{bench.offer().id}: quarantined: its slowest core")
        answer = await report(bench, *[USUAL] * (GOOD_LEAST - 1))
        assert answer.state == "quarantined"
        assert await bench.claim() is None
        answer = await report(bench, USUAL)
        assert (answer.state, answer.again_in_s) == ("probation", 60.0)
        assert (await state_of(bench)).why, "for what it is on probation is told"
        assert (await bench.claimed()).job_id == job_id
        assert (await report(bench, SLOW)).state == "quarantined", "one is enough"
        await report(bench, *[USUAL] * (2 * GOOD_LEAST))
        shown = await state_of(bench)
        assert (shown.health, shown.why) == ("good", "")

    run(drill, boards=1)


def test_a_slow_board_does_not_widen_its_own_band_nor_another_boards(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await learn(bench)
        await report(bench, *[SLOW] * 30)
        assert (await report(bench, SLOW)).state == "quarantined"
        assert (await report(bench, SLOW, board=2)).again_in_s == 120.0, "the other learns for itself"
        other = replace(SLOW, identity="kernel 2")
        assert (await report(bench, other)).state == "quarantined"
        found = await find_probes(bench.hub, bench.offer().id)
        assert found.newest is not None
        assert found.newest.verdict == "learning", "times of another kernel are not held against these"
        assert found.bands == {}

    run(drill)


def test_owners_quarantine_and_release_by_hand_and_others_may_not(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        hub, user, other = bench.hub, bench.user, await bench.account()
        await learn(bench)
        board = bench.offer().id
        with pytest.raises(NotFound):
            await quarantine_board(hub, other, board)
        pool_id = (await bench.row(device, board)).pool_id
        await change_pool(hub, user, pool_id, PoolChange(let_send=(other.email,)))
        for change in (quarantine_board, release_board):
            with pytest.raises(Forbidden):
                await change(hub, other, board)
        with pytest.raises(SpecInvalid):
            await quarantine_board(hub, user, board, reason="x" * 300)
        running = await bench.submit(await bench.model())
        claimed = await bench.claimed()
        await quarantine_board(hub, user, board, reason="its fan is loud")
        shown = await state_of(bench, account=other)
        assert (shown.state, shown.health, shown.why, shown.health_by, shown.is_own) == (
            "busy",
            "quarantined",
            "its fan is loud",
            user.email,
            False,
        )
        await bench.finish(claimed)
        assert await bench.state(running) == "done", "what runs goes on"
        waiting = await bench.submit(await bench.model())
        assert (await report(bench, *[USUAL] * 20)).state == "quarantined", "probes do not release it"
        assert await bench.claim() is None
        await release_board(hub, user, board)
        shown = await state_of(bench)
        assert (shown.health, shown.health_by) == ("probation", "")
        assert (await bench.claimed()).job_id == waiting
        await report(bench, *[USUAL] * GOOD_LEAST)
        await release_board(hub, user, board)
        assert (await state_of(bench)).health == "good", "one that is well stays as it is"

    run(drill, boards=1)


def test_a_board_that_is_another_now_learns_anew(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        await learn(bench)
        await report(bench, *[SLOW] * BAD_MOST)
        await release_board(bench.hub, bench.user, bench.offer().id, relearn=True)
        answer = await report(bench, *[SLOW] * BAND_LEAST)
        assert answer.state == "probation"
        answer = await report(bench, *[SLOW] * GOOD_LEAST)
        assert answer.state == "good"
        assert (await find_probes(bench.hub, bench.offer().id)).bands["slowest_core_ns"].middle == pytest.approx(2e5)

    run(drill, boards=1)


def test_a_claim_that_waits_is_woken_by_the_release(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        woken: list[str] = []
        wake = bench.hub.queue.wake

        async def heard(connection: Any, queue: str) -> None:
            woken.append(queue)
            await wake(connection, queue)

        bench.hub.queue.wake = heard  # type: ignore[method-assign]  # listened to
        await quarantine_board(bench.hub, bench.user, bench.offer().id)
        await release_board(bench.hub, bench.user, bench.offer().id)
        assert woken == [f"device:{bench.offer().id}"]

    run(drill)


def test_probes_that_are_none_are_refused(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        for wrong in (
            replace(USUAL, figures={}),
            replace(USUAL, figures={**USUAL.figures, "other_ns": 1}),
            replace(USUAL, figures={**USUAL.figures, "memory_ns": 0}),
            replace(USUAL, figures={**USUAL.figures, "memory_ns": 10**18}),
            replace(USUAL, identity="x" * 300),
            replace(USUAL, cores=0),
            replace(USUAL, others_share=1.5),
            replace(USUAL, celsius=2e6),
        ):
            with pytest.raises(SpecInvalid):
                await report(bench, wrong)
        with pytest.raises(Conflict, match="speaks protocol 1"):
            await report_probe(bench.hub, bench.agent, ProbeReport(1, bench.offer(), USUAL))
        stranger = await bench.agent_of(await bench.account())
        with pytest.raises(Forbidden):
            await report_probe(bench.hub, stranger, ProbeReport(AGENT_PROTOCOL, bench.offer(), USUAL))
        assert (await find_probes(bench.hub, bench.offer().id)).newest is None

    run(drill)


async def had(bench: Bench, days_ago: float, factor: float, count: int = 1, verdict: str = "good") -> None:
    """Probes that came some days ago."""
    figures = {name: round(value * factor) for name, value in USUAL.figures.items()}
    values = {"device_id": bench.offer().id, "identity": USUAL.identity, "figures": figures, "cores": 4}
    at = func.now() - timedelta(days=days_ago)
    rows = [{**values, "verdict": verdict, "at": at} for _ in range(count)]
    for row in rows:
        await bench.run(insert(probe).values(**row))


def test_a_drift_over_days_is_told_everywhere_and_forgotten_with_what_was(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        for day in range(14):
            await had(bench, 14 - day, 1.006**day, 3)
        answer = await report(
            bench, replace(USUAL, figures={name: round(value * 1.08) for name, value in USUAL.figures.items()})
        )
        assert answer.state == "good", "no single band check sees it"
        drifts = (await state_of(bench)).drift
        assert "slower within 14 days" in drifts
        [load] = await find_load(bench.hub, bench.user, name=bench.name)
        assert load.drifts == (drifts,)
        await release_board(bench.hub, bench.user, bench.offer().id, relearn=True)
        assert (await state_of(bench)).drift == ""
        await report(bench, USUAL)
        assert (await state_of(bench)).drift == ""

    run(drill, boards=1)


def test_what_is_shown_of_probes_is_bounded_and_old_ones_are_swept(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        for number in range(300):
            await had(bench, number / 40, 1.0 + number % 3 / 100)
        for number in range(MARKS + 5):
            await had(bench, number / 100, 2.0, verdict="slow")
        await had(bench, KEPT_DAYS + 1, 9.0)
        found = await find_probes(bench.hub, bench.offer().id)
        assert 100 < len(found.course) <= POINTS + 1
        assert all(1e5 <= one.figures["slowest_core_ns"] <= 1.02e5 for one in found.course)
        assert [one.at for one in found.course] == sorted(one.at for one in found.course)
        assert len(found.marks) == MARKS
        await sweep_probes(bench.hub)
        async with bench.hub.database.single() as connection:
            count = await connection.scalar(select(func.count()).where(probe.c.device_id == bench.offer().id))
        assert count == 300 + MARKS + 5

    run(drill, boards=1)


# ---- devices that vanish ---------------------------------------------------------------------------------------------


async def vanish(bench: Bench, attempt_id: object) -> None:
    """The agent of this attempt is not heard of any more, and its lease runs out."""
    await sweep_leases(bench.hub)  # however long the test took until here: the hub was not away
    stale = func.now() - timedelta(seconds=bench.hub.limits.lease_s + 1)
    await bench.run(update(attempt).where(attempt.c.id == attempt_id).values(renewed_at=stale))
    await bench.run(update_back())
    await sweep_leases(bench.hub)


def update_back() -> Any:
    """The hub was there all the while."""
    from dynolab.hub.store.tables import setting
    from dynolab.hub.usecases.time_away import BACK

    return update(setting).where(setting.c.name == BACK).values(value="0")


def test_the_job_of_a_device_that_vanished_goes_to_its_peer_first(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        claimed = await bench.claimed()
        await sweep_leases(bench.hub)
        await vanish(bench, claimed.attempt_id)
        [lost] = await bench.attempts(job_id)
        assert lost.state == "lost"
        assert lost.failure["code"] == "DeviceLost"
        assert "nothing was heard of the device for 15 s" in lost.failure["message"]
        assert await bench.claim() is None, "it rests: another is there"
        assert (await bench.claimed(2)).job_id == job_id
        rest = func.now() - timedelta(seconds=1)
        await bench.run(update(device).where(device.c.id == bench.offer().id).values(rests_until=rest))
        later = await bench.submit(await bench.model())
        assert (await bench.claimed()).job_id == later

    run(drill)


def test_a_rest_that_a_clock_set_back_makes_long_is_none(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        for seconds, given in ((5, False), (3605, True)):
            until = func.now() + timedelta(seconds=seconds)
            await bench.run(update(device).where(device.c.id == bench.offer().id).values(rests_until=until))
            found = await bench.claim()
            assert (found is not None) == given
        assert found is not None
        assert found.job_id == job_id

    run(drill)


def test_a_device_that_vanished_and_has_no_peer_has_its_job_again(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        await sweep_leases(bench.hub)
        claimed = await bench.claimed()
        await sweep_leases(bench.hub)
        await vanish(bench, claimed.attempt_id)
        assert (await bench.claimed()).job_id == job_id

    run(drill, boards=1)


def test_a_job_that_no_attempt_ended_well_tells_the_reasons_of_all(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        first = await bench.claimed()
        full = DeviceUnfit("the device is unfit: its disk is full")
        await bench.finish(first, Outcome(error=full.to_dict()))
        second = await bench.claimed(2)
        await sweep_leases(bench.hub)
        await vanish(bench, second.attempt_id)
        last = await bench.claimed()
        await bench.finish(last, Outcome(error=full.to_dict()))
        row = await bench.row(job, job_id)
        assert row.state == "failed"
        assert row.failure["code"] == "DeviceUnfit"
        assert row.failure["message"] == (
            "no attempt ended well: 1 of 3: the device is unfit: its disk is full; "
            "2 of 3: nothing was heard of the device for 15 s; 3 of 3: the device is unfit: its disk is full"
        )
        told = row.failure["details"]["attempts"]
        assert [one["number"] for one in told] == list(range(1, MAX_ATTEMPTS + 1))
        assert [one["device"] for one in told] == [bench.offer(board).id for board in (1, 2, 1)]
        assert [one["state"] for one in told] == ["failed", "lost", "failed"]

    run(drill)


def test_attempts_that_found_the_board_in_use_do_not_count(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        busy = Outcome(error=DeviceBusy("ssh://pi@board is in use by ada@laptop").to_dict())
        full = Outcome(error=DeviceUnfit("the device is unfit: its disk is full").to_dict())
        for outcome in (busy, full, busy, busy, full, busy):
            await bench.finish(await bench.claimed(), outcome)
            assert await bench.state(job_id) == "queued"
        await bench.finish(await bench.claimed(), full)
        row = await bench.row(job, job_id)
        assert (row.state, row.attempts) == ("failed", 7)
        assert "3 of 7: ssh://pi@board is in use" in row.failure["message"]

    run(drill)


def test_a_board_that_is_always_in_use_does_not_hold_a_job_for_ever(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        job_id = await bench.submit(await bench.model())
        busy = Outcome(error=DeviceBusy("ssh://pi@board is in use by ada@laptop").to_dict())
        for _ in range(MAX_ATTEMPTS + BUSY_MOST):
            assert await bench.state(job_id) == "queued"
            await bench.finish(await bench.claimed(), busy)
        assert await bench.state(job_id) == "failed"

    run(drill)


def test_one_id_from_two_places_is_noticed_and_a_restart_is_none(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        async def ask(instance: str) -> None:
            bench.hub.announced.clear()  # as on another replica, or some seconds later
            offer = replace(bench.offer(), instance=instance)
            await claim_attempt(bench.hub, bench.agent, ClaimRequest(AGENT_PROTOCOL, offer))

        for instance in ("a1", "a1", "a2", "a2", "", "a3"):
            await ask(instance)
        await ask("b1")
        with pytest.raises(Conflict, match="served from two places at once") as caught:
            await ask("a3")
        assert "device-id" in str(caught.value.hint)
        assert "another agent was started for it since, on this machine" in str(caught.value.hint)
        assert "DYNOLAB_STATE=FOLDER dynolab agent --name NAME" in str(caught.value.hint)
        await ask("b1")
        with pytest.raises(Conflict, match="served from two places"):
            await ask("a1")

    run(drill)
