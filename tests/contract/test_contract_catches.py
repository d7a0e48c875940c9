"""The contract suite catches what it is there for: runtimes that are broken in one way each, and the test that says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap

import pytest

from dynolab.testing.outside import distribution

SOURCE = """
    import numpy as np
    from dynolab.formats import Format
    from dynolab.runtimes.base import Runtime, Session, UNWATCHED, LayerRecording, check_units
    from dynolab.spec.measurements import ComputeUnit, Layer, RuntimeRow
    from dynolab.spec.models import Description, ModelFormat
    from dynolab.spec.tensors import TensorSpec

    format = Format("tiny", (".tiny",))

    def infer(x, out):
        np.multiply(x, np.float32(2), out=out)

    class Doubled(Session):
        def __init__(self, shape):
            self.inputs, self.outputs = (TensorSpec("x", "float32", shape),), (TensorSpec("y", "float32", shape),)
        def bind(self, inputs, outputs):
            self._x, self._y = inputs["x"].copy(), np.zeros(self.outputs[0].sizes, np.float32)
        def runner(self): return lambda: infer(self._x, self._y)
        def fetch(self): return {"y": self._y}
        def effective(self): return {"threads": "1"}

    class Tiny(Runtime):
        name, formats, distributions = "good", (ModelFormat("tiny"),), ("numpy",)
        units = (ComputeUnit.CPU,)
        row = RuntimeRow(artifact=None, wiped="nothing", lazy="nothing")
        session = Doubled
        def import_library(self): pass
        def describe(self, target):
            shape = target.shapes.get("x", (None, 8) if target.model.stem == "open" else (4, 8))
            return Description((TensorSpec("x", "float32", shape),), (TensorSpec("y", "float32", shape),))
        def load(self, target):
            check_units(target.options, self.units, self.name)
            return self.session(target.shapes["x"])
        def layers(self, target, inputs, iterations, watch=UNWATCHED):
            session = self.load(target)
            session.bind(inputs, {})
            run = session.runner()
            for _ in range(iterations): watch(run)
            return LayerRecording([[Layer("times", "Mul", ComputeUnit.CPU, 1)]] * iterations, 1)
    plugin = Tiny()

    class Destroyed(Doubled):
        def runner(self):
            def run():
                infer(self._x, self._y)
                self._x[:] = 7  # as a library does that computes in place
            return run
    class Garbage(Tiny):
        name, session = "garbage", Destroyed
    garbage = Garbage()

    class Nothing(Doubled):
        def runner(self): return lambda: None
    class Zeros(Tiny):
        name, session = "zeros", Nothing
    zeros = Zeros()

    class InBind(Doubled):
        def bind(self, inputs, outputs):
            super().bind(inputs, outputs)
            infer(self._x, self._y)
        def runner(self): return lambda: None
    class Idle(Tiny):
        name, session = "idle", InBind
    idle = Idle()

    class Eager(Tiny):
        name = "eager"
        def load(self, target):
            session = super().load(target)
            infer(np.zeros(target.shapes["x"], np.float32), np.zeros(target.shapes["x"], np.float32))
            return session
    eager = Eager()

    class Warm(Tiny):
        name = "warm"
        def load(self, target):
            session = super().load(target)
            session.bind({"x": np.zeros(target.shapes["x"], np.float32)}, {})
            session.runner()()
            return session
    warm = Warm()

    class Once(Tiny):
        name = "once"
        def layers(self, target, inputs, iterations, watch=UNWATCHED):
            return super().layers(target, inputs, 1, watch)
    once = Once()

    class Fixed(Tiny):
        name = "fixed"
        def load(self, target): return self.session((4, 8)) if target.model.stem != "open" else OneRow((1, 8))
    class OneRow(Doubled):
        def bind(self, inputs, outputs): super().bind({"x": inputs["x"][:1]}, outputs)
    fixed = Fixed()

    class Wrong(Doubled):
        def runner(self): return lambda: np.multiply(self._x, np.float32(2.1), out=self._y)
    class Off(Tiny):
        name, session = "off", Wrong
    off = Off()
