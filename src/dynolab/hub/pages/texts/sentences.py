"""Sentences that devices and the hub wrote in English, as a reader of another language meets them.

What is stored, and what errors say, is English. Each English text ``sentence-...`` is therefore a pattern as well: what
fits it is said by the text of the same id in the reader's language. What fits none stays English and is marked so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from fluent.syntax import ast, parse

from dynolab.errors import Bug

PREFIX = "sentence-"
HINT = "sentence-hint"
"""The text that an error's hint stands in behind its message."""
SAID = "said"
"""So begin the variables whose values are words themselves, and are looked up in turn; the others stay as they are."""
LONGEST = 10_000
"""Characters of a text that is looked up: the longest of ours have some thousands, a job's error may have a million."""
LOOKUPS = 400
"""Sentences and parts of sentences that are looked up for one text at most."""
LETTERS_LEAST = 8
"""A pattern with fewer letters of its own joins sentences, such as ``{ $said }; { $said_more }``: see :class:`_Search`."""
LETTERS_TELLING = 10
"""With fewer, a pattern that begins with a name is one only of names without a space: ``model.onnx is empty``, not ``The whole is empty``."""
DEEPEST = 20
"""Sentences inside each other."""
PLACES_MOST = 12
"""Places at which such a pattern may part a text."""
REMEMBERED = 1024
_STAND_INS = [chr(code) for code in range(0xFDD0, 0xFDF0)]
"""Noncharacters (Unicode, 23.7): they stand for values that are words while a text is put together."""
_STAND_IN = re.compile("([\ufdd0-\ufdef])")

Say = Callable[[str, Mapping[str, str]], str]
"""The text of an id, filled."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text, and whether it stayed English on a page in another language."""

    text: str
    english: bool = False


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """An English text: ``fixed`` are its own words, one more than ``names`` of what stands between them."""

    key: str
    fixed: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def weight(self) -> int:
        """Letters of its own: of several patterns that a text fits, the one with the most tells what it is."""
        return sum(map(str.isalpha, "".join(self.fixed)))

    @property
    def joins(self) -> bool:
        """Whether it has hardly a word of its own, so that it is one only where a sentence that is known stands in it."""
        return self.weight < LETTERS_LEAST and any(name.startswith(SAID) for name in self.names)

    def takes(self, values: Mapping[str, str]) -> bool:
        """Whether the values are figures and names, where they are no words: not the rest of a text that goes on.

        What is quoted may hold anything. Words that it begins with are no sentence before it that was joined to it.
        """
        if not self.fixed[0] and self.names[0].startswith(SAID) and "; " in values[self.names[0]]:
            return False
        ends = ["; ", ". ", *([" "] if self.weight < LETTERS_TELLING and not self.fixed[0] else [])]
        plain = [value for name, value in values.items() if not name.startswith(SAID) and not _is_quoted(value)]
        if any(end in value for value in plain for end in ends):
            return False
        last = values[self.names[-1]]
        if self.fixed[-1] or last not in plain:
            return True
        return not (last.endswith(".") or last.startswith("(") or " (" in last)  # a full stop, or a hint

    def values(self, text: str, places: int = 1) -> Iterator[dict[str, str]]:
        """What the text holds in the variables' places, found from left to right in one go; no value is empty.

        With ``places``, the first of its own words is looked for in so many places.
        """
        first, *middle, last = self.fixed
        at, end = len(first) + 1, len(text) - len(last)
        if not (text.startswith(first) and text.endswith(last)):
            return
        for _ in range(places if middle else 1):
            cuts = [(0, len(first))]
            for words in middle:
                if (cut := text.find(words, at, end)) < 0:
                    return
                cuts.append((cut, cut + len(words)))
                at = cuts[-1][1] + 1
            cuts.append((end, len(text)))
            found = [text[start:stop] for (_, start), (stop, _) in pairwise(cuts)]
            values = dict(zip(self.names, found, strict=True))
            if all(found) and found == [values[name] for name in self.names]:
                yield values
            at = cuts[1][0] + 1


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def patterns(source: str) -> Iterable[Pattern]:
    """The patterns among the texts of a language."""
    for entry in parse(source).body:
        if isinstance(entry, ast.Message) and entry.id.name.startswith(PREFIX) and entry.value is not None:
            fixed, names = [""], []
            for element in entry.value.elements:
                inner = element.expression if isinstance(element, ast.Placeable) else element
                if isinstance(inner, ast.VariableReference):
                    names.append(inner.id.name)
                    fixed.append("")
                elif isinstance(inner, ast.TextElement | ast.StringLiteral):
                    fixed[-1] += inner.value
                else:
                    raise Bug(f"the text {entry.id.name!r} holds more than words and variables")
            yield Pattern(entry.id.name, tuple(fixed), tuple(names))


