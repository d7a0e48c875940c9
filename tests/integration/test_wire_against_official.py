"""Our messages and dataset files against those of the official client, which runs in an environment of its own."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.protobuf", reason="protobuf is not installed: pip install 'dynolab[hub]'")
pytest.importorskip("h5py", reason="h5py is not installed: pip install 'dynolab[datasets]'")

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.jobs._datasets import h5

from .official import ask

pytestmark = pytest.mark.slow
VERSION = "0.56.0"

LEFT_OUT = {
    "Viz*": "graphs for a viewer: calls of the low level could ask for them, up to 0.31",
    "Organization*": "web UI",
    "UpdateOrganizationMember": "web UI",
    "*Team*": "web UI",
    "*Project*": "web UI; to the client a project is an id in the path",
    "JobAssociatedModel*": "web UI",
    "ModelRelation": "web UI: of JobAssociatedModel",
    "JobTypeCount*": "web UI",
    "UserChangePassword": "web UI",
    "DeleteResponse": "web UI: the client's DELETE calls are answered with CreateUpdateResponse",
    "DevicePermission": "no message has it",
}
"""Official messages and enums that ours lack, by pattern of their names, and why."""


def describe(messages: Any) -> dict[str, dict[str, list[Any]]]:
    """Every message: number -> name, type, repeated, optional, oneof. Every enum: number -> name. Runs on both sides."""
    from google.protobuf import descriptor_pb2

    file = descriptor_pb2.FileDescriptorProto.FromString(messages.DESCRIPTOR.serialized_pb)
    found: dict[str, dict[str, list[Any]]] = {}

    def enumerate_values(prefix: str, enum: Any) -> None:
        found[prefix + enum.name] = {str(value.number): [value.name] for value in enum.value}

    def enumerate_fields(prefix: str, message: Any) -> None:
        name = prefix + message.name
        found[name] = {}
        for field in message.field:
            oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
            kind = field.type_name.removeprefix(f".{file.package}.") or field.type
            repeated = field.label == field.LABEL_REPEATED
            found[name][str(field.number)] = [
                field.name,
                kind,
                repeated,
                field.proto3_optional,
                oneof,
                str(field.options),
            ]
        for nested in message.nested_type:
            enumerate_fields(name + ".", nested)
        for enum in message.enum_type:
            enumerate_values(name + ".", enum)

    for enum in file.enum_type:
        enumerate_values("", enum)
    for message in file.message_type:
        enumerate_fields("", message)
    return found


def plain(message: Any) -> dict[str, Any]:
    """A message for JSON, with all fields that are set, zero or not. Runs on both sides."""
    from google.protobuf import json_format

    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def beside(*functions: Any, body: str) -> str:
    """A program for the official side, with functions of this file."""
    sources = "\n".join(inspect.getsource(function) for function in functions)
    return (
        "from __future__ import annotations\nimport json, sys\nfrom typing import Any\n"
        f"import qai_hub.public_api_pb2 as pb\n{sources}\nquestion = json.load(sys.stdin)\n{body}"
    )


@pytest.fixture(scope="module")
def official() -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, list[Any]]] = ask(
        VERSION, beside(describe, body="print(json.dumps(describe(pb), sort_keys=True))")
    )
    return found


def _left_out(name: str) -> bool:
    return any(fnmatchcase(name.split(".")[0], pattern) for pattern in LEFT_OUT)


def test_every_message_and_enum_is_the_official_one(official: dict[str, dict[str, list[Any]]]) -> None:
    ours = describe(pb)
    assert ours.keys() - official.keys() == set(), "these are ours alone"
    assert {name: ours[name] for name in ours} == {name: official[name] for name in ours}


def test_what_is_left_out_has_its_reason(official: dict[str, dict[str, list[Any]]]) -> None:
    lacking = official.keys() - describe(pb).keys()
    assert {name for name in lacking if not _left_out(name)} == set()
    assert {pattern for pattern in LEFT_OUT if not any(fnmatchcase(name, pattern) for name in lacking)} == set()
    assert {name for name in describe(pb) if _left_out(name)} == set()


def _fill(message: Message, seed: int, *, zeros: bool = False) -> Iterator[Message]:
    """The message with every field set, once for each member of its oneofs."""
    for choice in range(max([len(oneof.fields) for oneof in message.DESCRIPTOR.oneofs], default=1)):
        filled = type(message)()
        for field in message.DESCRIPTOR.fields:
            oneof = field.containing_oneof
            if oneof is None or len(oneof.fields) == 1 or oneof.fields[choice] is field:
                _set(filled, field, seed + field.number, zeros)
        yield filled


def _set(message: Message, field: FieldDescriptor, seed: int, zeros: bool) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        target[_scalar(key, seed, zeros)] = _scalar(value, seed + 1, zeros)
    elif field.message_type is not None:
        places = [target.add(), target.add()] if field.is_repeated else [target]
        for number, place in enumerate(places):
            place.SetInParent()
            kinds = list(_fill(place, seed + 7 * number, zeros=zeros))
            place.CopyFrom(kinds[seed % len(kinds)])
    elif field.is_repeated:
        target.extend([_scalar(field, seed, zeros), _scalar(field, seed + 1, zeros)])
    else:
        setattr(message, field.name, _scalar(field, seed, zeros))


def _scalar(field: FieldDescriptor, seed: int, zeros: bool) -> Any:
    if field.enum_type is not None:
        return 0 if zeros else field.enum_type.values[seed % len(field.enum_type.values)].number
    if field.type == field.TYPE_STRING:
        return "" if zeros else f"{field.name} {seed} µ"
    if field.type == field.TYPE_BOOL:
        return not zeros
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return 0.0 if zeros else seed + 0.5
    large = {field.TYPE_UINT64: 2**63, field.TYPE_INT64: -(2**32), field.TYPE_UINT32: 2**31, field.TYPE_INT32: 2**15}
    return 0 if zeros else large[field.type] + seed


def _messages() -> list[Message]:
    kinds = [getattr(pb, name) for name in pb.DESCRIPTOR.message_types_by_name]
    return [filled for kind in kinds for zeros in (False, True) for filled in _fill(kind(), 1, zeros=zeros)]


def test_every_message_is_read_by_the_official_client() -> None:
    sent = _messages()
    assert {"Job", "JobResult", "ProfileDetail", "Model", "DeviceList"} <= {it.DESCRIPTOR.name for it in sent}
    body = """
