"""Formats of models: what each is called, how its files end, which marks they show, and which runtime runs it.

A format is data. dynolab's own stand here; an outside distribution declares its own as an entry point of the group
``dynolab.formats``. What is told of a format that nobody here declares is its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from dynolab import plugins
from dynolab.errors import Error, ModelNotSupported, PluginMissing, SpecInvalid
from dynolab.spec.models import ModelFormat

GROUP = "dynolab.formats"
HEAD_BYTES = 4096
"""So much of a file's beginning is looked at for marks."""
MARK_BYTES = 4
"""The fewest bytes of an outside format's mark: fewer are found in files of others."""
ARCHIVE = ".zip"
_ENDING = re.compile(r"\.[a-z0-9][a-z0-9_-]{0,19}", re.ASCII)
_RUNTIME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mark:
    """Bytes that every file of a format shows ``at`` a place.

    ``at`` None: anywhere in the first 4,096 bytes of a text that begins, after blanks, with the mark's first character.
    """

    content: bytes
    at: int | None = 0

    def shows(self, head: bytes) -> bool:
        """Whether the beginning of a file shows it."""
        if self.at is None:
            return head.lstrip().startswith(self.content[:1]) and self.content in head
        return head[self.at : self.at + len(self.content)] == self.content


def _all_are(kind: type, values: object) -> bool:
    """Whether it is a tuple of that kind: a declaration is a stranger's."""
    return isinstance(values, tuple) and all(isinstance(one, kind) for one in values)


@dataclass(frozen=True, slots=True)
class Format:
    """A model format. Raises :class:`SpecInvalid`, naming the value, for a declaration that cannot be used."""

    name: str
    """Small letters, digits and ``_``, such as ``tflite``: what profiles, hubs and devices call it."""
    endings: tuple[str, ...]
    """How the names of its files end, such as ``.tflite``; the first is given to files that have another."""
    title: str = ""
    """What people call it; empty: its name."""
    runtime: str | None = None
    """The runtime that runs it when none is named; None: the one that takes it, where there is one only."""
    marks: tuple[Mark, ...] = ()
    """A file that shows none of these is refused as none of the format; empty: nothing tells its files from others."""
    only_named: tuple[str, ...] = ()
    """Endings of files that are taken for a model of it only where they are named themselves, since others have them as well."""
    elsewhere: str = ""
    """Where it is measured, if nothing here does."""
    beside: tuple[str, ...] = ()
    """Endings of files that belong to it, with the same name in the same folder, such as ``.bin``."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "name", ModelFormat(self.name))  # frozen: a plain text becomes what it has to be
        except ValueError as error:
            raise SpecInvalid(str(error), hint="such as 'mnn'") from error
        object.__setattr__(self, "title", self.title or self.name)
        if not _all_are(str, self.endings) or not (self.endings or self.only_named):
            raise SpecInvalid(f"the format {self.name} has no endings: {self.endings!r}", hint="such as ('.mnn',)")
        for more in (self.only_named, self.beside):
            if not _all_are(str, more):
                raise SpecInvalid(f"the format {self.name}: {more!r} are no endings", hint="such as ('.bin',)")
        for ending in (*self.endings, *self.only_named, *self.beside):
            if not _ENDING.fullmatch(ending) or ending == ARCHIVE:
                raise SpecInvalid(
                    f"the format {self.name}: {ending!r} is no ending of a file",
                    hint="a dot, then small letters and digits, such as '.mnn'; .zip is what any model may come in",
                )
        if not _all_are(Mark, self.marks) or not all(_all_are(bytes, (one.content,)) for one in self.marks):
            raise SpecInvalid(
                f"the format {self.name}: {self.marks!r} are no marks", hint="such as (Mark(b'TFL3', 4),)"
            )
        if self.runtime is not None and not _RUNTIME.fullmatch(str(self.runtime)):
            raise SpecInvalid(f"the format {self.name}: {self.runtime!r} is no name of a runtime", hint="such as 'mnn'")

    @property
    def kind(self) -> ModelFormat:
        """Its name, as models carry it."""
        return ModelFormat(self.name)

    def shown_by(self, head: bytes) -> bool:
        """Whether the beginning of a file shows one of its marks."""
        return any(mark.shows(head) for mark in self.marks)


_NPU = "it was built for an NPU of Qualcomm's: run it there"
_NATIVE = "it is native code, which dynolab does not load from files: measure its source model"
OURS: tuple[Format, ...] = (
    Format("onnx", (".onnx",), "ONNX", "onnxruntime"),
    Format("ort", (".ort",), "ORT", "onnxruntime", (Mark(b"ORTM", 4),)),
    Format("tflite", (".tflite",), "TFLite", "litert", (Mark(b"TFL3", 4),)),
    Format("openvino_ir", (".xml",), "OpenVINO IR", "openvino", (Mark(b"<net", None),), beside=(".bin",)),
    Format("torchscript", (".pt", ".jit"), "TorchScript", "torch", (Mark(b"PK\x03\x04"),)),
    Format("exported_program", (".pt2",), "exported program", "torch", (Mark(b"PK\x03\x04"),)),
    Format("aot_inductor", (), "AOTInductor package", only_named=(".pt2",), elsewhere=_NATIVE),
    Format("mnn", (".mnn",), "MNN", "mnn"),
    Format("executorch", (".pte",), "ExecuTorch", "executorch", (Mark(b"ET12", 4),)),
    Format("ncnn", (".param",), "ncnn", "ncnn", (Mark(b"7767517\n"),), beside=(".bin",)),
    Format("qnn_context_binary", (), "QNN context binary", "qnnsimulator", only_named=(".bin",), elsewhere=_NPU),
    Format("qnn_dlc", (), "DLC", marks=(Mark(b"PK\x03\x04"),), only_named=(".dlc",), elsewhere=_NPU),
    Format(
        "precompiled_qnn_onnx",
        (),
        "ONNX with a QNN context",
        "qnnsimulator",
        only_named=(".onnx",),
        elsewhere=_NPU,
    ),
    Format("null", (".null",), "null", "null"),
)
"""dynolab's own; no outside format takes a name or an ending of these."""
EXTENSIONS: Mapping[str, ModelFormat] = {ending: one.kind for one in OURS for ending in one.endings}
"""dynolab's own by the endings of their files."""


