"""Names that would be markup, are very long, or are written in other ways: each page shows them as what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from dynolab.hub.usecases.base import NAME_MAX
from dynolab.spec.agents import Outcome, Renewal
from dynolab.testing.sample import HOSTILE, hostile_profile

from .conftest import Seeded
from .walk import ways

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install dynolab[test]")
Visit = Callable[..., Any]
MARKUP = """<img src=x onerror="document.title='taken'">"'&amp;<script>document.title='taken'<script>"""
OTHER = "نموذج رقم 7 (מודל) Z" + "\u0301\u0323\u0308" * 20 + "algo 🧪 模型 ½ "
"""Turns the direction to read, has letters with sixty marks on one, and an emoji."""
NAME = (MARKUP + OTHER).ljust(NAME_MAX, "n")
"""As long as a name may be, with a word at its end that is wider than a phone."""
PAGES = [way for way in ways("GET") if not way.path.startswith("/graph/viewer")]
"""All but Netron's own."""
WRONG = """() => [document.title === "taken" ? "the title" : "",
  document.querySelector("header.site") && document.documentElement.scrollWidth > innerWidth + 1 ? "too wide" : "",
  ...[...document.querySelectorAll("[onerror], img[src='x'], body script:not([src]), main h1 h1")].map((one) => one.outerHTML)
].filter(Boolean)"""
"""What of a name was taken for markup, and what is wider than its page; a part of a page, as htmx asks for it, has no style of its own."""


class Named:
    """What stands in one hub under one name: everything that a person or an agent gives names to."""

    def __init__(self, seeded: Seeded, name: str) -> None:
        self.name, self.board = name, f"board {name}"[:200]
        shown = {"device": {"name": name, "os": "14", "attributes": []}}
        door = seeded.door
        seeded.announce(door, device_id=self.board, name=name)
        model, dataset = seeded.model(name), seeded.dataset(name)
        profile = hostile_profile()
        layers = tuple(replace(one, name=f"{name} {number}") for number, one in enumerate(profile.layers.layers))
        profile = replace(profile, layers=replace(profile.layers, layers=layers))
        used = {"model_id": model, "kind": "inference", "dataset_id": dataset}
        jobs = [seeded.done(name, profile, output=b"outputs", **used) for _ in range(2)]
        failed = seeded.submit(name, model, **shown)
        given = seeded.announce(door, 10.0, device_id=self.board, name=name)
        door.finish(given.attempt, Outcome(error={"code": "LoadFailed", "message": name, "hint": name}))
        running = seeded.submit(name, model, **shown)
        given = seeded.announce(door, 10.0, device_id=self.board, name=name)
        door.renew(
            given.attempt, Renewal({"event": "stage", "stage": "warm_load", "text": name}, log=f"{name}\n{HOSTILE}")
        )
        waiting = seeded.submit(name, model, **shown, waits_for=[running])
        token = seeded.api("POST", "tokens", json={"label": name})["id"]
        self.ids = {
            "job": jobs[0],
            "model": model,
            "dataset": dataset,
            "token": token,
            "session": "s0",
            "device": self.board,
        }
        self.done = jobs
        self.jobs = [jobs[0], failed, running, waiting]

    def places(self) -> list[str]:
        """Every page about it."""
        found = []
        for way in PAGES:
            several = self.jobs if way.about == "job" else [""]
            devices = [self.board, self.name] if way.about == "device" else [self.board]
            for job in several:
                for device in devices:
                    ids = {**self.ids, "job": job or self.ids["job"], "device": quote(device, safe="")}
                    found.append(way.filled(ids))
        queries = {"text": self.name, "creator": self.name, "device": self.name, "model": self.name}
        asked = "&".join(f"{name}={quote(value)}" for name, value in queries.items())
        both = "&".join(f"job={one}" for one in self.done)
        return [
            *dict.fromkeys(found),
            *(f"{path}?{asked}" for path in ("/jobs/", "/models/", "/datasets/", "/devices/", "/trends", "/submit")),
            f"/compare?{both}",
            f"/compare/layers?{both}",
            f"/submit/jobs?{both}",
            f"/submit?model={self.ids['model']}&dataset={self.ids['dataset']}&device={quote(self.name)}",
            f"/trends?model={quote(self.name)}&device=Bench+Phone",
            f"/models/{self.ids['model']}/graph?job={self.jobs[0]}",
            f"/nothing/{quote(self.name)}",
        ]


@pytest.fixture(scope="module")
def named(seeded: Seeded) -> Named:
    return Named(seeded, NAME)


def test_every_page_shows_names_as_text_and_stays_whole(named: Named, visit: Visit) -> None:
    page = visit("/jobs/", viewport={"width": 390, "height": 844})
    wrong, seen = [], 0
    for place in named.places():
        try:
            answer = page.goto(place)
        except playwright.Error:  # a file, or nothing: the browser stays where it is
            answer = page.context.request.get(place)
            assert answer.status == 204 or not answer.headers["content-type"].startswith("text/html"), place
        assert answer.status < 500, place
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        seen += 1
        wrong += [f"{place}: {one}" for one in page.evaluate(WRONG)]
    assert wrong == []
    assert seen > 30


def test_names_are_read_as_they_were_given(named: Named, visit: Visit) -> None:
    page, name = visit("/jobs/"), " ".join(named.name.split())
    ids = named.ids
    for place in (f"/jobs/{ids['job']}/", f"/models/{ids['model']}/", f"/datasets/{ids['dataset']}/"):
        page.goto(place)
        assert page.get_by_role("heading", level=1).inner_text().replace("\u200b", "") == name
    for place in ("/jobs/", "/models/", "/datasets/", "/devices/", "/account/"):
        page.goto(place)
        texts = page.locator("main").inner_text().replace("\u200b", "")
        assert name in " ".join(texts.split()), place
    page.goto(f"/jobs/{named.jobs[1]}/")
    assert name in page.get_by_role("main").inner_text().replace("\u200b", "")
    page.goto(f"/jobs/{named.jobs[2]}/")
    assert name in " ".join(page.get_by_role("region", name="Log so far").inner_text().split())


def test_a_file_and_an_account_are_named_as_they_are(seeded: Seeded, visit: Visit, tmp_path: Path) -> None:
    token = seeded.account("markup@example.org", "--name", MARKUP)
    page = visit("/account/", token=token, viewport={"width": 390, "height": 844})
    assert page.evaluate(WRONG) == []
    assert page.get_by_role("definition").filter(has_text=MARKUP).is_visible()
    for ending in ("txt", "onnx"):
        (tmp_path / f"{MARKUP}.{ending}").write_bytes(b"not a model")
    page.goto("/submit")
    page.get_by_label("Bench Phone").check()  # chosen already where it is the only one
    page.get_by_label("Model file").set_input_files(tmp_path / f"{MARKUP}.txt")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.locator(".problem").filter(has_text=MARKUP).wait_for()
    assert page.evaluate(WRONG) == []
    page.get_by_label("Model file").set_input_files(tmp_path / f"{MARKUP}.onnx")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.get_by_role("heading", name=MARKUP).wait_for()
    assert page.evaluate(WRONG) == []
