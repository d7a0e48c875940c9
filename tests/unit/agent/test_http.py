"""What the agent makes of the hub's answers, and of a proxy's before the hub."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from dynolab import errors
from dynolab.agent.http import HubDoor, _checked
from dynolab.spec.agents import FileLink

OURS = errors.Conflict("the attempt is over").to_dict()


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (409, OURS, errors.Conflict),
        (413, {"detail": "too large"}, errors.TooLarge),
        (413, ["too large"], errors.TooLarge),
        (415, None, errors.MediaTypeInvalid),
        (507, errors.StorageFull("full").to_dict(), errors.StorageFull),
        (404, {"detail": "not here"}, errors.DeviceLost),
        (404, errors.NotFound("gone").to_dict(), errors.NotFound),
        (429, errors.RateLimited("often").to_dict(), errors.DeviceLost),
        (500, errors.Bug("ours").to_dict(), errors.DeviceLost),
        (502, None, errors.DeviceLost),
    ],
)
def test_an_answer_that_is_no_success_is_the_error_that_it_tells_of(
    status: int, document: object, kind: type[errors.Error]
) -> None:
    request = httpx.Request("POST", "http://hub.example/api/agent/v1/claim")
    answer = httpx.Response(status, request=request, **({"json": document} if document else {"text": "<html>"}))
    with pytest.raises(errors.Error) as caught:
        _checked(answer)
    assert type(caught.value) is kind
    assert _checked(httpx.Response(204, request=request)).status_code == 204


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [(200, b"12345", None), (200, b"1234", errors.TransferFailed), (409, b"12345", errors.Conflict)],
)
def test_a_file_is_fetched_whole_or_what_was_answered_instead_is_told(
    tmp_path: Path, status: int, content: bytes, kind: type[errors.Error] | None
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/agent/v1/files/model/a1"
        return httpx.Response(status, content=content) if status == 200 else httpx.Response(status, json=OURS)

    door = HubDoor("http://hub.example/", "secret")
    door._client = httpx.Client(transport=httpx.MockTransport(answer))
    with pytest.raises(kind) if kind else nullcontext():
        assert door.fetch("a1", "model", FileLink("net.onnx", 5), tmp_path).read_bytes() == content
    door.close()
