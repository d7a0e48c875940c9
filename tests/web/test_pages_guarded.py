"""Every route of the pages, also one that is written tomorrow: forms of other sites, no session, another's ids."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from .conftest import DEVICE, Seeded
from .walk import Way, ways

HERE = {"Sec-Fetch-Site": "same-origin"}
ELSEWHERE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {},
)
"""What browsers send for another site's form, or for none; and what no browser sends."""
FOR_ANYBODY = {"/sign-in", "/sign-out", "/language"}
"""Forms that need no session."""
FROM_THE_PROVIDER = {"/sign-out/oidc/back-channel"}
"""What no browser sends, and no session stands for: it is signed (see tests/integration/test_oidc.py)."""
FORMS = [way for way in ways("POST") if way.path not in FROM_THE_PROVIDER]
SEEN_BY_ANYBODY = {
    "/sign-in/oidc",
    "/sign-in/oidc/callback",
    "/sign-out/oidc",
    "/definitions",
    "/sign-in",
    "/welcome/{invitation}",
    "/graph/viewer/{name}",
    "/graph/file/{token}/{name}",
    "/traces/{token}/{name}",
    "/assets/{digest}/{name}",
    "/wheels/{name}",
}
AWAY_FROM_HERE = {"/": "/jobs/", "/devices": "/devices/", "/account": "/account/"}
"""Addresses that only lead to another."""
SECRET, OWNER = "hush-hush", "admin@localhost"
WHOSE = {"/devices/", "/devices/{id:path}"}
"""Pages that tell who answers for the devices."""
EMPTY_HANDED = {
    "/jobs/{id}/artifact",
    "/jobs/{id}/comparison",
    "/jobs/{id}/compiled",
    "/jobs/{id}/quantized",
    "/jobs/{id}/linked",
}
"""Of the owner's job there is none."""


@pytest.fixture(scope="module")
def ids(seeded: Seeded) -> dict[str, str]:
    """What the first user has, each with the secret in its name."""
    model, dataset = seeded.model(f"{SECRET} model"), seeded.dataset(f"{SECRET} dataset")
    job = seeded.done(f"{SECRET} job", model_id=model, kind="inference", dataset_id=dataset, output=b"outputs")
    token = seeded.api("POST", "tokens", json={"label": f"{SECRET} token"})
    with httpx.Client(base_url=seeded.url, headers=HERE, timeout=30) as browser:
        browser.post("/sign-in", data={"token": token["secret"]})
    opened = seeded.api("GET", "sessions")["sessions"]
    session = next(one["id"] for one in opened if one["token_id"] == token["id"])
    queued = seeded.submit(f"{SECRET} queued", model)
    found = {"job": job, "model": model, "dataset": dataset, "token": token["id"], "session": session}
    pool = next(one["id"] for one in seeded.api("GET", "pools")["pools"] if one["name"] == DEVICE)
    return {**found, "device": "bench-1", "queued": queued, "pool": pool}


@pytest.fixture(scope="module")
def owner(seeded: Seeded) -> Iterator[httpx.Client]:
    with signed_in(seeded, seeded.hub.token) as found:
        yield found


@pytest.fixture(scope="module")
def stranger(seeded: Seeded) -> Iterator[httpx.Client]:
    with signed_in(seeded, seeded.account("stranger@example.org")) as found:
        yield found


@pytest.fixture(scope="module")
def over(seeded: Seeded) -> str:
    """The cookie of a session that has ended."""
    with signed_in(seeded, seeded.hub.token) as found:
        return found.cookies["dynolab_session"]


@contextmanager
def signed_in(seeded: Seeded, token: str) -> Iterator[httpx.Client]:
    """A browser with a session, which says of nothing where it comes from."""
    with httpx.Client(base_url=seeded.url, timeout=30) as found:
        assert found.post("/sign-in", data={"token": token}, headers=HERE).status_code == 303
        yield found
        found.post("/sign-out", headers=HERE)


