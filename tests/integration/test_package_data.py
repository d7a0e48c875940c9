"""What the package needs beside its modules is there when it runs: templates, texts, assets, migrations, locks.

``script/test --wheel`` runs these against the built wheel.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from functools import partial
from pathlib import Path

import httpx
import pytest

pytest.importorskip("pgqueuer")

import dynolab
from dynolab.hub.store.database import known
from dynolab.spec import codec
from dynolab.testing.commands import command
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.sample import sample_profile

get = partial(httpx.get, timeout=60)


def test_the_hub_makes_its_schema(hub: RunningHub) -> None:
    assert get(f"{hub.url}/healthz").json() == {"status": "ok"}
    assert len(known()) >= 20


@pytest.mark.parametrize(("language", "words"), [("en", "API token"), ("zh", "令牌")])
def test_pages_have_their_templates_and_texts(hub: RunningHub, language: str, words: str) -> None:
    page = get(f"{hub.url}/sign-in", headers={"Accept-Language": language})
    assert page.status_code == 200
    assert words in page.text
    assets = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page.text)
    assert assets
    for asset in assets:
        assert get(hub.url + asset).status_code == 200, asset


def test_the_pages_of_somebody_who_is_signed_in(hub: RunningHub) -> None:
    with httpx.Client(base_url=hub.url, follow_redirects=True, timeout=60) as browser:
        browser.post("/sign-in", data={"token": hub.token}, headers={"Sec-Fetch-Site": "same-origin"})
        for path in (
            "/jobs/",
            "/models/",
            "/datasets/",
            "/devices/",
            "/account/",
            "/submit",
            "/add-device",
            "/definitions",
        ):
            assert browser.get(path).status_code == 200, path


def test_the_description_of_the_api(hub: RunningHub) -> None:
    answer = get(f"{hub.url}/api/hub/v1/docs", headers={"Authorization": f"Bearer {hub.token}"})
    assert answer.status_code == 200
    assert "<style" in answer.text


def test_the_hub_serves_a_wheel_of_itself(hub: RunningHub) -> None:
    answer = get(f"{hub.url}/wheels/dynolab-{dynolab.__version__}-py3-none-any.whl")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"dynolab/hub/pages/texts/zh.ftl", "dynolab/toolchains/locks/tflite.txt", "dynolab/py.typed"} <= set(names)


def test_the_client_s_protocol(hub: RunningHub) -> None:
    from dynolab.hub.aihub.wire import public_api_pb2 as pb

    answer = get(f"{hub.url}/api/v1/users/auth/user/", headers={"Authorization": f"token {hub.token}"})
    assert answer.status_code == 200
    assert pb.User.FromString(answer.content).email == "admin@localhost"


def test_the_report_for_browsers_has_its_templates(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text(json.dumps(codec.encode(sample_profile())), encoding="utf-8")
    done = command("report", "profile.json", "--format", "html", "-o", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "<style" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "lock", ["toolchains/locks/tflite.txt", "connections/locks/devices.txt", "connections/locks/python.json"]
)
def test_the_locks_are_there(lock: str) -> None:
    text = (Path(dynolab.__file__).parent / lock).read_text(encoding="utf-8")
    assert "sha256" in text
