"""The pages of models and datasets in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Visit = Callable[..., Any]


def table(page: Any, name: str) -> str:
    """The text of the table in the region of that name."""
    return str(page.get_by_role("region", name=name, exact=True).get_by_role("table").inner_text())


def test_a_model_is_found_and_its_page_tells_what_it_takes_and_who_used_it(seeded: Any, visit: Visit) -> None:
    model_id = seeded.model("resnet_of_the_night")
    job_id = seeded.done("Night run", model_id=model_id)
    page = visit("/models/")
    page.get_by_label("Search").fill("OF_THE")
    page.wait_for_url(re.compile("text=OF_THE"))
    row = page.get_by_role("row").filter(has_text=model_id)
    assert "onnx" in row.inner_text()
    assert "16 B" in row.inner_text()
    row.get_by_role("link").click()
    page.wait_for_url(f"**/models/{model_id}/")
    page.get_by_role("heading", level=1, name="resnet_of_the_night", exact=True).wait_for()
    assert "image\t[1, 3, 224, 224]\tfloat32\t602.1 kB" in table(page, "Inputs")
    assert "scores\t[1, 1000]\tfloat32\t4.00 kB" in table(page, "Outputs")
    used = table(page, "Used by jobs")
    for words in ("Night run", "✓ done", "Bench Phone (14)", "8.31 ms", "MB"):
        assert words in used
    assert page.get_by_role("link", name="Profile this").get_attribute("href").endswith(model_id)
    page.get_by_role("link", name="All jobs with this model").click()
    page.wait_for_url(re.compile(f"/jobs/.model={model_id}"))
    assert page.get_by_role("link", name="Night run").get_attribute("href") == f"/jobs/{job_id}/"


def test_shapes_that_a_run_chose_are_told_with_their_job(seeded: Any, visit: Visit) -> None:
    model_id = seeded.model("open dimensions")
    page = visit(f"/models/{model_id}/")
    assert page.get_by_text("Not known yet").is_visible()
    assert page.get_by_text("No jobs yet.").is_visible()
    job_id = seeded.done("Chose shapes", model_id=model_id, fixed=False)
    page.reload()
    assert page.get_by_text("has dynamic dimensions").get_by_role("link").inner_text() == job_id
    assert "[1, 3, 224, 224]" in table(page, "Inputs")


def test_a_model_is_downloaded_shared_and_deleted(seeded: Any, visit: Visit) -> None:
    token = seeded.account("guest@example.org")
    model_id = seeded.model("my <i>model", b"its bytes")
    address = f"/models/{model_id}/"
    page, guest = visit(address), visit(address, token=token)
    guest.get_by_role("heading", level=1, name="Not found", exact=True).wait_for()
    page.get_by_text("More", exact=True).click()
    with page.expect_download() as began:
        page.get_by_role("link", name="Download").click()
    assert began.value.path().read_bytes() == b"its bytes"
    assert began.value.suggested_filename == "my_i_model.onnx"
    page.get_by_text("Share", exact=True).first.click()
    page.get_by_label("E-mail address").fill("guest@example.org")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("status").get_by_text("“my <i>model” is shared with guest@example.org.", exact=True).wait_for()
    guest.reload()
    guest.get_by_role("heading", level=1, name="my <i>model", exact=True).wait_for()
    assert guest.get_by_text("Delete", exact=True).count() == 0
    page.get_by_text("More", exact=True).click()
    page.get_by_text("Delete", exact=True).first.click()
    page.get_by_role("button", name="Delete permanently").click()
    page.wait_for_url("**/models/")
    assert page.get_by_role("link", name="my <i>model").count() == 0
    guest.reload()
    guest.get_by_role("heading", level=1, name="Not found", exact=True).wait_for()


def test_a_dataset_tells_its_entries_and_the_jobs_that_made_and_used_it(seeded: Any, visit: Visit) -> None:
    dataset_id = seeded.dataset("calibration images")
    job_id = seeded.done("Inferred", kind="inference", dataset_id=dataset_id, output=b"outputs")
    page = visit("/datasets/")
    row = page.get_by_role("row").filter(has_text="calibration images")
    assert "13 B" in row.inner_text()
    row.get_by_role("link").click()
    assert "image\t[1, 3, 224, 224]\tfloat32" in table(page, "Entries")
    assert "Inferred" in table(page, "Used by jobs")
    page.get_by_role("link", name="All jobs with this dataset").click()
    page.get_by_role("link", name="Inferred").first.click()
    page.wait_for_url(f"**/jobs/{job_id}/")
    assert page.get_by_role("link", name="calibration images").get_attribute("href") == f"/datasets/{dataset_id}/"
    page.get_by_role("link", name="Inferred outputs").click()
    page.wait_for_url("**/datasets/*/")
    page.get_by_role("heading", level=1, name="Inferred outputs", exact=True).wait_for()
    assert page.get_by_role("link", name="Inferred", exact=True).get_attribute("href") == f"/jobs/{job_id}/"
    assert "scores\t[1, 1000]\tfloat32" in table(page, "Entries")


def test_the_lists_of_datasets_and_the_form_tell_how_a_file_is_made(seeded: Any, visit: Visit) -> None:
    page = visit("/submit")
    page.get_by_role("radio", name="Inference").check()
    page.get_by_role("link", name="How to create a dataset file").click()
    page.wait_for_url("**/datasets/#how")
    region = page.get_by_role("region", name="How to create a dataset file").inner_text()
    assert 'dynolab.upload_dataset({"x": samples})' in region
    assert "data/0" in region
    assert "batch_0" in region


@pytest.mark.parametrize("what", ["model", "dataset"])
def test_what_is_ones_own_is_renamed(what: str, seeded: Any, visit: Visit) -> None:
    token = seeded.account(f"{what}s.guest@example.org")
    target = seeded.model("first name") if what == "model" else seeded.dataset("first name")
    seeded.api("PATCH", f"{what}s/{target}/sharing", json={"add": [f"{what}s.guest@example.org"]})
    page = visit(f"/{what}s/{target}/")
    page.get_by_text("More", exact=True).click()
    page.get_by_text("Rename", exact=True).first.click()
    page.get_by_label("Name").fill("second <name>")
    page.get_by_role("button", name="Rename").click()
    page.get_by_role("heading", name="second <name>").wait_for()
    guest = visit(f"/{what}s/{target}/", token=token)
    guest.get_by_role("heading", level=1, name="second <name>", exact=True).wait_for()
    assert guest.get_by_text("Rename", exact=True).count() == 0
    page.get_by_text("More", exact=True).click()
    page.get_by_text("Rename", exact=True).first.click()
    page.get_by_label("Name").fill("a/b")
    page.get_by_role("button", name="Rename").click()
    assert "holds '/'" in page.get_by_role("alert").inner_text()


def test_lists_are_filtered_by_creator_and_format(seeded: Any, visit: Visit) -> None:
    token = seeded.account("filters@example.org")
    seeded.model("filtered net"), seeded.model("filtered lite", kind="tflite")
    theirs = httpx.post(
        f"{seeded.url}/api/hub/v1/models",
        headers={"Authorization": f"Bearer {token}"},
        json={"name": "filtered of another", "kind": "tflite"},
        timeout=30,
    ).json()["id"]
    share = {"add": ["admin@localhost"]}
    headers = {"Authorization": f"Bearer {token}"}
    httpx.patch(f"{seeded.url}/api/hub/v1/models/{theirs}/sharing", headers=headers, json=share)
    page = visit("/models/?text=filtered")
    rows = page.get_by_role("row")
    assert rows.count() == 4  # with the heading
    offered = page.get_by_label("Format").get_by_role("option").all_inner_texts()
    assert {"onnx", "tflite"} <= {*offered}
    assert "aimet_pt" not in offered
    page.get_by_label("Format").select_option("tflite")
    rows.filter(has_text="filtered net").wait_for(state="detached")
    assert rows.count() == 3
    page.get_by_label("Creator").fill("filters@example.org")
    rows.filter(has_text="filtered lite").wait_for(state="detached")
    assert rows.count() == 2
    page.wait_for_url(re.compile("kind=tflite.*creator=filters"))
    page.reload()
    assert rows.count() == 2
    seeded.dataset("filtered data")  # a list of nothing has no filters
    page.goto("/datasets/")
    page.get_by_label("Creator").fill("nobody@example.org")
    page.get_by_text("No dataset matches.").wait_for()
    assert page.get_by_label("Format").count() == 0


def test_what_a_live_job_uses_is_not_deleted(seeded: Any, visit: Visit) -> None:
    model_id = seeded.model("in use")
    job_id = seeded.submit("Waiting", model_id)
    page = visit(f"/models/{model_id}/")
    page.get_by_text("More", exact=True).click()
    page.get_by_text("Delete", exact=True).first.click()
    page.get_by_role("button", name="Delete permanently").click()
    assert f"the job {job_id} still uses the model" in page.get_by_role("alert").inner_text()
    seeded.api("POST", f"jobs/{job_id}/cancel")


def test_a_long_list_comes_in_pages(seeded: Any, visit: Visit) -> None:
    for number in range(51):
        seeded.api("POST", "datasets", json={"name": f"many {number:02}"})
    page = visit("/datasets/?text=many")
    assert page.get_by_role("row").count() == 51  # with the heading
    page.get_by_role("link", name="Next page").click()
    page.get_by_role("link", name="many 00").wait_for()
    assert page.get_by_role("row").count() == 2
    page.get_by_role("link", name="First page").click()
    page.get_by_role("link", name="many 50").wait_for()


@pytest.mark.parametrize("path", ["/models/", "/models/mnothing/", "/datasets/", "/datasets/dnothing/download"])
def test_who_is_not_signed_in_sees_nothing(path: str, seeded: Any) -> None:
    answer = seeded.http.get(f"{seeded.url}{path}")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")
