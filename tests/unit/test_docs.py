"""What is offered is documented, and what is documented is there. Everything is discovered, nothing is listed by hand."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, fields
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import click
import pytest

import dynolab
from dynolab import errors, plugins
from dynolab.cli import _output, _parse
from dynolab.cli.main import cli
from dynolab.formats import EXTENSIONS
from dynolab.hub.settings import SETTINGS
from dynolab.measure import (
    duet,
    duet_memory,
    duet_memory_ratio,
    duet_ratio,
    energy_figures,
    energy_pass,
    figures,
    inputs,
    layer_pass,
    layer_times,
    plan,
    time_range,
    timed_loop,
    turns,
    verdict_rules,
    warmup,
)
from dynolab.measure.executor import process
from dynolab.measure.readings.base import Reading
from dynolab.report.base import Report
from dynolab.runtimes import base
from dynolab.runtimes.base import Runtime
from dynolab.runtimes.null import NullModel
from dynolab.spec import (
    compare,
    compare_layers,
    compare_memory,
    compile_options,
    facts,
    measurements,
    options,
    profiles,
    quantize_options,
    requirements,
    stats,
)
from dynolab.spec.chipsets import CHIPSETS
from dynolab.spec.input_shapes import parse_shapes
from dynolab.spec.option_grammar import KnownOption, OptionValue
from dynolab.testing.outside import distribution
from dynolab.toolchains._quantizers.base import PACKAGE as QUANTIZERS
from dynolab.toolchains._quantizers.base import Quantizer
from dynolab.toolchains.base import EXTRAS, PACKAGE, Toolchain

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
IDS = [page.name for page in PAGES]
LIMITS: list[ModuleType] = [
    duet,
    duet_memory,
    duet_memory_ratio,
    duet_ratio,
    energy_figures,
    energy_pass,
    turns,
    plan,
    process,
    figures,
    layer_pass,
    layer_times,
    time_range,
    timed_loop,
    verdict_rules,
    warmup,
    base,
    measurements,
    stats,
    compare,
    compare_layers,
    compare_memory,
    profiles,
]
"""Modules whose numbers decide what is reported."""

Kind = TypeVar("Kind")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


README, COMMANDS, MEASURING, STAGES, RUNTIMES, TOOLCHAINS = (
    page(name)
    for name in (
        "README.md",
        "docs/commands.md",
        "docs/measuring.md",
        "docs/how-it-works.md",
        "docs/runtimes.md",
        "docs/toolchains.md",
    )
)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above; "" when there is no such heading."""
    level, lines, inside, fenced = heading.index(" "), [], False, False
    for line in text.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        marks = "" if fenced else line.partition(" ")[0]
        if marks and not marks.strip("#"):
            if inside and len(marks) <= level:
                break
            inside = inside or line.rstrip() == heading
        elif inside:
            lines.append(line)
    return "".join(lines)


def rows(text: str) -> dict[str, list[str]]:
    """Cells of all table rows by their first cell, without its backticks."""
    lines = (line.strip("| ").split(" | ") for line in text.replace("|  |", "|   |").splitlines() if line[:1] == "|")
    return {cells[0].strip().replace("`", ""): [cell.strip() for cell in cells] for cells in lines}


