"""The version before goes on serving on its own code while a new replica brings the schema up to date: under load, nothing lost."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("pgqueuer")

from sqlalchemy import text

from dynolab.hub.store.database import Database, newest
from dynolab.testing.databases import Databases
from dynolab.testing.running_hub import running_hub
from dynolab.testing.waiting import until

from .test_compose import Board, Person

pytestmark = pytest.mark.slow  # two versions of the hub, and a load that lasts

BEFORE = "15f3931"
"""The last commit whose hubs were not updated one after the other: schema 0020, agents' protocol 7."""
ROOT = Path(__file__).parents[2]
WITHIN_S = 120.0


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The sources of the version before, out of git."""
    asked = ["git", "-C", str(ROOT), "archive", BEFORE, "src"]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not here")
    if done.returncode != 0:
        pytest.skip(f"the commit {BEFORE} is not to be had here: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(tmp_path / "before", filter="data")
    return tmp_path / "before" / "src"


def asked(url: str, *statements: str) -> object:
    """What the last statement answers."""

    async def ask() -> object:
        database = Database(url)
        async with database.single() as connection:
            for statement in statements[:-1]:
                await connection.execute(text(statement))
            found = await connection.scalar(text(statements[-1]))
        await database.close()
        return found

    return asyncio.run(ask())


def test_an_old_replica_serves_on_while_a_new_one_brings_the_schema_up_to_date(
    before: Path, databases: Databases, tmp_path: Path
) -> None:
    own = databases.new()
    asked(own.url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "SELECT 1")
    (tmp_path / "hub-1-data").mkdir(mode=0o700)
    environment = {"DYNOLAB_DATABASE_URL": own.dsn, "DYNOLAB_BLOBS_URL": (tmp_path / "blobs").as_uri()}
    with running_hub(
        tmp_path / "hub-1-data" / "hub", "--no-agent", environment={**environment, "PYTHONPATH": str(before)}
    ) as old:
        assert asked(own.url, "SELECT version_num FROM alembic_version") == "0020"
        person = Person(SimpleNamespace(folder=tmp_path, url=old.url))  # type: ignore[arg-type]  # as much of one as is needed
        model, boards = person.model(os.urandom(300_000)), [Board(person, "steady") for _ in range(2)]
        try:
            until(lambda: person.ask("GET", "/devices")["devices"], "a board")
            jobs = [submitted(person, model) for _ in range(10)]
            with running_hub(tmp_path / "hub-2-data", "--no-agent", environment=environment) as new:
                assert asked(own.url, "SELECT version_num FROM alembic_version") == newest()
                after = Person(SimpleNamespace(folder=tmp_path, url=new.url))  # type: ignore[arg-type]  # likewise
                jobs += [submitted(one, model) for _ in range(10) for one in (person, after)]
                boards.append(Board(after, "steady"))
                everything_done(person, jobs)
                everything_done(after, jobs)
                finished = [job for board in boards for job in board.finished]
                assert sorted(finished) == sorted(jobs), "each once"
                again = Person(SimpleNamespace(folder=tmp_path, url=new.url))  # type: ignore[arg-type]  # likewise
                assert again.http.get(again.ask("GET", f"/models/{model}/download")["url"]).status_code == 200
                for one in (after, again):
                    one.http.close()
                for board in boards:
                    board.close()
                boards = []
                assert old.end() == 0
                checked = [sys.executable, "-m", "dynolab.cli.main", "hub", "check", "--data", str(new.data)]
                done = subprocess.run(checked, env=dict(new.environment), capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stdout + done.stderr
        finally:
            for board in boards:
                board.close()
            person.http.close()


def submitted(person: Person, model: str) -> str:
    asked = {"model_id": model, "device": {"name": "steady"}}
    return str(person.ask("POST", "/jobs", 201, json=asked)["id"])


def everything_done(person: Person, jobs: list[str]) -> None:
    until(lambda: all(person.ask("GET", f"/jobs/{job}")["state"] == "done" for job in jobs), "the jobs", WITHIN_S)
