"""The texts of the pages: each is said once, each that is asked for is there, and every language says all that English does."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("fluent.runtime")

from fluent.syntax import ast as fluent
from fluent.syntax import parse
from jinja2 import nodes

import dynolab
from dynolab import plugins
from dynolab.hub.pages import texts
from dynolab.hub.pages.rendering import TEMPLATES
from dynolab.hub.pages.texts import report_id
from dynolab.report.html.compiled import compiled_view
from dynolab.report.html.environment import TEMPLATES as REPORT
from dynolab.report.html.environment import environment
from dynolab.report.html.sides import sides
from dynolab.report.html.tables import Badge
from dynolab.report.html.view import view
from dynolab.report.json import load
from dynolab.spec import compile_options
from dynolab.spec.facts import FACTS, STAGE_TITLES
from dynolab.spec.glossary import DEFINITIONS
from dynolab.spec.measurements import ComputeUnit, Notice
from dynolab.spec.option_grammar import Kind
from dynolab.spec.options import OPTIONS
from dynolab.spec.profiles import Profile
from dynolab.testing.sample import disturbed_table, noisy_profile, sample_profile, unmeasured_profile
from dynolab.testing.sample_compiled import sample_compiled

LANGUAGES = sorted(texts.FOLDER.glob("*.ftl"))
OTHERS = [file for file in LANGUAGES if file.stem != texts.DEFAULT]
NAMED = re.compile(r"""\bt\((?:"([\w-]+)"|'([\w-]+)')\s*[,)]""")
SOURCE = Path(dynolab.__file__).parent
OF_THE_REPORT = ("report-", "def-")
OF_RUNTIMES = {"NPU allocated"}
"""Titles made of a runtime's own keys stay as the runtime wrote them."""


TYPED = (Kind.INTEGER.value, Kind.NUMBER.value, Kind.WORDS.value)
"""What fields for options take that are no lists of words."""


def ids(file: Path) -> list[str]:
    return re.findall(r"^([a-z][\w-]*) *=", file.read_text(encoding="utf-8"), re.MULTILINE)


@cache
def messages(file: Path) -> dict[str, set[str]]:
    """The variables that each text of a language is filled with."""
    body = parse(file.read_text(encoding="utf-8")).body
    assert [entry.content for entry in body if isinstance(entry, fluent.Junk)] == []
    return {entry.id.name: set(_variables(entry)) for entry in body if isinstance(entry, fluent.Message)}


def _variables(node: object) -> Iterator[str]:
    if isinstance(node, fluent.VariableReference):
        yield node.id.name
    if isinstance(node, list):
        for one in node:
            yield from _variables(one)
    elif isinstance(node, fluent.BaseNode):
        for one in vars(node).values():
            yield from _variables(one)


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_no_text_is_said_twice(file: Path) -> None:
    assert [name for name, count in Counter(ids(file)).items() if count > 1] == []


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.stem)
def test_every_language_says_what_english_does_with_the_same_variables(file: Path) -> None:
    english = messages(texts.FOLDER / f"{texts.DEFAULT}.ftl")
    own = {name: found for name, found in messages(file).items() if not name.startswith(OF_THE_REPORT)}
    assert set(own) ^ set(english) == set()
    assert {name: found for name, found in own.items() if found != english[name]} == {}


def test_every_text_that_a_page_names_is_there() -> None:
    english = set(ids(texts.FOLDER / f"{texts.DEFAULT}.ftl"))
    files = [*TEMPLATES.glob("*.j2"), *TEMPLATES.parent.rglob("*.py")]
    named = {
        (file.name, one or other) for file in files for one, other in NAMED.findall(file.read_text(encoding="utf-8"))
    }
    assert len(named) > 100
    assert sorted((file, name) for file, name in named if name not in english) == []


def answers() -> Iterator[Profile]:
    """Profiles that between them are answered with all the words that stand first in a report, and on its cards."""
    base = sample_profile()
    yield sample_profile(layers=disturbed_table())
    threads = {"intra_op_num_threads": "0 (one for each physical core: 2)"}
    yield sample_profile(runtime=replace(base.runtime, effective=threads))
    yield load((Path(__file__).parents[2] / "data" / "first_schema.json").read_text(encoding="utf-8"))
    for count in (1, 2):
        alone = tuple(replace(layer, compute_unit=ComputeUnit.CPU) for layer in base.layers.layers[:count])
        yield sample_profile(layers=replace(base.layers, layers=alone))
    assert base.inference.time is not None
    yield sample_profile(inference=replace(base.inference, time=replace(base.inference.time, p99_ns=9_900_000)))
    inputs = tuple(replace(base.inputs[0], spec=replace(base.inputs[0].spec, name=f"x{number}")) for number in range(9))
    chosen = "x0: dimension 0 (?) is unbound, 1 was taken (the batch)"
    yield sample_profile(inputs=inputs)
    yield sample_profile(inputs=inputs, notices=(Notice("info", "default-shape", chosen),))


