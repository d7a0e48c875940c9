"""Bad input and access, through a real hub: a clear error, and nothing lost."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import trustme

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

from .official import environment as official_environment
from .test_api import CONTENT, User, checked, claim, files, in_database, taken

WRONG = b'{"protocol": "x", "summary": 1, "progress": 1}'
"""Fields that all of the agents' documents have, with what none of them may hold."""
AS_JSON = {"Content-Type": "application/json"}
KWS = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
MIB = 1 << 20
BOUND_BYTES = 12 * MIB
ENVIRONMENT = {"DYNOLAB_DATA_MAX_BYTES": str(BOUND_BYTES)}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub that takes one POST a second and believes a proxy on this machine."""
    environment = {"DYNOLAB_POSTS_PER_S": "1", "DYNOLAB_TRUSTED_PROXIES": "127.0.0.0/8,::1"}
    with running_hub(tmp_path_factory.mktemp("strict"), "--no-agent", environment=environment) as running:
        yield running


@pytest.fixture
def user(hub: RunningHub) -> Iterator[User]:
    with httpx.Client(timeout=30) as http:
        yield User(hub, hub.token, http)


@pytest.fixture
def official(hub: RunningHub) -> Iterator[httpx.Client]:
    """As the official client asks."""
    headers = {"Authorization": f"token {hub.token}"}
    with httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers, timeout=30) as http:
        yield http


def raw(hub: RunningHub, *sent: bytes) -> bytes:
    """What the hub answers to these bytes, up to the answer's head and what comes with it."""
    parts = httpx.URL(hub.url)
    with socket.create_connection((parts.host, parts.port or 80), 20) as connection:
        for one in sent:
            connection.sendall(one)
        answer = b""
        while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
            answer += more
        return answer


def head(hub: RunningHub, method: str, path: str, *lines: str) -> bytes:
    token = f"Authorization: Bearer {hub.token}"
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: hub", token, *lines, "", ""]).encode()


def begin(user: User, kind: str, size: int) -> Any:
    body = {"kind": "onnx"} if kind == "models" else {}
    made = user.post(f"/{kind}", body)
    return user.post(f"/{kind}/{made['id']}/uploads", {"size": size})


# ---- too many --------------------------------------------------------------------------------------------------------


def test_too_many_posts_from_one_token_are_sent_away_and_told_when_to_come_again(strict: RunningHub) -> None:
    with httpx.Client(timeout=30) as http:
        user = User(strict, strict.token, http)
        time.sleep(2)
        answers = [user.send("POST", "/models", json={"kind": "onnx"}) for _ in range(30)]
        refused = [one for one in answers if one.status_code == 429]
        assert {one.status_code for one in answers} == {201, 429}
        for one in refused:
            assert set(one.json()) == {"code", "message", "hint", "details"}
            assert one.json()["code"] == "RateLimited"
            assert 1 <= int(one.headers["retry-after"]) <= 2
        assert {user.send("GET", "/me").status_code for _ in range(60)} == {200}, "reading is not bounded"
        url, token = f"{strict.url}/api/v1/models/", {"Authorization": f"token {strict.token}"}
        official = [one for one in (http.post(url, headers=token) for _ in range(30)) if one.status_code == 429]
        assert all("POSTs a second" in one.json()["detail"] and one.headers["retry-after"] for one in official)
        assert official
        other = http.post(f"{strict.url}/api/hub/v1/models", headers={"Authorization": "Bearer dl_other"}, json={})
        assert other.status_code == 401, "each token is counted by itself"
        door = HubDoor(strict.url, strict.agent_token)
        assert [claim(door, "claims") for _ in range(20)] == [None] * 20, "agents are not bounded"
        door.close()
        time.sleep(int(refused[-1].headers["retry-after"]))
        checked(user.send("POST", "/models", json={"kind": "onnx"}), 201)


