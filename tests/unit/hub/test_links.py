"""Signed addresses and sessions: worth something for what they say, for a while, and to those who have the secret."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("itsdangerous")

from dynolab.hub.store.links import READ_LIFE_S, UPLOAD_LIFE_S, Link, Links
from dynolab.hub.usecases.open_link import link_file


def test_a_link_comes_back_as_it_was_signed() -> None:
    links = Links("secret")
    link = Link("part", "u123", "token:t1", 4)
    assert links.read(links.sign(link), life_s=60) == link


def test_a_link_is_worth_nothing_past_its_end_altered_or_signed_by_another() -> None:
    links = Links("secret")
    signed = links.sign(Link("model", "m123", "token:t1"))
    assert links.read(signed, life_s=-1) is None
    altered = "A" if signed[-9] != "A" else "B"  # not the last letter, of which some bits stand for nothing
    assert links.read(signed[:-9] + altered + signed[-8:], life_s=60) is None
    assert links.read(Links("another").sign(Link("model", "m123", "token:t1")), life_s=60) is None


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_link_is_good_for_as_long_as_it_was_meant_to_be_though_the_clock_is_set(
    ahead_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    links, link, real = Links("secret"), Link("model", "m123", "token:t1"), time.time
    signed = links.sign(link)
    monkeypatch.setattr("time.time", lambda: real() + ahead_s)
    assert links.read(signed, life_s=60) == link
    assert links.read(links.sign(link), life_s=60) == link


def test_a_link_of_a_replica_whose_clock_is_ahead_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    links, link, passed = Links("secret"), Link("model", "m123", "token:t1"), time.monotonic
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: passed() + 50)
        signed = links.sign(link)
    assert links.read(signed, life_s=60) == link
    with monkeypatch.context() as patch:
        patch.setattr("time.monotonic", lambda: passed() + 120)
        assert links.read(signed, life_s=60) is None


def test_addresses_last_as_long_as_the_documents_say() -> None:
    assert (UPLOAD_LIFE_S, READ_LIFE_S) == (86_400, 900)


@pytest.mark.parametrize("life_s", [UPLOAD_LIFE_S, READ_LIFE_S])
def test_a_link_is_good_to_the_last_second_of_its_life(life_s: int, monkeypatch: pytest.MonkeyPatch) -> None:
    links, link, passed = Links("secret"), Link("part", "u123", "token:t1", 2), time.monotonic
    signed = links.sign(link)
    for past_s, found in ((life_s - 5, link), (life_s + 5, None)):
        monkeypatch.setattr("time.monotonic", lambda past_s=past_s: passed() + past_s)
        assert links.read(signed, life_s=life_s) == found


@pytest.mark.parametrize(
    ("name", "file"),
    [("relu.onnx", "relu.onnx"), ("relu.ONNX", "relu.onnx"), ("relu", "relu.onnx"), ("v1.2 relu.pt", "v1_2_relu_pt.onnx"), (".onnx", "file.onnx")],
)  # fmt: skip
def test_a_file_has_its_ending_once_and_no_other_dot(name: str, file: str) -> None:
    hub: Any = SimpleNamespace(links=Links("secret"))
    account: Any = SimpleNamespace(session_id="", token_id="t1")
    path, found = link_file(hub, account, "model", "m123", name, ".onnx")
    assert found == file
    assert path.endswith(f"/{file}")
