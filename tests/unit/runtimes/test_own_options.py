"""Options that a runtime declares itself, and what its class has to tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynolab.errors import PluginMissing, SpecInvalid
from dynolab.runtimes.base import Runtime, Session, Target
from dynolab.spec.measurements import ComputeUnit, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.option_grammar import Kind, KnownOption
from dynolab.spec.options import check_groups, format_options, parse, without_effect
from dynolab.spec.runtime_support import check_own_options

OWN = (
    KnownOption("threads", Kind.INTEGER, "Threads.", default=1, minimum=1),
    KnownOption("exact", Kind.BOOLEAN, "Whether values are exact.", default=False),
    KnownOption("mode", Kind.WORD, "How it runs.", allowed=("FAST", "SMALL")),
)


class Mine(Runtime):
    name = "mine"
    formats = (ModelFormat("foo"),)
    distributions = ("numpy",)
    units = (ComputeUnit.CPU,)
    row = RuntimeRow(artifact=None, wiped="nothing", lazy="nothing")
    options = OWN

    def import_library(self) -> None:
        raise NotImplementedError  # nothing is run here

    def describe(self, target: Target) -> Description:
        raise NotImplementedError  # as above

    def load(self, target: Target) -> Session:
        raise NotImplementedError  # as above


def test_what_is_given_comes_with_its_type_and_the_rest_with_its_default() -> None:
    assert Mine().own_options(parse("")) == {"threads": 1, "exact": False, "mode": None}
    given = parse('--mine_options "threads=4;mode=fast; exact=1" --repeats 1')
    assert Mine().own_options(given) == {"threads": 4, "exact": True, "mode": "FAST"}
    assert given.unused_by(Mine().reads) == ()
    assert parse(format_options(given)) == given


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("thread=4", "--mine_options has no key 'thread' (in 'thread=4')", "did you mean threads?"),
        ("zzz=4", "--mine_options has no key 'zzz'", "known: threads, exact, mode"),
        ("threads=0", "--mine_options threads does not take '0'", "integer >= 1"),
        ("threads=two", "--mine_options threads does not take 'two'", "integer"),
        ("mode=slow", "--mine_options mode does not take 'slow'", "FAST, SMALL"),
    ],
)
def test_what_does_not_fit_is_named_with_what_there_is(text: str, told: str, hint: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        Mine().own_options(parse(f"--mine_options '{text}'"))
    assert told in refused.value.message
    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize("text", ["library=/tmp/x.so", "plugin_path=a", "mode=../secrets", "mode=/etc/passwd"])
def test_no_file_of_the_device_is_named_whoever_declares_the_option(text: str) -> None:
    with pytest.raises(SpecInvalid, match="names a file or a library of the device"):
        parse(f"--mine_options '{text}'")


@pytest.mark.parametrize("text", ["", "threads", "threads=", "threads=1;threads=2"])
def test_the_grammar_is_that_of_all_groups(text: str) -> None:
    with pytest.raises(SpecInvalid, match="mine_options"):
        parse(f"--mine_options '{text}'")


def test_a_group_of_no_runtime_that_is_there_is_refused_with_the_nearest() -> None:
    for check in (
        lambda: check_groups(parse("--onx_options device_id=1"), ["mine"]),
        lambda: check_own_options(parse("--onx_options device_id=1"), [("runs:mine/foo",)]),
    ):
        with pytest.raises(SpecInvalid, match="there is no option --onx_options") as refused:
            check()
        assert "--onnx_options" in (refused.value.hint or "")
    check_own_options(parse("--mine_options threads=1"), [("runs:mine/foo",)])
    check_own_options(parse("--mine_options threads=1"), [()])


def test_another_runtimes_options_have_no_effect() -> None:
    assert parse("--other_options a=1").unused_by(Mine().reads) == ("other_options",)
    assert without_effect("other_options", "mine") == "other_options has no effect on runtime mine"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"row": "nothing"}, "has no usable row: 'nothing'"),
        ({"formats": ("foo",)}, "has no usable formats: ('foo',)"),
        ({"formats": ()}, "has no usable formats: ()"),
        ({"name": "My Own"}, "has no usable name: 'My Own'"),
        ({"name": "onnx"}, "has no usable options"),
        ({"options": ("threads",)}, "has no usable options: ('threads',)"),
        ({"distributions": "numpy"}, "has no usable distributions: 'numpy'"),
        ({"load": Runtime.load}, "lacks load"),
    ],
)
def test_a_class_that_cannot_be_used_is_told_as_it_is_made(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(PluginMissing) as refused:
        type("Half", (Mine,), fields)
    assert told in refused.value.message
    assert f"Half of {__name__}" in refused.value.message or "Half of" in refused.value.message


def test_a_class_that_others_build_on_may_leave_things_open() -> None:
    class Shared(Runtime, is_base=True):
        units = (ComputeUnit.CPU,)

    with pytest.raises(PluginMissing, match="lacks name, formats, distributions, row, describe"):
        type("Half", (Shared,), {})


def test_a_run_has_a_folder_of_its_own_that_goes_with_it(tmp_path: Path, null_harness: Any) -> None:
    from dynolab.measure.protocol import SCRATCH_FOLDER, RunKind
    from dynolab.measure.worker import Run

    harness = null_harness()
    request = harness.request(RunKind.FIRST_LOAD)
    target = Run(tmp_path, request).target()
    assert target.scratch_dir == tmp_path / SCRATCH_FOLDER
    assert list(target.scratch_dir.iterdir()) == []
    harness.good(RunKind.FIRST_LOAD)
    assert not list(harness.folder.glob(f"run*/{SCRATCH_FOLDER}"))
