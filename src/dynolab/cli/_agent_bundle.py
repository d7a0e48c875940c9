"""``dynolab agent bundle``: all that a board without internet needs, in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("bundle")
@click.option("--arch", "architecture", required=True, help="The board's: aarch64, x86_64. `uname -m` tells it there.")
@click.option(
    "--python", "python", default=f"3.{sys.version_info[1]}", show_default=True, help="Its Python: `python3 -V`."
)
@click.option(
    "--glibc", default="2.28", show_default=True, help="The oldest C library that it is to work with: `ldd --version`."
)
@click.option("--runtimes", default="onnxruntime,litert", show_default=True, help="What models are run with there.")
@click.option(
    "--hub", "url", default="", metavar="URL", help="The hub that the board is to join, for its instructions."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A file ending in .tar.gz, or a folder. Default: a file named by what it is for.",
)
def bundle(architecture: str, python: str, glibc: str, runtimes: str, url: str, output: Path | None) -> None:
    """Make a folder that installs the agent on a board without internet: wheels, an install script, a README.

    \b
    dynolab agent bundle --arch aarch64 --python 3.11 --hub http://192.168.1.10:8000
    """  # noqa: D301 - click wants the backspace character itself
    import re

    from dynolab.agent import bundle as bundles
    from dynolab.cli import _notes
    from dynolab.errors import SpecInvalid
    from dynolab.spec.show import show_bytes

    numbers = re.fullmatch(r"3\.(\d+)", python)
    if numbers is None:
        raise SpecInvalid(f"--python {python!r} is no version", hint="such as 3.11: without the third number")
    wanted = tuple(name for name in runtimes.replace(" ", "").split(",") if name)
    order = bundles.Order(architecture, (3, int(numbers[1])), glibc, wanted, url.rstrip("/"))
    place = output or Path(f"{order.name}.tar.gz")
    with _notes.follow(f"making {place}") as note:
        size = bundles.make(order, place, note)
    click.echo(f"made: {place} ({show_bytes(size)})")
    folder = order.name if bundles.is_packed(place) else place.name
    unpack = f"tar -xf {place.name} && " if bundles.is_packed(place) else ""
    click.echo(f"copy it to the board, and there: {unpack}sh {folder}/install.sh")
