"""Which layers of a profile have a node in the graph's page: per model and runtime, by the page itself in a real Chromium.

python tests/benchmarks/graph_layers.py [MODEL ...] [--runtime onnxruntime --runtime openvino] [--iterations 10]

Without models, those in examples/models; without runtimes, every installed one that takes the model. Each model is profiled
through a hub and this machine's agent, its graph's page is opened, and what the page's script has matched is counted: layers,
and their share of the time.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from dynolab import plugins
from dynolab.client.client import Client
from dynolab.client.devices import Device
from dynolab.client.settings import ClientConfig
from dynolab.formats import EXTENSIONS
from dynolab.runtimes.base import Runtime
from dynolab.testing.running_hub import running_hub
from dynolab.testing.waiting import until

CHROMIUM = "/usr/bin/chromium"
EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
SETTLED = "() => document.querySelectorAll('.beside tbody tr').length === 0 || document.querySelector('[data-rule]')"
ROWS = "rows => rows.map(row => [row.dataset.rule ?? '', Number(row.dataset.t)])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--runtime", action="append", default=[])
    parser.add_argument("--iterations", type=int, default=10)
    asked = parser.parse_args()
    models = asked.models or sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".onnx", ".tflite"))
    print("| model | runtime | layers with a node | their share of the time | by rule |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as data, running_hub(Path(data)) as hub, sync_playwright() as started:
        client = Client(ClientConfig(hub.token, hub.url, verbose=False))
        device = until(client.get_devices, "this machine's agent")[0]
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_context(base_url=hub.url).new_page()
        page.goto("/sign-in")
        page.get_by_label("API token").fill(hub.token)
        page.get_by_role("button", name="Sign in").first.click()
        page.wait_for_url("**/jobs/")
        for path in models:
            model = client.upload_model(path)
            for runtime in runtimes_for(path, asked.runtime):
                options = f"--max_profiler_iterations {asked.iterations} --runtime {runtime}"
                job = client.submit_profile_job(model, Device(device.name), options=options)
                if job.wait().failure:
                    print(f"| {path.name} | {runtime} | – | – | the job failed: {job.get_status().message} |")
                    continue
                print(f"| {path.name} | {runtime} | {told(page, f'/models/{model.model_id}/graph?job={job.job_id}')} |")
        chromium.close()


def runtimes_for(path: Path, wanted: list[str]) -> list[str]:
    """Those that take the model's format and are installed."""
    kind = EXTENSIONS[path.suffix]
    found = {name: plugins.load("dynolab.runtimes", name) for name in plugins.names("dynolab.runtimes")}
    able = [
        name
        for name, one in found.items()
        if isinstance(one, Runtime) and kind in one.formats and one.unavailable() is None
    ]
    return [name for name in able if not wanted or name in wanted]


def told(page: Any, place: str) -> str:
    """What the page matched, as the cells of a table."""
    page.goto(place)
    page.wait_for_function(SETTLED, timeout=60_000)
    rows = page.eval_on_selector_all(".beside tbody tr", ROWS)
    count, spent = Counter(rule for rule, _ in rows), sum(ns for rule, ns in rows if rule)
    rules = "; ".join(f"{count[rule]} {rule}" for rule in sorted(filter(None, count)))
    share = 100 * spent / (sum(ns for _, ns in rows) or 1)
    return f"{len(rows) - count['']} of {len(rows)} | {share:.1f} % | {rules}"


if __name__ == "__main__":
    main()
