"""Fields for job options, made of the grammar's own table; what is typed in them and in the text becomes one text."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dynolab import plugins
from dynolab.errors import Error, SpecInvalid
from dynolab.report.base import Say
from dynolab.spec.option_grammar import Kind, KnownOption
from dynolab.spec.options import OPTIONS, OWN_GROUP, format_options, parse
from dynolab.spec.runtime_support import RUNS

PREFIX = "option."
"""Before an option's path in the name of its field: ``option.onnx_options.execution_mode``."""
TEXT = "options"
"""The field that holds all options as text, and the name of a problem with it."""
RUNTIMES = {
    "onnx": ("ONNX Runtime", ("onnx", "ort")),
    "tflite": ("LiteRT", ("tflite",)),
    "openvino": ("OpenVINO", ("openvino_ir", "onnx")),
    "torch": ("PyTorch", ("torchscript", "exported_program")),
}
"""By the word that a runtime's options begin with: its name, and the formats of the models that it runs."""
FIRST = {
    "onnx": "onnx",
    "ort": "onnx",
    "tflite": "tflite",
    "openvino_ir": "openvino",
    "torchscript": "torch",
    "exported_program": "torch",
}
"""The runtime's word by the format that is its own: without ``--runtime`` that is what runs the model."""
UNITS = ("cpu", "gpu", "npu", "npu,cpu", "gpu,cpu", "npu,gpu,cpu")
"""Orders of compute units that are offered; others can be written as text."""
FREE = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.WORDS})
BY_PATH = {option.path: option for option in OPTIONS if option.kind is not Kind.GROUP}


