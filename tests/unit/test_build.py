"""Wheel and source distribution: the same bytes wherever, whenever and by whomever they are built; and what goes with them."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling")
pytest.importorskip("cyclonedx")

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "script"
EPOCH = "1700000000"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "out", "dist", "build", "__pycache__", ".*_cache", ".hypothesis")


def build(checkout: Path, out: Path, *targets: str, umask: int = 0o022) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    for target in targets:
        command += ["-t", target]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, umask=umask)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built of a copy of this checkout."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(ROOT, folder / "checkout", ignore=LEFT_OUT, symlinks=True)
    build(folder / "checkout", folder / "dist")
    return folder / "dist"


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_another_folder_umask_and_time_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    other = tmp_path / "somewhere" / "else"
    shutil.copytree(ROOT, other, ignore=LEFT_OUT, symlinks=True)
    for path in [other, *other.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() or path.stat().st_mode & 0o100 else 0o600)
            os.utime(path, (1_000_000_000, 1_000_000_000))
    build(other, tmp_path / "dist", umask=0o077)
    assert digests(tmp_path / "dist") == digests(built)


def test_the_source_distribution_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    build(source, tmp_path / "dist", "wheel")
    [wheel] = (tmp_path / "dist").iterdir()
    assert digests(tmp_path / "dist") == {wheel.name: digests(built)[wheel.name]}


def test_the_source_distribution_has_what_its_tests_need(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "NOTICE", "THIRD_PARTY.md", "script/test", "requirements/test.txt", "tests/conftest.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".venv", "out/", ".git/"))]


def test_the_wheel_has_every_file_of_the_package(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        names = set(archive.namelist())
    source = ROOT / "src"
    wanted = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted <= names


# ---- the bill of materials -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bill(built: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """It is validated against its schema by the script."""
    path = tmp_path_factory.mktemp("bill") / "bill.json"
    sbom(next(built.glob("*.whl")), path)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def sbom(wheel: Path, out: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "sbom.py"), str(wheel), "-o", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_it_is_of_this_wheel(bill: dict[str, Any], built: Path) -> None:
    [wheel] = built.glob("*.whl")
    told = bill["metadata"]["component"]
    assert (told["name"], told["hashes"][0]["content"]) == ("dynolab", digests(built)[wheel.name])
    assert told["licenses"] == [{"expression": "Apache-2.0"}]


def test_it_has_each_package_with_version_hashes_and_licence(bill: dict[str, Any]) -> None:
    lock = (ROOT / "requirements" / "test.txt").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    pinned = {line.split("==")[0]: line for line in lock if "==" in line}
    components = {one["name"]: one for one in bill["components"]}
    assert {"numpy", "sqlalchemy", "pgqueuer", "onnxruntime", "prometheus-client", "asyncssh"} <= components.keys()
    assert not {"pytest", "ruff", "mypy", "ministack"} & components.keys(), "tests are not part of it"
    for name, one in components.items():
        assert f"=={one['version']}" in pinned[name]
        hashes = {found["content"] for file in one["externalReferences"] for found in file["hashes"]}
        assert hashes
        assert all(f"sha256:{found}" in pinned[name] for found in hashes)
        assert one["licenses"][0]["expression"]


def test_it_tells_what_is_always_there_and_which_extra_brings_the_rest(bill: dict[str, Any]) -> None:
    components = {one["name"]: one for one in bill["components"]}
    assert components["numpy"]["scope"] == components["httpx"]["scope"] == "required"
    assert components["asyncssh"]["scope"] == "optional"
    assert components["asyncssh"]["properties"] == [{"name": "dynolab:extra", "value": "ssh"}]
    edges = {one["ref"]: set(one.get("dependsOn", [])) for one in bill["dependencies"]}
    assert components["numpy"]["bom-ref"] in edges[components["onnxruntime"]["bom-ref"]]
    assert edges.keys() == {bill["metadata"]["component"]["bom-ref"], *(one["bom-ref"] for one in components.values())}


def test_it_is_the_same_each_time_and_names_no_place(bill: dict[str, Any], built: Path, tmp_path: Path) -> None:
    sbom(next(built.glob("*.whl")), tmp_path / "again.json")
    text = (tmp_path / "again.json").read_text(encoding="utf-8")
    assert json.loads(text) == bill
    for place in (str(ROOT), str(Path.home()) + "/", platform.node(), "://"):
        found = text.replace("http://cyclonedx.org/schema/", "")
        assert place not in found, place


# ---- known weaknesses ------------------------------------------------------------------------------------------------


@contextmanager
def database(weak: set[str]) -> Iterator[str]:
    """A server that speaks OSV's protocol, and knows of a weakness of each of these packages."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = {"id": "PYSEC-1-1", "modified": "2026-01-01T00:00:00Z", "details": "bad", "affected": []}
            body = json.dumps({"vulns": [found]} if asked["package"]["name"] in weak else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def audit(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("pip_audit")
    (folder / "lock.txt").write_text("rich==14.2.0 \\\n    --hash=sha256:" + "0" * 64 + "\n", encoding="utf-8")
    command = [sys.executable, str(SCRIPTS / "audit.py"), "--osv-url", url, str(folder / "lock.txt")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("weak", "status", "told"), [({"jinja2"}, 0, "nothing is known"), ({"jinja2", "rich"}, 1, "weaknesses are known")])  # fmt: skip
def test_an_audit_asks_the_database(tmp_path: Path, weak: set[str], status: int, told: str) -> None:
    with database(weak) as url:
        done = audit(url, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (status, f"1 packages: {told}"), done.stderr
    assert ("rich 14.2.0: PYSEC-1-1" in done.stderr) == ("rich" in weak)


def test_a_database_that_knows_nothing_at_all_is_no_pass(tmp_path: Path) -> None:
    with database(set()) as url:
        done = audit(url, tmp_path)
    assert done.returncode == 3
    assert "NOT CHECKED" in done.stdout
    assert "does not tell the weaknesses of jinja2" in done.stderr


def test_a_database_that_is_away_is_no_pass(tmp_path: Path) -> None:
    done = audit("http://127.0.0.1:9/v1/query", tmp_path)
    assert done.returncode == 3
    assert "cannot be asked" in done.stderr