@dataclass(frozen=True, slots=True)
class Known:
    """The formats that are declared here, dynolab's own first; and why a declaration is left out, by its entry point's name."""

    formats: tuple[Format, ...]
    problems: Mapping[str, str]


@cache
def known() -> Known:
    """Every format that is declared here. A declaration that cannot be used is left out, and nothing else."""
    good, problems = list(OURS), dict[str, str]()
    for name in plugins.outside_names(GROUP):
        try:
            one = _declared(name)
            _check_free(one, good)
        except Error as error:
            problems[name] = error.message + (f" ({error.hint})" if error.hint else "")
        else:
            good.append(one)
    for name, owner in plugins.unreachable(GROUP):
        problems[f"{name} of {owner}"] = "another distribution's format has its name"
    return Known(tuple(good), problems)


def _declared(name: str) -> Format:
    owner, one = plugins.owner(GROUP, name), plugins.load_outside(GROUP, name)
    if not isinstance(one, Format):
        raise PluginMissing(f"the format {name!r} of {owner} is no Format, but {type(one).__name__}")
    if one.name != name:
        raise PluginMissing(f"the format {name!r} of {owner} calls itself {one.name!r}: both names must be the same")
    short = [mark.content for mark in one.marks if len(mark.content) < MARK_BYTES]
    if short:
        raise PluginMissing(
            f"the format {name!r} of {owner} has a mark of {len(short[0])} bytes; {MARK_BYTES} are the fewest"
        )
    return one


def _check_free(one: Format, taken: Iterable[Format]) -> None:
    """Raises :class:`PluginMissing` where another format has the name or an ending already."""
    for other in taken:
        shared = sorted({*one.endings} & {*other.endings})
        if one.name == other.name or shared:
            what = f"the ending {shared[0]}" if shared else "the name"
            raise PluginMissing(f"the format {one.name!r} wants {what}, which is another format's: {other.title}")


def to_text(formats: Iterable[Format]) -> str:
    """Declarations as one argument of a process that imports no outside distribution; :func:`from_text` reads it."""
    return json.dumps([asdict(one) for one in formats], default=bytes.hex)


def from_text(text: str) -> tuple[Format, ...]:
    """The formats that :func:`to_text` wrote."""

    def one(fields: dict[str, Any]) -> Format:
        marks = tuple(Mark(bytes.fromhex(mark["content"]), mark["at"]) for mark in fields.pop("marks"))
        endings: dict[str, Any] = {name: tuple(fields.pop(name)) for name in ("endings", "only_named", "beside")}
        return Format(marks=marks, **endings, **fields)

    return tuple(map(one, json.loads(text)))


def said_by(ending: str, formats: Sequence[Format]) -> Format | None:
    """The format that a file's ending says where the file itself is named as a model; None: none of these."""
    small = ending.lower()
    usual = next((one for one in formats if small in one.endings), None)
    return usual or next((one for one in formats if small in one.only_named), None)


def by_ending(ending: str) -> Format | None:
    """The format of files with this ending, such as ``.ONNX``; None: nobody declares it. Ours are found without asking others."""
    small = ending.lower()
    some = OURS if small in EXTENSIONS else known().formats
    return next((one for one in some if small in one.endings), None)


def by_name(name: str) -> Format | None:
    """The format of this name; None: nobody declares it."""
    of_ours = next((one for one in OURS if one.name == name), None)
    return of_ours or next((one for one in known().formats if one.name == name), None)


def endings(formats: Iterable[Format] | None = None) -> list[str]:
    """The endings of these formats, or of all that are declared here, in the alphabet's order."""
    return sorted(ending for one in (known().formats if formats is None else formats) for ending in one.endings)


def preferred(kind: ModelFormat, takers: Callable[[], Sequence[str]]) -> str:
    """The runtime of a format when none is named. ``takers`` finds those that take it, where the format does not say.

    Raises :class:`SpecInvalid` where several take it, and :class:`PluginMissing` or :class:`ModelNotSupported` where none does.
    """
    declared = by_name(kind)
    if declared is not None and declared.runtime is not None:
        return declared.runtime
    able = takers()
    if len(able) == 1:
        return able[0]
    if not able and declared is not None and declared in OURS:
        raise ModelNotSupported(
            f"nothing on this machine measures {kind} models",
            hint=declared.elsewhere or None,
        )
    if able:
        raise SpecInvalid(f"several runtimes take {kind} models: {', '.join(able)}", hint=f"name one: -r {able[0]}")
    raise PluginMissing(
        f"no runtime here takes {kind} models", hint="install the distribution that has one: see `dynolab runtimes`"
    )
