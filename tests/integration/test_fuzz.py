"""The hub's faces are asked what nobody would ask; none answers that it failed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("pgqueuer")

from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.app import DOORS
from dynolab.testing.running_hub import RunningHub

from .test_api import User, claim

OPTIONS = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
FEW, MANY = settings(OPTIONS, max_examples=200), settings(OPTIONS, max_examples=5000)
DEPTH = 3
ENVIRONMENT = {"DYNOLAB_POSTS_PER_S": "0"}
ROUTES = sorted(
    {(method, route.path) for room in DOORS for route in room.routes for method in route.methods if method != "HEAD"}
)
"""Every route of the official protocol."""
PYTEST_ARGUMENTS = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly"]


@pytest.fixture(scope="module")
def known(hub: RunningHub) -> list[str]:
    """Ids of things that are there, and some that are none."""
    door = HubDoor(hub.url, hub.agent_token)
    claim(door, "fuzz")
    with httpx.Client(timeout=30) as http:
        user = User(hub, hub.token, http)
        model = user.model()
        job = user.submit(model, "fuzz")["id"]
        dataset = user.post("/datasets", {})["id"]
        user.upload("datasets", dataset, b"data")
    door.close()
    return [model, job, dataset, "x", "-1", "1", "a%00b", "a%0Ab", "..%2f..", "ü", "latest", "'"]


@pytest.fixture(scope="module")
def official(hub: RunningHub) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"token {hub.token}", "Client-Version": "0.56.0"}
    with httpx.Client(base_url=f"{hub.url}/api/v1", headers=headers, timeout=30) as http:
        yield http


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """What a field that is no message may hold."""
    whole = {
        FieldDescriptor.CPPTYPE_INT32: st.integers(-(1 << 31), (1 << 31) - 1),
        FieldDescriptor.CPPTYPE_INT64: st.integers(-(1 << 63), (1 << 63) - 1),
        FieldDescriptor.CPPTYPE_UINT32: st.integers(0, (1 << 32) - 1),
        FieldDescriptor.CPPTYPE_UINT64: st.integers(0, (1 << 64) - 1),
        FieldDescriptor.CPPTYPE_ENUM: st.integers(-5, 120),
        FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
        FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
        FieldDescriptor.CPPTYPE_FLOAT: st.floats(width=32),
    }
    if field.cpp_type in whole:
        return whole[field.cpp_type]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    odd = ["fuzz", "", "a/b", "\0", "x" * 10_000, "--compute_unit cpu", "--max_profiler_iterations 0", "1.0"]
    return st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.sampled_from(odd))


@cache
def messages(kind: Descriptor, depth: int) -> st.SearchStrategy[Message]:
    """Messages of a kind with any of their fields set."""

    @st.composite
    def made(draw: st.DrawFn) -> Message:
        message = GetMessageClass(kind)()
        for field in kind.fields:
            inner = field.message_type is not None
            if (inner and depth == 0) or not draw(st.booleans()):
                continue
            if inner and field.message_type.GetOptions().map_entry:
                continue
            one = messages(field.message_type, depth - 1) if inner else values(field)
            place = getattr(message, field.name)
            if field.is_repeated:
                place.extend(draw(st.lists(one, max_size=3)))
            elif inner:
                place.CopyFrom(draw(one))
                place.SetInParent()
            else:
                setattr(message, field.name, draw(one))
        return message

    return made()


KINDS = list(pb.DESCRIPTOR.message_types_by_name.values())
ASKED = ("Job", "Model", "Dataset", "JobPublicUpdate", "SharedAccessChange", "FileMultipartUploadComplete")
"""What a client sends; the other messages are sent as well, but less often."""
BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(KINDS).flatmap(lambda kind: messages(kind, DEPTH)).map(lambda one: one.SerializeToString()),
    *(
        messages(pb.DESCRIPTOR.message_types_by_name[name], DEPTH).map(lambda one: one.SerializeToString())
        for name in ASKED
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "offset", "file_size", "name", "os", "select", "attributes", "state", "type", "creator"]),
    st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.integers().map(str)),
    max_size=3,
)


def ask(official: httpx.Client, known: list[str], data: st.DataObject) -> None:
    method, path = data.draw(st.sampled_from(ROUTES))
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + data.draw(st.sampled_from(known)) + rest.partition("}")[2]
    body = data.draw(BODIES) if method != "GET" else b""
    answer = official.request(method, path, params=data.draw(QUERIES) or None, content=body)
    assert answer.status_code < 500, (method, path, body, answer.status_code, answer.text)
    if answer.status_code >= 400 and answer.headers.get("content-type") == "application/json":
        assert answer.json()["detail"], "a refusal says why"


@FEW
@given(data=st.data())
def test_the_official_protocol_never_fails(official: httpx.Client, known: list[str], data: st.DataObject) -> None:
    ask(official, known, data)


@pytest.mark.slow
@MANY
@given(data=st.data())
def test_the_official_protocol_never_fails_for_long(
    official: httpx.Client, known: list[str], data: st.DataObject
) -> None:
    ask(official, known, data)


@pytest.mark.parametrize("path", [path for method, path in ROUTES if method == "GET" and "{" not in path])
def test_a_list_takes_any_offset(path: str, official: httpx.Client) -> None:
    for offset in ((1 << 31) - 50, (1 << 31) - 1, 1 << 31, 10**17):
        answer = official.get(path, params={"offset": str(offset)})
        assert answer.is_success, (offset, answer.status_code, answer.text)


DEPTHS = (7, 60, 70, 200, 500, 900, 960, 990, 1000, 1100, 5000, 200_000)
"""Around what is taken, what Python's functions take, and far beyond."""
AGENTS = (
    "claim",
    "probes",
    "attempts/00000000-0000-0000-0000-000000000000/renew",
    "attempts/00000000-0000-0000-0000-000000000000/finish",
)
WORDS = {
    "claim": ("protocol", "device", "wait_s", "unfit"), "probes": ("protocol", "device", "probe"), "renew": ("progress", "log"), "finish": ("error", "summary", "tensors"),
    "login": ("email", "password"), "complete": ("upload", "etags"),
}  # fmt: skip
"""What the doors without a description read."""


