"""Debian's packages for any architecture and release, through the apt of this machine and the archives that it is set up with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .missing import Missing

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Archive:
    """The packages of one release for one architecture. Its lists and files lie in ``folder``; nothing is installed here.

    Raises :class:`Missing` where apt is not set up for Debian, :class:`subprocess.CalledProcessError` where it fails.
    """

    def __init__(self, folder: Path, release: str, architecture: str, *, alone: bool = False) -> None:
        """``alone``: without the release's updates, which lie in an archive of their own."""
        for program in ("apt-get", "dpkg-deb"):
            if not shutil.which(program):
                raise Missing(f"{program} is not here: this needs a Debian")
        if not KEYRING.exists():
            raise Missing("the keys of Debian's archive are not here: apt-get install debian-archive-keyring")
        self.folder = folder
        for one in ("lists/partial", "cache/archives/partial"):
            (folder / one).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(_sources(release, architecture, alone=alone), encoding="utf-8")
        self._options = [
            "-qq",
            *_options(
                f"Dir::Etc::sourcelist={folder}/sources.list",
                "Dir::Etc::sourceparts=-",
                "Dir::Etc::preferencesparts=-",
                f"Dir::State={folder}",
                f"Dir::State::status={folder}/status",
                f"Dir::Cache={folder}/cache",
                f"APT::Architecture={architecture}",
                f"APT::Architectures={architecture}",
                "APT::Install-Recommends=false",
                "APT::Sandbox::User=root",
                "Acquire::Languages=none",
                "Acquire::Retries=3",
                "Debug::NoLocking=1",
            ),
        ]
        self._run("update")

    def download(self, *packages: str) -> list[Path]:
        """The packages and all that they depend on, as files."""
        archives = self.folder / "cache" / "archives"
        self._run("install", "--download-only", "--yes", *packages)
        return sorted(archives.glob("*.deb"))

    def download_alone(self, *packages: str) -> list[Path]:
        """The packages without what they depend on."""
        folder = self.folder / "alone"
        folder.mkdir(exist_ok=True)
        self._run("download", *packages, inside=folder)
        return sorted(folder.glob("*.deb"))

    def addresses(self, *packages: str) -> list[str]:
        """A line for each package, as apt writes it: its address in quotes, file name, size in bytes, digest."""
        return self._run("download", "--print-uris", *packages).splitlines()

    def depends(self, package: str) -> list[str]:
        """The names of what a package depends on directly, as for a package that only stands for the newest of its kind."""
        found = self._run("depends", package, program="apt-cache")
        return [line.split()[-1] for line in found.splitlines() if line.strip().startswith("Depends:")]

    def _run(self, *arguments: str, program: str = "apt-get", inside: Path | None = None) -> str:
        options = self._options if program == "apt-get" else self._options[1:]
        done = subprocess.run(
            [program, *options, *arguments],
            check=False,
            cwd=inside,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise Missing(f"{program} {arguments[0]} failed: {done.stderr.strip()[-500:]}")
        return done.stdout


def unpack(package: Path, into: Path, *, without: tuple[str, ...] = ()) -> None:
    """The files of a package, without its scripts; ``without``: patterns of tar for paths such as ``./usr/share/doc``."""
    into.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as reading:
        command = ["tar", "-x", "-C", str(into), "--keep-directory-symlink", "--no-same-owner"]
        subprocess.run([*command, *(f"--exclude={one}" for one in without)], stdin=reading.stdout, check=True)
    if reading.returncode:
        raise subprocess.CalledProcessError(reading.returncode, "dpkg-deb")


def _sources(release: str, architecture: str, *, alone: bool) -> str:
    """Lines for apt that name the archives which this machine uses, for another release and architecture."""
    form = "$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)"
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = set()
    for line in found.stdout.splitlines():
        words = line.split()
        if len(words) == 4 and words[2:] == ["main", "Debian"] and not (alone and "-" in words[1]):
            suite = f"{release}{words[1][len(words[1].partition('-')[0]) :]}"
            lines.add(f"deb [arch={architecture} signed-by={KEYRING}] {words[0]} {suite} main\n")
    if not lines:
        raise Missing("apt knows no archive of Debian yet: apt-get update")
    return "".join(sorted(lines))


def _options(*settings: str) -> list[str]:
    return [word for one in settings for word in ("-o", one)]
