"""The environment that dynolab's own processes on a device are started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.sandbox._environment import scrubbed
from dynolab.sandbox.base import CONNECTING, own_environment

SECRETS = {
    "DYNOLAB_DATABASE_URL": "postgresql://user:secret@db/x",
    "DYNOLAB_AGENT_TOKEN": "secret",
    "DYNOLAB_HUB_TOKEN": "secret",
    "DYNOLAB_BLOBS_URL": "s3://bucket?secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_ACCESS_KEY_ID": "secret",
    "GITHUB_TOKEN": "secret",
    "PGPASSWORD": "secret",
    "HTTPS_PROXY": "http://user:secret@proxy",
    "TORCH_SECRET": "secret",
    "XDG_SECRET_TOKEN": "secret",
    "SOMETHING": "secret",
}


def test_no_secret_of_whoever_starts_them_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    assert "secret" not in str(own_environment())
    assert {name for name, value in own_environment(*CONNECTING).items() if "secret" in value} == {"HTTPS_PROXY"}


def test_what_they_need_is(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = (
        "PATH",
        "HOME",
        "XDG_CACHE_HOME",
        "DYNOLAB_WORKSPACE",
        "DYNOLAB_STATE",
        "DYNOLAB_SANDBOX",
        "LC_ALL",
        "OMP_NUM_THREADS",
    )
    for name in needed:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("https_proxy", "y")
    assert {*needed} <= own_environment().keys()
    assert own_environment(*CONNECTING)["https_proxy"] == "y"


def test_threads_of_numpy_sleep_when_there_is_no_work_unless_somebody_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_THREAD_TIMEOUT", raising=False)
    assert scrubbed(tmp_path, {})["OPENBLAS_THREAD_TIMEOUT"] == "20"
    monkeypatch.setenv("OPENBLAS_THREAD_TIMEOUT", "26")
    assert scrubbed(tmp_path, {})["OPENBLAS_THREAD_TIMEOUT"] == "26"
