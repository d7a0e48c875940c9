"""Brings a device the Python of ``_python_bundle``, once: kept there by digest, whole or not at all."""

from __future__ import annotations

import shlex

from dynolab.connections._python_bundle import PythonBundle, python_bundle
from dynolab.connections._remote import Remote
from dynolab.connections._turns import turn
from dynolab.connections.base import Tell
from dynolab.errors import DeviceUnfit

UNPACKED_WITHIN_S = 900.0
"""On the slowest board that was seen, an emulated one, it took a minute."""
SPARE = 1.2
"""Compiled modules come on top of what is unpacked."""


def bring_python(remote: Remote, architecture: str, tell: Tell, *, shell: str = "/bin/sh") -> str:
    """The path of the interpreter on the device, brought there first if need be; ``shell``: the device's own, by its path.

    Raises :class:`~dynolab.errors.PluginMissing` where there is none for the architecture, :class:`DeviceUnfit` where it has no
    room or the bundle does not run there, and what the device's own methods raise.
    """
    bundle = python_bundle(architecture, tell)
    parent = f"{remote.root}/python"
    home = f"{parent}/{bundle.sha256[:16]}"
    interpreter = f"{home}/bin/python3"
    if _is_there(remote, home):
        return interpreter
    with turn(remote, tell):
        if not _is_there(remote, home):
            _check_room(remote, parent, bundle)
            megabytes = bundle.path.stat().st_size / 1e6
            tell(f"sending a Python {bundle.python[0]}.{bundle.python[1]} of its own ({megabytes:.0f} MB)")
            remote.push(bundle.path, f"{home}.tar.gz")
            remote.ask(_unpack(home, bundle, shell), timeout_s=UNPACKED_WITHIN_S)
    return interpreter


def _is_there(remote: Remote, home: str) -> bool:
    parent = shlex.quote(home.rpartition("/")[0])
    return remote.ask(f"mkdir -p {parent}; [ -e {shlex.quote(home)}/complete ] && echo yes || :") == "yes"


def _check_room(remote: Remote, folder: str, bundle: PythonBundle) -> None:
    needed = int(bundle.bytes_unpacked * SPARE) + bundle.path.stat().st_size
    # POSIX's df: a line of headings, then the free blocks of 1024 bytes in the fourth column.
    said = remote.ask(f"df -Pk {shlex.quote(folder)}").splitlines()[-1].split()
    free = int(said[3]) * 1024 if len(said) > 3 and said[3].isdecimal() else None
    if free is not None and free < needed:
        raise DeviceUnfit(
            f"a Python of its own needs {needed / 1e6:.0f} MB on the device, and {free / 1e6:.0f} MB are free in {folder}",
            hint="free some space there",
        )


def _unpack(home: str, bundle: PythonBundle, shell: str) -> str:
    """A script: check the digest, unpack, write the command that starts it, compile, and say that it is complete.

    A virtual environment links to that command, so what it runs is named in it absolutely, and the name that it was called by is
    handed on: by that Python finds its environment.
    """
    python = f"python{bundle.python[0]}.{bundle.python[1]}"
    # Other libraries of the device are not for it: not the ones in its cache, nor any that a variable names.
    start = (
        f'#!{shell}\\nunset LD_PRELOAD LD_LIBRARY_PATH\\nexec "%s/lib/{bundle.loader}" --inhibit-cache --library-path "%s/lib" '
        f'--argv0 "$0" "%s/bin/{python}" "$@"\\n'
    )
    return f"""\
set -e
home={shlex.quote(home)}
new=$home.new
[ "$(sha256sum < "$home.tar.gz" | cut -c 1-64)" = {bundle.sha256} ] || {{
    rm -f "$home.tar.gz"
    echo "another file arrived than was sent" >&2
    exit 1
}}
rm -rf "$new" "$home"
mkdir "$new"
tar -x -z -f "$home.tar.gz" -C "$new" || {{
    rm -rf "$new" "$home.tar.gz"
    exit 1
}}
rm -f "$home.tar.gz"
printf {shlex.quote(start)} "$home" "$home" "$home" > "$new/bin/python3"
chmod 755 "$new/bin/python3"
mv "$new" "$home"
"$home/bin/python3" -I -c pass || {{
    rm -rf "$home"
    exit 1
}}
"$home/bin/python3" -I -m compileall -q "$home/lib/{python}" > "$home/compiled" || :
: > "$home/complete"
"""