def test_a_thousand_posts_at_the_usual_bound_end_in_429_and_the_hub_goes_on(user: User) -> None:
    secret = user.post("/tokens", {"label": "many"})["secret"]
    headers = {"Authorization": f"Bearer {secret}", **AS_JSON}
    with httpx.Client(base_url=f"{user.hub.url}/api/hub/v1", headers=headers, timeout=30) as http:
        start, statuses = time.monotonic(), [http.post("/jobs", content=b"{").status_code for _ in range(1000)]
        if time.monotonic() - start > 7:
            pytest.skip("this machine sends fewer than the bound's POSTs a second")
        assert set(statuses) == {422, 429}
        assert statuses[:200] == [422] * 200, "two seconds' worth may come at once"
        assert http.get("/me").status_code == 200
    user.get("/me")


# ---- too large, of a wrong type --------------------------------------------------------------------------------------

DOORS = ["/api/hub/v1/models", "/api/v1/models/", "/api/agent/v1/claim", "/sign-in", "/files/parts/x", "/files/forms/x"]


@pytest.mark.parametrize("path", DOORS)
def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(hub: RunningHub, path: str) -> None:
    method = "PUT" if "parts" in path else "POST"
    asked = head(
        hub, method, path, "Content-Type: application/json", f"Content-Length: {1 << 50}", "Expect: 100-continue"
    )
    assert raw(hub, asked).startswith(b"HTTP/1.1 413 "), "and no 100 Continue"


@pytest.mark.parametrize("path", DOORS[:4])
def test_a_body_that_grows_too_large_is_refused_when_it_does(hub: RunningHub, path: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(17 * 4 + 1):
            yield b" " * (MIB // 4)

    headers = {"Authorization": f"Bearer {hub.agent_token if 'agent' in path else hub.token}", **AS_JSON}
    headers["Sec-Fetch-Site"] = "same-origin"
    if path == "/sign-in":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    answer = httpx.post(f"{hub.url}{path}", content=chunks(), headers=headers, timeout=30)
    assert answer.status_code == 413, answer.text
    assert "more than" in answer.text


def test_other_types_than_json_are_refused_where_json_is_spoken(hub: RunningHub, user: User) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "x" * 5000,
        None,
    ):
        headers = {"Authorization": f"Bearer {hub.token}", **({"Content-Type": kind} if kind else {})}
        for path in ("/api/hub/v1/models", "/api/agent/v1/claim"):
            answer = httpx.post(f"{hub.url}{path}", content=b'{"kind": "onnx"}', headers=headers, timeout=30)
            assert (answer.status_code, answer.json()["code"]) == (415, "MediaTypeInvalid")
            assert "application/json" in answer.json()["hint"]
            assert len(answer.text) < 500
    sent = {"content": b'{"kind": "onnx"}', "headers": {"Content-Type": "Application/JSON; charset=utf-8"}}
    checked(user.send("POST", "/models", **sent), 201)


# ---- through a proxy -------------------------------------------------------------------------------------------------

FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "models.example",
    "X-Forwarded-Port": "8443",
}


MADE: dict[str, str] = {}
"""A model without bytes, by hub."""


def address(hub: RunningHub, **headers: str) -> str:
    """The address of an upload's part, as it is handed out to who sends these headers."""
    auth = {"Authorization": f"token {hub.token}"}
    if hub.url not in MADE:
        asked = pb.Model(name="net", model_type=pb.MODEL_TYPE_ONNX).SerializeToString()
        while (
            answer := httpx.post(f"{hub.url}/api/v1/models/", content=asked, headers=auth, timeout=30)
        ).status_code == 429:
            time.sleep(int(answer.headers["retry-after"]))
        MADE[hub.url] = pb.CreateUpdateResponse.FromString(answer.content).id
    path = f"{hub.url}/api/v1/models/{MADE[hub.url]}/multipart_upload/?file_size=3"
    answer = httpx.get(path, headers={**auth, **headers}, timeout=30)
    assert answer.status_code == 200, answer.text
    return str(pb.FileMultipartUploadURL.FromString(answer.content).urls[0])


