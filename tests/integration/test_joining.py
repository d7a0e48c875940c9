"""A machine joins a hub with a token that is good once, and is known by its own from then on."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.spec.agents import AGENT_PROTOCOL, OFFER_NULL, ClaimRequest, DeviceOffer
from dynolab.spec.joining import JoinRequest
from dynolab.testing import commands, known_runtimes
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .test_api import in_database
from .test_pools import Person, introduce


@pytest.fixture
def ana(hub: RunningHub, postgres: OwnDatabase) -> Iterator[Person]:
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=30))
        yield introduce(hub, postgres, "ana", http, stack)


@pytest.fixture
def bob(hub: RunningHub, postgres: OwnDatabase) -> Iterator[Person]:
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=30))
        yield introduce(hub, postgres, "bob", http, stack)


class Machine:
    """A machine as the hub sees it: an id of its own, and a token that it made."""

    def __init__(self, hub: RunningHub, id: str = "") -> None:
        self.hub, self.id, self.token = hub, id or secrets.token_hex(6), f"dla_{secrets.token_hex(20)}"

    def join(self, join_token: str, **more: Any) -> str:
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        request = {"join_token": join_token, "token_digest": digest, "device_id": self.id, "name": "box", **more}
        with closing(HubDoor(self.hub.url, "")) as door:
            return door.join(JoinRequest(protocol=request.pop("protocol", AGENT_PROTOCOL), **request)).account

    def announce(self) -> None:
        with closing(HubDoor(self.hub.url, self.token)) as door:
            door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(self.id, "box", "12")))


def join_token(person: Person, name: str = "") -> dict[str, Any]:
    made: dict[str, Any] = person.post("/join-tokens", {"name": name})
    return made


def test_a_token_makes_one_machine_a_device_and_tells_which(hub: RunningHub, ana: Person) -> None:
    made, machine = join_token(ana, " rack 3 "), Machine(hub)
    assert (made["state"], made["device"], made["name"]) == ("waiting", None, "rack 3")
    assert made["command"].endswith(f"agent --hub {hub.url} --join-token {made['secret']}")
    assert machine.join(made["secret"]) == ana.email
    place = f"/join-tokens/{made['id']}"
    assert (ana.get(place)["state"], ana.get(place)["device"]) == ("joined", None)
    machine.announce()
    assert ana.get(place)["device"] == {"id": machine.id, "name": "box"}
    assert "secret" not in ana.get(place)
    labels = [one["label"] for one in ana.get("/tokens")["tokens"] if one["kind"] == "agent"]
    assert "rack 3" in labels


def test_it_is_used_up_but_for_the_machine_whose_answer_was_lost(hub: RunningHub, ana: Person) -> None:
    secret, machine, other = join_token(ana)["secret"], Machine(hub), Machine(hub)
    machine.join(secret)
    assert machine.join(secret) == ana.email, "asked again in the same words"
    with pytest.raises(errors.Unauthorized, match="used already, by 'box'") as told:
        other.join(secret)
    assert "dynolab devices join-token" in (told.value.hint or "")
    with pytest.raises(errors.Unauthorized):
        other.announce()


def test_of_two_machines_that_show_it_at_once_one_gets_in(hub: RunningHub, ana: Person) -> None:
    secret = join_token(ana)["secret"]

    def get_in(machine: Machine) -> bool:
        try:
            machine.join(secret)
        except errors.Unauthorized:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(get_in, [Machine(hub) for _ in range(8)])) == 1


def test_those_that_wait_are_listed_and_one_that_went_astray_is_revoked(
    hub: RunningHub, postgres: OwnDatabase, ana: Person, bob: Person
) -> None:
    kept, astray, late, used = (join_token(ana, name) for name in ("rack 1", "rack 2", "rack 3", "rack 4"))
    machine = Machine(hub)
    machine.join(used["secret"])

    async def age(connection: Any) -> None:
        await connection.execute("UPDATE join_token SET expires_at = now() WHERE id = $1", late["id"])

    in_database(postgres, age)

    def listed(person: Person) -> list[str]:
        return [one["name"] for one in person.get("/join-tokens")["join_tokens"]]

    assert listed(ana) == ["rack 1", "rack 2"]
    assert listed(bob) == []
    assert not any(one["secret"] in str(ana.get("/join-tokens")) for one in (kept, astray))
    assert bob.send("DELETE", f"/join-tokens/{astray['id']}").status_code == 404
    assert ana.send("DELETE", f"/join-tokens/{astray['id']}").status_code == 204
    assert ana.send("DELETE", f"/join-tokens/{astray['id']}").status_code == 404
    assert listed(ana) == ["rack 1"]
    with pytest.raises(errors.Unauthorized, match="not known here"):
        Machine(hub).join(astray["secret"])
    refused = ana.send("DELETE", f"/join-tokens/{used['id']}")
    assert refused.status_code == 409
    assert "dynolab token revoke t" in refused.json()["hint"]
    machine.announce()  # what it has now is as good as before


def test_a_machine_that_joins_as_its_token_is_revoked_is_in_or_out(hub: RunningHub, ana: Person) -> None:
    """Never both: revoked, and yet a device; or neither."""
    for _ in range(5):
        made, machine = join_token(ana), Machine(hub)

        def joins(machine: Machine = machine, secret: str = made["secret"]) -> bool:
            try:
                machine.join(secret)
            except errors.Unauthorized:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            joined = pool.submit(joins)
            revoked = pool.submit(ana.send, "DELETE", f"/join-tokens/{made['id']}")
            assert (revoked.result().status_code == 204) is not joined.result()


def test_commands_list_and_revoke_them(hub: RunningHub, ana: Person) -> None:
    own = {"DYNOLAB_HUB_URL": hub.url, "DYNOLAB_HUB_TOKEN": ana.token}

    def told(*words: str) -> str:
        done = commands.command("devices", "join-token", *words, environment=own)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "no join token waits" in told("list")
    assert "--join-token dlj_" in told("--name", "rack 7")
    [listed] = json.loads(told("list", "--json"))
    assert (listed["name"], listed["state"]) == ("rack 7", "waiting")
    assert re.search(rf"{listed['id']} +rack 7 +\d+ s ago +\d{{4}}-\d\d-\d\d \d\d:\d\d UTC", told("list"))
    assert json.loads(told("revoke", listed["id"], "--json")) == {"id": listed["id"], "revoked": True}
    again = commands.command("devices", "join-token", "revoke", listed["id"], environment=own)
    assert (again.returncode, f"no join token '{listed['id']}'" in again.stderr) == (2, True)
    assert json.loads(told("list", "--json")) == []


def test_an_old_one_and_an_unknown_one_are_refused(hub: RunningHub, postgres: OwnDatabase, ana: Person) -> None:
    made = join_token(ana)

    async def age(connection: Any) -> None:
        await connection.execute(
            "UPDATE join_token SET expires_at = now() - interval '1 minute' WHERE id = $1", made["id"]
        )

    in_database(postgres, age)
    assert ana.get(f"/join-tokens/{made['id']}")["state"] == "expired"
    with pytest.raises(errors.Unauthorized, match="too old: it was good until 20"):
        Machine(hub).join(made["secret"])
    for unknown in ("dlj_nothing", "", ana.token, ana.agent_token):
        with pytest.raises(errors.Unauthorized, match="not known here"):
            Machine(hub).join(unknown)


def test_what_is_wrong_with_the_machine_leaves_the_token_as_it_was(hub: RunningHub, ana: Person, bob: Person) -> None:
    made, served = join_token(ana), Machine(hub)
    served.join(join_token(ana)["secret"])
    served.announce()
    with pytest.raises(errors.Conflict, match="is the device 'box' already, served with the token 'box'") as told:
        Machine(hub, served.id).join(made["secret"])
    assert "DYNOLAB_STATE" in (told.value.hint or "")
    with pytest.raises(errors.Forbidden, match="a device of another account"):
        Machine(hub, served.id).join(join_token(bob)["secret"])
    with pytest.raises(errors.Conflict, match="speaks protocol 1, this hub speaks"):
        Machine(hub).join(made["secret"], protocol=1)
    with pytest.raises(errors.SpecInvalid, match="no SHA-256"):
        Machine(hub).join(made["secret"], token_digest="x" * 64)
    thief = Machine(hub)
    thief.token = served.token
    with pytest.raises(errors.SpecInvalid, match="in use"):
        thief.join(made["secret"])
    assert ana.get(f"/join-tokens/{made['id']}")["state"] == "waiting"
    assert Machine(hub).join(made["secret"]) == ana.email


def test_a_machine_whose_token_was_revoked_joins_anew(hub: RunningHub, ana: Person) -> None:
    first = Machine(hub)
    first.join(join_token(ana)["secret"])
    first.announce()
    (token,) = [one["id"] for one in ana.get("/tokens")["tokens"] if one["label"] == "box"]
    ana.send("DELETE", f"/tokens/{token}")
    again = Machine(hub, first.id)
    again.join(join_token(ana)["secret"])
    again.announce()


# ---- the command -----------------------------------------------------------------------------------------------------


def environment(state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "DYNOLAB_AGENT_TOKEN"}
    return {**kept, **own_environment(state)}


def own_environment(state: Path) -> dict[str, str]:
    return {"DYNOLAB_STATE": str(known_runtimes.give(state)), OFFER_NULL: "1"}


def refused(state: Path, *arguments: object, more: Mapping[str, str] | None = None) -> str:
    """What an agent says that ends by itself, with 2. It is a process of its own: its connections end with it."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", *map(str, arguments)]
    whole = {**environment(state), **(more or {})}
    done = subprocess.run(command, env=whole, capture_output=True, text=True, timeout=120, check=False)
    return _complaint(done)


