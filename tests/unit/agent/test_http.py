"""What the agent makes of the hub's answers, and of a proxy's before the hub."""

from __future__ import annotations

import httpx
import pytest

from dynolab import errors
from dynolab.agent.http import _checked

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
