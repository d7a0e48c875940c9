"""The grammar that AI Hub's options are written in, over a table of known options: ``--name value --group "key=value;key=value"``."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite

from dynolab.errors import SpecInvalid

OptionValue = int | float | bool | str


class Kind(StrEnum):
    """What an option takes."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "true or false"
    WORD = "word"
    WORDS = "comma-separated words"
    NAMES = "comma-separated names of tensors"
    GROUP = "key=value;key=value"


@dataclass(frozen=True, slots=True)
class KnownOption:
    """One option, or one key of a group, with everything that is known of it."""

    name: str
    kind: Kind
    text: str
    """One sentence: what it does."""
    group: str | None = None
    """The group that the key belongs to; None at the top level."""
    hub_default: OptionValue | None = None
    """AI Hub's documented default; None where it documents none or has no such option."""
    default: OptionValue | None = None
    """dynolab's default; None: it does nothing about it, so that the runtime's own default holds."""
    allowed: tuple[str, ...] = ()
    """Every word that is taken; empty: any."""
    pattern: str | None = None
    """A regular expression for the words that are taken, where they cannot be listed; ``allowed`` then shows examples."""
    minimum: float | None = None
    above: float | None = None
    """A number must be greater than this."""
    needs: str | None = None
    """The vendor stack without which it has no effect: ``qnn``, ``gpu`` (TFLite's GPU delegate) or ``nnapi``."""
    read: bool = True
    """False: AI Hub has it, and no runtime here reads it though none of these stacks is needed."""

    @property
    def idle(self) -> bool:
        """Whether it is only accepted, so that options written for AI Hub work, and no runtime here reads it."""
        return not self.read or self.needs is not None

    def read_by(self, used: Collection[str]) -> bool:
        """Whether it has an effect for a runtime that reads ``used`` (see :meth:`Options.unused_by`)."""
        if self.group is None:
            return any(word.partition(".")[0] == self.name for word in used)
        return self.path in used or (self.group in used and (self.needs is None or self.needs in used))

    @property
    def path(self) -> str:
        """The name for programs: ``qairt_version``, ``onnx_options.execution_mode``."""
        return self.name if self.group is None else f"{self.group}.{self.name}"

    @property
    def written(self) -> str:
        """The name as people write it: ``--qairt_version``, ``--onnx_options execution_mode``."""
        return f"--{self.name}" if self.group is None else f"--{self.group} {self.name}"

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        if self.allowed:
            joined = ", ".join(self.allowed)
            return f"{'some' if self.kind is Kind.WORDS else 'one'} of {joined}"
        limit = f" >= {self.minimum:g}" if self.minimum is not None else ""
        return self.kind.value + limit + (f" > {self.above:g}" if self.above is not None else "")


@dataclass(frozen=True, slots=True)
class Given:
    """The options that a text gives: top-level ones by name (a list is kept as ``a,b``), and groups with their keys."""

    plain: Mapping[str, OptionValue]
    groups: Mapping[str, Mapping[str, OptionValue]]


