"""A real agent's log, followed while the job runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.client.client import Client
from dynolab.client.settings import ClientConfig
from dynolab.testing.running_hub import running_hub
from dynolab.testing.waiting import until

pytest.importorskip("pgqueuer")
pytest.importorskip("onnxruntime")
MODEL = Path(__file__).parents[2] / "examples/models/ch_ppocr_mobile_v2.0_cls_infer.onnx"


@pytest.mark.slow
def test_the_log_comes_piece_by_piece_and_is_the_whole_log_in_the_end(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        client = Client(ClientConfig(hub.token, hub.url, verbose=False))
        device = until(client.get_devices, "this machine's agent")[0]
        job = client.submit_profile_job(MODEL, device, options="--max_profiler_iterations 3 --repeats 1")
        pieces = list(job.follow_log())
        assert len(pieces) > 1
        assert "".join(pieces) == job.log()
        assert "inference" in pieces[-1] + pieces[-2]
        client.close()
