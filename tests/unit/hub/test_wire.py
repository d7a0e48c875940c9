"""The generated messages are those of the .proto file beside them: who edits one runs script/protos."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("google.protobuf", reason="protobuf is not installed: pip install 'dynolab[hub]'")

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from dynolab.hub.aihub import wire
from dynolab.hub.aihub.wire import public_api_pb2 as pb

FOLDER = Path(wire.__file__).parent
STALE = "run script/protos"

OPEN = re.compile(r"(message|enum|oneof) (\w+) \{")
FIELD = re.compile(r"(?:(optional|repeated) )?(?:map<(\w+), (\w+)>|([\w.]+)) (\w+) = (\d+);")
VALUE = re.compile(r"(\w+) = (\d+);")
OTHER = re.compile(r"(syntax|package|import) .*;|\}|")

Member = tuple[str, int, str, str, str, str]
"""Message, number, name, type, optional or repeated, oneof; of an enum: name, number, value's name, and nothing."""


def written(text: str) -> Iterator[Member]:
    """The fields and values in the text of a .proto file."""
    path: list[tuple[str, str]] = []
    for line in text.splitlines():
        code = line.split("//")[0].strip()
        where = ".".join(name for kind, name in path if kind != "oneof")
        oneof = path[-1][1] if path and path[-1][0] == "oneof" else ""
        if found := OPEN.fullmatch(code):
            path.append((found[1], found[2]))
        elif found := FIELD.fullmatch(code):
            label, key, value, kind, name, number = found.groups()
            if key:
                entry = f"{name.title().replace('_', '')}Entry"
                yield (f"{where}.{entry}", 1, "key", key, "", "")
                yield (f"{where}.{entry}", 2, "value", value, "", "")
                label, kind = "repeated", entry
            yield (where, int(number), name, kind.split(".")[-1], label or "", oneof)
        elif found := VALUE.fullmatch(code):
            yield (where, int(found[2]), found[1], "", "", "")
        else:
            assert OTHER.fullmatch(code), f"not understood: {line}"
            if code == "}":
                path.pop()


def generated() -> Iterator[Member]:
    file = FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)
    for enum in file.enum_type:
        yield from _values("", enum)
    for message in file.message_type:
        yield from _fields("", message)


def _values(prefix: str, enum: EnumDescriptorProto) -> Iterator[Member]:
    for value in enum.value:
        yield (prefix + enum.name, value.number, value.name, "", "", "")


def _fields(prefix: str, message: DescriptorProto) -> Iterator[Member]:
    name = prefix + message.name
    for field in message.field:
        kind = field.type_name.split(".")[-1] or FieldDescriptorProto.Type.Name(field.type)[5:].lower()
        repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
        label = "repeated" if repeated else "optional" if field.proto3_optional else ""
        in_oneof = field.HasField("oneof_index") and not field.proto3_optional
        oneof = message.oneof_decl[field.oneof_index].name if in_oneof else ""
        yield (name, field.number, field.name, kind, label, oneof)
    for enum in message.enum_type:
        yield from _values(f"{name}.", enum)
    for nested in message.nested_type:
        yield from _fields(f"{name}.", nested)


def test_the_module_is_what_the_proto_file_says() -> None:
    proto = list(written((FOLDER / "public_api.proto").read_text(encoding="utf-8")))
    assert len(proto) == len(set(proto)) > 400
    assert set(proto) == set(generated()), STALE


def test_the_module_was_made_of_this_file_and_package() -> None:
    text = (FOLDER / "public_api.proto").read_text(encoding="utf-8")
    assert f"package {pb.DESCRIPTOR.package};" in text
    assert pb.DESCRIPTOR.name == "dynolab/hub/aihub/wire/public_api.proto"


def test_the_types_name_what_the_module_has() -> None:
    """A stale .pyi would have mypy pass what fails, or refuse what works."""
    tree = ast.parse((FOLDER / "public_api_pb2.pyi").read_text(encoding="utf-8"))
    constants = {ast.unparse(node.target) for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert {*pb.DESCRIPTOR.enum_types_by_name, *pb.DESCRIPTOR.message_types_by_name} == {
        node.name for node in tree.body if isinstance(node, ast.ClassDef)
    }, STALE
    values = {value for enum in pb.DESCRIPTOR.enum_types_by_name.values() for value in enum.values_by_name}
    assert constants == {"DESCRIPTOR", *values}, STALE
    typed = set(_numbered("", tree.body))
    assert typed == {(name, field) for name, _, field, kind, *_ in generated() if kind}, STALE


def _numbered(prefix: str, body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                name = ast.unparse(inner.target) if isinstance(inner, ast.AnnAssign) else ""
                if name.endswith("_FIELD_NUMBER"):
                    yield (prefix + node.name, name.removesuffix("_FIELD_NUMBER").lower())
            yield from _numbered(f"{prefix}{node.name}.", node.body)


def test_a_field_that_the_module_lacks_is_seen() -> None:
    text = (FOLDER / "public_api.proto").read_text(encoding="utf-8")
    changed = text.replace("optional string hub_version = 3;", "optional string hub_version = 12;")
    assert set(written(changed)) - set(generated()) == {("Job", 12, "hub_version", "string", "optional", "")}