class OptionTable:
    """The options that one kind of job knows: what reads a text, and writes one."""

    def __init__(self, options: Iterable[KnownOption], *, others: re.Pattern[str] | None = None) -> None:
        """``others``: names of groups that are kept as they were written, for whoever knows them to read with :func:`typed`."""
        self.options, self._others = tuple(options), others
        self.top_level = {option.name: option for option in self.options if option.group is None}
        self.keys = {
            group.name: {option.name: option for option in self.options if option.group == group.name}
            for group in self.top_level.values()
            if group.kind is Kind.GROUP
        }

    def parse(self, text: str) -> Given:
        """What ``text`` gives.

        Words are split as a POSIX shell does. Raises :class:`SpecInvalid`, naming the offending text and the nearest known
        names or the allowed values, for an option, key or value that is unknown, missing, given twice or of a wrong type.
        """
        plain: dict[str, OptionValue] = {}
        groups: dict[str, dict[str, OptionValue]] = {}
        for option, raw in self._pairs(_words(text)):
            if option.name in plain or option.name in groups:
                raise SpecInvalid(
                    f"--{option.name} is given twice", hint="give it once, with everything it should hold"
                )
            if option.kind is Kind.GROUP:
                known = self.keys.get(option.name)
                groups[option.name] = {
                    key: value if known is None else _parse_value(known[key], value)
                    for key, value in _pieces(option, raw, known)
                }
            else:
                plain[option.name] = _parse_value(option, raw)
        return Given(plain, groups)

    def write(self, given: Given) -> str:
        """The text that gives these, in the table's order."""
        texts = {name: _write(value) for name, value in given.plain.items()}
        for group, values in given.groups.items():
            keys = [key for key in self.keys.get(group, values) if key in values]
            texts[group] = ";".join(f"{key}={_write(values[key])}" for key in keys)
        order = list(self.top_level)
        names = sorted(texts, key=lambda name: order.index(name) if name in order else len(order))
        return " ".join(_write_option(name, texts[name]) for name in names)

    def _pairs(self, words: list[str]) -> Iterator[tuple[KnownOption, str]]:
        """Each option with its raw value; a boolean that stands alone is ``true``."""
        rest = iter([*words, None])
        word = next(rest)
        while word is not None:
            if not word.startswith("--"):
                raise SpecInvalid(
                    f"{word!r} is not an option", hint="options start with --, values with spaces need quotes"
                )
            name, equals, raw = word[2:].partition("=")
            option = self._known_option(name)
            word = next(rest)
            if not equals and word is not None and not word.startswith("--"):
                raw, word = word, next(rest)
            elif not equals and option.kind is Kind.BOOLEAN:
                raw = "true"
            if not raw.strip():
                raise SpecInvalid(f"--{name} has no value", hint=f"it takes: {option.takes}")
            yield option, raw.strip()

    def _known_option(self, name: str) -> KnownOption:
        if name in self.top_level:
            return self.top_level[name]
        if self._others is not None and self._others.fullmatch(name):
            return KnownOption(name, Kind.GROUP, "Options of a runtime that declares them itself.")
        inside = [f'--{group} "{name}=..."' for group, keys in self.keys.items() if name in keys]
        hint = f"it belongs into {' or '.join(inside)}" if inside else _nearest(name, self.top_level, prefix="--")
        raise SpecInvalid(f"there is no option --{name}", hint=hint)


def _pieces(group: KnownOption, raw: str, known: Mapping[str, KnownOption] | None) -> Iterator[tuple[str, str]]:
    """The keys and values in a group's text; ``known`` None: they are not known here."""
    seen: set[str] = set()
    for piece in filter(None, (part.strip() for part in raw.split(";"))):
        name, equals, value = (part.strip() for part in piece.partition("="))
        if known is None:
            _check_no_place(f"--{group.name} {name}", name, _PLACE_KEY)
            _check_no_place(f"--{group.name} {name} {value!r}", value, _PLACE_VALUE)
        elif name not in known:
            _check_no_place(f"--{group.name} {name}", name, _PLACE_KEY)
            raise SpecInvalid(f"--{group.name} has no key {name!r} (in {piece!r})", hint=_nearest(name, known))
        if not equals or not value or not name:
            takes = "VALUE" if known is None else f"..., {known[name].takes}"
            raise SpecInvalid(f"--{group.name} {name} has no value", hint=f"{name}={takes}")
        if name in seen:
            raise SpecInvalid(f"--{group.name} {name} is given twice", hint="give each key once")
        seen.add(name)
        yield name, value
    if not seen:
        raise SpecInvalid(f"--{group.name} has no value", hint=f"it takes: {group.takes}")


def typed(
    group: str, options: Sequence[KnownOption], given: Mapping[str, OptionValue]
) -> dict[str, OptionValue | None]:
    """The values of options that a runtime declares, each as its kind says: what was given, else the default.

    Raises :class:`SpecInvalid`, naming the value and what there is, for a key that none of them has and for a value that does
    not fit.
    """
    known = {option.name: replace(option, group=group) for option in options}
    found: dict[str, OptionValue | None] = {name: option.default for name, option in known.items()}
    for name, value in given.items():
        if name not in known:
            raise SpecInvalid(
                f"--{group} has no key {name!r} (in '{name}={_write(value)}')", hint=_nearest(name, known)
            )
        found[name] = _parse_value(known[name], _write(value))
    return found


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SpecInvalid(f"the options {text!r} cannot be split into words: {error}", hint="close quotes") from error


