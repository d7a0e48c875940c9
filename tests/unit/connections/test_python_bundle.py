"""The Python for devices without one: made of packages that are told apart by digest, from wherever they can be had."""

from __future__ import annotations

import io
import json
import lzma
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dynolab.connections import _debian, _python_bundle
from dynolab.connections._debian import Package, fetch, opened
from dynolab.connections._python_bundle import python_bundle
from dynolab.errors import PluginMissing


def _deb(files: dict[str, bytes], links: dict[str, str] | None = None, member: str = "data.tar.xz") -> bytes:
    """A package as dpkg writes it (deb(5)): three members of an ar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            head = tarfile.TarInfo(name)
            head.size, head.mode = len(content), 0o755
            archive.addfile(head, io.BytesIO(content))
        for name, target in (links or {}).items():
            head = tarfile.TarInfo(name)
            head.type, head.linkname = tarfile.SYMTYPE, target
            archive.addfile(head)
    package = b"!<arch>\n"
    for name, content in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        (member, lzma.compress(out.getvalue())),
    ):
        package += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
            + content
            + b"\n" * (len(content) % 2)
        )
    return package


PACKAGE = _deb(
    {
        "./usr/bin/python3.13": b"interpreter",
        "./usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"loader",
        "./usr/lib/x86_64-linux-gnu/libc.so.6": b"libc",
        "./usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.33": b"libstdc++",
        "./usr/lib/x86_64-linux-gnu/libasan.so.8": b"not needed",
        "./usr/lib/python3.13/json/__init__.py": b"json",
        "./usr/lib/python3.13/test/test_json.py": b"test",
        "./usr/lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so": b"ssl",
        "./usr/lib/python3.13/lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so": b"ctypes",
        "./usr/share/doc/python3.13-minimal/copyright": b"licence",
        "./usr/share/doc/python3.13-minimal/changelog": b"changes",
    },
    {"./usr/lib/x86_64-linux-gnu/libstdc++.so.6": "libstdc++.so.6.0.33"},
)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one package, a lock of it, and a cache of the test's own."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "python.deb").write_bytes(PACKAGE)
    entry = {"path": "pool/main/p/python.deb", "bytes": len(PACKAGE), "sha256": sha256(PACKAGE).hexdigest()}
    lock = tmp_path / "python.json"
    lock.write_text(json.dumps({"python": "3.13", "glibc": "2.41", "packages": {"x86_64": [entry]}}), encoding="utf-8")
    monkeypatch.setattr(_python_bundle, "LOCK", lock)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(_debian.ARCHIVE, str(folder))
    return folder


def test_bundle_holds_what_a_models_process_needs_and_the_licences(archive: Path) -> None:
    made = python_bundle("x86_64", print)
    with tarfile.open(made.path) as bundle:
        names = set(bundle.getnames())
        library = bundle.extractfile("lib/libstdc++.so.6")
        assert library is not None
        assert library.read() == b"libstdc++", "a link becomes what it leads to"
    assert names == {
        "bin/python3.13",
        "lib/ld-linux-x86-64.so.2",
        "lib/libc.so.6",
        "lib/libstdc++.so.6",
        "lib/python3.13/json/__init__.py",
        "lib/python3.13/lib-dynload/_ctypes.cpython-313-x86_64-linux-gnu.so",
        "share/doc/python3.13-minimal/copyright",
    }
    assert made.sha256 == sha256(made.path.read_bytes()).hexdigest()
    assert (made.python, made.glibc, made.loader) == ((3, 13), "2.41", "ld-linux-x86-64.so.2")


def test_it_is_made_once_and_the_same_packages_make_the_same_bytes(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    first = python_bundle("x86_64", said.append)
    content = first.path.read_bytes()
    monkeypatch.setenv(_debian.ARCHIVE, str(archive / "nowhere"))
    assert python_bundle("x86_64", said.append) == first
    assert len(said) == 1
    first.path.unlink()
    monkeypatch.setenv(_debian.ARCHIVE, str(archive))
    assert python_bundle("x86_64", said.append).path.read_bytes() == content


def test_two_commands_make_it_at_the_same_time(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one begins and is done while this one writes."""
    other = (
        "import sys; from pathlib import Path; from dynolab.connections import _python_bundle as bundle\n"
        "bundle.LOCK = Path(sys.argv[1]); bundle.python_bundle('x86_64', print)"
    )
    really = tarfile.open

    def meanwhile(*arguments: Any, **named: Any) -> tarfile.TarFile:
        if named.get("mode") == "w":
            monkeypatch.setattr(tarfile, "open", really)
            subprocess.run([sys.executable, "-c", other, str(_python_bundle.LOCK)], check=True)
        return really(*arguments, **named)

    monkeypatch.setattr(tarfile, "open", meanwhile)
    made = python_bundle("x86_64", print)
    assert made.sha256 == sha256(made.path.read_bytes()).hexdigest()
    assert [one.name for one in made.path.parent.iterdir()] == [made.path.name]


def test_another_file_under_the_name_is_refused_and_nothing_is_kept(archive: Path, tmp_path: Path) -> None:
    (archive / "python.deb").write_bytes(PACKAGE[:-1] + b"!")
    with pytest.raises(
        PluginMissing, match=r"python\.deb of Debian cannot be had; .*another file under this name"
    ) as caught:
        python_bundle("x86_64", print)
    assert _debian.ARCHIVE in str(caught.value.hint)
    assert not list((tmp_path / "cache").rglob("*.tar.gz*"))


def test_archive_that_has_it_not_is_named(archive: Path) -> None:
    (archive / "python.deb").unlink()
    with pytest.raises(PluginMissing, match=str(archive)):
        python_bundle("x86_64", print)


def test_architecture_that_has_none_is_told_with_those_that_have(archive: Path) -> None:
    with pytest.raises(PluginMissing, match="no Python of dynolab's own for riscv64: there is one for x86_64"):
        python_bundle("riscv64", print)


def test_package_of_another_compression_is_told() -> None:
    with pytest.raises(PluginMissing, match=r"data\.tar\.zst"), opened(_deb({}, member="data.tar.zst")):
        pass


def test_every_architecture_of_the_lock_has_all_its_parts() -> None:
    lock = json.loads((Path(_python_bundle.__file__).with_name("locks") / "python.json").read_text(encoding="utf-8"))
    packages = {name: [_debian.package_of(one) for one in entries] for name, entries in lock["packages"].items()}
    assert set(packages) == set(_python_bundle.LOADERS)
    names = {architecture: {one.name for one in entries} for architecture, entries in packages.items()}
    assert names["x86_64"] == names["aarch64"]
    for entries in packages.values():
        for one in entries:
            assert one.path.startswith("pool/main/")
            assert len(one.sha256) == 64
            assert one.bytes > 0


def test_package_comes_from_a_server_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pool" / "a+b").mkdir(parents=True)
    (tmp_path / "pool" / "a+b" / "x.deb").write_bytes(PACKAGE)
    monkeypatch.setenv(_debian.ARCHIVE, tmp_path.as_uri())
    assert fetch(Package("pool/a+b/x.deb", len(PACKAGE), sha256(PACKAGE).hexdigest())) == PACKAGE
