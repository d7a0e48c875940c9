"""What script/pictures runs: profiles the example models through a hub of its own, and takes pictures of its pages."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

import dynolab as hub
from dynolab.client.client import Client
from dynolab.client.settings import ClientConfig
from dynolab.testing.running_hub import RunningHub, running_hub

CHROMIUM = "/usr/bin/chromium"
MODELS = Path(__file__).parents[1] / "examples" / "models"
ONNX, TFLITE = MODELS / "ch_ppocr_mobile_v2.0_cls_infer.onnx", MODELS / "mlperf_tiny_kws_int8.tflite"
LINE = (1, 3, 48, 192)
"""What the OCR angle classifier takes: a line of text, as a picture."""
SIZE = {"width": 1180, "height": 760}


def lines_of_text(count: int) -> list[Any]:
    """Pictures of dark strokes side by side, some upside down, as the classifier's own preparation leaves them: from -1 to 1."""
    random, found = np.random.default_rng(0), []
    for _ in range(count):
        line = np.full((48, 192), 0.9)
        at = 4
        while at < 176:
            top, width = random.integers(6, 16), random.integers(2, 5)
            line[top : random.integers(30, 42), at : at + width] = -0.8
            line[top : top + 4, at : at + random.integers(4, 12)] = -0.8
            at += random.integers(8, 16)
        line = line[::-1, ::-1] if random.random() < 0.5 else line
        noisy = line + random.normal(0, 0.05, line.shape)
        found.append(np.broadcast_to(noisy.clip(-1, 1), LINE).astype(np.float32))
    return found


def profiles(running: RunningHub) -> list[Any]:
    """Jobs that are done: a model at two numbers of threads and again, another, a comparison, one compiled, one quantised; one still waits."""
    client = Client(ClientConfig(running.token, running.url, verbose=False))
    while not (devices := client.get_devices()):
        time.sleep(0.2)
    device = hub.Device(devices[0].name)
    ocr = client.upload_model(ONNX)
    one_thread = '--onnx_options "intra_op_num_threads=1"'
    jobs = [
        client.submit_profile_job(ocr, device, name=name, options=options)
        for name, options in (
            ("OCR angle classifier", ""),
            ("OCR angle classifier, one thread", one_thread),
            ("OCR angle classifier, again", ""),
        )
    ]
    jobs.append(client.submit_profile_job(client.upload_model(TFLITE), device, name="Keyword spotting, int8"))
    plain = '--onnx_options "intra_op_num_threads=1;graph_optimization_level=DISABLE_ALL"'
    jobs.append(
        client.submit_compare_job(ocr, ocr, device, "With graph optimization", one_thread, baseline_options=plain)
    )
    target = "--target_runtime openvino"
    jobs.append(client.submit_compile_job(ocr, device, "OCR angle classifier", {"x": LINE}, target))
    jobs.append(client.submit_quantize_job(ocr, {"x": lines_of_text(120)}, name="OCR angle classifier"))
    for job in jobs:
        job.wait()
    jobs.append(client.submit_profile_job(ocr, device, name="OCR angle classifier, once more"))
    return jobs


def main(folder: Path) -> None:
    """Write the pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TZ"] = "UTC"
    with tempfile.TemporaryDirectory() as data, running_hub(Path(data)) as running, sync_playwright() as started:
        jobs = profiles(running)
        first, other, again = (job.job_id for job in jobs[:3])
        model = jobs[0].model.model_id
        pages = {
            "jobs": "/jobs/",
            "profile": f"/jobs/{first}/",
            "compare": f"/compare?job={first}&job={other}&job={again}",
            "comparison": f"/jobs/{jobs[4].job_id}/",
            "compiled": f"/jobs/{jobs[5].job_id}/",
            "quantised": f"/jobs/{jobs[6].job_id}/",
            "graph": f"/models/{model}/graph?job={first}",
            "submit": f"/submit?model={model}",
            "devices": "/devices/",
        }
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for scheme, names in (("light", list(pages)), ("dark", ["profile"])):
            page = chromium.new_context(base_url=running.url, viewport=SIZE, color_scheme=scheme).new_page()
            page.goto("/sign-in")
            page.get_by_label("API token").fill(running.token)
            page.get_by_role("button", name="Sign in").first.click()
            page.wait_for_url("**/jobs/")
            for name in names:
                page.goto(pages[name])
                page.wait_for_timeout(3000 if name == "graph" else 500)
                page.screenshot(path=folder / (f"{name}.png" if scheme == "light" else f"{name}-{scheme}.png"))
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
