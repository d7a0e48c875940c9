"""The hub on a PostgreSQL server: over TLS whose certificate is checked, and through PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from sqlalchemy import text

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.hub.opening import opened
from dynolab.hub.settings import Settings
from dynolab.hub.store import database
from dynolab.hub.store.database import Database
from dynolab.hub.store.postgres import urls
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing import database_servers
from dynolab.testing.commands import command
from dynolab.testing.database_servers import Server
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

WITHIN_S = 30.0
OPEN: list[Callable[[], None]] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test opened is closed after it."""
    yield
    while OPEN:
        OPEN.pop()()


class Person:
    """One account at one replica."""

    def __init__(self, hub: RunningHub, token: str | None = None) -> None:
        self.url, self.token, self.http = hub.url, token or hub.token, httpx.Client(timeout=60)
        OPEN.append(self.http.close)

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.http.request(method, f"{self.url}/api/hub/v1{path}", headers=headers, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def model(self, content: bytes = b"model") -> str:
        target = self.ask("POST", "/models", 201, json={"name": "net", "kind": "onnx"})["id"]
        begun = self.ask("POST", f"/models/{target}/uploads", 201, json={"size": len(content)})
        etag = self.http.put(begun["urls"][0], content=content).headers["etag"]
        self.ask("POST", f"/models/{target}/uploads/{begun['upload_id']}/complete", json={"etags": [etag]})
        return str(target)

    def submit(self, model: str, device: str) -> str:
        return str(self.ask("POST", "/jobs", 201, json={"model_id": model, "device": {"name": device}})["id"])


def claim(door: HubDoor, name: str, wait_s: float) -> Assignment | None:
    return door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(id=name, name=name, os="1"), wait_s))