def test_a_trusted_proxy_tells_how_the_hub_is_reached(strict: RunningHub) -> None:
    assert address(strict, **FORWARDED).startswith("https://models.example:8443/files/parts/")
    assert address(strict, **{**FORWARDED, "X-Forwarded-Port": "443"}).startswith("https://models.example/files/")
    assert address(strict, **{**FORWARDED, "X-Forwarded-Host": "a.example, b.example:9"}).startswith(
        "https://b.example:9/"
    )
    for odd in ("a/b", "a b", "<script>", "user@host", "", "x" * 300, "[::1", "a:b"):
        found = httpx.URL(address(strict, **{**FORWARDED, "X-Forwarded-Host": odd}))
        assert (found.scheme, found.host) == ("https", httpx.URL(strict.url).host), odd
    assert address(strict).startswith(strict.url)


def test_nobody_else_is_believed(hub: RunningHub) -> None:
    assert address(hub, **FORWARDED).startswith(f"{hub.url}/files/parts/")


def test_a_public_address_goes_before_all(tmp_path: Path) -> None:
    environment = {"DYNOLAB_PUBLIC_URL": "https://hub.example/lab", "DYNOLAB_TRUSTED_PROXIES": "127.0.0.1"}
    with running_hub(tmp_path, "--no-agent", environment=environment) as hub:
        assert address(hub, **FORWARDED).startswith("https://hub.example/lab/files/parts/")


# ---- HTTPS -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The files of a certificate for this machine, its key, and its issuer."""
    folder, issuer = tmp_path_factory.mktemp("tls"), trustme.CA()
    made = issuer.issue_cert("127.0.0.1", "localhost")
    made.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
    issuer.cert_pem.write_to_path(folder / "issuer.pem")
    return folder / "certificate.pem", folder / "key.pem", folder / "issuer.pem"


def test_https_with_the_agent_and_our_own_client(tmp_path: Path, certified: tuple[Path, Path, Path]) -> None:
    certificate, key, issuer = certified
    environment = {"SSL_CERT_FILE": str(issuer)}
    options = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with running_hub(tmp_path, *options, environment=environment) as hub:
        assert hub.url.startswith("https://127.0.0.1:")
        assert f"api_url = {hub.url}" in hub.ini.read_text(encoding="utf-8")
        command = [sys.executable, "-m", "dynolab.cli.main", "devices", "--json"]
        client = {"DYNOLAB_CLIENT_INI": str(hub.ini), "PATH": "", "HOME": str(tmp_path)}

        def devices() -> list[Any]:
            told = subprocess.run(command, env={**client, **environment}, capture_output=True, text=True, check=False)
            assert told.returncode == 0, told.stderr
            return list(json.loads(told.stdout))

        until(devices, "this machine's agent")
        assert address_verified(hub, issuer).startswith(f"{hub.url}/files/parts/")
        told = subprocess.run(command, env=client, capture_output=True, text=True, check=False)
        assert told.returncode == 2
        assert "certificate" in told.stderr.lower()
        assert b"HTTP/1.1 200" not in raw(hub, head(hub, "GET", "/healthz"))
        assert not any("cannot be opened" in line for line in hub.lines)


def test_https_by_the_environment(tmp_path: Path, certified: tuple[Path, Path, Path]) -> None:
    certificate, key, issuer = certified
    environment = {"DYNOLAB_TLS_CERTIFICATE": str(certificate), "DYNOLAB_TLS_KEY": str(key)}
    with running_hub(tmp_path, "--no-agent", environment=environment) as hub:
        assert address_verified(hub, issuer).startswith("https://127.0.0.1:")
        assert b"HTTP/1.1 200" not in raw(hub, head(hub, "GET", "/healthz"))
    alone = {**os.environ, "DYNOLAB_TLS_CERTIFICATE": str(certificate)}
    command = [sys.executable, "-m", "dynolab.cli.main", "hub", "--port", "0", "--data", str(tmp_path)]
    told = subprocess.run(command, env=alone, capture_output=True, text=True, check=False)
    assert (told.returncode, "--tls-key" in told.stderr) == (2, True), told.stderr


def address_verified(hub: RunningHub, issuer: Path) -> str:
    context = ssl.create_default_context(cafile=str(issuer))
    with httpx.Client(verify=context, headers={"Authorization": f"Bearer {hub.token}"}, timeout=30) as http:
        model = http.post(f"{hub.url}/api/hub/v1/models", json={"kind": "onnx"}).json()
        begun = http.post(f"{hub.url}/api/hub/v1/models/{model['id']}/uploads", json={"size": 3}).json()
        assert http.put(begun["urls"][0], content=b"abc").is_success
        return str(begun["urls"][0])


