"""The drill itself, smaller; that what it checks is seen when it does not hold; and the links that it cuts."""

from __future__ import annotations

import copy
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from .drill_boards import Drill, Result, broken
from .links import Network

# ---- the drill -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")
def test_jobs_over_3_devices_that_are_killed_at_random_end_once_and_leave_nothing(tmp_path: Path) -> None:
    found = Drill(tmp_path, lasts_s=60.0, devices=3, seed=3, every_s=10.0).run()
    assert found.wrong == [], found.figures
    assert len(found.jobs) >= 3
    assert found.blows, "nothing befell them"


# ---- what it checks --------------------------------------------------------------------------------------------------


def tried(number: int, state: str, device: str, began: int, ended: int | None) -> dict[str, Any]:
    at = [None if second is None else f"2026-03-14T10:00:{second:02}+00:00" for second in (began, ended)]
    return {"number": number, "state": state, "device_id": device, "started_at": at[0], "finished_at": at[1]}


@pytest.fixture
def sound() -> Result:
    """One job that was done at the second try, and one that no device could do."""
    three = [tried(1, "lost", "b", 0, 9), tried(2, "failed", "b", 10, 19), tried(3, "lost", "a", 30, 39)]
    told = {"attempts": [{"number": number, "message": "lost"} for number in (1, 2, 3)]}
    jobs = {
        "j1": {"state": "done", "attempts": [tried(1, "lost", "a", 0, 9), tried(2, "done", "a", 9, 20)]},
        "j2": {"state": "failed", "attempts": three, "failure": {"details": told}},
    }
    return Result(jobs=jobs, sent={"j1": "d1", "j2": "d2"}, profiles={"j1": {"model": {"sha256": "d1"}}})


def test_what_holds_is_let_pass(sound: Result) -> None:
    assert list(broken(sound)) == []


def lost(found: Result) -> None:
    found.jobs["j1"]["state"] = "queued"


def done_twice(found: Result) -> None:
    found.jobs["j1"]["attempts"][0]["state"] = "done"


def left_running(found: Result) -> None:
    found.jobs["j1"]["attempts"][0] |= {"state": "running", "finished_at": None}


def without_a_result(found: Result) -> None:
    found.profiles.clear()


def anothers_result(found: Result) -> None:
    found.profiles["j1"]["model"]["sha256"] = "d2"


def an_attempt_is_missing(found: Result) -> None:
    found.jobs["j1"]["attempts"][1]["number"] = 3


def too_many_attempts(found: Result) -> None:
    found.jobs["j2"]["attempts"].append(tried(4, "lost", "b", 50, 51))


def failed_too_early(found: Result) -> None:
    del found.jobs["j2"]["failure"]["details"]["attempts"][2]


def without_a_reason(found: Result) -> None:
    found.jobs["j2"]["failure"]["details"]["attempts"][1]["message"] = ""


def two_at_once(found: Result) -> None:
    found.jobs["j2"]["attempts"][2] |= {"started_at": "2026-03-14T10:00:15+00:00"}


@pytest.mark.parametrize(
    "spoil",
    [
        lost,
        done_twice,
        left_running,
        without_a_result,
        anothers_result,
        an_attempt_is_missing,
        too_many_attempts,
        failed_too_early,
        without_a_reason,
        two_at_once,
    ],
    ids=lambda one: one.__name__,
)
def test_what_does_not_hold_is_seen(sound: Result, spoil: Callable[[Result], None]) -> None:
    spoiled = copy.deepcopy(sound)
    spoil(spoiled)
    assert list(broken(spoiled)) != []


# ---- links -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[str]:
    """A server that says what it is told."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                one, _ = listening.accept()
                threading.Thread(target=answer, args=(one,), daemon=True).start()

    def answer(one: socket.socket) -> None:
        with one, suppress(OSError):
            while content := one.recv(1024):
                one.sendall(content)

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    serving.join(10)


@pytest.fixture
def network(echo: str) -> Iterator[Network]:
    made = Network(echo)
    yield made
    made.close()


def connected(url: str) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    found.settimeout(20)
    return found


def said(one: socket.socket, text: bytes) -> bytes:
    one.sendall(text)
    return one.recv(1024)


def speaks(one: socket.socket) -> bool:
    """Whether it answers; else it was reset."""
    with suppress(ConnectionError):
        return bool(said(one, b"x"))
    return False


def test_a_link_carries_until_it_is_cut_and_again_once_it_is_mended(network: Network) -> None:
    link, other = network.link(), network.link()
    with connected(link.url) as one, connected(other.url) as beside:
        assert said(one, b"one") == b"one"
        link.cut()
        assert not speaks(one)
        with connected(link.url) as late:
            assert not speaks(late)
        assert said(beside, b"four") == b"four"
        link.mend()
        with connected(link.url) as anew:
            assert said(anew, b"five") == b"five"
    assert link.carried_bytes == 2 * len(b"one") + 2 * len(b"five")


def test_what_a_stalled_link_held_back_comes_once_it_is_mended(network: Network) -> None:
    link = network.link()
    with connected(link.url) as one:
        assert said(one, b"one") == b"one"
        link.stall()
        one.sendall(b"two")
        one.settimeout(0.3)
        with pytest.raises(TimeoutError):
            one.recv(1024)
        one.settimeout(20)
        link.mend()
        assert one.recv(1024) == b"two"