def carried_out(person: Person, door: HubDoor, folder: Path) -> None:
    """A job from its submission to its end, its agent being this test; the claim waits before the job is there."""
    device, model = f"device-{uuid.uuid4().hex[:6]}", person.model()
    assert claim(door, device, 0.0) is None
    job = person.submit(model, device)
    claimed = claim(door, device, 10.0)
    assert claimed is not None
    assert claimed.job == job
    assert door.fetch(claimed.attempt, "model", claimed.model, folder).read_bytes() == b"model"
    door.renew(claimed.attempt, Renewal({"stage": "inference"}, "a line\n"))
    for verb, content in (("result", b'{"stages": []}'), ("log", b"a line\n")):
        (folder / verb).write_bytes(content)
        door.store(claimed.attempt, verb, folder / verb)
    door.finish(claimed.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
    assert person.ask("GET", f"/jobs/{job}")["state"] == "done"


# ---- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    made, path = trustme.CA(), tmp_path_factory.mktemp("tls") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    return made, path


@pytest.fixture(scope="module")
def tls_server(issuer: tuple[trustme.CA, Path]) -> Iterator[Server]:
    """A server that takes TLS connections only; its certificate is for ``localhost``."""
    made = issuer[0].issue_cert("localhost")
    chain, key = b"".join(one.bytes() for one in made.cert_chain_pems), made.private_key_pem.bytes()
    with database_servers.postgres(certificate=chain, key=key) as server:
        if "SSL is not supported" in server.log():
            pytest.skip("this PostgreSQL was built without TLS: apt-get install postgresql")
        yield server


def test_a_hub_works_over_tls_whose_certificate_is_checked(
    tls_server: Server, issuer: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    address = tls_server.address("localhost", sslmode="verify-full", sslrootcert=str(issuer[1]))
    environment = {"DYNOLAB_DATABASE_URL": address}
    with running_hub(tmp_path / "hub", "--no-agent", environment=environment) as hub:
        door = HubDoor(hub.url, hub.agent_token)
        carried_out(Person(hub), door, tmp_path)
        door.close()
        assert "sesame" not in "".join(hub.lines)
        done = command("hub", "backup", tmp_path / "b.tar", "--data", hub.data, environment=environment)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("host", "words", "kind", "said"),
    [
        ("localhost", {"sslmode": "disable"}, errors.Forbidden, "the database refuses this hub: .*no encryption"),
        ("127.0.0.1", {"sslmode": "verify-full", "sslrootcert": "OURS"}, errors.Forbidden, "certificate is not taken: .*127"),
        ("localhost", {"sslmode": "verify-full", "sslrootcert": "OTHER"}, errors.Forbidden, "certificate is not taken"),
        ("localhost", {"sslmode": "verify-ca", "sslrootcert": "OTHER"}, errors.Forbidden, "certificate is not taken"),
        ("localhost", {"sslmode": "sometimes"}, errors.SpecInvalid, "sslmode.*must be one of"),
        ("127.0.0.1", {"sslmode": "verify-ca", "sslrootcert": "OURS"}, None, ""),
        ("127.0.0.1", {"sslmode": "require"}, None, ""),
    ],
)  # fmt: skip
def test_a_connection_that_is_not_as_safe_as_asked_for_is_refused_with_the_way_out(
    host: str,
    words: dict[str, str],
    kind: type[errors.Error] | None,
    said: str,
    tls_server: Server,
    issuer: tuple[trustme.CA, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database, "AWAY_S", 60.0)
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    places = {"OURS": str(issuer[1]), "OTHER": str(other)}
    address = tls_server.address(host, **{name: places.get(value, value) for name, value in words.items()})
    before = time.monotonic()
    done = run(upgraded(address))
    if kind is None:
        assert done is None
        return
    assert isinstance(done, kind), done
    assert done.hint
    assert re.search(said, done.message), done.message
    assert time.monotonic() - before < 30, "nobody waits for what waiting does not mend"


def upgraded(address: str, direct: str | None = None) -> Any:
    async def attempt() -> errors.Error | None:
        database = Database(urls(address)[0], direct_url=direct)
        try:
            await database.upgrade()
        except errors.Error as error:
            return error
        finally:
            await database.close()
        return None

    return attempt()


def run(work: Any) -> Any:
    return asyncio.run(work)


def test_a_start_that_the_database_refuses_says_why(tls_server: Server, tmp_path: Path) -> None:
    wrong = {
        tls_server.address("localhost").replace(database_servers.QUOTED, "sesame"): "password authentication failed",
        tls_server.address("localhost").removesuffix("dynolab") + "none": 'database "none" does not exist',
    }
    for address, said in wrong.items():
        command = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(tmp_path / "hub"), "--port", "0"]
        environment = {**os.environ, "DYNOLAB_DATABASE_URL": address}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "hint:" in done.stderr
        assert "sesame" not in done.stderr


@pytest.mark.parametrize("setting", ["DYNOLAB_DATABASE_URL", "DYNOLAB_DATABASE_DIRECT_URL"])
def test_a_password_that_is_refused_is_told_with_the_setting_that_has_it(setting: str, tmp_path: Path) -> None:
    with database_servers.postgres() as server:
        good = server.address()
        addresses = {"DYNOLAB_DATABASE_URL": good, setting: good.replace(database_servers.QUOTED, "sesame")}
        for more in (["--port", "0"], ["check"]):
            line = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(tmp_path / "hub"), *more]
            environment = os.environ | addresses
            done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 2, done.stderr
            said = " ".join(done.stderr.split())
            assert "the database refuses this hub: password authentication failed" in said
            assert said.endswith(f"hint: user and password stand in {setting}")
            assert "sesame" not in said


