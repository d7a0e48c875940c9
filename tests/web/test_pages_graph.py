"""A model's graph in a real Chromium: Netron draws it, the layers' times stand beside it, and each leads to the other.

The tests that choose fail where the installed Netron's inside is not what ``assets/viewer.js`` knows.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.profiles import LayerTable, Profile
from dynolab.testing.sample import layer_table, sample_profile
from dynolab.testing.waiting import until

pytest.importorskip("netron", reason="netron is not installed")
MODELS = Path(__file__).parents[2] / "examples" / "models"
OCR, KWS = "ch_ppocr_mobile_v2.0_cls_infer.onnx", "mlperf_tiny_kws_int8.tflite"
Visit = Callable[..., Any]

NAMED = [
    ("Conv@20", "FusedConv", "is marked in the graph: Conv Conv@20."),
    ("conv2d_53.tmp_0", "Conv", "is marked in the graph: Conv Conv@0."),
    (
        "relu_0.tmp_0_nchwc",
        "Conv",
        "is marked in the graph: Relu Relu@0. Its result comes out there; the runtime fused",
    ),
    ("relu_0.tmp_0_nchwc_token_12", "Conv", "is marked in the graph: Relu Relu@0."),
    ("MatMul@0/MatMulAddFusion", "Gemm", "is marked in the graph: MatMul MatMul@0."),
    (
        "Conv@0,BatchNormalization@0,no_node",
        "Convolution",
        "marked in the graph: Conv Conv@0, BatchNormalization Batch",
    ),
    ("ReorderOutput_token_237", "ReorderOutput", "no single node in the file has this name"),
    ("conv@20", "Conv", "no single node in the file has this name"),
    ("Conv@200", "Conv", "no single node in the file has this name"),
]
"""Names as ONNX Runtime and OpenVINO give them to layers of the model, and names that are like a node's but are not."""


def profile(layers: list[tuple[str, str, int]]) -> Profile:
    """A profile with layers of these names, types and microseconds."""
    found = tuple(Layer(name, kind, ComputeUnit.CPU, time_us * 1000) for name, kind, time_us in layers)
    table = LayerTable(found, None, sum(layer.time_ns for layer in found), 0.0, 20, 1000)
    return replace(sample_profile(), layers=table)


def stored(seeded: Any, file: str) -> str:
    return str(seeded.model(file, (MODELS / file).read_bytes(), Path(file).suffix[1:]))


@pytest.fixture(scope="module")
def ocr(seeded: Any) -> str:
    """Where the graph is of a model whose layers have the names above, heaviest first."""
    model_id = stored(seeded, OCR)
    layers = [(name, kind, 1000 >> number) for number, (name, kind, _) in enumerate(NAMED)]
    return f"/models/{model_id}/graph?job={seeded.done('named', profile(layers), model_id=model_id)}"


def graph(page: Any) -> Any:
    return page.frame_locator("iframe")


def drawn(page: Any) -> Any:
    """The page once layers and nodes know of each other."""
    page.get_by_text("layers are in the graph").wait_for()
    return page


def layer(page: Any, name: str) -> Any:
    return page.get_by_role("link", name=name, exact=True)


def says(page: Any, words: str) -> None:
    page.get_by_role("status").filter(has_text=words).wait_for()


@pytest.mark.parametrize(("file", "node"), [(KWS, "Softmax"), (OCR, "Conv")])
def test_the_graph_is_drawn_with_the_layers_times_beside_it(file: str, node: str, seeded: Any, visit: Visit) -> None:
    model_id = stored(seeded, file)
    page = visit(f"/models/{model_id}/graph")
    graph(page).locator("svg").get_by_text(node, exact=True).first.wait_for()
    assert page.get_by_text("This model has not been profiled yet.").is_visible()
    seeded.done("graph's times", model_id=model_id)
    page.reload()
    assert page.get_by_role("region", name="Layer times").first.get_by_role("row").count() > 10
    assert page.get_by_role("columnheader", name="Share of time").is_visible()
    assert page.get_by_role("term").filter(has_text="Layers").is_visible()


def test_a_layer_is_shown_in_the_graph_by_exact_names_only(ocr: str, visit: Visit) -> None:
    page = drawn(visit(ocr))
    says(page, "6 of 9 layers are in the graph.")
    for number, (name, _, told) in enumerate(NAMED, 1):
        layer(page, name).focus()
        page.keyboard.press("Enter")
        says(page, told)
        assert f"Layer {number}" in page.get_by_role("status").filter(has_text=told).inner_text()
        assert layer(page, name).get_attribute("aria-current") == "true"
        assert graph(page).locator("g.node.select").count() == (0 if "no single" in told else 1 + name.count(",B"))
        assert page.evaluate("document.activeElement.textContent") == name  # the graph does not take the focus
    assert page.get_by_text("no node with this name").count() == 3
    assert page.url.endswith("&layer=9")


