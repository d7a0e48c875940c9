"""``dynolab hub check`` on a database: nothing is found of one that is well, and each check finds what it is for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.checks.check import RULES, database_findings, parameters
from dynolab.hub.settings import Settings
from dynolab.hub.usecases.sweep_audit import SEAL
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, Outcome
from dynolab.testing.running_hub import RunningHub

from .test_jobs import User, device

LONG_AGO = "now() - interval '3 days'"
NAMES = [one.name for one in RULES]


@dataclass
class World:
    """A hub with a job of each state."""

    hub: RunningHub
    ids: dict[str, str]


@pytest.fixture(scope="module")
def world(hub: RunningHub) -> Iterator[World]:
    user, door = User(hub), HubDoor(hub.url, hub.agent_token)
    try:
        yield World(hub, lived_in(hub, user, door))
    finally:
        user.http.close()
        door.close()


def lived_in(hub: RunningHub, user: User, door: HubDoor) -> dict[str, str]:
    """The ids of a job of each state, and of what they are about."""
    first, second = device("well", 1), device("well", 2)
    for one in (first, second):
        assert door.claim(ClaimRequest(AGENT_PROTOCOL, one)) is None
    model = user.model()
    done = user.submit(model, "well")
    found = door.claim(ClaimRequest(AGENT_PROTOCOL, first, 10.0))
    assert found is not None
    hub.leave(found.attempt, "result", b"{}" * 1000)
    door.finish(found.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
    running = user.submit(model, "well")
    held = door.claim(ClaimRequest(AGENT_PROTOCOL, first, 10.0))
    assert held is not None
    queued, other = user.submit(model, "well"), user.submit(model, "well")
    asked = {"model_id": model, "device": {"name": "well"}, "waits_for": [queued]}
    token = {"Authorization": f"Bearer {hub.token}", "Idempotency-Key": "once"}
    waiting = httpx.post(f"{hub.url}/api/hub/v1/jobs", headers=token, json=asked, timeout=30)
    assert waiting.is_success, waiting.text
    user.http.get(f"models/{user_model(user)}/multipart_upload/", params={"file_size": 10})
    ids = {"done": done, "running": running, "queued": queued, "other": other, "waiting": waiting.json()["id"]}
    return ids | {"model": model, "held": str(held.attempt), "first": first.id, "second": second.id}


def user_model(user: User) -> str:
    """One whose bytes have not come."""
    return user.post("models/", pb.Model(name="open", model_type=pb.MODEL_TYPE_ONNX)).id


ENVIRONMENT = {"DYNOLAB_LEASE_S": "600"}


def found_by(hub: RunningHub, statements: list[str], ids: dict[str, str], **terms: object) -> dict[str, Any]:
    """What the rules find once the statements are carried out, which is undone then."""
    settings = Settings(data=hub.data)
    told = parameters(settings, [], datetime.now(UTC)) | {"up_s": 1e6, "lease_s": 600.0} | terms

    async def look() -> dict[str, Any]:
        async with undone(hub.environment["DYNOLAB_DATABASE_URL"]) as connection:
            for one in statements:
                await connection.execute(text(one), {name: ids[name] for name in ids if f":{name}" in one})
            return {one.name: one for one in await database_findings(connection, told)}

    return asyncio.run(look())


@asynccontextmanager
async def undone(dsn: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.connect() as connection, connection.begin() as transaction:
            yield connection
            await transaction.rollback()
    finally:
        await engine.dispose()


ADDED_JOB = """
    INSERT INTO job (id, account_id, kind, name, model_id, device_name, device_os, state, attempts, created_at, idempotency_key)
    SELECT 'jadded', account_id, kind, name, model_id, device_name, device_os, 'queued', 0, created_at, idempotency_key
    FROM job WHERE id = :waiting
"""
ADDED_ATTEMPT = """
    INSERT INTO attempt (id, job_id, number, device_id, token_id, state, started_at, finished_at)
    SELECT gen_random_uuid(), job_id, {number}, {device}, token_id, '{state}', started_at, {ended}
    FROM attempt WHERE job_id = :{job} LIMIT 1
