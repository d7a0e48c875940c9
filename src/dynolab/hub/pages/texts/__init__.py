"""What the pages say, a file for each language: the file is the registration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path

from fluent.runtime import FluentBundle, FluentResource

from dynolab.errors import Bug, Error
from dynolab.hub.pages.texts.sentences import Part, Parts, Pattern, Sentences, patterns
from dynolab.report.base import plainly
from dynolab.spec.glossary import DEFINITIONS, Definition

FOLDER = Path(__file__).parent
DEFAULT = "en"
KEPT = 4096
"""Texts that are kept as they were said last: a list asks for hundreds, and is asked for again every few seconds."""
KEY_WORDS = 10
"""Words of an English text that make its id."""


class Texts:
    """The texts of one language: called with a text's id and what it is to hold; what it lacks it says in English."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._bundles = [_bundle(name) for name in dict.fromkeys([language, DEFAULT])]
        self._kept = lru_cache(KEPT, typed=True)(lambda key, **values: self._said(key, values))
        self._sentences = Sentences(_patterns(), self._said, self._word) if language != DEFAULT else None

    def __call__(self, key: str, **values: object) -> str:
        if all(type(value) in (int, str) for value in values.values()):
            return self._kept(key, **values)
        return self._said(key, values)

    def _said(self, key: str, values: Mapping[str, object]) -> str:
        for bundle in self._bundles:
            if bundle.has_message(key) and (pattern := bundle.get_message(key).value) is not None:
                text, problems = bundle.format_pattern(pattern, dict(values))
                if problems:
                    raise Bug(f"the text {key!r} cannot be said with {sorted(values)}: {problems[0]}")
                return str(text)
        raise Bug(f"there is no text {key!r} in {FOLDER.name}/{DEFAULT}.ftl")

    def say(self, words: str, /, **values: object) -> str:
        """What the report says in English, in this language: by :func:`report_id`; in English where there is no such text."""
        key = report_id(words)
        return self(key, **values) if self._bundles[0].has_message(key) else plainly(words, **values)

    def stored(self, text: str) -> Parts:
        """What was written in English, as far as this language has texts for it: see :mod:`.sentences`."""
        return self._sentences.parts(text) if self._sentences else (Part(text),)

    def told(self, error: Error) -> Parts:
        """A refusal with its way out, for beside a field."""
        if self._sentences is None or not error.hint:
            return self.stored(refusal(error))
        return self._sentences.hinted(error.message, error.hint)

    def _word(self, words: str) -> str | None:
        """A title or a single word of the report's, None for others."""
        key = report_id(words)
        message = self._bundles[0].get_message(key) if self._bundles[0].has_message(key) else None
        if message is None or message.value is None or key.count("-") >= KEY_WORDS:
            return None
        text, problems = self._bundles[0].format_pattern(message.value)
        return None if problems else str(text)

    def definitions(self) -> dict[str, Definition]:
        """The glossary in this language: by ``def-ANCHOR-title`` and ``def-ANCHOR``, in English what there is no text for."""
        return {anchor: self._definition(found) for anchor, found in DEFINITIONS.items()}

    def _definition(self, found: Definition) -> Definition:
        keys = (f"def-{found.anchor}-title", f"def-{found.anchor}")
        if not all(map(self._bundles[0].has_message, keys)):
            return found
        return Definition(found.anchor, *map(self, keys))


def report_id(words: str) -> str:
    """The id under which a language says what the report says in English: ``report-the-four-stages``."""
    return "-".join(["report", *re.findall(r"[a-z0-9]+", words.lower())[:KEY_WORDS]])


def refusal(error: Error) -> str:
    """A refusal with its way out, in one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def languages() -> dict[str, str]:
    """The languages by tag, each with its own name for itself."""
    return {path.stem: texts(path.stem)("language-name") for path in sorted(FOLDER.glob("*.ftl"))}


@cache
def texts(language: str) -> Texts:
    """The texts of a language that there is a file for."""
    return Texts(language)


def chosen(wanted: str, accepted: str) -> str:
    """The language to speak: what was chosen, or the first of the ``Accept-Language`` header that there is, or English."""
    known = {path.stem for path in FOLDER.glob("*.ftl")}
    return next((tag for tag in (wanted, *_by_weight(accepted)) if tag in known), DEFAULT)


def _by_weight(header: str) -> Iterable[str]:
    """The languages of an ``Accept-Language`` header (RFC 9110, 12.5.4), the most welcome first, without regions."""
    found = []
    for part in header[:500].split(","):
        tag, _, weight = part.partition(";")
        number = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight)
        found.append((float(number[1]) if number else 1.0, tag.strip().partition("-")[0].lower()))
    return [tag for weight, tag in sorted(found, key=lambda one: -one[0]) if weight > 0]


@cache
def _patterns() -> tuple[Pattern, ...]:
    return tuple(patterns(_source(DEFAULT)))


def _source(language: str) -> str:
    return (FOLDER / f"{language}.ftl").read_text(encoding="utf-8")


def _bundle(language: str) -> FluentBundle:
    bundle = FluentBundle([language], use_isolating=False)
    bundle.add_resource(FluentResource(_source(language)))
    return bundle