"""
SUITE = """
    import os
    import pytest
    from dynolab.spec.models import ModelFormat
    from dynolab.testing.runtime_contract import RuntimeContract

    class Tiny(RuntimeContract):
        format = ModelFormat("tiny")
        open_shapes = {"x": (1, 8)}, {"x": (3, 8)}

        @pytest.fixture
        def model(self, tmp_path):
            (tmp_path / "net.tiny").write_text("tiny")
            return tmp_path / "net.tiny"

        @pytest.fixture
        def open_model(self, tmp_path):
            (tmp_path / "open.tiny").write_text("tiny")
            return tmp_path / "open.tiny"

        def reference(self, model, arrays):
            return {"y": arrays["x"] * 2}
"""
CAUGHT = {
    "garbage": ("test_outputs_stay_the_same_run_after_run", "run 5 gives other values of ['y'] than the first"),
    "zeros": ("test_outputs_follow_from_the_inputs", "every output is zero"),
    "idle": ("test_the_runner_infers", "they come from bind or fetch"),
    "eager": ("test_a_load_infers_nothing", "the load calls what an inference does: ['dynolab_tiny.infer']"),
    "warm": ("test_a_load_infers_nothing", "dynolab_tiny.Doubled.bind"),
    "hasty": ("test_the_library_comes_in_with_its_import_only", "imports ['slowlib']"),
    "once": ("test_the_layer_pass_runs_as_often_as_it_is_told", "of 3 iterations"),
    "fixed": ("test_shapes_that_are_asked_for_are_bound", "the outputs have the same shapes for other inputs"),
    "off": ("test_outputs_are_those_of_the_reference", "dB to the reference, 60 are wanted"),
}
"""The test that fails for each broken runtime, and what it says."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the suite over all of them: for each the test that is to fail, for the good one all of those."""
    folder = tmp_path_factory.mktemp("tiny")
    source = textwrap.dedent(SOURCE)
    points = {"good": "plugin"} | {name: name for name in CAUGHT if name != "hasty"}
    groups = {
        "dynolab.runtimes": {name: f"dynolab_tiny:{value}" for name, value in points.items()},
        "dynolab.formats": {"tiny": "dynolab_tiny:format"},
    }
    distribution(folder, "dynolab-tiny", source, groups)
    hasty = source.replace('name, formats, distributions = "good"', 'name, formats, distributions = "hasty"')
    distribution(
        folder, "dynolab-hasty", f"import slowlib\n{hasty}", {"dynolab.runtimes": {"hasty": "dynolab_hasty:plugin"}}
    )
    distribution(folder, "slowlib", "", {})
    suites = [f'class Test_{name}(Tiny):\n    runtime = "{name}"\n' for name in ("good", "away", *CAUGHT)]
    away = source.replace(
        '"good", (ModelFormat("tiny"),), ("numpy",)', '"away", (ModelFormat("tiny"),), ("no-such-one",)'
    )
    distribution(folder, "dynolab-away", away, {"dynolab.runtimes": {"away": "dynolab_away:plugin"}})
    (folder / "test_tiny.py").write_text(textwrap.dedent(SUITE) + "\n\n".join(suites), encoding="utf-8")
    wanted = [("good", test) for test in {test for test, _ in CAUGHT.values()}]
    wanted += [(name, test) for name, (test, _) in CAUGHT.items()] + [("away", "test_inference_fills_the_loop")]
    ids = [f"{folder / 'test_tiny.py'}::Test_{name}::{test}" for name, test in wanted]
    options = [
        "-rA",
        "-q",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "-o",
        "console_output_style=classic",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *ids],
        cwd=folder,
        # To import all plug-ins takes seconds, and the suite needs none.
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "300", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


def outcome(said: str, name: str, test: str) -> str:
    found = re.search(rf"^(PASSED|FAILED|ERROR) \S*::Test_{name}::{test}(.*)$", said, re.MULTILINE)
    assert found, said
    return found[1]


@pytest.mark.parametrize("name", CAUGHT)
def test_each_broken_runtime_is_caught_by_the_test_for_it(said: str, name: str) -> None:
    test, words = CAUGHT[name]
    assert outcome(said, name, test) == "FAILED", said
    [told] = re.findall(rf"^_+ Test_{name}\.{test} _+$(.*?)(?=^_+ Test_|^=+ )", said, re.MULTILINE | re.DOTALL)
    assert words in told, told


def test_a_good_one_passes_all_of_these(said: str) -> None:
    for test in {test for test, _ in CAUGHT.values()}:
        assert outcome(said, "good", test) == "PASSED", said


def test_one_that_is_not_available_is_skipped_with_the_reason(said: str) -> None:
    assert re.search(r"^SKIPPED .*no-such-one is not installed", said, re.MULTILINE), said