def test_what_is_chosen_far_down_comes_into_sight(ocr: str, visit: Visit) -> None:
    page = drawn(visit(ocr))
    node = graph(page).locator("g.node.select")
    layer(page, "MatMul@0/MatMulAddFusion").click()
    node.wait_for()
    in_sight = """() => {
        const window = document.querySelector('iframe').contentWindow;
        const node = window.document.querySelector('g.node.select').getBoundingClientRect();
        return node.top >= 0 && node.bottom <= window.innerHeight && node.left >= 0 && node.right <= window.innerWidth;
    }"""
    until(lambda: page.evaluate(in_sight), "the node")


def test_an_address_names_the_layer_to_show(ocr: str, visit: Visit) -> None:
    page = visit(f"{ocr}&layer=3")
    says(page, "Layer 3 (Conv) is marked in the graph: Relu Relu@0.")
    assert layer(page, "relu_0.tmp_0_nchwc").get_attribute("aria-current") == "true"
    for wrong in ("0", "10", "-1", "x", "1e3"):
        answer = page.goto(f"{ocr}&layer={wrong}")
        assert answer.status == 422
        assert page.get_by_text(f"layer={wrong} is no layer of this job: it has 9, numbered from 1").is_visible()


def test_a_node_leads_to_its_layer_and_to_its_time(seeded: Any, visit: Visit) -> None:
    model_id = stored(seeded, KWS)
    names = [(f"away {number}", "COPY", 9) for number in range(60)]
    seeded.done("by node", profile([*names, ("Identity_int8", "SOFTMAX", 3)]), model_id=model_id)
    page = drawn(visit(f"/models/{model_id}/graph"))
    search = page.get_by_label("Filter")
    search.fill("away")
    layer(page, "Identity_int8").wait_for(state="detached")
    graph(page).locator("svg").get_by_text("Softmax", exact=True).first.click()
    says(page, "Softmax Identity_int8: layer 61, 3.00 µs, 0.6 %.")
    layer(page, "Identity_int8").wait_for()  # the search has given way
    assert search.input_value() == ""
    assert layer(page, "Identity_int8").get_attribute("aria-current") == "true"
    in_sight = """() => {
        const row = document.querySelector('tr:has([aria-current])').getBoundingClientRect();
        const box = document.querySelector('.beside .box').getBoundingClientRect();
        return row.top >= box.top && row.bottom <= box.bottom;
    }"""
    until(lambda: page.evaluate(in_sight), "the row")
    graph(page).get_by_text("Node Properties").wait_for()  # as Netron does
    graph(page).locator("svg").get_by_text("Reshape", exact=True).first.click()
    says(page, "Reshape model/flatten/Reshape has no layer of its own")
    assert page.locator("tr [aria-current]").count() == 0


def test_nodes_are_coloured_by_their_share_of_the_time(ocr: str, visit: Visit) -> None:
    page = drawn(visit(ocr))
    assert page.get_by_role("list", name="Share of time").is_visible()
    colours = {}
    for name in ("Conv@20", "MatMul@0"):
        strip = graph(page).locator(f'g[id="node-name-{name}"] > rect.heat')
        colours[name] = strip.get_attribute("fill")
        assert name in strip.text_content()
    assert colours["Conv@20"] != colours["MatMul@0"]
    assert graph(page).locator("rect.heat").count() == 5  # Relu@0 has two layers, a list of names has two nodes


def test_a_disturbed_layer_pass_colours_no_node(seeded: Any, visit: Visit) -> None:
    model_id = stored(seeded, OCR)
    named = profile([(name, kind, 1000 >> number) for number, (name, kind, _) in enumerate(NAMED)])
    disturbed = replace(named, layers=replace(named.layers, overhead=9.42))
    page = drawn(visit(f"/models/{model_id}/graph?job={seeded.done('disturbed', disturbed, model_id=model_id)}"))
    assert page.get_by_text("Disturbed: the layers add up to 942.0 % more than an inference takes.").is_visible()
    assert graph(page).locator("rect.heat").count() == 0
    assert page.get_by_role("list", name="Share of time").count() == 0