class Sentences:
    """Says English sentences in a language: ``say`` fills its texts, ``word`` says titles and single words, or None."""

    def __init__(self, known: Iterable[Pattern], say: Say, word: Callable[[str], str | None]) -> None:
        ordered = sorted(known, key=lambda pattern: -pattern.weight)
        self.whole = {pattern.fixed[0]: pattern.key for pattern in ordered if not pattern.names}
        self.filled = [pattern for pattern in ordered if pattern.names and not pattern.joins]
        self.joining = [pattern for pattern in ordered if pattern.joins]
        self.say, self.word = say, word
        self.parts = lru_cache(REMEMBERED)(self._parts)

    def hinted(self, message: str, hint: str) -> Parts:
        """An error's message, and its hint in brackets."""
        stand_ins = dict(zip(_STAND_INS, (self.parts(message), self.parts(hint)), strict=False))
        filled = self.say(HINT, dict(zip(("said", "said_hint"), stand_ins, strict=True)))
        return _put_together(filled, stand_ins)

    def _parts(self, text: str) -> Parts:
        """The text, each of its lines by itself; what is not known is English."""
        if len(text) > LONGEST or _STAND_IN.search(text):
            return (Part(text, True),)
        search, found = _Search(self), list[Part]()
        for number, line in enumerate(text.split("\n")):
            found += [Part("\n")] if number else []
            found += search.find(line) or (Part(line, True),)
        return merged(found)


@dataclass
class _Search:
    """The look-up of one text. A line is one sentence, or several that are joined.

    Where a joining pattern fits in several places, and where several of them fit, that one is taken which leaves nothing
    in English; else the first in which a sentence is known, and not a word alone.
    """

    sentences: Sentences
    seen: dict[str, Parts | None] = field(default_factory=dict)
    depth: int = 0

    def find(self, text: str) -> Parts | None:
        """The text in the language, perhaps with some English in it; None: none of it is known."""
        if text not in self.seen:
            if len(self.seen) >= LOOKUPS or self.depth >= DEEPEST:
                return None
            self.seen[text] = None  # while it is looked for
            self.depth += 1
            self.seen[text] = self._found(text)
            self.depth -= 1
        return self.seen[text]

    def _found(self, text: str) -> Parts | None:
        own = self.sentences
        if key := own.whole.get(text):
            return (Part(own.say(key, {})),)
        if word := own.word(text):
            return (Part(word),)
        for pattern in own.filled:
            for values in pattern.values(text):
                if pattern.takes(values):
                    return self._filled(pattern, values)
        return self._joined(text)

    def _joined(self, text: str) -> Parts | None:
        partly = None
        for pattern in self.sentences.joining:
            for values in pattern.values(text, PLACES_MOST):
                found = {value: self.find(value) for name, value in values.items() if name.startswith(SAID)}
                if all(parts and not any(part.english for part in parts) for parts in found.values()):
                    return self._filled(pattern, values)
                if partly is None and any(parts and " " in value for value, parts in found.items()):
                    partly = pattern, values
        return self._filled(*partly) if partly else None

    def _filled(self, pattern: Pattern, values: Mapping[str, str]) -> Parts:
        """The pattern's text with the values in it."""
        words = [name for name in values if name.startswith(SAID)]
        names = dict(zip(words, _STAND_INS, strict=False))
        inner = {one: self.find(values[name]) or (Part(values[name], True),) for name, one in names.items()}
        return _put_together(self.sentences.say(pattern.key, {**values, **names}), inner)


def _put_together(filled: str, inner: Mapping[str, Parts]) -> Parts:
    """A text with what its stand-ins stand for."""
    return merged(part for piece in _STAND_IN.split(filled) for part in inner.get(piece, (Part(piece),)))


def merged(parts: Iterable[Part]) -> Parts:
    """The parts, neighbours of a kind as one."""
    found: list[Part] = []
    for part in parts:
        if found and found[-1].english == part.english:
            found[-1] = Part(found[-1].text + part.text, part.english)
        elif part.text:
            found.append(part)
    return tuple(found)
