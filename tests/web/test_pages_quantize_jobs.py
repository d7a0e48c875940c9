"""Quantize jobs in a real Chromium: the answer, what is made and where it leads, and jobs without a device."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from dynolab.testing.sample_quantized import GOOD, POOR, WARNING, sample_quantized

Visit = Callable[..., Any]


def words(place: Any) -> str:
    return re.sub(r"\s+", " ", place.inner_text())


@pytest.fixture(scope="module")
def job(seeded: Any) -> str:
    """One that is done."""
    return str(seeded.quantized("small net"))


def test_the_answer_stands_first_then_what_was_made(visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/")
    first = words(page.get_by_label("At a glance"))
    assert first.startswith("14.9 MB → becomes 3.80 MB ✓ PSNR 38.2 dB, 99 of 100 answers agree as the file defines it")
    assert "on 100 samples kept from the calibration Calibrated with 120 samples" in first
    assert page.get_by_role("alert").count() == 0
    rows = page.get_by_role("region", name="Inputs and outputs").get_by_role("row")
    assert "uint16 1.526e-05 0 – –" in words(rows.nth(1))
    assert "uint16 0.000412 21034 0.031 38.2 dB" in words(rows.nth(2))
    changes = [words(one) for one in page.get_by_role("region", name="What changed").get_by_role("row").all()]
    assert changes[0].endswith("Float model Quantised model")
    assert "Operators 214 402" in changes
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the model").click()
    assert download.value.path().read_bytes() == b"a quantised model"
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="json").click()
    assert json.loads(download.value.path().read_text())["activations"] == "int16"


def test_poor_numbers_are_warned_of_before_anything_else(seeded: Any, visit: Visit) -> None:
    made = sample_quantized(GOOD, POOR, held_out=False, notices=(WARNING,))
    page = visit(f"/jobs/{seeded.quantized('poor here', made)}/")
    alert, strip = page.get_by_role("alert"), page.get_by_label("At a glance")
    assert words(alert).startswith("Check its accuracy on your own data before you use it: on this processor")
    assert WARNING.text in words(alert).replace("\N{NO-BREAK SPACE}", " ")
    assert page.get_by_text("before you use it").count() == 1
    assert alert.bounding_box()["y"] < strip.bounding_box()["y"]
    assert "✕ PSNR 11.3 dB, 41 of 100 answers agree" in words(strip.locator(".poor"))
    assert "samples of the calibration: others may come out worse" in words(strip)


def test_why_numbers_were_not_compared_is_said(seeded: Any, visit: Visit) -> None:
    made = sample_quantized(None, check_reason="the model has no outputs of numbers")
    page = visit(f"/jobs/{seeded.quantized('not compared', made)}/")
    assert "not compared: the model has no outputs of numbers" in words(page.get_by_label("At a glance"))


def test_lists_and_pages_say_that_it_has_no_device(visit: Visit, job: str) -> None:
    page = visit("/jobs/?kind=quantize&text=small+net")
    row = page.get_by_role("row").nth(1)
    assert "int8 / int16 38.2 dB" in words(row)
    assert "no device" in words(row)
    page.goto(f"/jobs/{job}/")
    assert page.get_by_role("main").get_by_text("no device").is_visible()
    assert page.locator('main a[href="/devices/"]').count() == 0


def test_the_model_leads_to_a_profile_and_beside_its_float_model(seeded: Any, visit: Visit, job: str) -> None:
    made = seeded.api("GET", f"jobs/{job}")
    page = visit(f"/jobs/{job}/")
    page.get_by_role("link", name="Profile this").click()
    assert page.locator("#model").input_value() == made["target_model_id"]
    page.goto(f"/jobs/{job}/")
    page.get_by_role("link", name="Compare with its float model").click()
    assert page.locator("#model").input_value() == made["target_model_id"]
    assert page.locator("#baseline").input_value() == made["model_id"]


def test_the_form_takes_no_quantizer_for_a_target(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/submit?kind=compile&model={seeded.model('graph')}")
    names = [one.partition(" ")[0] for one in page.locator("#target option").all_inner_texts()]
    assert "openvino" in names
    assert "quantize" not in names


@pytest.mark.parametrize("browser", [{}, {"java_script_enabled": False}], ids=["scripts", "plain"])
def test_the_form_takes_samples_and_integers_and_no_device(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    model_id = seeded.model("float net")
    page = visit(f"/models/{model_id}/", **browser)
    page.get_by_role("link", name="Quantise this").click()
    assert page.get_by_role("radio", name="Quantize").is_checked()
    assert page.locator("#model").input_value() == model_id
    assert not page.get_by_role("heading", name="Devices").is_visible()
    assert not page.get_by_role("heading", name="Options").is_visible()
    assert not page.get_by_label("Also profile").is_visible()
    send = page.get_by_role("button", name="Submit", exact=True)
    send.click()
    page.locator("#problem-dataset_file").get_by_text("a job of kind quantize needs a dataset").wait_for()
    samples = {"name": "samples.h5", "mimeType": "application/octet-stream", "buffer": b"not real samples"}
    page.get_by_label("Dataset file").set_input_files(samples)
    page.get_by_label("Weights").select_option("int4")
    page.get_by_label("Activations").select_option("int16")
    page.get_by_label("Range scheme").select_option("min_max")
    page.locator(".for-quantize summary").click()
    assert page.get_by_text("Layers that lose most keep a wider type.").is_visible()
    page.locator("#quantize_options").fill("--lite_mp percentage=nine")
    send.click()
    page.locator("#problem-quantize_options").get_by_text("'nine'").wait_for()
    assert page.get_by_label("Weights").input_value() == "int4"
    page.locator("#quantize_options").fill("--lite_mp percentage=9")
    send.click()
    page.wait_for_url(re.compile("/jobs/j"))
    job = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    assert (job["kind"], job["model_id"], job["device"]["name"]) == ("quantize", model_id, "")
    assert (job["weights_dtype"], job["activations_dtype"]) == ("int4", "int16")
    assert job["options"] == "--range_scheme=min_max --lite_mp percentage=9"
    assert seeded.api("GET", f"datasets/{job['dataset_id']}")["name"] == "samples"
    seeded.api("POST", f"jobs/{job['id']}/cancel")


def test_a_model_that_has_to_be_compiled_first_is_told_so(seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    model_id = seeded.model("net", kind="exported_program")
    page = visit(f"/submit?kind=quantize&model={model_id}&dataset={seeded.dataset()}")
    page.get_by_role("button", name="Submit", exact=True).click()
    told = "a model of the kind exported_program (compile it for onnx first, and quantise what is made)"
    page.locator("#problem-model").get_by_text(told).wait_for()


def test_its_form_can_be_filled_in_again(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/submit?job={job}")
    assert page.get_by_role("radio", name="Quantize").is_checked()
    made = seeded.api("GET", f"jobs/{job}")
    found = {name: page.locator(f"#{name}").input_value() for name in ("model", "dataset", "weights", "activations")}
    assert found == {
        "model": made["model_id"], "dataset": made["dataset_id"],
        "weights": made["weights_dtype"], "activations": made["activations_dtype"],
    }  # fmt: skip


@pytest.mark.parametrize("browser", [{}, {"java_script_enabled": False}], ids=["scripts", "plain"])
def test_what_nobody_quantises_is_said_beside_the_model(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    told = "no toolchain quantises a model of the kind tflite (kinds that are: onnx)"
    model_id = seeded.model("net", kind="tflite")
    page = visit(f"/models/{model_id}/", **browser)
    assert page.get_by_role("link", name="Quantise this").count() == 0
    page.goto(f"/submit?kind=quantize&model={model_id}&dataset={seeded.dataset()}")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.locator("#problem-model").get_by_text(told).wait_for()
    if not browser:  # before the file goes up
        net = {"name": "net.tflite", "mimeType": "application/octet-stream", "buffer": b"not a real net"}
        page.get_by_label("Model file").set_input_files(net)
        page.get_by_role("button", name="Submit", exact=True).click()
        page.locator("#problem-model_file").get_by_text(told).wait_for()


def test_a_quantised_model_is_not_quantised_again(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/models/{seeded.api('GET', f'jobs/{job}')['target_model_id']}/")
    assert page.get_by_role("link", name="Compile this").is_visible()
    assert page.get_by_role("link", name="Quantise this").count() == 0


def test_it_is_told_in_chinese(visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/", locale="zh-CN")
    assert "100 个答案中有 99 个一致" in page.get_by_label("概览").inner_text()
    assert page.get_by_text("没有设备").is_visible()