def test_a_start_waits_for_a_database_that_is_not_up_yet_and_says_so_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "AWAY_S", 40.0)  # the patience of a request, which would come first
    told = list[str]()

    async def opening(server: Server) -> None:
        def tell(line: str) -> None:
            if not told:
                server.start()
            told.append(line)

        hub = await opened(Settings(tmp_path), *urls(server.address()), tell)
        await hub.database.close()

    with database_servers.postgres() as server:
        server.kill()
        run(opening(server))
    first, *_, last = told
    waited = re.match(r"the hub waits to start, for (\d+) s now: ", first)
    assert waited is not None, first
    assert int(waited[1]) < 40
    assert f"@127.0.0.1:{server.port}/dynolab does not answer: " in first
    assert "refused" in first.lower() or "Connect call failed" in first
    assert database_servers.QUOTED not in first
    assert "and starts" in last


# ---- PgBouncer -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    """PostgreSQL, and PgBouncer before it, with fewer connections to it than a replica has to PgBouncer."""
    with database_servers.postgres() as behind:
        try:
            with database_servers.pgbouncer(behind.port) as pooler:
                yield behind, pooler
        except database_servers.Missing as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def replicas(servers: tuple[Server, Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningHub]]:
    """Two replicas on it, which share a folder for blobs."""
    folder = tmp_path_factory.mktemp("replicas")
    environment = {
        "DYNOLAB_DATABASE_URL": servers[1].address(),
        "DYNOLAB_DATABASE_DIRECT_URL": servers[0].address(),
        "DYNOLAB_BLOBS_URL": (folder / "blobs").as_uri(),
    }
    with (
        running_hub(folder / "one", "--no-agent", environment=environment) as one,
        running_hub(folder / "two", "--no-agent", environment=environment) as two,
    ):
        yield [one, two]


def test_two_replicas_work_through_pgbouncer_in_transaction_mode(replicas: list[RunningHub], tmp_path: Path) -> None:
    one, two = replicas
    doors = [HubDoor(hub.url, one.agent_token) for hub in replicas]
    for person_at, door in ((one, doors[1]), (two, doors[0])):
        carried_out(Person(person_at, one.token), door, tmp_path)
    for door in doors:
        door.close()


def test_one_replica_alone_makes_the_first_token(replicas: list[RunningHub]) -> None:
    one, two = replicas
    assert not two.ini.exists()
    assert not (two.data / "agent.token").exists()
    found = Person(two, one.token).ask("GET", "/tokens")["tokens"]
    assert [token["kind"] for token in found if token["made_by"] == "first start"] == ["agent", "user"]


def test_a_replica_without_the_others_store_does_not_start(
    replicas: list[RunningHub], servers: tuple[Server, Server], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(tmp_path), "--port", "0", "--no-agent"]
    environment = {**os.environ, "DYNOLAB_DATABASE_URL": servers[0].address()}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "holds nothing of this hub" in done.stderr
    assert "blobs_url is the same for all replicas" in done.stderr


@pytest.mark.parametrize(
    ("of", "becomes", "kind"),
    [(database_servers.QUOTED, "sesame", errors.Forbidden), ("/dynolab?", "/none?", errors.NotFound)],
)
def test_what_pgbouncer_refuses_is_refused_with_the_way_out(
    servers: tuple[Server, Server], of: str, becomes: str, kind: type[errors.Error]
) -> None:
    address = servers[1].address(application_name="trial")
    done = run(upgraded(address.replace(of, becomes), direct=servers[0].address()))
    assert isinstance(done, kind), done
    assert done.hint


def test_a_claim_at_one_replica_is_woken_by_a_job_at_the_other(
    replicas: list[RunningHub], servers: tuple[Server, Server]
) -> None:
    one, two = replicas
    person, device, found = Person(one), "woken", list[Assignment | None]()
    model = person.model()
    door = HubDoor(two.url, one.agent_token)
    assert claim(door, device, 0.0) is None
    waiting = threading.Thread(target=lambda: found.append(claim(door, device, 25.0)))
    before = time.monotonic()
    waiting.start()
    job = person.submit(model, device)
    waiting.join(30)
    door.close()
    assert found[0] is not None
    assert found[0].job == job
    assert time.monotonic() - before < 20, "it was woken, not asked again at the end of its wait"
    listening = run(counted(servers[0].address(), "LISTEN"))
    assert listening == 2, "one connection a replica past the pooler"