def fences(text: str, language: str) -> list[str]:
    """Contents of the code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def found(package: str, kind: type[Kind]) -> list[tuple[str, Kind]]:
    plugged = [(name, plugins.load(package, name)) for name in plugins.names(package)]
    return [(name, plugin) for name, plugin in plugged if isinstance(plugin, kind)]


def missing(names: Iterable[str], text: str, wrap: Callable[[str], str] = lambda name: f"`{name}`") -> list[str]:
    return [name for name in names if wrap(name) not in text]


# ---- the command line ------------------------------------------------------------------------------------------------

NAMES = cli.list_commands(click.Context(cli))


def command(name: str) -> click.Command:
    made = cli.get_command(click.Context(cli), name)
    assert made is not None
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_option_is_named(name: str) -> None:
    text = section(COMMANDS, f"## `dynolab {name}`")
    assert text, f"docs/commands.md has no section for dynolab {name}"
    lines = [line for line in text.splitlines() if line.startswith("|")]
    for option in (param for param in command(name).params if isinstance(param, click.Option)):
        line = next((line for line in lines if f"`{option.opts[-1]}`" in line), "")
        assert not missing(option.opts, line), f"dynolab {name} {option.opts[-1]} is not documented"
        if isinstance(option.default, int) and not option.is_flag:
            assert f"| {option.default} |" in line


def test_options_of_the_whole_command_are_named() -> None:
    assert not missing([opt for param in cli.params for opt in param.opts], COMMANDS, lambda name: f"{name}`")


def test_every_exit_status_is_named() -> None:
    for text in (section(COMMANDS, "## Errors and exit codes"), section(README, "## Output")):
        statuses = set(map(str, {kind.exit_code for kind in error_tree()} | {0, 1, 130}))
        assert statuses <= set(rows(text))


def test_public_names_and_arguments_are_named() -> None:
    text = section(COMMANDS, "## From Python")
    assert not missing(dynolab.__all__, text, lambda name: f"dynolab.{name}")
    assert not missing(list(inspect.signature(dynolab.profile).parameters)[1:], text)


# ---- options, figures, settings, errors ------------------------------------------------------------------------------


def written(value: OptionValue | None) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("option", options.OPTIONS, ids=lambda option: option.path)
def test_every_job_option_is_named(option: KnownOption) -> None:
    heading = "### Options of their own" if option.group is None else f"### `--{option.group}`"
    cells = rows(section(COMMANDS, heading)).get(option.name if option.group else f"--{option.name}", [])
    assert cells, f"{option.written} is not documented"
    assert not missing(option.allowed, cells[1])
    assert cells[2:4] == [written(option.hub_default), options.NO_EFFECT if option.idle else written(option.default)]
    assert cells[4] == readers(option)


def readers(option: KnownOption) -> str:
    """The runtimes that say they read an option."""
    if option.name in (
        "compute_unit",
        "max_profiler_iterations",
        "max_profiler_time",
        "repeats",
        "sustained",
        "runtime",
    ):
        return "all runtimes"
    named = [name for name, runtime in found("dynolab.runtimes", Runtime) if option.read_by(runtime.option_groups)]
    assert bool(named) != option.idle
    return ", ".join(named) or "none here" + (f" (needs {option.needs})" if option.needs else "")


@pytest.mark.parametrize(
    "option", [one for one in compile_options.OPTIONS if one.group is None], ids=lambda option: option.path
)
def test_every_option_of_compile_jobs_is_named(option: KnownOption) -> None:
    cells = rows(section(COMMANDS, "## Options of compile jobs")).get(f"--{option.name}", [])
    assert cells, f"{option.written} is not documented"
    assert not missing(option.allowed, cells[1])
    assert cells[2:4] == [written(option.hub_default), written(option.default)]
    named = [name for name, one in found(PACKAGE, Toolchain) if option.name in (*one.options, "target_runtime")]
    assert cells[4] == (", ".join(named) or "none yet")


@pytest.mark.parametrize("option", quantize_options.OPTIONS, ids=lambda option: option.path)
def test_every_option_of_quantize_jobs_is_named(option: KnownOption) -> None:
    cells = rows(section(COMMANDS, "## Options of quantize jobs")).get(option.written, [])
    assert cells, f"{option.written} is not documented"
    assert not missing(option.allowed, cells[1])
    assert cells[2:4] == [written(option.hub_default), written(option.default)]
    named = [name for name, one in found(QUANTIZERS, Quantizer) if (option.group or option.name) in one.options]
    assert cells[4] == (", ".join(named) or "none yet")


@pytest.mark.parametrize(("name", "quantizer"), found(QUANTIZERS, Quantizer))
def test_every_quantizer_is_named(name: str, quantizer: Quantizer) -> None:
    (line,) = [line for line in section(TOOLCHAINS, "## Quantising").splitlines() if line.startswith(f"| `{name}` |")]
    extras = {f"`dynolab[{EXTRAS.get(one, 'compile')}]`" for one in quantizer.needs}
    assert extras == set(re.findall(r"`dynolab\[\w+\]`", line))
    assert all(f"{weights}/{activations}" in line for weights, activations in quantizer.types)


def test_every_figure_is_named() -> None:
    table = rows(section(COMMANDS, "## Requirements and figures"))
    for fact in facts.FACTS:
        assert fact.key in table, f"the figure {fact.key} is not documented"
        assert not missing(fact.aliases, table[fact.key][1])


def test_every_environment_variable_is_named() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    used = {name for text in sources for name in re.findall(r"\bDYNOLAB_[A-Z_]+\b", text)}
    used |= {one.variable for one in SETTINGS}
    named = rows(section(COMMANDS, "## Settings"))
    assert used <= {name for cell in named for name in cell.split(", ")}


def test_every_setting_of_the_hub_is_named() -> None:
    table = rows(section(page("docs/hub.md"), "## Settings"))
    assert [name for name in table if name in {one.name for one in SETTINGS}] == [one.name for one in SETTINGS]
    for one in SETTINGS:
        _, variable, default, meaning = table[one.name]
        assert variable == f"`{one.variable}`"
        assert default == ("`hub` in the user's data folder" if one.name == "data" else one.shown(one.default))
        assert meaning == one.text + (f" (`{one.option}`)" if one.option else "")


def error_tree(root: type[errors.Error] = errors.Error) -> Iterator[type[errors.Error]]:
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from error_tree(child)


@pytest.mark.parametrize("kind", list(error_tree()), ids=lambda kind: kind.__name__)
def test_every_error_is_named(kind: type[errors.Error]) -> None:
    cells = rows(section(COMMANDS, "## Errors and exit codes")).get(kind.__name__, [])
    assert cells[1:3] == [kind.blame, str(kind.exit_code)]


# ---- plug-ins --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "runtime"), found("dynolab.runtimes", Runtime))
def test_every_runtime_is_named(name: str, runtime: Runtime) -> None:
    assert f"`{name}`" in README
    assert section(RUNTIMES, f"## `{name}`"), f"docs/runtimes.md has no section for {name}"
    extras = tomllib.loads(page("pyproject.toml"))["project"]["optional-dependencies"]
    assert f"`dynolab[{name}]`" in RUNTIMES or name not in extras
    stages = [runtime.row_of(kind) for kind in runtime.formats]
    told = [part for row in stages for part in (row.artifact, row.wiped, row.lazy) if part]
    assert not missing(told, STAGES, str), "how-it-works.md tells the stages otherwise than the runtime does"


@pytest.mark.parametrize(("name", "runtime"), found("dynolab.runtimes", Runtime))
def test_every_option_of_a_runtimes_own_is_named(name: str, runtime: Runtime) -> None:
    table = rows(section(RUNTIMES, f"## `{name}`"))
    for option in runtime.options:
        cells = table.get(option.name, [])
        assert cells, f"--{name}_options {option.name} is not documented"
        assert not missing(option.allowed or [option.takes], cells[1], str)
        assert cells[3] == option.text
        assert option.default is None or cells[2] == written(option.default)


@pytest.mark.parametrize(("name", "toolchain"), found(PACKAGE, Toolchain))
def test_every_target_is_named(name: str, toolchain: Toolchain) -> None:
    told = [line for line in section(TOOLCHAINS, "## Targets").splitlines() if line.startswith(f"| `{name}` |")]
    assert len(told) == len(toolchain.sources)
    extras = {EXTRAS.get(one, "compile") for needed in toolchain.sources.values() for one in needed}
    assert extras <= tomllib.loads(page("pyproject.toml"))["project"]["optional-dependencies"].keys()
    for line, needed in zip(told, toolchain.sources.values(), strict=True):
        assert {f"`dynolab[{EXTRAS.get(one, 'compile')}]`" for one in needed} == set(
            re.findall(r"`dynolab\[\w+\]`", line)
        )


def test_every_format_is_named() -> None:
    assert not missing(EXTENSIONS, RUNTIMES)
    assert not missing(EXTENSIONS, section(COMMANDS, "## `dynolab profile`"))
    assert not missing([field.name for field in fields(NullModel)], section(RUNTIMES, "## `null`"))


@pytest.mark.parametrize(("name", "report"), found("dynolab.report", Report))
def test_every_report_is_named(name: str, report: Report) -> None:
    cells = rows(section(COMMANDS, "## Reports")).get(name, [])
    assert cells[1:3] == [f"`{report.file_name}`", report.description]
    assert cells[-1] == ("yes" if name in _output.WRITTEN else "no")
    wanted = report.file_name if name in _output.WRITTEN else name
    assert f"`{wanted}`" in section(README, "## Output")


@pytest.mark.parametrize(("name", "reading"), found("dynolab.measure.readings", Reading))
def test_every_reading_is_named(name: str, reading: Reading) -> None:
    table = rows(section(MEASURING, "### Readings"))
    for field, about in reading.fields.items():
        assert table.get(f"{name}.{field}", [])[1:] == [about.kind, about.unit, about.text]


# ---- measuring.md ----------------------------------------------------------------------------------------------------


def numbers(module: ModuleType) -> dict[str, int | float]:
    """The public constants of a module that are numbers and its own."""
    own = set(re.findall(r"^([A-Z][A-Z0-9_]*)(?:: .*)? = ", inspect.getsource(module), flags=re.MULTILINE))
    values = {name: getattr(module, name) for name in own}
    return {name: value for name, value in values.items() if type(value) in (int, float)}


@pytest.mark.parametrize("module", LIMITS, ids=lambda module: module.__name__)
def test_every_threshold_is_named_with_its_value(module: ModuleType) -> None:
    table = section(MEASURING, "## 7. Thresholds")
    for name, value in numbers(module).items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
        assert f"| `{name}` | {shown} |" in table, f"{module.__name__}.{name} = {shown} is not in docs/measuring.md"


def test_every_condition_is_named() -> None:
    assert list(verdict_rules.CONDITIONS) == [
        name for name in rows(section(MEASURING, "### Conditions")) if "_" in name
    ]


def test_every_way_of_feeding_a_model_is_named() -> None:
    table = rows(section(MEASURING, "### Inspection"))
    for number, candidate in enumerate(inputs.CANDIDATES, 1):
        low, high = candidate.integers
        assert table.get(str(number), [])[1:] == [f"{low} to {high}", str(candidate.sequence)]


# ---- links -----------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", without_code(path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", title).lower()).replace(" ", "-") for title in titles
    }


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_relative_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{path.name}: {link} leads out of the repository"
        assert not anchor or anchor in anchors(target), f"{path.name}: {link} names no heading"


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_every_page_is_reached_from_the_readme(path: Path) -> None:
    assert path.name == "README.md" or f"]({path.relative_to(ROOT).as_posix()}" in README


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_extras_that_are_named_exist(path: Path) -> None:
    extras = tomllib.loads(page("pyproject.toml"))["project"]["optional-dependencies"]
    assert set(re.findall(r"dynolab\[(\w+)\]", path.read_text(encoding="utf-8"))) <= set(extras)


# ---- code blocks -----------------------------------------------------------------------------------------------------


def shell_lines() -> list[tuple[str, str]]:
    """Page and command of every line in the shell blocks; lines that a backslash continues are one."""
    return [
        (path.name, line)
        for path in PAGES
        for block in fences(path.read_text(encoding="utf-8"), "sh")
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def test_there_are_shell_lines() -> None:
    assert len([line for name, line in shell_lines() if name == "README.md"]) >= 8


@pytest.mark.parametrize(("name", "line"), shell_lines())
def test_shell_lines_name_what_is_there(name: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    words = words[: next((index for index, word in enumerate(words) if word in ("|", ">")), len(words))]
    if words[0].startswith("script/"):
        text = page(words[0])
        assert all(word in text for word in words[1:] if word.startswith("--"))
    elif words[0] == "dynolab" and "[OPTIONS]" not in words:
        check_command(words[1:])


def check_command(words: list[str]) -> None:
    """Parse a command line as click does, and then what it hands on."""
    assert words[0] in NAMES
    given = command(words[0]).make_context(words[0], words[1:]).params
    read = {"compile": compile_options.parse, "quantize": quantize_options.parse}.get(words[0], options.parse)
    read(given.get("options") or "")
    _parse.specs(given.get("specs", ()))
    parse_shapes(given.get("shapes", ())), _parse.ranges(given.get("ranges", ())), _parse.files(given.get("files", ()))
    _parse.size(given.get("memory_limit") or "1MB")
    for text in given.get("requirements", ()):
        requirements.parse(text)
    assert set(given.get("runtimes", ())) <= {*plugins.names("dynolab.runtimes"), "reference"}
    assert given.get("form", "text") in plugins.names("dynolab.report")
    model = str(given.get("model", ""))
    assert not model.startswith("examples/") or (ROOT / model).is_file()


def test_options_in_prose_can_be_read() -> None:
    for path in PAGES:
        for text in re.findall(r"`--options ('[^`]*'|\"[^`]*\")`", path.read_text(encoding="utf-8")):
            options.parse(shlex.split(text)[0])
        for text in re.findall(r'`--require "([^`]*[0-9][^`]*)"`', path.read_text(encoding="utf-8")):
            requirements.parse(text)


@pytest.mark.parametrize("path", PAGES, ids=IDS)
def test_python_blocks_are_python_and_call_what_is_there(path: Path) -> None:
    known = set(inspect.signature(dynolab.profile).parameters)
    for block in fences(path.read_text(encoding="utf-8"), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "dynolab.profile":
                assert {keyword.arg for keyword in node.keywords} <= known


# ---- the runtime in docs/runtimes.md ---------------------------------------------------------------------------------

OWN = section(RUNTIMES, "## Write your own runtime in one file")
OF_OWN_FORMAT = section(RUNTIMES, "## A runtime with a format, an artifact, layers and an option of its own")
EXAMPLES = {"reference": OWN, "dense": OF_OWN_FORMAT}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_runtime_on_the_page_is_one(name: str) -> None:
    space: dict[str, object] = {"__name__": f"dynolab_{name}"}
    exec(compile(fences(EXAMPLES[name], "python")[0], "runtimes.md", "exec"), space)
    assert isinstance(space["plugin"], Runtime)
    assert f'{name} = "dynolab_{name}:plugin"' in fences(EXAMPLES[name], "toml")[0]


def installed_from(page: str, folder: Path, name: str) -> dict[str, str]:
    """The page's module and metadata as an outside distribution, and its suite; the environment that has it."""
    runtime, suite = fences(page, "python")
    project = tomllib.loads(fences(page, "toml")[0])["project"]
    distribution(folder, project["name"], runtime, project["entry-points"])
    (folder / f"test_{name}.py").write_text(suite, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PYTHONPATH": str(folder), "PATH": path}


@pytest.mark.parametrize("name", [pytest.param("reference", marks=pytest.mark.slow), "dense"])
def test_the_runtime_on_the_page_keeps_the_contract(tmp_path: Path, name: str) -> None:
    if name == "reference":
        pytest.importorskip("onnx")
    environment = installed_from(EXAMPLES[name], tmp_path, name)
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # the suite needs none, and to import all takes seconds
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / f"test_{name}.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_commands_for_the_runtime_on_the_page_do_what_it_says(tmp_path: Path) -> None:
    environment = installed_from(OF_OWN_FORMAT, tmp_path, "dense")
    said = []
    for line in fences(OF_OWN_FORMAT, "sh")[0].splitlines():
        quick = ["-o", "out", "--repeats", "1"] if " profile " in line else []
        command = [*shlex.split(line), *quick]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        said.append(ran.stdout)
    assert re.search(r"^dense +dense +numpy ", said[1], re.MULTILINE)
    found = json.loads((tmp_path / "out" / "profile.json").read_text(encoding="utf-8"))
    assert found["runtime"]["effective"]["precision"] == "float64"
    assert [one["name"] for one in found["layers"]["layers"]] == ["dense 0", "dense 1"]
    assert found["model"]["format"] == "dense"


def test_the_candidates_of_the_inspection_are_those_of_the_definition() -> None:
    told = [cells[1:] for number, cells in rows(section(MEASURING, "### Inspection")).items() if number.isdigit()]
    assert told == [[f"{low} to {high}", str(length)] for (low, high), length in map(astuple, inputs.CANDIDATES)]


def test_every_chipset_is_named() -> None:
    table = rows(section(TOOLCHAINS, "### Qualcomm's NPU"))
    for one in CHIPSETS:
        yes = ["yes" if told else "no" for told in (one.computes_floats, one.shares_weights)]
        names = ", ".join(f"`{name}`" for name in one.names)
        assert table[one.name.lower()][1:] == [str(one.soc_model), one.hexagon, names, *yes]
