"""Outputs of two inference jobs held against each other, in a real Chromium: the answer, the errors, and the ways there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from dynolab.jobs._datasets import h5

Visit = Callable[..., Any]
SAMPLES = 20


def words(place: Any) -> str:
    return re.sub(r"\s+", " ", place.inner_text())


@dataclass
class Jobs:
    """Inference jobs on one dataset: two whose outputs are apart by a little, one that is the first again, one without outputs' like."""

    float32: str
    int8: str
    again: str
    other: str
    dataset: str


def outputs(folder: Path, **tensors: Any) -> bytes:
    place = folder / "outputs.h5"
    h5.write(place, {name: list(array) for name, array in tensors.items()})
    return place.read_bytes()


@pytest.fixture(scope="module")
def jobs(seeded: Any, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    folder, random = tmp_path_factory.mktemp("outputs"), np.random.default_rng(0)
    logits = random.normal(size=(SAMPLES, 1, 10)).astype(np.float32)
    noise = np.zeros_like(logits)
    noise[::2] = random.normal(0, 0.05, size=(SAMPLES // 2, 1, 10))
    dataset = seeded.dataset("twenty pictures")
    given = {"kind": "inference", "dataset_id": dataset, "measures": False}
    contents = {
        "float32": outputs(folder, logits=logits, mask=np.ones((SAMPLES, 1, 4), np.float32)),
        "int8": outputs(folder, Identity=logits + noise, mask=np.ones((SAMPLES, 1, 4), np.float32)),
        "again": outputs(folder, logits=logits, mask=np.ones((SAMPLES, 1, 4), np.float32)),
        "other": outputs(folder, boxes=np.ones((SAMPLES, 3, 7, 5), np.float32)),
    }
    made = {name: seeded.done(f"net {name}", output=content, **given) for name, content in contents.items()}
    return Jobs(**made, dataset=dataset)


def address(*ids: str) -> str:
    return "/compare/outputs?" + "&".join(f"job={one}" for one in ids)


def test_the_answer_stands_first_then_each_output_and_how_its_errors_lie(visit: Visit, jobs: Jobs) -> None:
    page = visit(address(jobs.float32, jobs.int8))
    first = words(page.get_by_label("At a glance"))
    assert re.match(
        r"✕ PSNR 3\d\.\d dB, errors up to 0\.1\d? Of the output that is furthest off: logits On 20 samples", first
    ), first
    rows = page.get_by_role("region", name="Outputs").get_by_role("row")
    assert re.search(r"logits B: Identity by shape \[1, 10\] \d\.\d+ 0\.\d+ 3\d\.\d dB no\. \d+", words(rows.nth(1)))
    assert "mask [1, 4] 1 none – –" in words(rows.nth(2))
    table = page.get_by_role("table", name="logits")
    assert "none 50.0 % 100" in words(table.get_by_role("row").nth(1))
    shares = [words(one) for one in table.get_by_role("row").all()[2:]]
    assert sum(int(one.split()[-1]) for one in shares) == 100
    assert all(one.startswith("up to") for one in shares)
    assert page.get_by_role("table", name="mask").count() == 0, "there is nothing to see of what is the same"
    assert [words(one).split()[0] for one in page.get_by_role("list", name="Jobs").get_by_role("listitem").all()] == [
        "A",
        "B",
    ]
    page.get_by_role("link", name="Swap A and B").click()
    assert "net int8" in words(page.get_by_role("list", name="Jobs").get_by_role("listitem").nth(0))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert json.loads(download.value.path().read_text())["samples"] == SAMPLES


def test_the_same_is_said_to_be(visit: Visit, jobs: Jobs) -> None:
    page = visit(address(jobs.float32, jobs.again))
    assert "✓ The same numbers, bit by bit" in words(page.get_by_label("At a glance"))
    assert page.get_by_role("heading", name="How the errors lie").count() == 0


def test_a_job_s_page_leads_to_the_others_on_its_data(visit: Visit, jobs: Jobs) -> None:
    page = visit(f"/jobs/{jobs.float32}/")
    page.get_by_role("link", name="Compare outputs").click()
    page.get_by_role("heading", name="Inference jobs on twenty pictures").wait_for()
    assert page.get_by_role("link", name="net float32").count() == 0, "it is not compared with itself"
    page.get_by_role("link", name="Compare outputs with net again").click()
    page.get_by_role("heading", name="Outputs of two jobs").wait_for()


def test_two_of_the_list_are_compared(seeded: Any, visit: Visit, jobs: Jobs) -> None:
    profiled = seeded.done("profiled alone")
    page = visit("/jobs/")
    for name in ("net float32", "net int8"):
        page.get_by_label(f"Select {name}", exact=True).check()
    page.get_by_role("button", name="Compare outputs").click()
    page.get_by_role("heading", name="Outputs of two jobs").wait_for()
    page.goto("/jobs/")
    page.get_by_label("Select profiled alone").check()
    page.get_by_role("button", name="Compare outputs").click()
    told = words(page.get_by_role("status"))
    assert "has no outputs to compare: it is of the kind profile" in told
    page.goto("/jobs/")
    for name in ("net float32", "net int8", "net again"):
        page.get_by_label(f"Select {name}", exact=True).check()
    page.get_by_role("button", name="Compare outputs").click()
    assert "3 jobs are selected; outputs are compared of two." in words(page.get_by_role("status"))
    page.goto(address(jobs.float32, profiled))
    assert "has no outputs to compare" in words(page.get_by_role("main"))


def test_what_has_nothing_in_common_is_refused(visit: Visit, seeded: Any, jobs: Jobs, tmp_path: Path) -> None:
    page = visit(address(jobs.float32, jobs.other))
    assert "A and B have no output in common" in words(page.get_by_role("main"))
    given = {"kind": "inference", "dataset_id": jobs.dataset, "measures": False}
    junk = seeded.done("junk", output=b"no HDF5 at all", **given)
    page.goto(address(jobs.float32, junk))
    assert "no HDF5 file or a broken one" in words(page.get_by_role("main"))
    few = seeded.done("few", output=outputs(tmp_path, logits=np.ones((3, 1, 10), np.float32)), **given)
    page.goto(address(jobs.float32, few))
    assert "A put out 20 samples, and B 3" in words(page.get_by_role("main"))
    elsewhere = {**given, "dataset_id": seeded.dataset("other pictures")}
    same = outputs(tmp_path, logits=np.ones((SAMPLES, 1, 10), np.float32))
    page.goto(address(jobs.float32, seeded.done("elsewhere", output=same, **elsewhere)))
    assert "were given different datasets" in words(page.get_by_role("alert"))
    assert "Only A has: mask" in words(page.get_by_role("list", name="What differs"))


def test_names_of_outputs_are_text(visit: Visit, seeded: Any, jobs: Jobs, tmp_path: Path) -> None:
    """A model's author names them; a long one breaks."""
    evil = "<img src=x onerror=alert(1)>" + "a" * 300
    given = {"kind": "inference", "dataset_id": jobs.dataset, "measures": False}
    both = [
        seeded.done(
            f"evil {number}", output=outputs(tmp_path, **{evil: np.full((2, 1, 3), 1 + number, np.float32)}), **given
        )
        for number in range(2)
    ]
    page = visit(address(*both), viewport={"width": 390, "height": 844})
    assert page.locator("img[onerror]").count() == 0
    assert evil in page.get_by_role("row").nth(1).inner_text().replace("\N{ZERO WIDTH SPACE}", "")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_narrow_page_scrolls_nowhere_sideways(visit: Visit, jobs: Jobs) -> None:
    page = visit(address(jobs.float32, jobs.int8), viewport={"width": 390, "height": 844}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.get_by_role("table", name="logits").is_visible()


def test_the_api_tells_those_who_may_see_both(seeded: Any, jobs: Jobs) -> None:
    path = f"jobs/{jobs.float32}/compared-outputs"
    found = seeded.api("GET", path, params={"with": jobs.int8})
    assert [one["b"] for one in found["outputs"]] == ["Identity", "mask"]
    assert found["errors"]["logits"]["same"] == 100
    stranger = {"Authorization": f"Bearer {seeded.account('onlooker@example.org')}"}
    seeded.api("PATCH", f"jobs/{jobs.float32}/sharing", json={"add": ["onlooker@example.org"]})
    answers = [
        httpx.get(f"{seeded.url}/api/hub/v1/jobs/{one}/compared-outputs", params={"with": other}, headers=stranger)
        for one, other in ((jobs.float32, jobs.int8), (jobs.int8, jobs.float32))
    ]
    assert [one.status_code for one in answers] == [404, 404], "who sees one of them alone is told of neither"