def deep(depth: int) -> Iterator[str]:
    """Documents so many lists and objects deep, whole and broken off."""
    yield "[" * depth + "]" * depth
    yield '{"a":' * depth + "1" + "}" * depth
    yield "[" * depth


def doors_of_json(hub: RunningHub) -> list[tuple[str, str, tuple[str, ...], dict[str, str]]]:
    """Every method and address that takes JSON, with the fields that it knows, and what lets one in there."""
    user, agent = ({"Authorization": f"Bearer {one}"} for one in (hub.token, hub.agent_token))
    document = httpx.get(f"{hub.url}/api/hub/v1/openapi.json", timeout=30).json()
    found = []
    for path, verbs in document["paths"].items():
        for verb, route in verbs.items():
            if "requestBody" in route:
                name = route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                fields = tuple(document["components"]["schemas"][name]["properties"])
                found.append((verb, "/api/hub/v1" + re.sub("{[^}]*}", "x", path), fields, user))
    found += [("post", f"/api/agent/v1/{one}", WORDS[one.rpartition("/")[2]], agent) for one in AGENTS]
    found.append(("post", "/api/v1/users/auth/login/", WORDS["login"], user))
    page = {**user, "Sec-Fetch-Site": "same-origin"}
    return [*found, ("post", "/submit/uploads/model/x/complete", WORDS["complete"], page)]


def test_documents_of_any_depth_are_refused_at_every_door_that_reads_json(hub: RunningHub) -> None:
    with httpx.Client(base_url=hub.url, timeout=30) as http:
        signed_in = http.post("/sign-in", data={"token": hub.token}, headers={"Sec-Fetch-Site": "same-origin"})
        assert signed_in.status_code == 303
        doors = doors_of_json(hub)
        assert len(doors) > 15
        for method, path, fields, headers in doors:
            for number, depth in enumerate(DEPTHS):
                place = fields[number % len(fields)]
                for text in deep(depth):
                    for body in (text, f'{{"{place}": {text}}}'):
                        answer = http.request(
                            method, path, content=body, headers={"Content-Type": "application/json", **headers}
                        )
                        assert 400 <= answer.status_code < 500, (method, path, place, depth, answer.text[:300])
                        assert "maximum recursion" not in answer.text


SCHEMA_TEST = """
import os

import hypothesis
import schemathesis

URL = os.environ["HUB_URL"] + "/api/hub/v1"
schema = schemathesis.openapi.from_url(URL + "/openapi.json")
schema.config.update(base_url=URL)
few = hypothesis.settings(
    max_examples=int(os.environ["HUB_EXAMPLES"]), deadline=None, database=None, derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
)


@schema.exclude(path_regex="/events$").parametrize()
@few
def test_api(case):
    answer = case.call(headers={"Authorization": "Bearer " + os.environ["HUB_TOKEN"]}, timeout=30)
    case.validate_response(answer, checks=[
        schemathesis.checks.not_a_server_error,
        schemathesis.checks.status_code_conformance,
        schemathesis.checks.content_type_conformance,
        schemathesis.checks.response_schema_conformance,
    ])
"""
"""In a process of its own: schemathesis is a plug-in of pytest, and brings modules that the other tests do without."""


def test_the_json_api_does_what_its_description_says(hub: RunningHub, known: list[str], tmp_path: Path) -> None:
    by_schema(hub, tmp_path, examples=1)


@pytest.mark.slow
def test_the_json_api_does_what_its_description_says_for_long(
    hub: RunningHub, known: list[str], tmp_path: Path
) -> None:
    by_schema(hub, tmp_path, examples=150)


def by_schema(hub: RunningHub, folder: Path, *, examples: int) -> None:
    pytest.importorskip("schemathesis")
    (folder / "test_schema.py").write_text(SCHEMA_TEST, encoding="utf-8")
    environment = {"HUB_URL": hub.url, "HUB_TOKEN": hub.token, "HUB_EXAMPLES": str(examples)}
    told = subprocess.run(
        [sys.executable, "-m", "pytest", *PYTEST_ARGUMENTS, "--rootdir", str(folder), str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout[-20_000:] + told.stderr
