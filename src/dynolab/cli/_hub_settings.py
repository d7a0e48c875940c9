"""The settings of a hub, for every command about one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.hub.configuration import Configuration

CONFIG = "dynolab.cli.hub.config"
"""Where the commands' context keeps the file that ``dynolab hub --config`` named."""


def configuration(data: Path | None = None) -> Configuration:
    """The settings that hold for the command at hand. ``data``: the folder that it was given."""
    from dynolab.hub.configuration import load

    return load(click.get_current_context().meta.get(CONFIG), data=data)