"""


def added_attempt(job: str, number: int, state: str, device: str = "device_id") -> str:
    ended = "NULL" if state == "running" else "now()"
    return ADDED_ATTEMPT.format(job=job, number=number, state=state, device=device, ended=ended)


SESSION = """
    INSERT INTO session (id, account_id, token_id, digest, way, expires_at)
    SELECT 's1', account_id, id, 'x', 'token', now() + interval '1 day' FROM token WHERE kind = 'user' LIMIT 1
"""
JOIN = """
    INSERT INTO join_token (id, account_id, digest, token_id, used_at, expires_at)
    SELECT 'k1', account_id, 'x', id, {used}, now() + interval '1 hour' FROM token WHERE kind = '{kind}' LIMIT 1
"""
OLD_DONE = f"UPDATE job SET created_at = {LONG_AGO}, finished_at = {LONG_AGO} WHERE id = :done"
DATASET = f"""
    INSERT INTO dataset (id, account_id, name, created_at, expires_at)
    SELECT 'd1', account_id, 'x', {LONG_AGO}, {{ends}} FROM job LIMIT 1
"""
AUDITED = "INSERT INTO audit (at, verb, who, kind, thing) VALUES ({at}, '{verb}', '{who}', '{kind}', 'x')"
SEALED = [SEAL.text.replace("CAST(:age AS interval)", "interval '-1 hour'").replace("LIMIT 10000", "LIMIT 1")] * 3
"""The first rows of the audit log, each by itself."""
BROKEN: dict[str, list[list[str]]] = {
    "job-queued": [["DELETE FROM pgqueuer WHERE id = (SELECT queue_entry FROM job WHERE id = :queued)"]],
    "job-entry-state": [
        ["UPDATE pgqueuer SET status = 'picked' WHERE id = (SELECT queue_entry FROM job WHERE id = :queued)"],
        ["UPDATE pgqueuer SET status = 'queued' WHERE id = (SELECT queue_entry FROM job WHERE id = :running)"],
    ],
    "job-running-entry": [["DELETE FROM pgqueuer WHERE id = (SELECT queue_entry FROM job WHERE id = :running)"]],
    "queue-entry-of-a-job": [
        ["INSERT INTO pgqueuer (priority, status, entrypoint, payload) VALUES (0, 'queued', 'pool:x|1', 'jnone')"],
        ["INSERT INTO pgqueuer (priority, status, entrypoint, payload) SELECT 0, 'queued', 'x', id::bytea FROM job"],
        ["UPDATE job SET state = 'failed' WHERE id = :queued"],
    ],
    "queue-entry-in-line": [["UPDATE pgqueuer SET entrypoint = 'pool:another|1.0'"]],
    "job-waits-for-something": [
        ["DELETE FROM dependency"],
        ["UPDATE job SET state = 'done' WHERE id = :queued"],
    ],
    "job-needs-are-done": [
        ["UPDATE job SET queue_entry = 1 WHERE id = :waiting"],
        ["UPDATE job SET state = 'done' WHERE id = :waiting"],
    ],
    "job-needs-did-not-fail": [["UPDATE job SET state = 'failed' WHERE id = :queued"]],
    "no-circle-of-jobs": [["INSERT INTO dependency VALUES (:queued, :waiting)"]],
    "job-one-running-attempt": [
        ["UPDATE attempt SET state = 'lost' WHERE job_id = :running"],
        ["UPDATE attempt SET state = 'running' WHERE job_id = :done"],
        [added_attempt("running", 2, "running")],
    ],
    "attempts-numbered": [
        ["UPDATE attempt SET number = 2 WHERE job_id = :done"],
        ["UPDATE job SET attempts = 2 WHERE id = :done"],
        [added_attempt("done", 3, "lost"), "UPDATE job SET attempts = 2 WHERE id = :done"],
    ],
    "attempts-within-limit": [["UPDATE job SET attempts = 4 WHERE id = :done"]],
    "job-done-once": [
        [added_attempt("done", 2, "done")],
        [added_attempt("done", 2, "lost")],
        [added_attempt("running", 2, "done")],
    ],
    "job-ended-once": [
        ["UPDATE job SET finished_at = NULL WHERE id = :done"],
        ["UPDATE job SET finished_at = now() WHERE id = :queued"],
        ["UPDATE job SET state = 'failed' WHERE id = :done"],
    ],
    "job-has-its-own-result": [["UPDATE job SET result_blob_id = NULL WHERE id = :done"]],
    "job-made-its-model": [
        ["UPDATE job SET target_model_id = (SELECT id FROM model WHERE blob_id IS NULL) WHERE id = :done"]
    ],
    "job-has-its-files": [
        ["UPDATE model SET blob_id = NULL WHERE id = :model"],
        ["INSERT INTO dataset (id, account_id, name) SELECT 'd1', account_id, 'x' FROM job LIMIT 1",
         "UPDATE job SET dataset_id = 'd1' WHERE id = :queued"],
    ],
    "one-job-an-idempotency-key": [[ADDED_JOB]],
    "attempt-ended-once": [
        ["UPDATE attempt SET finished_at = NULL WHERE job_id = :done"],
        ["UPDATE attempt SET finished_at = now() WHERE job_id = :running"],
    ],
    "board-held-by-its-attempt": [
        ["UPDATE device SET attempt_id = (SELECT id FROM attempt WHERE job_id = :done) WHERE id = :second"],
        ["UPDATE device SET attempt_id = gen_random_uuid() WHERE id = :second"],
        ["UPDATE device SET attempt_id = CAST(:held AS uuid) WHERE id = :second"],
    ],
    "attempt-holds-its-board": [
        ["UPDATE device SET attempt_id = NULL WHERE id = :first"],
        [added_attempt("running", 2, "running")],
    ],
    "lease-not-run-out": [[f"UPDATE attempt SET renewed_at = {LONG_AGO} WHERE job_id = :running"]],
    "deadline-kept": [[f"UPDATE attempt SET started_at = {LONG_AGO} WHERE job_id = :running"]],
    "free-board-takes-jobs": [
        [f"UPDATE job SET updated_at = {LONG_AGO} WHERE id = :queued",
         f"UPDATE attempt SET finished_at = {LONG_AGO} WHERE job_id = :done", "UPDATE device SET seen_at = now()"]
    ],
    "blob-has-an-owner": [
        [f"INSERT INTO blob (id, bytes, keys, created_at) VALUES ('b1', 5, '{{x}}', {LONG_AGO})"]
    ],
    "blob-digest-is-known": [
        [f"UPDATE blob SET digests = NULL, created_at = {LONG_AGO}"],
        [f"UPDATE blob SET digests = ARRAY[NULL, digests[1]], created_at = {LONG_AGO}"],
    ],
    "stored-bytes-add-up": [
        ["UPDATE stored_bytes SET bytes = bytes + 1"],
        ["ALTER TABLE blob DISABLE TRIGGER dynolab_count_bytes", "UPDATE blob SET bytes = bytes + 1"],
    ],
    "total-bytes-add-up": [
        ["UPDATE total_bytes SET bytes = bytes + 1"],
        ["ALTER TABLE blob DISABLE TRIGGER dynolab_count_total_insert", "INSERT INTO blob (id, bytes, keys) VALUES ('b1', 5, '{x}')"],
    ],
    "blob-is-counted": [[f"UPDATE blob SET account_id = NULL, created_at = {LONG_AGO}"]],
    "object-of-one-blob": [["INSERT INTO blob (id, bytes, keys) SELECT 'b' || id, bytes, keys FROM blob"]],
    "deleted-has-no-bytes": [["UPDATE model SET deleted_at = now() WHERE id = :model"]],
    "dataset-ends-in-time": [
        [(f"INSERT INTO dataset (id, account_id, name, expires_at) SELECT 'd1', account_id, 'x', {LONG_AGO} FROM job"
         " LIMIT 1")]
    ],
    "upload-not-stuck": [[f"UPDATE upload SET created_at = {LONG_AGO} WHERE completed_at IS NULL"]],
    "upload-has-a-target": [["UPDATE upload SET target_id = 'mnone'"], ["UPDATE model SET deleted_at = now()"]],
    "upload-gave-its-bytes": [["UPDATE upload SET completed_at = now() WHERE completed_at IS NULL"]],
    "session-of-a-good-token": [[SESSION, "UPDATE token SET revoked_at = now()"]],
    "session-ends-in-time": [
        [SESSION, f"UPDATE session SET expires_at = {LONG_AGO}"],
        [f"INSERT INTO invitation SELECT 'x', account_id, {LONG_AGO} FROM token LIMIT 1"],
        [JOIN.format(used="now()", kind="agent"), f"UPDATE join_token SET expires_at = {LONG_AGO}"],
    ],
    "join-token-used-once": [
        [JOIN.format(used="NULL", kind="agent")],
        [JOIN.format(used="now()", kind="user")],
        [JOIN.format(used="now()", kind="agent"), "UPDATE join_token SET token_id = NULL"],
    ],
    "agent-token-of-an-agent": [["UPDATE device SET token_id = (SELECT id FROM token WHERE kind = 'user' LIMIT 1)"]],
    "shared-is-there": [
        ["INSERT INTO share SELECT 'jnone', 'b@x', '', id FROM account"],
        ["INSERT INTO share SELECT :model, 'b@x', 'jnone', id FROM account"],
    ],
    "results-end-in-time": [[OLD_DONE, "UPDATE account SET kept_days = 2"]],
    "results-are-kept": [
        ["UPDATE job SET cleared_at = now() WHERE id = :done"],
        ["UPDATE job SET cleared_at = now(), finished_at = NULL WHERE id = :done"],
        [OLD_DONE, "UPDATE account SET kept_days = 5", "UPDATE job SET cleared_at = now() WHERE id = :done"],
    ],
    "cleared-has-no-results": [["UPDATE job SET cleared_at = now() WHERE id = :done"]],
    "kept-dataset-ends-in-time": [[DATASET.format(ends="now() + interval '20 days'"), "UPDATE account SET kept_days = 2"]],
    "dataset-is-kept": [
        [DATASET.format(ends=f"{LONG_AGO} + interval '1 hour'"), "UPDATE dataset SET deleted_at = now() WHERE id = 'd1'"],
        [DATASET.format(ends="now() - interval '1 hour'"), "UPDATE dataset SET deleted_at = now() WHERE id = 'd1'",
         "UPDATE account SET kept_days = 5"],
    ],
    "audit-log-is-guarded": [
        ["ALTER TABLE audit DISABLE TRIGGER audit_is_kept"],
        ["DROP TRIGGER audit_is_not_emptied ON audit"],
    ],
    "audit-log-is-whole": [
        [*SEALED, "ALTER TABLE audit DISABLE TRIGGER ALL", "DELETE FROM audit WHERE id = (SELECT min(id) FROM audit)"],
        [*SEALED, "ALTER TABLE audit DISABLE TRIGGER ALL", "UPDATE audit SET who = 'somebody@else'"],
        [*SEALED, "UPDATE audit_seal SET chain = 'x'"],
        [*SEALED, "DELETE FROM audit_seal WHERE upto = (SELECT min(upto) FROM audit_seal)"],
    ],
    "audit-log-is-sealed": [[AUDITED.format(at=LONG_AGO, verb="hub.check", who="operator", kind="")]],
    "audit-row-is-well-formed": [
        [AUDITED.format(at="now()", verb="hub.eaten", who="operator", kind="hub")],
        [AUDITED.format(at="now()", verb="hub.check", who="", kind="hub")],
        [AUDITED.format(at="now()", verb="hub.check", who="operator", kind="")],
    ],
    "audit-row-is-of-the-past": [
        [AUDITED.format(at="now() + interval '1 day'", verb="hub.check", who="operator", kind="hub")]
    ],
    "audit-row-ends-in-time": [
        [AUDITED.format(at="now() - interval '3 years'", verb="hub.check", who="operator", kind="hub")]
    ],
    "organisation-has-an-owner": [["INSERT INTO organisation (id, name) VALUES ('o1', 'nobodys')"]],
    "somebody-runs-the-hub": [["UPDATE account SET is_admin = false"]],
    "pool-has-boards": [
        [f"UPDATE device SET seen_at = {LONG_AGO}", f"UPDATE job SET updated_at = {LONG_AGO}"],
    ],
    "boards-are-heard-of": [[f"UPDATE device SET seen_at = {LONG_AGO} WHERE id = :second"]],
    "leases-are-swept": [
        [f"UPDATE attempt SET started_at = {LONG_AGO}",
         "UPDATE setting SET value = '1000000' WHERE name = 'leases_swept_at'"]
    ],
    "sweeps-run": [
        ["INSERT INTO setting VALUES ('sweep_files', '1000000') ON CONFLICT (name) DO UPDATE SET value = excluded.value"]
    ],
    "room-within-the-bound": [["INSERT INTO blob (id, bytes, keys) VALUES ('b1', 95000000, '{x}')"]],
    "commits-are-durable": [["SET LOCAL synchronous_commit = off"]],
    "transaction-numbers-are-left": [
        [("UPDATE pg_database SET datfrozenxid = ((txid_current() - 1600000000) & 4294967295)::text::xid"
         " WHERE datname = current_database()")]
    ],
    "indexes-are-valid": [["UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_model_name'::regclass"]],
}  # fmt: skip
"""By check: what breaks it, each in its own way."""
SWEPT = [("INSERT INTO setting SELECT name, extract(epoch FROM now())::text FROM unnest(ARRAY['sweep_files', 'sweep_sessions',"
         "'sweep_probes', 'sweep_objects', 'sweep_retention', 'sweep_audit']) AS name ON CONFLICT (name) DO UPDATE SET value = excluded.value")]  # fmt: skip
"""As though the hub had been there for days."""
ELSEWHERE = {
    "no-long-transaction",
    "connections-are-left",
    "tables-are-cleaned",
    "no-slot-keeps-the-log",
}
"""What a statement within a transaction cannot bring about: see test_hub_check_machines.py."""


def test_each_check_of_the_database_has_something_that_breaks_it() -> None:
    assert set(NAMES) == set(BROKEN) | ELSEWHERE
    assert len(NAMES) == len(set(NAMES))


def test_nothing_is_found_of_a_database_that_is_well(world: World) -> None:
    found = found_by(world.hub, SWEPT, world.ids, data_max_bytes=100_000_000)
    wrong = {name: [(one.what, one.why) for one in found[name].problems] for name in found if not found[name].ok}
    wrong.pop("commits-are-durable", None)  # the tests' database may be told not to wait for the disk
    assert wrong == {}
    assert not [one for one in found.values() if one.skipped]


@pytest.mark.parametrize(
    ("name", "statements"),
    [(name, statements) for name, cases in BROKEN.items() for statements in cases],
    ids=[f"{name}-{number}" for name, cases in BROKEN.items() for number, _ in enumerate(cases, 1)],
)
def test_a_check_finds_what_it_is_for(world: World, name: str, statements: list[str]) -> None:
    found = found_by(world.hub, [*SWEPT, *statements], world.ids, data_max_bytes=100_000_000)[name]
    assert not found.ok
    assert found.problems[0].what
    assert found.problems[0].why
    assert found.hint


@pytest.mark.parametrize(("times", "fine"), [(4, True), (21, False)])
def test_attempts_that_found_their_board_in_use_have_a_limit_of_their_own(world: World, times: int, fine: bool) -> None:
    added = [added_attempt("done", number, "failed") for number in range(2, times + 2)]
    busy = """UPDATE attempt SET failure = '{"code": "DeviceBusy"}' WHERE job_id = :done AND number > 1"""
    told = f"UPDATE job SET attempts = {times + 1} WHERE id = :done"
    assert found_by(world.hub, [*added, busy, told], world.ids)["attempts-within-limit"].ok is fine