@dataclass(frozen=True, slots=True)
class Field:
    """One option as a field. ``choices`` empty: it is typed. ``runtimes`` are those of the devices that there are."""

    option: KnownOption
    value: str
    problem: Error | None
    runtimes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The field's name in the form."""
        return PREFIX + self.option.path

    @property
    def title(self) -> str:
        """The option's name as words."""
        return self.option.name.replace("_", " ").capitalize()

    @property
    def choices(self) -> tuple[str, ...]:
        """Every value that is taken, where these can be listed; of many, the usual ones."""
        if self.option.path == "runtime":
            return self.runtimes
        if self.option.path == "compute_unit":
            return UNITS
        if self.option.kind is Kind.BOOLEAN:
            return ("true", "false")
        return () if self.option.kind in FREE or self.option.pattern else self.option.allowed

    @property
    def suggested(self) -> tuple[str, ...]:
        """Words to choose from in a field that takes others, too."""
        return () if self.choices else self.option.allowed

    def takes(self, say: Say) -> str:
        """What it takes, in words."""
        option = self.option
        if not option.allowed:
            return say(option.kind.value) + option.takes.removeprefix(option.kind.value)
        words = "some of {words}" if option.kind is Kind.WORDS else "one of {words}"
        return say(words, words=", ".join(option.allowed))

    @property
    def default(self) -> str | None:
        """dynolab's default as it is written; None: the runtime's own."""
        given = self.option.default
        return (
            None
            if given is None
            else str(given).lower()
            if isinstance(given, bool)
            else f"{given:g}"
            if isinstance(given, float)
            else f"{given}"
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together. ``title`` is a runtime's name; ``formats`` those that it runs."""

    title: str
    formats: tuple[str, ...]
    open: bool
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class FormFields:
    """The fields of a form: for every model, for the runtimes (the chosen model's first), and those without effect."""

    common: tuple[Field, ...]
    runtimes: tuple[Group, ...]
    idle: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """The options that a form asks for: as text, and as the fields' values by path. ``problems`` are by field, or :data:`TEXT`."""

    text: str
    values: Mapping[str, str]
    problems: Mapping[str, Error]


def field_values(form: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What stands in a form's option fields, by path; empty ones are left out."""
    found = ((name.removeprefix(PREFIX), value.strip()) for name, value in form if name.startswith(PREFIX))
    return {path: value for path, value in found if value and path in BY_PATH}


def merge(fields: Mapping[str, str], text: str, was: str) -> Merged:
    """One text of the fields and the text, each of which may have been changed.

    ``was`` is the text that stood there, with fields that said the same: a field that differs from it was changed, and goes
    before the text, which may have been changed, too.
    """
    problems = {PREFIX + path: error for path, value in fields.items() if (error := _problem(path, value))}
    values = dict(fields)
    if text != was:
        try:
            values = split(text)
        except SpecInvalid as error:
            return Merged(text, fields, {**problems, TEXT: error})
        before = _said(was)
        values |= {path: value for path, value in fields.items() if before.get(path) != value}
        values = {path: value for path, value in values.items() if path in fields or path not in before}
    if problems:
        return Merged(text, fields, problems)
    whole = join(values)
    return Merged(whole, split(whole), {})


def _said(was: str) -> dict[str, str]:
    """The values that the form was filled with; what no page of ours filled it with says nothing."""
    try:
        return split(was)
    except SpecInvalid:
        return {}


def split(text: str) -> dict[str, str]:
    """The values that a text gives, by path. Raises :class:`SpecInvalid`."""
    options = parse(text)
    given: dict[str, object] = dict(options.given())
    for group, values in options.groups.items():
        given |= {f"{group}.{key}": value for key, value in values.items()}
    return {path: str(value).lower() if isinstance(value, bool) else f"{value}" for path, value in given.items()}


def join(values: Mapping[str, str]) -> str:
    """The text of values by path, defaults left out. Raises :class:`SpecInvalid` for what the grammar does not take."""
    groups: dict[str, list[str]] = {}
    words = []
    for path, value in values.items():
        group, _, key = path.partition(".")
        if path not in BY_PATH and OWN_GROUP.fullmatch(group):  # a runtime's own option, which has no field of its own
            groups.setdefault(group, []).append(f"{key}={value}")
            continue
        option = BY_PATH[path]
        if option.group is None:
            words.append(f"--{option.name}={shlex.quote(value)}")
        else:
            groups.setdefault(option.group, []).append(f"{option.name}={value}")
    words += [f"--{group}={shlex.quote(';'.join(pieces))}" for group, pieces in groups.items()]
    return format_options(parse(" ".join(words)))


def _problem(path: str, value: str) -> Error | None:
    """What the grammar says of one field."""
    option = BY_PATH[path]
    try:
        if set(split(join({path: value}))) - {path}:
            raise SpecInvalid(f"{option.written} does not take {value!r}", hint=f"it takes: {option.takes}")
    except SpecInvalid as error:
        return error
    return None


def offered_runtimes(attributes: Iterable[str]) -> tuple[str, ...]:
    """The runtimes that devices with these attributes have; where none tells, all that are known."""
    told = {one.removeprefix(RUNS).partition("/")[0] for one in attributes if one.startswith(RUNS)}
    return tuple(sorted(told)) or tuple(name for name in plugins.names("dynolab.runtimes") if name != "null")


def form_fields(merged: Merged, kind: str | None, available: tuple[str, ...]) -> FormFields:
    """The fields with what stands in them.

    ``kind`` is the chosen model's format, None: no model is chosen yet; ``available`` are the runtimes of the devices.
    """

    def field(option: KnownOption) -> Field:
        return Field(option, merged.values.get(option.path, ""), merged.problems.get(PREFIX + option.path), available)

    ours = FIRST.get(kind or "")
    read = [field(option) for option in BY_PATH.values() if not option.idle]
    families: dict[str, list[Field]] = {word: [] for word in sorted(RUNTIMES, key=lambda word: word != ours)}
    common: list[Field] = []
    for one in read:
        word = (one.option.group or one.option.name).partition("_")[0]
        families.get(word, common).append(one)
    runtimes = [
        Group(*RUNTIMES[word], word == ours or _filled(found), tuple(found)) for word, found in families.items()
    ]
    idle: dict[str, list[Field]] = {}
    for option in BY_PATH.values():
        if option.idle:
            idle.setdefault(option.group or "", []).append(field(option))
    groups = [Group(name, (), _filled(found), tuple(found)) for name, found in idle.items()]
    return FormFields(tuple(common), tuple(runtimes), tuple(groups))


def _filled(fields: Iterable[Field]) -> bool:
    return any(one.value or one.problem for one in fields)
