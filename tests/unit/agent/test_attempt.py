"""What an agent's attempt needs of libraries, and what it tells of a model."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from dynolab.agent.attempt import tensors
from dynolab.testing.sample import sample_profile

WITHOUT_H5PY = """
import sys
sys.modules["h5py"] = None
from pathlib import Path
from dynolab.agent.attempt import carry_out
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, FileLink
link = FileLink("net.onnx", 1)
asked = Assignment(AGENT_PROTOCOL, "a", 1, "j", sys.argv[2], "", 1.0, link, link)
print(carry_out(Path(sys.argv[1]), asked).error)
"""


def test_profiles_need_no_library_for_datasets_and_inference_says_that_it_does(tmp_path: object) -> None:
    def error(kind: str) -> str:
        command = [sys.executable, "-c", WITHOUT_H5PY, str(tmp_path), kind]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "there is no model at" in error("profile")
    told = error("inference")
    assert "'code': 'PluginMissing'" in told
    assert "inference jobs need h5py" in told
    assert "dynolab[datasets]" in told


def test_shapes_that_the_request_chose_are_not_the_models_own() -> None:
    profile = replace(sample_profile(), notices=())
    asked = replace(profile.request, input_shapes={}, input_files={})
    assert tensors(replace(profile, request=asked)).fixed
    for chosen in (
        replace(asked, input_shapes={"image": (1, 3, 2, 2)}),
        replace(asked, input_files={"image": "x.npy"}),
    ):
        assert not tensors(replace(profile, request=chosen)).fixed
