"""Signed addresses and sessions: worth something for what they say, for a while, and to those who have the secret."""

from __future__ import annotations

import pytest

pytest.importorskip("itsdangerous")

from dynolab.hub.store.links import Link, Links


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
