"""A folder that installs the agent on a board without internet: wheels, an install script, and what to do with them."""

from __future__ import annotations

import shlex
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path

from dynolab import own_wheel, plugins
from dynolab.connections._wheels import DeviceSystem, Wheel, requirements_of, wheels_for
from dynolab.errors import Conflict, NotFound, SpecInvalid

PACKED = ".tar.gz"
ALSO = {"arm64": "aarch64", "amd64": "x86_64", "x64": "x86_64", "armv8": "aarch64"}
"""Other names of architectures, by which boards and their shops call them."""
WITH_EXTRAS = ("datasets",)
"""What every device gets besides its runtimes: inference jobs."""
INSTALLER = "pip"
"""Runs from its own wheel: a board need not have it."""
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What the bundle is for. ``glibc``: the oldest that it is to work with, ``2.28``; ``hub``: an address, or empty."""

    architecture: str
    python: tuple[int, int]
    glibc: str
    runtimes: tuple[str, ...]
    hub: str = ""

    @property
    def system(self) -> DeviceSystem:
        """What wheels are chosen by."""
        return DeviceSystem(ALSO.get(self.architecture, self.architecture), self.python, ("glibc", self.glibc))

    @property
    def name(self) -> str:
        """Of the folder: what it holds, and for what."""
        python = f"python{self.python[0]}.{self.python[1]}"
        return f"dynolab-agent-{metadata.version('dynolab')}-{self.system.architecture}-{python}"


def make(order: Order, output: Path, note: Note) -> int:
    """Make the folder, or the file where ``output`` ends in ``.tar.gz``; its size in bytes. Nothing is left of a failure.

    Raises :class:`NotFound` for a runtime that there is not, :class:`SpecInvalid` for one that is not installed by name,
    :class:`Conflict` when the output is there already, and what :func:`wheels_for` raises.
    """
    if output.exists():
        raise Conflict(f"{output} is there already", hint="remove it, or name another with --output")
    if not output.absolute().parent.is_dir():
        raise NotFound(f"there is no folder {output.absolute().parent} to put {output.name} in")
    wheels = wheels_for(order.system, _requirements(order), note)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.absolute().parent) as place:
        folder = Path(place, order.name)
        _fill(folder, order, wheels)
        made = folder
        if is_packed(output):
            note(f"packing {output}")
            made = Path(place, "packed")
            with tarfile.open(made, "w:gz", compresslevel=1) as archive:  # wheels are compressed already
                archive.add(folder, order.name, filter=_nobodys)
        made.rename(output)
    return sum(path.stat().st_size for path in (output.rglob("*") if output.is_dir() else [output]) if path.is_file())


def is_packed(output: Path) -> bool:
    """Whether a file is made, and no folder."""
    return output.name.endswith(PACKED)


def _requirements(order: Order) -> list[str]:
    known = [name for name in plugins.names("dynolab.runtimes") if plugins.is_own("dynolab.runtimes", name)]
    extras = metadata.metadata("dynolab").get_all("Provides-Extra") or []
    for name in order.runtimes:
        if name not in known:
            raise NotFound(
                f"there is no runtime named {name!r}", hint=f"known: {', '.join(sorted({*known} & {*extras}))}"
            )
        if name not in extras:
            raise SpecInvalid(
                f"the runtime {name} is no part of a bundle",
                hint=f"there are: {', '.join(sorted({*known} & {*extras}))}",
            )
    return [*requirements_of(order.system, [*order.runtimes, *WITH_EXTRAS]), INSTALLER]


def _fill(folder: Path, order: Order, wheels: Sequence[Wheel]) -> None:
    (folder / "wheels").mkdir(parents=True)
    lines = []
    for wheel in wheels:
        shutil.copyfile(wheel.path, folder / "wheels" / wheel.path.name)
        lines.append(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    own = own_wheel.content()
    (folder / "wheels" / own_wheel.file_name()).write_bytes(own)
    lines.append(f"dynolab=={metadata.version('dynolab')} --hash=sha256:{sha256(own).hexdigest()}\n")
    (folder / "requirements.txt").write_text("".join(line for line in lines if not line.startswith(f"{INSTALLER}==")))
    installer = next(one.path.name for one in wheels if one.name == INSTALLER)
    script = folder / "install.sh"
    script.write_text(_script(order, installer), encoding="utf-8")
    script.chmod(0o755)
    (folder / "README.txt").write_text(_readme(order), encoding="utf-8")


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without the names and numbers of this machine's users."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def _join_line(order: Order) -> str:
    return f"dynolab agent --hub {shlex.quote(order.hub) if order.hub else 'URL'} --join-token TOKEN"


def _readme(order: Order) -> str:
    version, python = metadata.version("dynolab"), f"{order.python[0]}.{order.python[1]}"
    hub = order.hub or "the hub"
    return f"""\
