"""The connection contract over every kind that is found; a kind has a device here by its fixture."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dynolab import plugins
from dynolab.connections.base import EXECUTOR, PACKAGE, Connection, connect, kind_named, this_machine
from dynolab.testing.connection_contract import ConnectionContract, Processes, command_lines
from dynolab.testing.waiting import until

from ..devices.fixtures import present
from ..devices.phone import Phone, phone
from ..devices.sshd import Sshd, sshd


@pytest.fixture(scope="module")
def ssh_board() -> Iterator[Sshd]:
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture(scope="module")
def android_phone() -> Iterator[Phone]:
    with present("adbd", phone()) as found:
        yield found


def test_every_kind_is_tested() -> None:
    tested = {TestLocal.kind, TestSsh.kind, TestAdb.kind, *NOT_HERE}
    assert tested == set(plugins.names(PACKAGE))


NOT_HERE: set[str] = set()


@pytest.fixture
def processes() -> Processes:
    return command_lines


@pytest.fixture(scope="module")
def ssh_connection(ssh_board: Sshd) -> Iterator[Connection]:
    if (reason := kind_named("ssh").unavailable()) is not None:
        pytest.fail(reason)
    with ssh_board.as_home(), closing(connect(ssh_board.address)) as connection:
        yield connection


@pytest.fixture(scope="module")
def adb_connection(android_phone: Phone) -> Iterator[Connection]:
    with android_phone.as_server(), closing(connect(android_phone.address)) as connection:
        yield connection


class TestLocal(ConnectionContract):
    kind = "local"

    @pytest.fixture
    def connection(self) -> Connection:
        return this_machine()

    def test_number_of_an_executor_that_ended_is_its_own_until_the_session_is_over(
        self, connection: Connection, processes: Processes
    ) -> None:
        """What is killed at the end by that number is nobody else's."""
        with connection.session(["null"], print) as session:
            (pid,) = until(lambda: processes(f"{EXECUTOR} {session.workspace}"), "the executor")
            os.kill(pid, signal.SIGKILL)
            assert session.ended()[0] == -signal.SIGKILL
            assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        assert not Path(f"/proc/{pid}").exists()

    def test_an_executor_that_ends_while_it_is_asked_to_is_no_error(
        self, connection: Connection, processes: Processes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks, waitid = iter([True]), os.waitid
        with connection.session(["null"], print) as session:
            (pid,) = until(lambda: processes(f"{EXECUTOR} {session.workspace}"), "the executor")
            os.kill(pid, signal.SIGKILL)
            session.ended()
            # The first look was a moment before its end.
            monkeypatch.setattr(os, "waitid", lambda *how: None if next(looks, False) else waitid(*how))
        assert not Path(f"/proc/{pid}").exists()


class TestSsh(ConnectionContract):
    kind = "ssh"

    @pytest.fixture
    def connection(self, ssh_connection: Connection) -> Connection:
        return ssh_connection


class TestAdb(ConnectionContract):
    kind = "adb"

    @pytest.fixture
    def connection(self, adb_connection: Connection) -> Connection:
        return adb_connection
