"""Formats and runtimes of outside distributions: used, carried to where they are not installed, and told where they are broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dynolab import formats
from dynolab.agent.offer import ask
from dynolab.errors import ModelInvalid, PluginMissing, SpecInvalid
from dynolab.formats import Format, Mark
from dynolab.spec import codec
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import Profile
from dynolab.testing.commands import command
from dynolab.testing.databases import Databases
from dynolab.testing.outside import SCALE, distribution
from dynolab.testing.waiting import until

BROKEN = {
    "no_module": ("", "dynolab.runtimes", "no_such_module_of_theirs:plugin"),
    "at_import": ("import sys\nsys.exit(3)", "dynolab.runtimes", "at_import:plugin"),
    "no_runtime": ("plugin = 5", "dynolab.runtimes", "no_runtime:plugin"),
    "half": (
        "from dynolab.runtimes.base import Runtime\nclass Half(Runtime):\n    name = 'half'\nplugin = Half()",
        "dynolab.runtimes",
        "half:plugin",
    ),
    "other_name": (SCALE, "dynolab.runtimes", "other_name:plugin"),
    "theirs": ("plugin = 5", "dynolab.runtimes", "theirs:plugin"),
    "no_format": ("format = '.abc'", "dynolab.formats", "no_format:format"),
    "greedy": (
        "from dynolab.formats import Format\nformat = Format('greedy', ('.onnx',))",
        "dynolab.formats",
        "greedy:format",
    ),
}
"""Source, group and entry point of distributions that cannot be used."""
WHY = {
    "no_module": "no_such_module_of_theirs",
    "at_import": "SystemExit: 3",
    "no_runtime": "is no Runtime, but int",
    "half": "the runtime class Half of half lacks formats, distributions, units, row, describe",
    "other_name": "calls itself 'scale'",
    "null of theirs": "another runtime has its name",
    "no_format (format)": "is no Format, but str",
    "greedy (format)": "wants the ending .onnx, which is another format's: ONNX",
}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good distribution, and several broken ones beside it."""
    folder = tmp_path_factory.mktemp("plugins")
    groups = {
        "dynolab.runtimes": {"scale": "dynolab_scale:plugin"},
        "dynolab.formats": {"scale": "dynolab_scale:format"},
    }
    distribution(folder, "dynolab-scale", SCALE, groups)
    for name, (source, group, value) in BROKEN.items():
        distribution(folder, name, source, {group: {"null" if name == "theirs" else name: value}})
    return folder