dynolab {version}: the agent for a board without internet

For {order.system.architecture}, Python {python}, glibc {order.glibc} or newer. Runtimes: {", ".join(order.runtimes) or "none"}.

On the board, in this folder:

    sh install.sh                  installs into ~/dynolab; nothing is fetched
    ~/dynolab/bin/{_join_line(order)}

The token comes from {hub}{"/add-device" if order.hub else ", page /add-device"}, or from `dynolab devices join-token`. It is good for an hour, once.
From then on `~/dynolab/bin/dynolab agent` needs neither. To keep it running: ~/dynolab/bin/dynolab agent unit

The board needs python{python} with its standard library (Debian, Ubuntu: apt-get install python3), and a way to the hub.
A sandbox for the models is recommended: bubblewrap (apt-get install bubblewrap).
"""


def _script(order: Order, installer: str) -> str:
    python = f"{order.python[0]}.{order.python[1]}"
    return f"""\
#!/bin/sh
# Installs dynolab's agent from this folder alone; nothing is fetched.
#
#   sh install.sh [FOLDER]     FOLDER: where to; ~/dynolab without it
#
# PYTHON names the interpreter where it is not python{python} or python3.
set -eu

say() {{ printf '%s\\n' "$*" >&2; }}
die() {{ say "error: $*"; exit 2; }}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
target=${{1:-${{HOME:?HOME is not set: name a folder}}/dynolab}}

python=
for name in "${{PYTHON:-}}" python{python} python3; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1; then python=$name; break; fi
done
[ -n "$python" ] || die "there is no python3 here. Debian, Ubuntu: apt-get install python3"

# What this folder is for, and what is here.
"$python" - {order.system.architecture} {order.python[0]} {order.python[1]} {order.glibc} <<'PROGRAM' || exit 2
import platform, struct, sys

architecture, major, minor, glibc = sys.argv[1:5]
wants = "this folder is for %s, Python %s.%s and glibc %s or newer" % (architecture, major, minor, glibc)
libc, version = platform.libc_ver()
bits = struct.calcsize("P") * 8
has = None
if sys.version_info[:2] != (int(major), int(minor)):
    has = "Python %d.%d (%s)" % (sys.version_info[0], sys.version_info[1], sys.executable)
elif platform.machine() != architecture or (bits == 32) != (architecture in ("armv7l", "armv6l", "i686")):
    has = "%s with a Python of %d bits" % (platform.machine(), bits)
elif libc != "glibc":
    has = "another C library (%s)" % (libc or "musl, it seems")
elif tuple(map(int, version.split(".")[:2])) < tuple(map(int, glibc.split(".")[:2])):
    has = "glibc %s" % version
if has:
    sys.stderr.write("error: %s, and here is %s.\\n" % (wants, has))
    sys.stderr.write("  make one for it: dynolab agent bundle --arch %s --python %d.%d\\n" % (platform.machine(), sys.version_info[0], sys.version_info[1]))
    sys.exit(2)
PROGRAM

[ ! -e "$target" ] || die "$target is there already: remove it first (rm -r), or name another folder: sh install.sh FOLDER"
trap 'say "nothing was installed: $target is removed again"; rm -rf "$target"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$python" -m venv --without-pip "$target"

# pip runs from its own wheel. No settings of the machine, no index, and each file by its hash.
for name in $(env | sed -n 's/^\\(PIP_[A-Za-z0-9_]*\\)=.*/\\1/p'); do unset "$name"; done
PIP_CONFIG_FILE=/dev/null "$target/bin/python" -I "$here/wheels/{installer}/pip" install --quiet --no-index \\
    --find-links "$here/wheels" --no-deps --require-hashes --no-cache-dir --disable-pip-version-check \\
    -r "$here/requirements.txt"
"$target/bin/dynolab" --version >&2
trap - EXIT INT TERM HUP
say "installed: $target"
say "now join the hub, with a token from its page /add-device:"
say "  $target/bin/{_join_line(order)}"
"""