async def counted(address: str, what: str) -> int:
    """Sessions of the database whose last statement begins so."""
    database = Database(urls(address)[0])
    async with database.single() as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ~* :what"
        found = await connection.scalar(text(asked), {"what": f"^{what}|^SELECT 1$"})
    await database.close()
    return int(found)


def test_nothing_of_a_session_is_left_to_others_by_a_replica(
    servers: tuple[Server, Server], replicas: list[RunningHub]
) -> None:
    """On every session that PgBouncer keeps: no prepared statement, no bound, no lock of a session."""
    Person(replicas[0]).ask("GET", "/jobs")
    asked = text(
        "SELECT pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements), current_setting('statement_timeout'), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), pg_sleep(0.05)"
    )

    async def looked() -> set[tuple[object, ...]]:
        database = Database(urls(servers[1].address())[0], direct_url=servers[0].address())

        async def one() -> tuple[object, ...]:
            async with database.single() as connection:
                return tuple((await connection.execute(asked)).one())[:4]

        found = set(await asyncio.gather(*(one() for _ in range(8))))
        await database.close()
        return found

    found = run(looked())
    assert len(found) >= 2, "several of the pooler's sessions were looked at"
    assert {row[1:] for row in found} == {(0, "0", 0)}


def test_transactions_through_the_pooler_are_bounded(servers: tuple[Server, Server]) -> None:
    async def looked() -> tuple[str, str]:
        database = Database(urls(servers[1].address())[0], direct_url=servers[0].address())
        async with database.begin() as connection:
            bounds = [
                await connection.scalar(text(f"SHOW {name}"))
                for name in ("statement_timeout", "idle_in_transaction_session_timeout")
            ]
        await database.close()
        return str(bounds[0]), str(bounds[1])

    assert run(looked()) == ("25s", "15s")


def test_a_pooler_alone_is_told_of(servers: tuple[Server, Server]) -> None:
    told = run(upgraded(servers[1].address()))
    assert isinstance(told, errors.SpecInvalid)
    assert "this is a pooler, not the database" in told.message
    assert "DYNOLAB_DATABASE_DIRECT_URL" in str(told.hint)


def test_backup_and_accounts_work_where_a_pooler_is(replicas: list[RunningHub], tmp_path: Path) -> None:
    hub, file = replicas[0], tmp_path / "hub.tar"
    for words in (("backup", file), ("account", "add", "ana@example.org")):
        done = command("hub", "--data", hub.data, *words, environment=hub.environment)
        assert done.returncode == 0, done.stderr
    assert file.stat().st_size > 1000


def test_a_pooler_and_a_database_that_are_killed_lose_nothing(
    servers: tuple[Server, Server], replicas: list[RunningHub], tmp_path: Path
) -> None:
    person = Person(replicas[0])
    model, door = person.model(), HubDoor(replicas[1].url, replicas[0].agent_token)
    assert claim(door, "steady", 0.0) is None
    for server in reversed(servers):
        job = person.submit(model, "steady")
        server.kill()
        answer = person.http.get(f"{person.url}/healthz")
        assert answer.status_code == 503
        server.start()
        until(lambda: person.http.get(f"{person.url}/healthz").status_code == 200, "the database", WITHIN_S)

        def claimed_again() -> Assignment | None:
            with suppress(errors.Error):
                return claim(door, "steady", 5.0)
            return None

        claimed = until(claimed_again, "the job", WITHIN_S)
        assert claimed.job == job
        for verb in ("result", "log"):
            (tmp_path / verb).write_bytes(b"{}")
            door.store(claimed.attempt, verb, tmp_path / verb)
        door.finish(claimed.attempt, Outcome(summary={}))
        assert person.ask("GET", f"/jobs/{job}")["state"] == "done"
    door.close()