@pytest.fixture(scope="module")
def api(seeded: Seeded) -> Iterator[httpx.Client]:
    """The JSON API, as the first user asks it."""
    headers = {"Authorization": f"Bearer {seeded.hub.token}"}
    with httpx.Client(base_url=f"{seeded.url}/api/hub/v1/", headers=headers, timeout=30) as found:
        yield found


def everything(api: httpx.Client) -> dict[str, Any]:
    """All that the first user has; that a session is seen and a token is used, may change by looking."""
    found = {one: api.get(one).json()[one] for one in ("jobs", "models", "datasets", "tokens")}
    for kind in ("jobs", "models", "datasets"):
        for one in found[kind]:
            one["sharing"] = api.get(f"{kind}/{one['id']}/sharing").json()
    boards = [(one["id"], one["health"], one["health_by"]) for one in api.get("boards").json()["boards"]]
    return {**found, "boards": boards, "tokens": [{**one, "used_at": None} for one in found["tokens"]]}


@pytest.fixture(scope="module")
def seen(api: httpx.Client, ids: dict[str, str]) -> list[dict[str, Any]]:
    """What the first user had when it was last looked at, which is one thing."""
    return [everything(api)]


@pytest.fixture
def unchanged(api: httpx.Client, seen: list[dict[str, Any]]) -> Iterator[None]:
    """At the end of the test the first user has what it had before."""
    yield
    before, seen[0] = seen[0], everything(api)
    assert seen[0] == before


def form(ids: dict[str, str]) -> dict[str, str]:
    """Every field that any form has, each with something that could be done."""
    names = {"name": "taken", "email": "thief@example.org", "label": "taken", "kind": "user", "remove": "yes"}
    passwords = {"current": "x" * 9, "password": "y" * 9, "again": "y" * 9, "token": "dl_forged", "language": "zh"}
    return {**names, **passwords, "next": "/jobs/", "model": ids["model"], "dataset": ids["dataset"], "job": ids["job"]}


def test_there_are_routes_to_walk() -> None:
    assert len(FORMS) > 20
    assert len(list(ways("GET"))) > 30
    assert {way.path for way in ways("POST")} >= FOR_ANYBODY | FROM_THE_PROVIDER
    assert {way.path for way in ways("GET")} >= SEEN_BY_ANYBODY | set(AWAY_FROM_HERE) | EMPTY_HANDED


@pytest.mark.parametrize("way", FORMS, ids=lambda way: way.path)
def test_no_form_of_another_site_is_heeded(way: Way, unchanged: None, owner: httpx.Client, ids: dict[str, str]) -> None:
    for headers in ELSEWHERE:
        answer = owner.post(way.filled(ids), data=form(ids), headers=headers)
        assert answer.status_code == 403, (headers, answer.status_code)
        assert "set-cookie" not in answer.headers, headers
    assert owner.get("/account/").status_code == 200


@pytest.mark.parametrize("way", [way for way in FORMS if way.path not in FOR_ANYBODY], ids=lambda way: way.path)
def test_no_form_is_heeded_without_a_session(
    way: Way, seeded: Seeded, unchanged: None, over: str, ids: dict[str, str]
) -> None:
    for session in (None, "", "forged", "forged.by.hand", "é" * 3, over):
        cookies = {} if session is None else {"Cookie": f"dynolab_session={session}".encode()}
        with httpx.Client(base_url=seeded.url, timeout=30) as browser:
            answer = browser.post(way.filled(ids), data=form(ids), headers={**HERE, **cookies})
        assert answer.status_code == 303, (session, answer.status_code)
        assert answer.headers["location"].startswith("/sign-in"), session