@cache
def said() -> dict[str, set[str]]:
    """All that the report's words and figures can be said of, with the values that fill them."""
    found: dict[str, set[str]] = {}

    def say(words: str, /, **values: object) -> str:
        found.setdefault(words, set(values))
        return words.format(**values) if values else words

    made = environment(TEMPLATES, language="other", say=say)
    body = made.from_string(
        '{% from "_profile.j2" import profile_body %}{% from "_strip.j2" import answer_strip %}'
        "{{ answer_strip(shown, 2) }}{{ profile_body(shown, 2) }}"
    )
    for profile in (sample_profile(), noisy_profile(), unmeasured_profile(), *answers()):
        body.render(shown=view(profile, "sample", 1, many=False, say=say))
    sides([sample_profile(), noisy_profile()], say=say)
    compiled_view(sample_compiled(), say)
    for template in [
        *TEMPLATES.glob("*.j2"),
        *(REPORT / f"_{name}.j2" for name in ("charts", "layers", "macros", "profile", "setup", "strip")),
    ]:
        for call in made.parse(template.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in ("say", "say_around"):
                words = _choices(call.args[0])
                found |= {one: {argument.key for argument in call.kwargs} for one in words}
    for word in (
        *(one.title for one in FACTS),
        *STAGE_TITLES.values(),
        *(one.text for one in (*OPTIONS, *compile_options.OPTIONS)),
        *TYPED,
    ):
        say(word)
    for name in plugins.names("dynolab.measure.readings"):
        for field in plugins.load("dynolab.measure.readings", name).fields.values():  # type: ignore[attr-defined]
            say(field.text)
    for name in plugins.names("dynolab.report"):
        say(plugins.load("dynolab.report", name).description)  # type: ignore[attr-defined]
    for word in ("clean", "noisy", "invalid", "not measured", "met", "not met", "cannot tell"):
        say(Badge(word).word)
    return {words: values for words, values in found.items() if words and words not in OF_RUNTIMES}


def _choices(argument: nodes.Expr) -> list[str]:
    """The constant words of an argument: one, or the two that a condition chooses from."""
    if isinstance(argument, nodes.CondExpr):
        return [word for one in (argument.expr1, argument.expr2) if one is not None for word in _choices(one)]
    return [argument.value] if isinstance(argument, nodes.Const) else []


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.stem)
def test_every_word_of_the_report_can_be_said_in_every_language(file: Path) -> None:
    known = messages(file)
    assert len(said()) > 300
    assert sorted(words for words in said() if report_id(words) not in known) == []
    wrong = {words: known[report_id(words)] for words, values in said().items() if known[report_id(words)] != values}
    assert wrong == {}


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.stem)
def test_no_language_says_what_the_report_does_not(file: Path) -> None:
    rooms = (SOURCE / "report", SOURCE / "spec", SOURCE / "hub" / "pages")
    sources = [path.read_text(encoding="utf-8") for room in rooms for path in room.rglob("*.py")]
    constants = (
        node.value for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)
    )
    possible = {report_id(words) for words in [*said(), *(one for one in constants if isinstance(one, str))]}
    possible |= {f"def-{anchor}{part}" for anchor in DEFINITIONS for part in ("", "-title")}
    assert {name for name in messages(file) if name.startswith(OF_THE_REPORT)} - possible == set()


def test_words_that_differ_have_texts_of_their_own() -> None:
    together: dict[str, set[str]] = {}
    for words in said():
        together.setdefault(report_id(words), set()).add(re.sub(r"\W", "", words).lower())
    assert {key: words for key, words in together.items() if len(words) > 1} == {}


@pytest.mark.parametrize("file", OTHERS, ids=lambda file: file.stem)
def test_every_definition_is_told_in_every_language(file: Path) -> None:
    found = texts.texts(file.stem).definitions()
    assert [anchor for anchor, one in found.items() if one.text == DEFINITIONS[anchor].text] == []
    assert all(1 < len(one.brief) < len(one.text) or one.brief == one.text for one in found.values())
    assert all(one.text.startswith(one.brief) for one in found.values())


@pytest.mark.parametrize(
    ("wanted", "header", "told"),
    [
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "fr, en;q=0.5, zh;q=0.7", "zh"),
        ("en", "zh-CN", "en"),
        ("", "xx;q=bad", "en"),
        ("../en", "", "en"),
    ],
)
def test_a_visitor_is_spoken_to_in_a_language_they_read(wanted: str, header: str, told: str) -> None:
    assert texts.chosen(wanted, header) == told


def test_what_a_language_lacks_is_said_in_english() -> None:
    spoken = texts.texts("zh")
    assert spoken.say("The four stages") == "四个阶段"
    assert spoken.say("minimum of {count} runs", count=3) == "3 次运行中的最小值"
    assert spoken.say("a name that {nobody} translated") == "a name that {nobody} translated"
    assert spoken.say("{count} of a kind", count=3) == "3 of a kind"
