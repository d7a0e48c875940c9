"""The texts of the pages: each is said once, and each that a template names is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fluent.runtime")

from dynolab.hub.pages import texts
from dynolab.hub.pages.rendering import TEMPLATES

LANGUAGES = sorted(texts.FOLDER.glob("*.ftl"))
NAMED = re.compile(r"""\bt\((?:"([\w-]+)"|'([\w-]+)')\s*[,)]""")


def ids(file: Path) -> list[str]:
    return re.findall(r"^([a-z][\w-]*) *=", file.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_no_text_is_said_twice(file: Path) -> None:
    assert [name for name, count in Counter(ids(file)).items() if count > 1] == []


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_no_language_says_what_english_does_not(file: Path) -> None:
    assert set(ids(file)) <= set(ids(texts.FOLDER / f"{texts.DEFAULT}.ftl"))


def test_every_text_that_a_template_names_is_there() -> None:
    english = set(ids(texts.FOLDER / f"{texts.DEFAULT}.ftl"))
    named = {
        (template.name, one or other)
        for template in TEMPLATES.glob("*.j2")
        for one, other in NAMED.findall(template.read_text(encoding="utf-8"))
    }
    assert len(named) > 100
    assert sorted((template, name) for template, name in named if name not in english) == []