def dynolab(plugins: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line where the distributions are installed."""
    environment = {**os.environ, "PYTHONPATH": str(plugins)}
    words = [sys.executable, "-m", "dynolab.cli.main", *arguments]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def measured(plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a profile of a model of the outside format was written to."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "net.scl").write_text("SCALE 1")
    (folder / "net.wgt").write_text("3")
    options = "--max_profiler_iterations 1 --repeats 1"
    done = dynolab(plugins, "profile", str(folder / "net.scl"), "--options", options, "-o", str(folder / "out"))
    assert done.returncode == 0, done.stderr
    return folder


def test_a_model_of_an_outside_format_is_measured(measured: Path) -> None:
    document = json.loads((measured / "out" / "profile.json").read_text())
    profile = codec.decode(Profile, document)
    assert (profile.model.format, profile.runtime.name) == ("scale", "scale")
    assert [one.path for one in profile.model.files] == ["net.scl", "net.wgt"]
    assert profile.inference.time is not None


@pytest.mark.parametrize("form", ["text", "html", "markdown", "json"])
def test_its_profile_is_shown_where_the_format_is_not_known(measured: Path, form: str, tmp_path: Path) -> None:
    assert formats.by_name("scale") is None
    done = command("report", str(measured / "out" / "profile.json"), "--format", form)
    assert done.returncode == 0, done.stderr
    assert "scale" in done.stdout


def test_its_profile_is_compared_where_the_format_is_not_known(measured: Path) -> None:
    document = str(measured / "out" / "profile.json")
    done = command("compare", document, document)
    assert done.returncode == 0, done.stderr


def test_a_file_of_it_that_does_not_hold_it_is_refused(plugins: Path, measured: Path, tmp_path: Path) -> None:
    (tmp_path / "net.scl").write_text("something else")
    refused = dynolab(plugins, "profile", str(tmp_path / "net.scl"))
    assert refused.returncode == 2
    assert "net.scl does not hold the mark SCALE of Scale" in refused.stderr
    (tmp_path / "net.scl").write_text("SCALE 1")
    refused = dynolab(plugins, "profile", str(tmp_path / "net.scl"))
    assert refused.returncode == 2
    assert "net.wgt is missing beside net.scl" in refused.stderr


def test_without_the_distribution_the_ending_is_refused_with_those_that_are_known(measured: Path) -> None:
    refused = command("profile", str(measured / "net.scl"))
    assert refused.returncode == 2
    assert "net.scl has no ending that dynolab knows" in refused.stderr
    assert ".onnx" in refused.stderr


def test_a_broken_plugin_is_a_row_and_the_end_of_nothing_else(plugins: Path) -> None:
    listed = dynolab(plugins, "runtimes", "--json")
    assert listed.returncode == 0, listed.stderr
    rows = {row["name"]: row for row in json.loads(listed.stdout)}
    assert rows["scale"]["unavailable"] is None
    assert rows["null"]["unavailable"] is None
    for name, words in WHY.items():
        assert words in rows[name]["unavailable"], rows[name]
    shown = dynolab(plugins, "runtimes")
    assert shown.returncode == 0
    assert "SystemExit" in shown.stdout


def test_an_agent_offers_what_works_and_how_its_files_end(plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(plugins))
    attributes = ask().attributes
    assert "runs:scale/scale" in attributes
    assert "ending:.scl/scale" in attributes
    assert not [one for one in attributes if any(name in one for name in BROKEN)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "Foo Bar"}, "'Foo Bar' is no name of a model format"),
        ({"endings": ".foo"}, "has no endings: '.foo'"),
        ({"endings": ()}, "has no endings"),
        ({"endings": ("foo",)}, "'foo' is no ending"),
        ({"endings": (".zip",)}, "'.zip' is no ending"),
        ({"beside": ".bin"}, "'.bin' are no endings"),
        ({"beside": ("/etc/x",)}, "'/etc/x' is no ending"),
        ({"marks": (b"FOO1",)}, "are no marks"),
        ({"marks": (Mark("FOO1"),)}, "are no marks"),  # type: ignore[arg-type] # what a stranger may write
        ({"runtime": "a b"}, "'a b' is no name of a runtime"),
    ],
)
def test_a_declaration_that_cannot_be_used_says_what_is_wrong(fields: dict[str, object], words: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        Format(**{"name": "foo", "endings": (".foo",), **fields})  # type: ignore[arg-type] # as above
    assert words in refused.value.message
    assert refused.value.hint


def test_the_runtime_of_a_format_that_names_none_is_the_only_one_that_takes_it() -> None:
    kind = ModelFormat("nobodys")
    assert formats.preferred(kind, lambda: ["mine"]) == "mine"
    with pytest.raises(SpecInvalid, match="several runtimes take nobodys models: a, b"):
        formats.preferred(kind, lambda: ["a", "b"])
    with pytest.raises(PluginMissing, match="no runtime here takes nobodys models"):
        formats.preferred(kind, list)


@pytest.mark.slow
def test_a_hub_and_a_client_that_know_nothing_of_the_format_have_a_device_measure_it(
    plugins: Path, measured: Path, databases: Databases, tmp_path: Path
) -> None:
    from dynolab.client.client import Client
    from dynolab.client.settings import ClientConfig
    from dynolab.testing.running_hub import running_hub

    environment = {
        "PYTHONPATH": str(plugins),
        "DYNOLAB_DATABASE_URL": databases.new().dsn,
        "DYNOLAB_STATE": str(tmp_path / "state"),
        "DYNOLAB_WORKSPACE": str(tmp_path / "work"),
    }
    model = tmp_path / "net"
    model.mkdir()
    for file in ("net.scl", "net.wgt"):
        (model / file).write_bytes((measured / file).read_bytes())
    with running_hub(tmp_path / "hub", environment=environment) as hub:
        client = Client(ClientConfig(hub.token, hub.url, verbose=False))
        device = until(client.get_devices, "this machine's agent")[0]
        job = client.submit_profile_job(model, device, options="--repeats 1")
        assert job.wait().success, job.get_status().message
        assert job.model.document["kind"] == "scale"
        with pytest.raises(ModelInvalid, match="holds no model") as refused:
            client.upload_model(hub.ini)
        assert ".scl" in (refused.value.hint or "")
        client.close()