def test_a_layer_of_a_graph_inside_a_node_is_shown_there(seeded: Any, visit: Visit) -> None:
    helper = pytest.importorskip("onnx").helper

    def branch(name: str) -> Any:
        node = helper.make_node("Relu", ["x"], [f"{name}_y"], f"{name}_relu")
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(f"{name}_y", 1, [4])])

    choice = helper.make_node("If", ["c"], ["y"], "choice", then_branch=branch("then"), else_branch=branch("else"))
    values = [helper.make_tensor_value_info("c", 9, []), helper.make_tensor_value_info("x", 1, [4])]
    net = helper.make_graph([choice], "net", values, [helper.make_tensor_value_info("y", 1, [4])])
    model_id = seeded.model("branches", helper.make_model(net).SerializeToString())
    layers = [("choice", "If", 9), ("then_relu", "Relu", 5)]
    seeded.done("branches", profile(layers), model_id=model_id)
    page = drawn(visit(f"/models/{model_id}/graph"))
    for name, kind in (("then_relu", "Relu"), ("choice", "If"), ("then_relu", "Relu")):
        layer(page, name).click()
        says(page, f"is marked in the graph: {kind} {name}.")
        assert graph(page).locator("g.node.select").get_attribute("id") == f"node-name-{name}"
    graph(page).locator("rect.heat").wait_for()
    graph(page).locator("svg").get_by_text("Relu", exact=True).click()
    says(page, "Relu then_relu: layer 2")


def test_a_netron_with_another_inside_leaves_the_table_alone(ocr: str, visit: Visit) -> None:
    page = visit("/jobs/")

    def other(route: Any) -> None:
        answer = route.fetch()
        assert "scrollTo(selection, behavior) {" in answer.text()
        code = answer.text().replace("scrollTo(selection, behavior) {", "show(selection, behavior) {")
        route.fulfill(response=answer, body=code)

    page.route("**/graph/viewer/view.js", other)
    page.goto(f"{ocr}&layer=2")
    says(page, "The viewer that is installed does not let layers be shown in the graph.")
    graph(page).locator("svg").get_by_text("Conv", exact=True).first.wait_for()
    layer(page, "Conv@20").click()
    assert layer(page, "Conv@20").get_attribute("aria-current") == "true"
    assert page.get_by_role("region", name="Layer times").first.get_by_role("row").count() == 10


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("onnx", b"not a real model", "The viewer cannot draw this file: Unsupported file content."),
        ("qnn_lib_x86_64_linux", b"\x7fELF", "cannot draw files of this kind (qnn_lib_x86_64_linux)."),
        ("torchscript", zipped({"data/version": b"3"}), "The viewer cannot draw this file: "),
    ],
    ids=["junk", "kind", "empty"],
)
def test_what_cannot_be_drawn_is_a_sentence_in_the_page(
    kind: str, content: bytes, told: str, seeded: Any, visit: Visit
) -> None:
    model_id = seeded.model("undrawn", content, kind)
    seeded.done("undrawn", model_id=model_id)
    page = visit(f"/models/{model_id}/graph")
    says(page, told)
    assert page.locator("iframe").is_hidden()
    assert page.get_by_role("region", name="Layer times").first.get_by_role("row").count() > 10


def test_where_the_runtime_renamed_all_layers_the_page_says_so(seeded: Any, visit: Visit) -> None:
    model_id = stored(seeded, KWS)
    seeded.done("renamed", profile([("Convolution_54,Transpose_792", "Convolution", 3)]), model_id=model_id)
    page = visit(f"/models/{model_id}/graph")
    says(page, "None of the 1 layers has a node's name: the runtime renamed them.")
    assert page.get_by_role("list", name="Share of time").is_hidden()