@pytest.mark.slow
def test_the_official_client_over_https_comes_again_when_it_sent_too_much(
    tmp_path: Path, certified: tuple[Path, Path, Path]
) -> None:
    certificate, key, issuer = certified
    environment = {"SSL_CERT_FILE": str(issuer), "DYNOLAB_POSTS_PER_S": "0.5"}
    options = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with running_hub(tmp_path / "hub", *options, environment=environment) as hub:
        beside = {"QAIHUB_CLIENT_INI": str(hub.ini), "REQUESTS_CA_BUNDLE": str(issuer), "no_proxy": "127.0.0.1"}

        def script(text: str) -> str:
            told = subprocess.run(
                [official_environment("0.56.0"), "-c", text],
                env={**os.environ, **beside},
                capture_output=True,
                text=True,
                check=False,
            )
            assert told.returncode == 0, told.stderr
            return told.stdout

        names = script(
            "import http.client\n"
            "statuses, begin = [], http.client.HTTPResponse.begin\n"
            "def noted(answer):\n"
            "    begin(answer)\n"
            "    statuses.append(answer.status)\n"
            "http.client.HTTPResponse.begin = noted\n"
            "import qai_hub, numpy\n"
            "sent = [qai_hub.upload_dataset({'x': [numpy.zeros(1, 'f4')]}, name=f'n{i}') for i in range(3)]\n"
            "print(statuses.count(429))\n"
            "print(*(one.name for one in sent), *(one.download()['x'][0].size for one in sent))"
        )
        assert int(names.split()[-7]) > 0, "it was told to come again"
        assert names.split()[-6:] == ["n0", "n1", "n2", "1", "1", "1"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--tls-certificate", "{certificate}"), "--tls-key"),
        (("--tls-certificate", "{certificate}", "--tls-key", "{issuer}"), "no certificate and its key"),
        (("--tls-certificate", "{key}", "--tls-key", "{key}"), "no certificate and its key"),
    ],
)
def test_certificates_that_cannot_be(
    tmp_path: Path, certified: tuple[Path, Path, Path], options: tuple[str, ...], text: str
) -> None:
    named = dict(zip(("certificate", "key", "issuer"), map(str, certified), strict=True))
    command = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(tmp_path / "hub"), "--port", "0"]
    told = subprocess.run(
        [*command, *(one.format(**named) for one in options)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (told.returncode, text in told.stderr) == (2, True), told.stderr
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DYNOLAB_TRUSTED_PROXIES", "proxy.example"),
        ("DYNOLAB_TRUSTED_PROXIES", "*"),
        ("DYNOLAB_POSTS_PER_S", "many"),
        ("DYNOLAB_POSTS_PER_S", "-1"),
        ("DYNOLAB_POSTS_PER_S", "nan"),
        ("DYNOLAB_PUBLIC_URL", "hub.example"),
    ],
)
def test_settings_that_cannot_be(name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from dynolab.hub.configuration import load

    monkeypatch.setenv(name, value)
    with pytest.raises(errors.SpecInvalid, match=name):
        load(data=tmp_path)


# ---- uploads that are cut, swapped or too long -----------------------------------------------------------------------


def test_parts_of_other_bytes_than_were_sent_are_not_kept(user: User, hub: RunningHub) -> None:
    begun = begin(user, "models", len(CONTENT))
    (url,), before = begun["urls"], files(hub)
    right, wrong = (base64.b64encode(hashlib.sha256(one).digest()).decode() for one in (CONTENT, b"other"))
    for header in (
        f"sha-256=:{wrong}:",
        f"sha-256=:{right}:, sha-512=:{wrong}:",
        "sha-256=abc",
        "sha-256=:*:",
        "nonsense",
    ):
        answer = httpx.put(url, content=CONTENT, headers={"Content-Digest": header}, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (422, "SpecInvalid"), header
    for content in (CONTENT[:-1], CONTENT + b"x", b""):
        assert httpx.put(url, content=content, timeout=30).status_code == 422
        assert httpx.put(url, content=iter([content]), timeout=30).status_code == 422
    assert files(hub) == before
    assert httpx.put(
        url, content=CONTENT, headers={"Content-Digest": f"sha-256=:{right}:, crc32c=:AAAA:"}, timeout=30
    ).is_success


def test_a_part_that_breaks_off_leaves_nothing_and_can_be_sent_again(user: User, hub: RunningHub) -> None:
    content = bytes(3 * MIB)
    begun = begin(user, "models", len(content))
    (url,), before = begun["urls"], files(hub)
    place = httpx.URL(url)
    with socket.create_connection((place.host, place.port or 80), 20) as connection:
        connection.sendall(f"PUT {place.path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content[: 2 * MIB])
    until(lambda: files(hub) == before, "the end of what had come")
    assert httpx.put(url, content=content, timeout=30).is_success
    user.post(f"/models/{model_of(begun, user)}/uploads/{begun['upload_id']}/complete", {"etags": []}, 200)
    assert "Traceback" not in "".join(hub.lines), "it is no bug of the hub"


def model_of(begun: Any, user: User) -> str:
    """The newest model is the one whose upload was begun last."""
    return str(user.get("/models", limit=1)["models"][0]["id"])


def test_parts_in_a_wrong_order_are_refused(user: User, postgres: OwnDatabase, hub: RunningHub) -> None:
    begun = begin(user, "models", 4)
    model = model_of(begun, user)

    async def halve(connection: Any) -> None:
        await connection.execute("UPDATE upload SET part_bytes = 2 WHERE id = $1", begun["upload_id"])

    in_database(postgres, halve)  # parts of 64 MiB would be long
    from dynolab.hub.store.links import Link, Links

    found: list[str] = []

    async def read(connection: Any) -> None:
        found.append(await connection.fetchval("SELECT value FROM setting WHERE name = 'link_secret'"))
        found.append(await connection.fetchval("SELECT 'token:' || id FROM token WHERE kind = 'user' LIMIT 1"))

    in_database(postgres, read)
    secret, holder = found
    links = [Link("part", begun["upload_id"], holder, number) for number in (0, 1)]
    urls = [f"{hub.url}/files/parts/{Links(secret).sign(link)}" for link in links]
    path = f"/models/{model}/uploads/{begun['upload_id']}/complete"
    second = httpx.put(urls[1], content=b"cd", timeout=30).headers["etag"]
    assert user.refused("POST", path, 409, {"etags": [second]})["code"] == "Conflict"
    first = httpx.put(urls[0], content=b"ab", timeout=30).headers["etag"]
    for etags in ([second, first], [first], [first, second, second], ['"other"', second]):
        assert user.refused("POST", path, 422, {"etags": etags})["code"] == "SpecInvalid"
    user.post(path, {"etags": [first, second]}, 200)
    assert httpx.get(user.get(f"/models/{model}/download")["url"], timeout=30).content == b"abcd"
    assert httpx.put(urls[0], content=b"xx", timeout=30).status_code == 409


def form_address(official: httpx.Client) -> tuple[str, str]:
    """A dataset, and where its form goes that told no size."""
    answer = official.post("datasets/", content=pb.Dataset(name="data").SerializeToString())
    dataset = pb.CreateUpdateResponse.FromString(answer.content).id
    return dataset, pb.FileUploadURL.FromString(official.get(f"datasets/{dataset}/upload_url/").content).url


def confirmed(official: httpx.Client, dataset: str) -> httpx.Response:
    return official.patch(f"datasets/{dataset}/", content=pb.Dataset(file_upload_complete=True).SerializeToString())


def test_a_form_gives_its_file_whole(official: httpx.Client) -> None:
    dataset, url = form_address(official)
    content = b"\r\n--x\r\n" * 100_000
    assert httpx.post(url, data={"key": "value"}, files={"file": ("model", content)}, timeout=30).status_code == 204
    assert confirmed(official, dataset).is_success
    found = pb.FileDownloadURL.FromString(official.get(f"datasets/{dataset}/download_data/").content).url
    assert httpx.get(found, timeout=30).content == content


def test_forms_that_cannot_be(official: httpx.Client, hub: RunningHub) -> None:
    _, url = form_address(official)
    before = files(hub)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\n'
    for content, status in (
        (b"", 422),
        (b"nonsense", 422),
        (part + b"cut off", 422),
        (part + b"cut off" * 100_000, 422),
        (part.replace(b'"file"', b'"other"') + b"a\r\n--x--\r\n", 422),
        (part.replace(b'; filename="model"', b"") + b"a\r\n--x--\r\n", 422),
        (part + b"a\r\n" + part + b"b\r\n--x--\r\n", 422),
        (part.replace(b"Content", b"\x00") + b"a\r\n--x--\r\n", 422),
    ):
        answer = httpx.post(url, content=content, headers=form, timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (status, "SpecInvalid"), (content[:100], answer.text)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=" + "x" * 1000, "text/plain", ""):
        answer = httpx.post(url, content=part + b"a\r\n--x--\r\n", headers={"Content-Type": kind}, timeout=30)
        assert answer.status_code in (415, 422), (kind, answer.text)
    assert files(hub) == before


def test_bytes_of_unknown_number_count_while_they_come(official: httpx.Client, hub: RunningHub, user: User) -> None:
    before, (dataset, url) = files(hub), form_address(official)

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\n'
        for _ in range(10 * BOUND_BYTES // MIB):
            yield bytes(MIB)
        yield b"\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = httpx.post(url, content=endless(), headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (507, "StorageFull")
    assert answer.json()["details"]["asked_bytes"] <= BOUND_BYTES + 8 * MIB, "refused while it still came"
    assert files(hub) == before
    assert confirmed(official, dataset).status_code == 409
    assert httpx.post(url, files={"file": ("model", bytes(2 * MIB))}, timeout=30).status_code == 204, (
        "what was refused is free again"
    )
    made = user.post("/models", {"kind": "onnx"})
    full = user.refused("POST", f"/models/{made['id']}/uploads", 507, {"size": BOUND_BYTES - MIB})
    assert full["details"]["used_bytes"] >= 2 * MIB, "what has come counts before it is complete"
    assert confirmed(official, dataset).is_success
    checked(user.send("DELETE", f"/datasets/{dataset}"), 204)


# ---- datasets that lie -----------------------------------------------------------------------------------------------


def lying(folder: Path) -> dict[str, Path]:
    """Dataset files that a hub takes, because only the device looks into them, by the words of the job's failure."""
    h5py, h5 = pytest.importorskip("h5py"), pytest.importorskip("dynolab.jobs._datasets.h5")
    made = {"no HDF5": folder / "text.h5", "should hold": folder / "vast.h5", "or external": folder / "leads.h5"}
    made["no HDF5"].write_bytes(b"this is no HDF5 file")
    for path, options in (
        (made["should hold"], {"shape": (1 << 40,), "chunks": (1 << 20,), "dtype": "f4", "compression": "gzip"}),
        (made["or external"], {"shape": (8,), "dtype": "u1", "external": [("/etc/hostname", 0, 8)]}),
    ):
        h5.write(path, {"input_1": [np.zeros((1, 50, 10, 1), np.float32)]})
        with h5py.File(path, "a") as file:
            (group,) = file["data"].values()
            del group["batch_0"]
            group.create_dataset("batch_0", **options)
    return made


@pytest.mark.slow
def test_a_dataset_that_lies_fails_its_job_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    with running_hub(tmp_path / "hub") as hub, httpx.Client(timeout=30) as http:
        user = User(hub, hub.token, http)
        device = until(lambda: user.get("/devices")["devices"], "this machine's agent")[0]
        model = user.post("/models", {"kind": "tflite"})["id"]
        user.upload("models", model, KWS.read_bytes())
        jobs = {}
        for words, path in lying(tmp_path).items():
            dataset = user.post("/datasets", {})["id"]
            user.upload("datasets", dataset, path.read_bytes())
            asked = {
                "kind": "inference",
                "model_id": model,
                "dataset_id": dataset,
                "device": {"name": device["name"]},
            }
            jobs[words] = user.post("/jobs", asked)["id"]
        for words, job in jobs.items():
            until(lambda job=job: user.get(f"/jobs/{job}")["finished_at"], "the job's end", within_s=120)
            found = user.get(f"/jobs/{job}")
            assert found["state"] == "failed"
            assert words in json.dumps(found["failure"]), found["failure"]
            assert len(found["attempts"]) == 1, "it is not the device's fault"
        assert hub.process.poll() is None
        assert user.get("/devices")["devices"], "and the agent goes on"


# ---- names, addresses, tokens ----------------------------------------------------------------------------------------

NAMES = ["a/b", "..", "../../etc/passwd", "a\0b", "<script>alert(1)</script>", "x" * 10_000, "a\r\nX-Injected: yes"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:12]))
def test_names_are_kept_as_they_are_or_refused_at_the_official_door(official: httpx.Client, name: str) -> None:
    for path, message in (
        ("models/", pb.Model(name=name, model_type=pb.MODEL_TYPE_ONNX)),
        ("datasets/", pb.Dataset(name=name)),
    ):
        answer = official.post(path, content=message.SerializeToString())
        if name == "..":
            made = pb.CreateUpdateResponse.FromString(answer.content).id
            kind = pb.Model if path == "models/" else pb.Dataset
            assert kind.FromString(official.get(f"{path}{made}/").content).name == name
        else:
            assert (answer.status_code, "name" in answer.json()["detail"]) == (400, True), answer.text


def test_another_users_things_are_not_there_at_any_door(
    user: User, official: httpx.Client, postgres: OwnDatabase, hub: RunningHub, door: HubDoor
) -> None:
    claim(door, "mine")
    model = user.model()
    job = user.submit(model, "mine")["id"]
    dataset = user.post("/datasets", {})["id"]
    secret = f"dl_other{time.monotonic_ns()}"

    async def make(connection: Any) -> None:
        await connection.execute("INSERT INTO account (email) VALUES ('other@example.org')")
        await connection.execute(
            "INSERT INTO token (id, account_id, kind, digest) SELECT 'tother', id, 'user', $1 FROM account WHERE email = $2",
            hashlib.sha256(secret.encode()).hexdigest(),
            "other@example.org",
        )

    in_database(postgres, make)
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(headers=headers, timeout=30) as http:
        other = User(hub, secret, http)
        for method, path, body in (
            *(("GET", f"/jobs/{job}{end}", None) for end in ("", "/profile", "/log", "/events", "/sharing")),
            *(
                ("GET", f"/{kind}{end}", None)
                for kind in (f"models/{model}", f"datasets/{dataset}")
                for end in ("", "/download", "/sharing")
            ),
            *(("DELETE", f"/{one}", None) for one in (f"jobs/{job}", f"models/{model}", f"datasets/{dataset}")),
            ("PATCH", f"/jobs/{job}", {"name": "mine"}),
            ("POST", f"/jobs/{job}/cancel", None),
            ("POST", f"/jobs/{job}/rerun", None),
            ("POST", f"/models/{model}/uploads", {"size": 1}),
            ("PATCH", f"/jobs/{job}/sharing", {"add": ["other@example.org"]}),
            ("POST", "/jobs", {"model_id": model, "device": {"name": "mine"}}),
        ):
            answer = other.send(method, path, **({"json": body} if body is not None else {}))
            assert (answer.status_code, answer.json()["code"]) == (404, "NotFound"), (method, path, answer.text)
        for path in (
            f"jobs/{job}/",
            f"jobs/{job}/result/",
            f"models/{model}/",
            f"models/{model}/download/",
            f"datasets/{dataset}/",
        ):
            answer = http.get(f"{hub.url}/api/v1/{path}")
            assert answer.status_code == 404, path
            nothing = http.get(f"{hub.url}/api/v1/{path.replace(path.split('/')[1], 'x' * 13)}")
            assert nothing.status_code == 404
    user.post(f"/jobs/{job}/cancel", status=200)


def test_every_route_wants_a_token_of_its_own_kind(hub: RunningHub) -> None:
    document = httpx.get(f"{hub.url}/api/hub/v1/openapi.json", timeout=30).json()
    for path, verbs in document["paths"].items():
        for verb in verbs:
            url = f"{hub.url}/api/hub/v1{path}".replace("{", "").replace("}", "")
            for headers in ({}, {"Authorization": f"Bearer {hub.agent_token}"}, {"Authorization": "Bearer dl_wrong"}):
                answer = httpx.request(verb, url, headers=headers, timeout=30)
                assert answer.status_code == 401, (verb, path)
                assert answer.headers["www-authenticate"] == "Bearer"
    for path in ("claim", f"attempts/{'0' * 8}-0000-0000-0000-{'0' * 12}/renew", "attempts/x/finish"):
        for token in (hub.token, "dl_wrong", None):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = httpx.post(f"{hub.url}/api/agent/v1/{path}", json={}, headers=headers, timeout=30)
            assert answer.status_code == 401, path


def test_what_an_agent_may_not_do(user: User, door: HubDoor, hub: RunningHub, tmp_path: Path) -> None:
    claim(door, "agents")
    user.submit(user.model(), "agents")
    found = taken(door, "agents")
    (tmp_path / "log").write_bytes(b"log")
    with pytest.raises(errors.NotFound):
        door.store(found.attempt, "diary", tmp_path / "log")
    for content in (b"{", b"[]", b"null", b"\xff", b"[" * 100_000, WRONG):
        headers = {"Authorization": f"Bearer {hub.agent_token}", **AS_JSON}
        for path in ("claim", f"attempts/{found.attempt}/finish", f"attempts/{found.attempt}/renew"):
            answer = httpx.post(f"{hub.url}/api/agent/v1/{path}", content=content, headers=headers, timeout=30)
            assert answer.status_code == 422, (path, content, answer.text)
            assert answer.json()["code"] == "SpecInvalid"
    text = {"a\0": "half a pair: \ud800, NUL: \0"}
    for path, document in (("renew", {"progress": text}), ("finish", {"summary": text, "error": None})):
        url = f"{hub.url}/api/agent/v1/attempts/{found.attempt}/{path}"
        assert httpx.post(url, content=json.dumps(document), headers=headers, timeout=30).is_success, (
            "no text of an agent is lost for it"
        )


def test_tokens_are_kept_as_digests_alone(user: User, hub: RunningHub, postgres: OwnDatabase, tmp_path: Path) -> None:
    secret = user.post("/tokens", {"label": "secret"})["secret"]
    rows: list[str] = []

    async def dump(connection: Any) -> None:
        for record in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            rows.extend(str(row) for row in await connection.fetch(f'SELECT t::text FROM "{record[0]}" t'))

    in_database(postgres, dump)
    text = "".join(rows)
    assert hashlib.sha256(secret.encode()).hexdigest() in text
    assert not [one for one in (secret, hub.token, hub.agent_token) if one in text]
    printed = "".join(hub.lines)
    assert secret not in printed
    for file in (hub.ini, hub.data / "agent.token"):
        assert file.stat().st_mode & 0o077 == 0


def test_nothing_listens_beyond_this_machine(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("reads Linux's tables of sockets")
    from .test_kills import processes

    with running_hub(tmp_path) as hub:
        inodes = set()
        for pid in processes(hub.process.pid):
            for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    inodes.add(str(descriptor.readlink()))
                except OSError:
                    continue
        listening = []
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                cells = line.split()
                if cells[3] == "0A" and f"socket:[{cells[9]}]" in inodes:
                    listening.append(cells[1])
        assert [one.partition(":")[0] for one in listening] == ["0100007F"], listening


@pytest.mark.slow  # it waits for the hub to lose patience
def test_who_connects_and_asks_for_nothing_or_with_half_a_head_is_hung_up_on(hub: RunningHub) -> None:
    parts = httpx.URL(hub.url)
    with (
        socket.create_connection((parts.host, parts.port or 80), 60) as silent,
        socket.create_connection((parts.host, parts.port or 80), 60) as halting,
    ):
        halting.sendall(b"GET /healthz HTTP/1.1\r\nHost: hub\r\n")
        assert silent.recv(1) == b""
        assert halting.recv(1) == b""
    assert httpx.get(f"{hub.url}/healthz", timeout=30).status_code == 200