@pytest.mark.parametrize("way", [way for way in ways("POST") if way.about], ids=lambda way: way.path)
def test_no_form_changes_what_is_anothers(
    way: Way, unchanged: None, api: httpx.Client, stranger: httpx.Client, ids: dict[str, str]
) -> None:
    fields = {name: value for name, value in form(ids).items() if name != "next"}
    body = {"json": {"upload": "u1", "etags": []}} if way.path.endswith("/complete") else {"data": fields}
    for target in {ids[str(way.about)], ids["queued"] if way.about == "job" else ids[str(way.about)]}:
        answer = stranger.post(way.filled({**ids, str(way.about): target}), headers=HERE, **body)
        # An administrator's devices are seen by all.
        assert answer.status_code in ((403, 404) if way.about in ("pool", "device") else (404,)), answer.status_code
        assert SECRET not in answer.text
    assert ids["session"] in [one["id"] for one in api.get("sessions").json()["sessions"]]


@pytest.mark.parametrize(
    "way", [way for way in ways("POST") if way.path.startswith("/jobs/")], ids=lambda way: way.path
)
def test_a_list_tells_that_anothers_jobs_are_not_there(
    way: Way, unchanged: None, stranger: httpx.Client, ids: dict[str, str]
) -> None:
    """Back at the list that a form names, also with several jobs at once."""
    answer = stranger.post(way.filled(ids), data=form(ids), headers=HERE, follow_redirects=True)
    assert f"there is no job '{ids['job']}'" in html.unescape(answer.text)
    assert SECRET not in answer.text


def test_nothing_is_submitted_with_what_is_anothers(
    seeded: Seeded, unchanged: None, stranger: httpx.Client, ids: dict[str, str]
) -> None:
    device = "name=Bench+Phone&os=14&attribute=framework%3Aonnx&attribute=vendor%3Abench"
    fields = {"model": ids["model"], "kind": "profile", "device": device, "waits_for": ids["job"]}
    sent = {name: (None, value) for name, value in fields.items()}
    answer = stranger.post("/submit", files=sent, headers=HERE)
    assert answer.status_code in (404, 422)
    assert SECRET not in answer.text
    jobs = httpx.get(f"{seeded.url}/jobs/", cookies=stranger.cookies, timeout=30).text
    assert "There are no jobs yet." in jobs


@pytest.mark.parametrize("way", ways("GET"), ids=lambda way: way.path)
def test_no_page_shows_what_is_anothers(
    way: Way, owner: httpx.Client, stranger: httpx.Client, ids: dict[str, str]
) -> None:
    path, by_id = way.filled(ids), [(name, ids[name]) for name in ("job", "model", "dataset", "token", "session")]
    by_id += [("job", ids["queued"]), ("whole", "1"), ("add", "1"), ("kind", "inference"), ("id", ids["job"])]
    by_name = [("model", f"{SECRET} model"), ("device", DEVICE)]
    for query, never in (([], SECRET), (by_id, SECRET), ([("text", "hush")], SECRET), (by_name, f"{SECRET} job")):
        for headers in ({}, {"HX-Request": "true"}):
            answer = stranger.get(path, params=query, headers=headers)
            assert answer.status_code < 500
            assert never not in answer.text.replace(path, ""), (query, headers)
            assert OWNER not in answer.text or way.path in WHOSE, (query, headers)
    if way.about in ("job", "model", "dataset"):
        assert stranger.get(path).status_code == 404
        assert owner.get(path).status_code != 404 or way.path in EMPTY_HANDED, "or there is nothing to hide"


@pytest.mark.parametrize("way", ways("GET"), ids=lambda way: way.path)
def test_nobody_sees_a_page_without_a_session(way: Way, seeded: Seeded, ids: dict[str, str]) -> None:
    path = way.filled(ids)
    for session in ("", "forged.by.hand"):
        cookie = {"Cookie": f"dynolab_session={session}"} if session else {}
        answer = seeded.http.get(f"{seeded.url}{path}", headers=cookie)
        seeded.http.cookies.clear()
        assert SECRET not in answer.text
        if way.path in SEEN_BY_ANYBODY:
            assert not answer.headers.get("location", "").startswith("/sign-in")
        elif way.path in AWAY_FROM_HERE:
            assert answer.headers["location"] == AWAY_FROM_HERE[way.path]
        else:
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/sign-in?next=")
