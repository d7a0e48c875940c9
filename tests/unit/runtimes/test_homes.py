"""Models stay at home: a runtime's library writes nothing to the user's folders, and opens no socket, unconfined too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dynolab.plugins import load
from dynolab.runtimes.base import Runtime
from dynolab.testing import models

RUN = """
import os, sys
from pathlib import Path
import numpy as np
from dynolab.plugins import load
from dynolab.runtimes.base import Target, zeros
from dynolab.spec import options
from dynolab.formats import EXTENSIONS
name, model, artifact, cache = sys.argv[1:]
runtime = load("dynolab.runtimes", name)
runtime.import_library()
text = options.parse("")
folders = Path(artifact), Path(cache)
target = Target(Path(model), EXTENSIONS[Path(model).suffix], *folders, text, folders[1], {"x": (1, 3, 16, 16)})
session = runtime.load(target)
session.bind({"x": np.zeros((1, 3, 16, 16), np.float32)}, {})
session.runner()()
print(len(session.fetch()))
for number in os.listdir("/proc/self/fd"):
    try:
        print(os.readlink(f"/proc/self/fd/{number}"))
    except OSError:
        pass
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize(
    ("name", "make"),
    [("onnxruntime", models.onnx_net), ("openvino", models.openvino_ir)],
    ids=["onnxruntime", "openvino"],
)
def test_a_run_writes_nothing_at_home_and_opens_no_socket(tmp_path: Path, name: str, make: Callable[..., Path]) -> None:
    runtime = load("dynolab.runtimes", name)
    assert isinstance(runtime, Runtime)
    if (reason := runtime.unavailable()) is not None:
        pytest.skip(reason)
    model = make(tmp_path / ("net.onnx" if name == "onnxruntime" else "net.xml"))
    folders = [tmp_path / one for one in ("home", "artifact", "cache", "tmp")]
    for folder in folders:
        folder.mkdir()
    home, artifact, cache, temporary = folders
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    environment = {**kept, "HOME": str(home), "TMPDIR": str(temporary)}
    answer = subprocess.run(
        [sys.executable, "-c", RUN, name, model, artifact, cache],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    count, *opened = answer.stdout.splitlines()
    assert int(count) > 0
    assert list(home.rglob("*")) == []
    assert [path for path in opened if path.startswith("socket:") or ".db" in path] == []
