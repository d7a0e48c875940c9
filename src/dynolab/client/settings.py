"""Which hub, and with which token: from the environment, or from the file that ``dynolab login`` writes."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from dynolab.errors import NotFound, SpecInvalid, UserError


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A hub and the token to open it with. ``url`` has no slash at its end."""

    url: str
    token: str


def file() -> Path:
    """``DYNOLAB_CLIENT_INI``, or ``client.ini`` in the user's settings; its form is that of AI Hub's own client."""
    named = os.environ.get("DYNOLAB_CLIENT_INI")
    return Path(named) if named else platformdirs.user_config_path("dynolab") / "client.ini"


def configured() -> bool:
    """Whether a hub is known."""
    return bool(os.environ.get("DYNOLAB_HUB_URL")) or file().is_file()


def load() -> HubAddress:
    """``DYNOLAB_HUB_URL`` and ``DYNOLAB_HUB_TOKEN``, else the file. Raises :class:`UserError` when there is neither."""
    url, token = os.environ.get("DYNOLAB_HUB_URL"), os.environ.get("DYNOLAB_HUB_TOKEN")
    if url:
        return HubAddress(url.rstrip("/"), token or "")
    path = file()
    if not path.is_file():
        raise UserError("no hub is configured", hint="dynolab login URL, or DYNOLAB_HUB_URL and DYNOLAB_HUB_TOKEN")
    return read(path)


def read(path: Path) -> HubAddress:
    """The address in a file of AI Hub's form. Raises :class:`NotFound` and :class:`SpecInvalid`."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint="a hub prints where its client.ini is when it starts")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
        return HubAddress(parser["api"]["api_url"].rstrip("/"), parser["api"]["api_token"])
    except (configparser.Error, KeyError) as error:
        raise SpecInvalid(f"{path} is no client.ini: {error}", hint="dynolab login URL makes a good one") from error


def save(address: HubAddress) -> Path:
    """Write the file, for its owner's eyes only; where it is."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
        writing.write(f"[api]\napi_token = {address.token}\napi_url = {address.url}\nweb_url = {address.url}\n")
    partial.replace(path)
    return path
