"""A model's graph in a real Chromium: Netron draws it, the layers' times stand beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("netron", reason="netron is not installed")
MODELS = Path(__file__).parents[2] / "examples" / "models"


@pytest.mark.parametrize(
    ("file", "kind", "node"),
    [("mlperf_tiny_kws_int8.tflite", "tflite", "Softmax"), ("ch_ppocr_mobile_v2.0_cls_infer.onnx", "onnx", "Conv")],
)
def test_the_graph_is_drawn_with_the_layers_times_beside_it(
    file: str, kind: str, node: str, seeded: Any, visit: Callable[..., Any]
) -> None:
    model_id = seeded.model(file, (MODELS / file).read_bytes(), kind)
    page = visit(f"/models/{model_id}/graph")
    page.frame_locator("iframe").locator("svg").get_by_text(node).first.wait_for()
    assert page.get_by_text("This model was not profiled yet.").is_visible()
    seeded.done("graph's times", model_id=model_id)
    page.reload()
    assert page.get_by_role("region", name="Layer times").first.get_by_role("row").count() > 10


def test_the_viewer_gives_out_its_own_files_and_no_others(seeded: Any) -> None:
    assert httpx.get(f"{seeded.url}/graph/viewer/view.js").status_code == 200
    for name in ("server.py", "..%2Fnetron%2F__init__.py", "nothing.js"):
        assert httpx.get(f"{seeded.url}/graph/viewer/{name}").status_code == 404
    assert httpx.get(f"{seeded.url}/graph/file/forged/net.onnx").status_code == 404
