"""Which sandbox is used, what it shows of the file system and the environment, and what is done with what a model leaves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dynolab import errors, plugins
from dynolab.sandbox import base
from dynolab.sandbox.base import Confinement, Sandbox, bindings, confine_python, strongest, tidy


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """These means do not work here."""
    real = base.problem
    monkeypatch.setattr(base, "problem", lambda name: f"no {name} today" if name in names else real(name))
    for variable in (base.CHOICE, base.REQUIRED):
        monkeypatch.delenv(variable, raising=False)


def test_each_means_has_a_place_and_none_comes_last() -> None:
    found = base.all_by_strength()
    assert {one.name for one in found} == set(plugins.names(base.PACKAGE))
    assert len({one.rank for one in found}) == len(found)
    assert [one.name for one in found if not one.protects] == ["none"] == [found[-1].name]


def test_the_strongest_that_works_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    working = [one.name for one in base.all_by_strength() if base.problem(one.name) is None]
    for number, name in enumerate(working):
        with monkeypatch.context() as patch:
            without(patch, *working[:number])
            assert strongest().name == name


def test_what_was_found_to_work_is_not_tried_again_by_who_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    class Means(Sandbox):
        name, rank, protects = "means", 0, ()

        def unavailable(self) -> str | None:
            tried.append(self.name)
            return "it does not"

        def wrap(self, confinement: Confinement, order: Any) -> Any:
            raise NotImplementedError  # nothing is started here

    monkeypatch.setattr(base, "_load", lambda name: Means())
    monkeypatch.setattr(base, "_problems", {})
    assert [base.problem("means"), base.problem("means")] == ["it does not"] * 2
    assert (tried, base.working()) == (["means"], ())
    base.expect(["means", "told"])
    assert base.problem("means") == "it does not", "who has tried it knows better"
    assert base.problem("told") is None
    assert (tried, base.working()) == (["means"], ("told",))


def test_where_there_is_none_requiring_one_is_an_error_with_the_reasons_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "bubblewrap", "namespaces", "landlock")
    assert strongest().name == "none"
    with pytest.raises(
        errors.PluginMissing, match="bubblewrap: no bubblewrap today; namespaces: no namespaces"
    ) as told:
        base.require()
    assert "apt-get install bubblewrap" in str(told.value.hint)
    monkeypatch.setenv(base.REQUIRED, "1")
    with pytest.raises(errors.PluginMissing, match="a sandbox is required"):
        strongest()


def test_one_that_is_named_is_used_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "landlock")
    monkeypatch.setenv(base.CHOICE, "none")
    assert strongest().name == "none"
    with pytest.raises(errors.PluginMissing, match="DYNOLAB_SANDBOX is none"):
        strongest(required=True)
    monkeypatch.setenv(base.CHOICE, "landlock")
    with pytest.raises(errors.PluginMissing, match="no landlock today"):
        strongest()
    monkeypatch.setenv(base.CHOICE, "chroot")
    with pytest.raises(errors.SpecInvalid, match="'chroot', and there is no such sandbox") as told:
        strongest()
    assert "namespaces" in str(told.value.hint)


def test_python_s_own_folders_are_shown_and_no_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, library, common = tmp_path / "home", tmp_path / "library", tmp_path / "common"
    for folder in (home, library, common):
        folder.mkdir()
    common.chmod(0o777)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(sys, "path", [*sys.path, str(home), str(tmp_path), str(library), str(common), "/", "/root"])
    found = confine_python()
    assert library in found
    assert not {home, tmp_path, common, Path("/"), Path("/root"), Path("/home"), Path("/etc")} & set(found)
    for needed in (sys.prefix, sys.base_prefix, str(base.OURS), os.__file__):
        assert any(Path(needed).is_relative_to(one) for one in found)


def test_a_path_over_links_is_there_by_both_names_and_parents_come_first(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "work").mkdir(parents=True)
    (real / "model").write_text("x")
    (tmp_path / "link").symlink_to(real)
    binds = bindings(
        Confinement(
            writable=(tmp_path / "link" / "work",), readable=(real, tmp_path / "link" / "model", tmp_path / "gone")
        )
    )
    assert binds == [
        (str(tmp_path / "link" / "model"), str(tmp_path / "link" / "model"), False),
        (str(tmp_path / "link" / "work"), str(tmp_path / "link" / "work"), True),
        (str(real), str(real), False),
        (str(real / "work"), str(real / "work"), True),
    ]


def test_only_plain_files_are_left_and_they_can_be_read(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "kept").write_text("x")
    (inner / "kept").chmod(0)
    (inner / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "one").write_text("y")
    os.link(tmp_path / "one", tmp_path / "two")
    inner.chmod(0)
    tidy([tmp_path])
    assert sorted(path.name for path in tmp_path.rglob("*")) in (["inner", "kept", "one"], ["inner", "kept", "two"])
    assert (inner / "kept").read_text() == "x"


def test_a_sandbox_tells_its_name_and_what_it_keeps() -> None:
    assert base.told(strongest()).startswith(strongest().name)
    none = plugins.load(base.PACKAGE, "none")
    assert isinstance(none, Sandbox)
    assert base.told(none) == "none (the model runs unconfined)"
