"""Our client and command line for somebody who is in projects."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("h5py")

from dynolab import errors
from dynolab.cli import main
from dynolab.client import settings
from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig

from .test_api import User, checked
from .test_organisations import MODEL, Team, model_in, team

__all__ = ["team"]


def ours(who: User, project: str | None = None) -> Client:
    return Client(ClientConfig(who.token, who.hub.url, verbose=False), default_project_id=project)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def dynolab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, with a person's token."""
    monkeypatch.setattr(main, "_heed_stops", lambda: None)  # Ctrl-C stays with who runs the tests
    monkeypatch.setenv("COLUMNS", "200")

    def run(who: User, *arguments: str, **environment: str) -> Done:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["dynolab", *arguments])
            known = {"DYNOLAB_HUB_URL": who.hub.url, "DYNOLAB_HUB_TOKEN": who.token}
            for name, value in {**known, **environment}.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main.main()
        told = capsys.readouterr()
        return Done(int(ended.value.code or 0), told.out, told.err)

    return run


def refused(done: Done, *words: str) -> None:
    assert (done.status, done.out) == (2, ""), done.err
    assert [word for word in words if word not in done.err] == [], done.err


@pytest.fixture
def two(team: Team) -> Team:
    """A team with a second project, and a device."""
    team["owner"].post(f"/organisations/{team.name}/projects", {"name": "audio"})
    team["admin"].ask(f"{team.name}-bench")
    team["admin"].change(f"{team.name}-bench", organisation=team.name)
    return team


@pytest.fixture
def client(two: Team) -> Iterator[Client]:
    """A member's, which works in the second project."""
    with closing(ours(two["member"], f"{two.name}.audio")) as found:
        yield found


# ---- projects --------------------------------------------------------------------------------------------------------


def test_what_a_client_makes_in_a_project_is_there_and_its_lists_show_that_alone(two: Team, client: Client) -> None:
    device, audio, vision = Device(f"{two.name}-bench"), f"{two.name}.audio", two.project
    job = client.submit_profile_job(MODEL, device, name="hears")
    data = client.upload_dataset({"x": [np.zeros(1, np.float32)]})
    other = client.submit_profile_job(MODEL, device, name="sees", project=vision)
    own = client.upload_model(MODEL, name="mine", project="")
    assert (job.project, data.project, other.project, own.project) == (audio, audio, vision, None)
    assert client.get_model(job.document["model_id"]).project == audio, "it went where the job went"
    assert client.get_model(other.document["model_id"]).project == vision
    assert [one.job_id for one in client.get_job_summaries()] == [job.job_id]
    assert [one.job_id for one in client.get_job_summaries(project=vision)] == [other.job_id]
    assert {one.job_id for one in client.get_job_summaries(project="")} == {job.job_id, other.job_id}
    assert [one.project for one in client.get_models()] == [audio]
    assert {one.project for one in client.get_models(project="")} == {audio, vision, None}
    assert [one.dataset_id for one in client.get_datasets()] == [data.dataset_id]
    assert client.get_datasets(project=vision) == []
    assert two["viewer"].get(f"/datasets/{data.dataset_id}")["project"] == audio


def test_a_stranger_it_is_shared_with_is_not_told_the_project(two: Team) -> None:
    made = model_in(two["member"], two.project)
    checked(two["member"].send("PATCH", f"/models/{made}/sharing", json={"add": [two["stranger"].email]}), 200)
    assert two["stranger"].get(f"/models/{made}")["project"] is None
    assert [one["project"] for one in two["stranger"].get("/models")["models"]] == [None]


@pytest.mark.parametrize("listed", ["models", "datasets", "jobs"])
def test_no_list_is_empty_because_a_project_is_misspelt(two: Team, listed: str) -> None:
    told = two["member"].refused("GET", f"/{listed}?project={two.name}.vison", 404)
    assert f"{two.name}.vison" in told["message"]
    assert told["hint"] == f"you are in {two.name}.audio, {two.name}.vision"
    assert "you are in none" in two["stranger"].refused("GET", f"/{listed}?project={two.name}.vision", 404)["hint"]
    assert two["member"].get(f"/{listed}", project="a-label-of-mine") == {listed: [], "next": None}
    alone = two.bound(two["member"]).refused("GET", f"/{listed}?project={two.name}.audio", 403)
    assert f"works in the project {two.project} alone, not in '{two.name}.audio'" in alone["message"]