def test_a_folder_is_drawn(seeded: Any, visit: Visit, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from dynolab.testing.models import onnx_net

    onnx_net(tmp_path / "net.onnx", external="net.data")
    content = zipped({f"net/{path.name}": path.read_bytes() for path in tmp_path.iterdir()})
    model_id = seeded._uploaded("models", {"name": "folder", "kind": "onnx", "is_directory": True}, content)
    seeded.done("folder", profile([("conv", "Conv", 3)]), model_id=model_id)
    page = drawn(visit(f"/models/{model_id}/graph"))
    layer(page, "conv").click()
    says(page, "Layer 1 (Conv) is marked in the graph: Conv conv.")


def test_another_job_is_chosen_without_javascript(seeded: Any, visit: Visit) -> None:
    model_id = stored(seeded, KWS)
    seeded.done("the first", profile([("of the first", "ADD", 3)]), model_id=model_id)
    seeded.done("the second", profile([("of the second", "ADD", 3)]), model_id=model_id)
    page = visit(f"/models/{model_id}/graph", java_script_enabled=False)
    assert "The graph needs JavaScript" in page.content()  # Chromium shows it only where no debugger turns it off
    assert not page.locator("iframe").is_visible()
    assert layer(page, "of the second").is_visible()
    choice = page.get_by_label("Another job of this model")
    first = choice.get_by_role("option").filter(has_text="the first").get_attribute("value")
    choice.select_option(first)
    page.get_by_role("button", name="Show").click()
    layer(page, "of the first").click()
    assert layer(page, "of the first").get_attribute("aria-current") == "true"
    assert f"job={first}&layer=1" in page.url


def test_layers_of_another_models_job_are_not_put_beside_it(ocr: str, seeded: Any, visit: Visit) -> None:
    other = seeded.done("of another model")
    page = visit(f"{ocr.partition('?')[0]}?job={other}")
    assert page.get_by_text(f"the job {other} measured another model").is_visible()


def test_lighter_layers_are_counted_and_one_that_is_asked_for_is_there(seeded: Any, visit: Visit) -> None:
    model_id = stored(seeded, KWS)
    job_id = seeded.done("many", replace(sample_profile(), layers=layer_table(620)), model_id=model_id)
    page = visit(f"/models/{model_id}/graph?job={job_id}")
    says(page, "None of the 500 layers has a node's name")
    rows = page.get_by_role("region", name="Layer times").first.get_by_role("row")
    assert rows.count() == 501
    assert page.get_by_text("The 500 heaviest of 620 layers are listed.").is_visible()
    assert page.get_by_role("link", name="All layers").get_attribute("href") == f"/jobs/{job_id}/layers"
    graph(page).locator("svg").get_by_text("Quantize", exact=True).first.click()
    says(page, "is none of the layers here: it is lighter, or")
    numbers = {int(text) for text in page.locator(".beside tbody td:first-child").all_inner_texts()}
    lighter = min(set(range(1, 621)) - numbers)
    page.goto(f"/models/{model_id}/graph?job={job_id}&layer={lighter}")
    assert rows.count() == 502
    assert page.get_by_role("row").filter(has=page.locator("[aria-current]")).count() == 1


def test_the_graph_does_not_take_the_focus_from_a_search(ocr: str, visit: Visit) -> None:
    page = visit("/jobs/")
    page.goto(ocr, wait_until="commit")
    search = page.get_by_label("Filter")
    search.wait_for()
    search.focus()
    drawn(page)
    page.wait_for_timeout(500)  # Netron takes it a little later
    assert search.evaluate("search => search === document.activeElement")
    page.keyboard.type("relu")
    says(page, "2 of 9 layers")


def test_the_tab_key_goes_into_the_graph_and_out_again(ocr: str, visit: Visit) -> None:
    page, been = drawn(visit(ocr)), []
    while len(been) < 60 and ("IFRAME" not in been or been[-1] == "IFRAME"):
        page.keyboard.press("Tab")
        been.append(page.evaluate("document.activeElement.tagName"))
    assert "IFRAME" in been
    assert been[-1] != "IFRAME"


def test_the_viewer_gives_out_its_own_files_and_no_others(seeded: Any) -> None:
    assert seeded.http.get(f"{seeded.url}/graph/viewer/view.js").status_code == 200
    for name in ("server.py", "..%2Fnetron%2F__init__.py", "nothing.js"):
        assert seeded.http.get(f"{seeded.url}/graph/viewer/{name}").status_code == 404
    assert seeded.http.get(f"{seeded.url}/graph/file/forged/net.onnx").status_code == 404


def test_the_viewer_runs_its_own_scripts_only_and_asks_for_models_only(seeded: Any, chromium: Any) -> None:
    policy = seeded.http.get(f"{seeded.url}/graph/viewer/index.html").headers["content-security-policy"]
    found = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    here = f"{seeded.url}/graph"
    assert found["default-src"] == found["form-action"] == found["base-uri"] == "'none'"
    assert found["script-src"] == found["worker-src"] == f"{here}/viewer/"
    assert found["connect-src"] == f"{here}/"
    context = chromium.new_context(base_url=seeded.url)
    page = context.new_page()
    page.goto("/sign-in")
    tried = """async (path) => {
        const frame = document.body.appendChild(document.createElement('iframe'));
        frame.src = '/graph/viewer/index.html';
        await new Promise((resolve) => frame.addEventListener('load', resolve));
        const inside = frame.contentWindow;
        const refused = new Promise((resolve) => {
            inside.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
        });
        const script = inside.document.createElement('script');
        if (path.startsWith('/api')) inside.fetch(path).catch(() => {});
        else inside.document.head.append(Object.assign(script, path ? {src: path} : {textContent: 'taken = true'}));
        return refused;
    }"""
    assert page.evaluate(tried, "") == "script-src-elem"
    assert page.evaluate(tried, "/graph/file/forged/net.js") == "script-src-elem"
    assert page.evaluate(tried, "/api/hub/v1/jobs") == "connect-src"
    context.close()