def _nearest(name: str, known: Iterable[str], prefix: str = "") -> str:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"did you mean {' or '.join(prefix + word for word in near)}?"
    return f"known: {', '.join(prefix + word for word in names)}"


_TRUE, _FALSE = ("true", "1"), ("false", "0")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _parse_value(option: KnownOption, raw: str) -> OptionValue:
    value: OptionValue | None = None
    if option.kind is Kind.BOOLEAN:
        value = {**dict.fromkeys(_TRUE, True), **dict.fromkeys(_FALSE, False)}.get(raw.lower())
    elif option.kind is Kind.INTEGER:
        value = int(raw) if _INTEGER.fullmatch(raw) else None
    elif option.kind is Kind.NUMBER:
        value = float(raw) if _DECIMAL.fullmatch(raw) and isfinite(float(raw)) else None
    elif option.kind in (Kind.WORDS, Kind.NAMES):
        return _parse_words(option, raw)
    else:
        value = _parse_word(option, raw)
    if value is None or not _within(option, value):
        raise SpecInvalid(f"{option.written} does not take {raw!r}", hint=f"it takes: {option.takes}")
    return value


_PLACE_KEY = re.compile(
    r"path|file|dir\b|_dir|folder|librar|plugin|extension|custom_?op|cache|dump|prefix|location|external|^(ep|session)\.",
    re.IGNORECASE,
)
"""What keys are called that vendors read paths from, or names of libraries to load: ``session.optimized_model_filepath``."""
_PLACE_VALUE = re.compile(r"[/\\\0]|^\.\.|\.(so|dll|dylib|py)\b", re.IGNORECASE)


def _check_no_place(what: str, text: str, place: re.Pattern[str]) -> None:
    """No option of dynolab names a file or a library: a job could have the device load code, or read and write files."""
    if place.search(text):
        raise SpecInvalid(
            f"{what[:200]} names a file or a library of the device, which no job may",
            hint="leave it out: what is loaded and where is written, the device decides",
        )


def _within(option: KnownOption, value: OptionValue) -> bool:
    if isinstance(value, bool | str):
        return True
    return (option.minimum is None or value >= option.minimum) and (option.above is None or value > option.above)


def _parse_word(option: KnownOption, raw: str) -> str | None:
    """The word in the table's own spelling (case does not matter), or None when it is not allowed."""
    if option.pattern is not None:
        return raw.lower() if re.fullmatch(option.pattern, raw.lower(), re.ASCII) else None
    if option.allowed:
        return {word.lower(): word for word in option.allowed}.get(raw.lower())
    if option.kind is Kind.NAMES:
        return raw  # a tensor may be named like a path
    _check_no_place(f"{option.written} {raw!r}", raw, _PLACE_VALUE)
    return raw


def _parse_words(option: KnownOption, raw: str) -> str:
    words: list[str] = []
    for piece in (part.strip() for part in raw.split(",")):
        word = _parse_word(option, piece)
        if not word:
            raise SpecInvalid(
                f"{option.written} does not take {piece!r} (in {raw!r})", hint=f"it takes: {option.takes}"
            )
        if word in words:
            raise SpecInvalid(f"{option.written} names {word} twice (in {raw!r})", hint="name each once")
        words.append(word)
    if option.kind is Kind.WORDS and "all" in words and len(words) > 1:
        raise SpecInvalid(f"{option.written} takes 'all' or single words, not both: {raw!r}")
    return ",".join(words)


def _write(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _write_option(name: str, value: str) -> str:
    quoted = shlex.quote(value)
    return f"--{name}={quoted}" if value.startswith("--") else f"--{name} {quoted}"
