"""Compile jobs in a real Chromium: the form, the answer, what is made and where it leads, and the machines that compile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from dynolab.errors import SpecInvalid
from dynolab.spec.agents import Outcome
from dynolab.spec.tensors import Quantization
from dynolab.testing.sample_compiled import EQUAL, POOR, sample_compiled

from .conftest import COMPILER, DEVICE

Visit = Callable[..., Any]


def words(place: Any) -> str:
    return re.sub(r"\s+", " ", place.inner_text())


@pytest.fixture(scope="module")
def job(seeded: Any) -> str:
    """One that is done."""
    return str(seeded.compiled("net for the phone"))


def test_the_answer_stands_first_then_what_was_made(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/")
    first = words(page.get_by_label("At a glance"))
    assert first.startswith("net.pt2 → becomes net.onnx ✓ Numbers within 3.4e-05 of the source")
    assert "(98.8 dB)" in first
    assert "15.0 MB → 14.9 MB · compiled in 4.21 s · at most 812.0 MB of memory" in first
    rows = page.get_by_role("region", name="Inputs and outputs").get_by_role("row")
    assert words(rows.nth(1)).startswith("image input [1, 3, 224, 224] float32 –")
    assert words(rows.nth(2)).startswith("classes output [1, 1000] float32 1.2e-06 121.3 dB")
    changes = page.get_by_role("region", name="What changed").get_by_role("row")
    assert [words(one) for one in changes.all()][1:] == [
        "Format exported_program onnx", "Size 15.0 MB 14.9 MB", "Operators – 214",
        "Parameters 3.70 million 3.69 million", "Precision float32", "Schema PyTorch 2.12 IR 10, ai.onnx 18",
    ]  # fmt: skip
    made = words(page.get_by_role("region", name="How it was made"))
    assert "onnxruntime 1.23.2" in made
    assert "--compute_unit has no effect on the target onnx" in made
    assert page.get_by_text("image=1,3,224,224:float32").is_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the model").click()
    assert download.value.path().read_bytes() == b"an ONNX model"
    assert download.value.suggested_filename.endswith(".onnx")
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="json").click()
    assert json.loads(download.value.path().read_text())["target"] == "onnx"


def test_integers_that_go_in_and_out_have_their_scale_beside_them(seeded: Any, visit: Visit) -> None:
    scales = (Quantization("image", "uint8", 0.0173, 114), Quantization("classes", "uint8", 0.125, 3))
    page = visit(f"/jobs/{seeded.compiled('integers', sample_compiled(quantizations=scales))}/")
    part = page.get_by_role("region", name="Inputs and outputs").first
    rows = [words(one) for one in part.get_by_role("row").all()]
    assert rows[0].endswith("Scale Zero point Largest error PSNR")
    assert "0.0173 114" in rows[1]
    assert "0.125 3 1.2e-06 121.3 dB" in rows[2]
    assert " – – 3.4e-05 98.8 dB" in rows[3]
    assert page.get_by_text("value = (integer − zero point) × scale").is_visible()


@pytest.mark.parametrize(
    ("document", "told", "style"),
    [
        (sample_compiled(EQUAL), "✓ The same numbers, bit by bit", "equal"),
        (sample_compiled(POOR), "✕ Numbers up to 0.31 off the source", "poor"),
        (
            sample_compiled((), "both models at once take more memory than this process may use"),
            "? The numbers were not compared: both models at once take more memory",
            "not-compared",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_how_its_numbers_stand_to_the_sources_is_said(
    seeded: Any, visit: Visit, document: Any, told: str, style: str
) -> None:
    page = visit(f"/jobs/{seeded.compiled(style, document)}/")
    line = page.get_by_label("At a glance").locator("p").nth(1)
    assert words(line).startswith(told)
    assert style in str(line.get_attribute("class")).split()
    assert page.get_by_role("alert").filter(has_text="Check its accuracy on your own data").count() == (style == "poor")
    page.goto(f"/jobs/?kind=compile&text={style}")
    row = words(page.get_by_role("row").nth(1))
    assert "→ onnx" in row
    assert {"equal": "same numbers", "poor": "17.2 dB", "not-compared": "→ onnx"}[style] in row


def test_the_model_leads_to_a_profile_and_beside_its_source(seeded: Any, visit: Visit, job: str) -> None:
    target = seeded.api("GET", f"jobs/{job}")["target_model_id"]
    page = visit(f"/jobs/{job}/")
    page.get_by_role("link", name="Profile this").click()
    assert page.locator("#model").input_value() == target
    assert page.get_by_label("Profile", exact=False).first.is_visible()
    assert page.get_by_role("checkbox", name=DEVICE).first.is_checked()
    page.goto(f"/jobs/{job}/")
    page.get_by_role("link", name="Compare with its source").click()
    assert page.get_by_label("Comparison").is_checked()
    assert page.locator("#model").input_value() == target
    assert page.locator("#baseline").input_value() == seeded.api("GET", f"jobs/{job}")["model_id"]


def test_what_was_made_can_be_quantised_where_an_agent_does_that(seeded: Any, visit: Visit, job: str) -> None:
    made = seeded.api("GET", f"jobs/{job}")
    page = visit(f"/jobs/{job}/")
    page.get_by_role("link", name="Quantise this").click()
    assert page.get_by_role("radio", name="Quantize").is_checked()
    assert page.locator("#model").input_value() == made["target_model_id"]


@pytest.mark.parametrize("browser", [{}, {"java_script_enabled": False}], ids=["scripts", "plain"])
def test_a_job_is_changed_and_submitted_as_another(browser: dict[str, Any], seeded: Any, visit: Visit) -> None:
    options = "--target_runtime onnx --output_names a,b --truncate_64bit_io"
    specs = [{"name": "image", "shape": [1, 3, 8, 8], "dtype": "float32"}, {"name": "k", "shape": [], "dtype": "int64"}]
    asked = seeded.compiling("two names", options=options, input_specs=specs, deadline_s=90, priority=10)
    given = seeded.announce_compiler(10.0)
    assert given.job == asked
    seeded.door.finish(given.attempt, Outcome(SpecInvalid("the model has 1 outputs").to_dict()))
    page = visit(f"/jobs/{asked}/", **browser)
    page.get_by_role("link", name="Change and submit").click()
    assert page.get_by_role("radio", name="Compile").is_checked()
    assert page.locator("#target").input_value() == "onnx"
    assert page.locator("#input_specs").input_value() == "image=1,3,8,8:float32\nk=():int64"
    assert page.locator("#compile_options").input_value() == "--truncate_64bit_io true"
    assert page.get_by_role("checkbox", name=DEVICE).first.is_checked()
    page.get_by_label("Outputs, in their order").fill("classes")
    page.get_by_role("button", name="Submit", exact=True).click()
    page.wait_for_url(re.compile("/jobs/j"))
    again = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    before = seeded.api("GET", f"jobs/{asked}")
    assert again["options"] == "--target_runtime=onnx --output_names=classes --truncate_64bit_io true"
    for name in ("kind", "model_id", "device", "input_specs", "name", "deadline_s", "priority"):
        assert again[name] == before[name], name
    seeded.api("POST", f"jobs/{again['id']}/cancel")


def test_no_target_is_one_problem_and_not_two(seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    page = visit(f"/submit?kind=compile&model={seeded.model('net')}", java_script_enabled=False)
    page.locator("#target").select_option("")
    page.get_by_role("checkbox", name=DEVICE).first.check()
    page.get_by_role("button", name="Submit").click()
    page.locator("#problems").wait_for()
    assert [words(one) for one in page.locator("#problems li").all()] == [
        "no target is chosen (choose what the model is compiled for)"
    ]


def test_no_comparison_is_offered_where_the_device_does_not_run_the_source(seeded: Any, visit: Visit) -> None:
    runs = {"name": "Picky Phone", "os": "14", "attributes": []}
    seeded.announce_device("picky-1", "Picky Phone", "runs:onnxruntime/onnx")
    page = visit(f"/jobs/{seeded.compiled('for a picky phone', device=runs)}/")
    assert page.get_by_role("link", name="Profile this").is_visible()
    assert page.get_by_role("link", name="Compare with its source").count() == 0


def test_what_is_not_made_yet_says_so_and_can_be_waited_for(seeded: Any, visit: Visit) -> None:
    job_id = seeded.compiling("in the making")
    target = seeded.api("GET", f"jobs/{job_id}")["target_model_id"]
    page = visit(f"/models/{target}/")
    assert page.get_by_text("A job is still to make this model.").is_visible()
    assert page.get_by_text("not made yet").is_visible()
    page.get_by_text("More", exact=True).click()
    assert page.get_by_role("link", name="Download").count() == 0
    page.get_by_role("link", name="Profile this").click()
    page.get_by_role("checkbox", name=DEVICE).first.check()
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("/jobs/j"))
    waiting = page.url.rstrip("/").rpartition("/")[2]
    page.get_by_role("heading", name="Queued").wait_for()
    page.get_by_role("link", name=job_id).click()
    page.get_by_role("heading", name="in the making", level=1).wait_for()
    assert page.get_by_role("link", name="in the making-onnx").is_visible()
    given = seeded.announce_compiler(10.0)
    assert given.job == job_id
    page.goto(f"/jobs/{job_id}/")
    page.locator(".steps .now").get_by_text("Prepare").wait_for()
    error = {"code": "ModelNotSupported", "message": "the operator Foo is not known", "retriable": False}
    seeded.door.finish(given.attempt, Outcome(error=error))
    page.get_by_text("the operator Foo is not known").wait_for()
    page.goto(f"/jobs/{waiting}/")
    page.get_by_text(job_id).first.wait_for()
    assert page.get_by_role("heading", name="Why it failed").is_visible()
    page.goto(f"/models/{target}/")
    assert page.get_by_text("The job that was to make this model left none.").is_visible()
    assert page.get_by_role("link", name="in the making", exact=True).is_visible()
    assert page.get_by_role("link", name="Profile this").count() == 0


def test_the_page_of_what_was_made_names_the_job(seeded: Any, visit: Visit, job: str) -> None:
    made = seeded.api("GET", f"jobs/{job}")
    page = visit(f"/models/{made['target_model_id']}/")
    page.get_by_role("link", name="net for the phone", exact=True).first.wait_for()
    assert words(page.get_by_role("region", name="Outputs", exact=True).get_by_role("row").nth(1)).startswith("classes")
    page.goto(f"/models/{made['model_id']}/")
    assert page.get_by_role("region", name="Outputs", exact=True).count() == 0, (
        "the source's tensors are not its target's"
    )
    page.get_by_role("link", name="Compile this").click()
    assert page.get_by_role("radio", name="Compile").is_checked()
    assert page.locator("#model").input_value() == made["model_id"]


def test_the_form_offers_what_toolchains_make_of_the_model_and_sends_the_job(seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    program, onnx = seeded.model("script", kind="exported_program"), seeded.model("graph")
    page = visit("/submit")
    assert not page.locator("#target").is_visible()
    page.locator("#model").select_option(onnx)
    page.get_by_role("radio", name="Compile").check()
    assert not page.get_by_label("Requirements").first.is_visible()
    assert not page.get_by_role("heading", name="Options").is_visible()
    able = page.locator("#target option:enabled").all_inner_texts()
    assert [one.partition(" ")[0] for one in able] == ["None", "openvino"]
    page.locator("#model").select_option(program)
    page.get_by_role("checkbox", name=DEVICE).first.check()
    page.get_by_role("button", name="Submit").click()
    page.get_by_text("no target is chosen").first.wait_for()
    page.locator("#target").select_option("onnx")
    page.get_by_label("Input specs, one a line").fill("image=1,3,8,8:float33")
    page.get_by_label("Outputs, in their order").fill("a, a")
    page.locator(".for-compile summary").click()
    assert page.get_by_text("Whether inputs and outputs of 64-bit integers become 32-bit ones.").is_visible()
    page.locator("#compile_options").fill("--no_such_option")
    page.get_by_role("button", name="Submit").click()
    page.locator("#problem-compile_options").get_by_text("no_such_option").wait_for()
    page.locator("#problem-input_specs").get_by_text("there is no element type 'float33'").wait_for()
    page.locator("#compile_options").fill("--truncate_64bit_io")
    page.get_by_role("button", name="Submit").click()
    page.locator("#problem-output_names").get_by_text("twice").wait_for()
    page.get_by_label("Outputs, in their order").fill("a, b")
    page.get_by_label("Input specs, one a line").fill("image=1,3,8,8\nids=1,4:int64")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("/jobs/j"))
    job = seeded.api("GET", f"jobs/{page.url.rstrip('/').rpartition('/')[2]}")
    assert (job["kind"], job["options"]) == ("compile", "--target_runtime=onnx --output_names=a,b --truncate_64bit_io")
    assert [(one["name"], one["shape"], one["dtype"]) for one in job["input_specs"]] == [
        ("image", [1, 3, 8, 8], "float32"),
        ("ids", [1, 4], "int64"),
    ]
    seeded.api("POST", f"jobs/{job['id']}/cancel")


def test_what_nobody_makes_is_said_beside_the_target(seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    page = visit(
        f"/submit?kind=compile&target=openvino&model={seeded.model('net', kind='tflite')}", java_script_enabled=False
    )
    page.get_by_role("checkbox", name=DEVICE).first.check()
    page.get_by_role("button", name="Submit").click()
    problem = words(page.locator("#problem-target"))
    assert (
        problem
        == "no toolchain makes the target openvino from a model of the kind tflite (openvino is made from: onnx)"
    )


def test_machines_that_compile_are_named_as_such(seeded: Any, visit: Visit) -> None:
    seeded.announce_compiler()
    page = visit("/devices/")
    part = page.get_by_role("region", name="Machines that compile")
    told = words(part)
    assert "Compile server compiler-1" in told
    assert "onnx ← exported_program, torchscript openvino ← onnx" in told
    part.get_by_role("link", name="Compile server").click()
    page.get_by_text("This machine compiles models and runs no other jobs.").wait_for()
    assert page.get_by_role("main").get_by_role("link", name="Submit a job").count() == 0
    page.get_by_text("Attributes", exact=True).click()
    attributes = words(page.get_by_role("list", name="Attributes"))
    assert "sandbox:test" in attributes
    assert "toolchain:" not in attributes
    page.goto("/devices/Compile%20server")
    assert page.get_by_role("link", name=COMPILER).is_visible()


def test_it_is_told_in_chinese(seeded: Any, visit: Visit, job: str) -> None:
    page = visit(f"/jobs/{job}/", locale="zh-CN")
    assert "与源模型的数值相差不超过 3.4e-05" in page.get_by_label("概览").inner_text()
    page.goto("/submit?kind=compile")
    assert page.get_by_text("是否把 64 位整数的输入和输出变为 32 位。").count() == 1