def test_labels_are_looked_for_as_well(two: Team) -> None:
    ana = two["stranger"]
    made = ana.post("/models", {"name": "net", "kind": "onnx", "project_id": "winter"})
    ana.post("/models", {"name": "net", "kind": "onnx"})
    assert [one["id"] for one in ana.get("/models", project="winter")["models"]] == [made["id"]]


def test_the_command_line_works_in_a_project(two: Team, dynolab: Run) -> None:
    member, audio = two["member"], f"{two.name}.audio"
    submit = ("submit", "profile", str(MODEL), "--device", f"{two.name}-bench", "--no-wait", "--json")
    made = dynolab(member, *submit, "--project", audio)
    job = json.loads(made.out)
    assert (made.status, job["project"]) == (0, audio)
    assert member.get(f"/models/{job['model_id']}")["project"] == audio
    other = json.loads(dynolab(member, *submit, DYNOLAB_PROJECT=two.project).out)
    assert other["project"] == two.project
    listed = dynolab(member, "jobs").out
    assert "Project" in listed.splitlines()[0]
    assert audio in listed
    assert dynolab(member, "jobs", "--project", "", DYNOLAB_PROJECT=audio).out == listed
    within = dynolab(member, "jobs", "--project", audio).out
    assert job["id"] in within
    assert other["id"] not in within
    assert "Project" not in within.splitlines()[0]
    assert dynolab(member, "jobs", DYNOLAB_PROJECT=audio).out == within
    assert f"no job in {audio} is failed" in dynolab(member, "jobs", "--project", audio, "--state", "failed").out


def test_a_project_that_is_none_or_anothers_is_told_before_anything_goes(two: Team, dynolab: Run) -> None:
    member, stranger, viewer = two["member"], two["stranger"], two["viewer"]
    submit = ("submit", "profile", str(MODEL), "--device", f"{two.name}-bench", "--no-wait")
    yours = f"you are in {two.name}.audio, {two.name}.vision"
    refused(dynolab(member, *submit, "--project", f"{two.name}.vison"), f"'{two.name}.vison'", yours)
    refused(dynolab(member, "jobs", DYNOLAB_PROJECT=f"{two.name}.vison"), f"'{two.name}.vison'", yours)
    refused(dynolab(member, *submit, "--project", f"{two.name}/vision"), "--project", "no project", "acme.vision")
    refused(dynolab(member, "jobs", DYNOLAB_PROJECT="vision"), "DYNOLAB_PROJECT 'vision'", "acme.vision")
    refused(dynolab(stranger, *submit, "--project", two.project), f"no project '{two.project}'", "you are in none")
    refused(dynolab(viewer, *submit, "--project", two.project), two.project, "make you a member")
    bound = two.bound(member)
    alone = f"works in the project {two.project} alone, not in '{two.name}.audio'"
    refused(dynolab(bound, *submit, "--project", f"{two.name}.audio"), alone, "leave the project out")
    assert dynolab(bound, *submit, "--project", two.project).status == 0
    assert [one["owner"] for one in member.get("/models")["models"]] == [member.email], "the bound token's alone"


def test_a_clients_file_names_the_project_as_ai_hubs_does(
    two: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    member, file = two["member"], tmp_path / "client.ini"
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(file))
    for name in ("DYNOLAB_HUB_URL", "DYNOLAB_HUB_TOKEN", "DYNOLAB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    settings.save(ClientConfig(member.token, member.hub.url, default_project=two.project))
    with closing(Client()) as client:
        assert client.upload_model(MODEL).project == two.project
    monkeypatch.setenv("DYNOLAB_PROJECT", f"{two.name}.audio")
    with closing(Client()) as client:
        assert client.upload_model(MODEL).project == f"{two.name}.audio"
    monkeypatch.setenv("DYNOLAB_PROJECT", "audio")
    with pytest.raises(errors.SpecInvalid, match="DYNOLAB_PROJECT 'audio' is no project"):
        Client()