def refused_at_once(state: Path, *arguments: object) -> str:
    """The same of one that does not get as far as its hub."""
    own = {"DYNOLAB_AGENT_TOKEN": None, **own_environment(state)}
    return _complaint(commands.command("agent", *arguments, environment=own))


def test_all_settings_of_an_agent_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    wrong = {"DYNOLAB_AGENT_PROBE_EVERY_S": "often", "DYNOLAB_AGENT_FREE_BYTES": "-1", "DYNOLAB_LOG_FORMAT": "xml"}
    own = {"DYNOLAB_AGENT_TOKEN": None, **own_environment(tmp_path / "state"), **wrong}
    told = _complaint(commands.command("agent", "--hub", "nowhere", environment=own))
    assert "4 settings do not fit" in told
    for said in (*(f"{name}='{value}'" for name, value in wrong.items()), "'nowhere' is no hub's address"):
        assert said in told, (said, told)


def _complaint(done: subprocess.CompletedProcess[str] | commands.Done) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "hint: " in done.stderr, "the way out"
    return done.stderr


@contextmanager
def serving(state: Path, *arguments: object) -> Iterator[list[str]]:
    """An agent that serves, once it says so: what it said."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=environment(state), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    said: list[str] = []
    try:
        for line in process.stderr or ():
            said.append(line)
            if "this machine is now the device" in line:
                break
        assert process.poll() is None, "".join(said)
        yield said
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr is not None:
            process.stderr.close()


def test_an_agent_joins_once_and_needs_neither_token_nor_address_then(
    hub: RunningHub, ana: Person, tmp_path: Path
) -> None:
    state, made = tmp_path / "state", join_token(ana, "Bench box")
    with serving(state, "--hub", hub.url, "--join-token", made["secret"]) as said:
        [joined] = [line for line in said if f"joined {hub.url} as an agent of {ana.email}" in line]
        assert " agent --wait-for-hub (" in joined, "so it may be started before its hub"
        assert ana.get(f"/join-tokens/{made['id']}")["device"]["name"] == "Bench box"
    kept = state / "agent.json"
    assert json.loads(kept.read_text())["name"] == "Bench box"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (state, kept)] == [0o700, 0o600]
    assert not (state / "joining.json").exists()
    with serving(state) as said:
        assert "Bench box" in said[-1]
    with serving(state, "--hub", hub.url, "--join-token", "dlj_another", "--name", "other name") as said:
        assert "has joined" in said[0]
        assert "other name" in said[-1]
    (own,) = (one["id"] for one in ana.get("/tokens")["tokens"] if one["label"] == "Bench box")
    ana.send("DELETE", f"/tokens/{own}")
    assert "does not know this agent's token" in refused(state)
    with serving(state, "--hub", hub.url, "--join-token", join_token(ana, "Bench box 2")["secret"]) as said:
        assert "Bench box 2" in said[-1], "the same machine, joined anew"


def test_only_joining_serves_nothing(hub: RunningHub, ana: Person, tmp_path: Path) -> None:
    made = join_token(ana)
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url, "--join-token", made["secret"]]
    done = subprocess.run(
        [*command, "--only-join"], env=environment(tmp_path), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "agent.json").is_file()
    found = ana.get(f"/join-tokens/{made['id']}")
    assert (found["state"], found["device"]) == ("joined", None)


def test_what_an_agent_cannot_begin_with_is_told_at_once(hub: RunningHub, ana: Person, tmp_path: Path) -> None:
    files = {
        "empty": "",
        "blank": " \n",
        "join": "dlj_x",
        "user": ana.token,
        "ini": hub.ini.read_text(),
        "bad": "dla_é",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    wrong: list[tuple[tuple[object, ...], str]] = [
        ((), "this machine has not joined a hub yet"),
        (("--hub", hub.url), f"has not joined {hub.url} yet"),
        (("--hub", hub.url, "--join-token", "nothing"), "a join token begins with dlj_"),
        *((("--hub", hub.url, "--token-file", tmp_path / name), "is empty") for name in ("empty", "blank")),
        (("--hub", hub.url, "--token-file", tmp_path / "join"), "holds a join token"),
        *(
            (("--hub", hub.url, "--token-file", tmp_path / name), "holds no agent's token")
            for name in ("user", "ini", "bad")
        ),
        (("--hub", hub.url, "--token-file", tmp_path), "there is no token file"),
        (("--token-file", hub.data / "agent.token"), "needs its hub's address"),
        (
            ("--hub", hub.url, "--token-file", hub.data / "agent.token", "--join-token", "dlj_x"),
            "contradict each other",
        ),
        (("--hub", "http://127.0.0.1:9", "--join-token", "dlj_x"), "http://127.0.0.1:9 cannot be reached"),
    ]
    for arguments, text in wrong:
        assert text in refused_at_once(tmp_path / "state", *arguments), arguments
    assert not (tmp_path / "state" / "agent.json").exists()


def test_a_token_that_nobody_knows_and_a_machine_that_is_served_already(
    hub: RunningHub, ana: Person, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("dla_nothing")
    told = refused(tmp_path / "state", "--hub", hub.url, "--token-file", tmp_path / "token")
    assert "does not know this agent's token" in told
    with serving(tmp_path / "state", "--hub", hub.url, "--token-file", hub.data / "agent.token", "--name", "taken"):
        told = refused(tmp_path / "state", "--hub", hub.url, "--join-token", join_token(ana)["secret"])
    assert "this machine is a device of another account" in told
    (tmp_path / "state" / "agent.json").write_text("{torn")
    assert "agent.json cannot be read" in refused(tmp_path / "state")


ALWAYS = "anyio certifi click h11 httpcore httpx idna jinja2 markdown_it markupsafe mdurl numpy packaging platformdirs pygments rich"
"""Packages of what dynolab always needs, by the names that they are imported by."""


def test_a_machine_without_a_runtime_is_no_device(hub: RunningHub, ana: Person, tmp_path: Path) -> None:
    """In an environment that has dynolab and what it always needs, by links to ours, and no extra."""
    site = tmp_path / "env" / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    ours = Path(httpx.__file__).parents[1]
    for name in (*ALWAYS.split(), "numpy.libs", "typing_extensions.py"):
        if (ours / name).exists():
            (site / name).symlink_to(ours / name)
    for one in ("click", "dynolab"):
        own = metadata.distribution(one)
        (site / f"{one}-{own.version}.dist-info").mkdir()
        (site / f"{one}-{own.version}.dist-info" / "METADATA").write_text(own.read_text("METADATA") or "")
    (site / "dynolab").symlink_to(Path(errors.__file__).parent)
    kept = {name: value for name, value in environment(tmp_path / "state").items() if name != OFFER_NULL}
    made = join_token(ana)
    python = tmp_path / "env" / "bin" / "python"
    command = [python, "-m", "dynolab.cli.main", "agent", "--hub", hub.url, "--join-token", made["secret"]]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    assert "no runtime is installed here" in done.stderr
    assert "dynolab[onnxruntime]" in done.stderr, "how to install one"
    assert ana.get(f"/join-tokens/{made['id']}")["state"] == "waiting", "the token is good for when there is one"


def test_the_line_is_made_in_a_terminal_which_tells_when_a_machine_has_joined(hub: RunningHub, ana: Person) -> None:
    command = [sys.executable, "-m", "dynolab.cli.main", "devices", "join-token", "--name", "rack 9", "--wait"]
    own = {**os.environ, "DYNOLAB_HUB_URL": hub.url, "DYNOLAB_HUB_TOKEN": ana.token}
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None
        line = asked.stdout.readline()
        machine = Machine(hub)
        machine.join(shlex.split(line)[-1])
        machine.announce()
        _, told = asked.communicate(timeout=60)
    assert asked.returncode == 0, told
    assert told == f"joined: box ({machine.id})\n"
    done = subprocess.run([*command[:-1], "--json"], env=own, capture_output=True, text=True, timeout=60, check=True)
    made = json.loads(done.stdout)
    assert (made["state"], made["name"]) == ("waiting", "rack 9")
    assert made["command"].endswith(made["secret"])


@pytest.mark.slow  # a hub of its own is started twice
def test_a_hub_that_goes_away_is_told_once_and_once_when_it_is_back(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    with running_hub(data, "--no-agent") as first:
        own = tmp_path / "token"
        own.write_text(first.agent_token)
        port = int(first.url.rpartition(":")[2])
        command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", first.url, "--token-file", str(own)]
        said = (tmp_path / "said").open("w+")
        process = subprocess.Popen(command, env=environment(tmp_path / "state"), stderr=said, start_new_session=True)
        try:
            _await_word(tmp_path / "said", "this machine is now the device")
            first.end()
            _await_word(tmp_path / "said", "the hub cannot be reached")
            with running_hub(data, "--no-agent", port=port):
                _await_word(tmp_path / "said", "the hub is back after")
                assert process.poll() is None
                process.terminate()
                process.wait(20)
        finally:
            process.terminate()
            process.wait(20)
            said.close()
    lines = (tmp_path / "said").read_text().splitlines()
    assert [sum(text in line for line in lines) for text in ("cannot be reached", "is back")] == [1, 1]
    assert len(lines) <= 5, lines


def _await_word(path: Path, text: str) -> None:
    """Wait until a process has written a text."""
    until(lambda: text in path.read_text(), f"{text!r} in {path}")