answers = []
for name, content in question:
    message = getattr(pb, name).FromString(bytes.fromhex(content))
    answers.append([plain(message), message.SerializeToString(deterministic=True).hex()])
print(json.dumps(answers))
"""
    question = [[it.DESCRIPTOR.name, it.SerializeToString(deterministic=True).hex()] for it in sent]
    answers = ask(VERSION, beside(plain, body=body), question)
    for ours, asked, (theirs, again) in zip(sent, question, answers, strict=True):
        assert theirs == plain(ours), ours.DESCRIPTOR.name
        assert again == asked[1], ours.DESCRIPTOR.name
        assert type(ours).FromString(bytes.fromhex(again)) == ours


def arrays() -> dict[str, list[Any]]:
    """Tensors of every type, in an order that is not the names'. Runs on both sides."""
    import numpy as np

    dtypes = ("uint16", "bool", "float16", "float32", "int8", "int16", "int32", "int64", "uint8")
    tensors = {f"x/{dtype} µ": [(np.arange(24) % 5).astype(dtype).reshape(2, 3, 4)] * 2 for dtype in dtypes}
    tensors["noise"] = [np.random.RandomState(number).standard_normal((70, 90)).astype("float32") for number in (1, 2)]
    return tensors


def facts(tensors: Any) -> list[Any]:
    """All that there is to tensors, for JSON. Runs on both sides."""
    return [
        [name, [[batch.dtype.str, list(batch.shape), batch.tobytes().hex()] for batch in batches]]
        for name, batches in tensors.items()
    ]


CONVERTERS = (
    "import h5py\nfrom qai_hub.util.dataset_entries_converters import dataset_entries_to_h5, h5_to_dataset_entries\n"
)


def test_a_dataset_file_of_the_official_client_is_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.h5"
    body = f"{CONVERTERS}with h5py.File(question, 'w') as file: dataset_entries_to_h5(arrays(), file)\nprint('null')"
    ask(VERSION, beside(arrays, body=body), str(path))
    assert facts(h5.read(path)) == facts(arrays())


def test_a_dataset_file_of_ours_is_read_by_the_official_client(tmp_path: Path) -> None:
    path = tmp_path / "ours.h5"
    tensors = {**arrays(), "scalar": [np.array(2.5, np.float32)] * 2, "nothing": [np.zeros((0, 3), np.float32)] * 2}
    h5.write(path, tensors)
    body = f"{CONVERTERS}with h5py.File(question) as file: print(json.dumps(facts(h5_to_dataset_entries(file))))"
    assert ask(VERSION, beside(facts, body=body), str(path)) == json.loads(json.dumps(facts(tensors)))
