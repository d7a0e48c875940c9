"""Which hub, and with which token: from the environment, or from the file that ``dynolab login`` writes."""

from __future__ import annotations

import configparser
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from dynolab import private_files
from dynolab.errors import Conflict, NotFound, SpecInvalid, UserError
from dynolab.spec.projects import check_project


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A hub and the token to open it with, under the names of AI Hub's own client. Addresses end without a slash."""

    api_token: str
    api_url: str = "http://127.0.0.1:8000"
    web_url: str = ""
    """Where its pages are; empty: where its API is."""
    verbose: bool = True
    """Whether transfers and waiting are shown."""
    default_project: str = ""
    """The project that is worked in, by id or ``ORGANISATION.PROJECT``; empty: none."""

    @property
    def pages(self) -> str:
        """The start of links to the hub's pages."""
        return (self.web_url or self.api_url).rstrip("/")


def file(profile: str | None = None) -> Path:
    """``DYNOLAB_CLIENT_INI``, or ``client.ini`` in the user's settings; its form is that of AI Hub's own client.

    A ``profile`` is another file beside it, ``PROFILE.ini``.
    """
    named = os.environ.get("DYNOLAB_CLIENT_INI")
    path = Path(named) if named else platformdirs.user_config_path("dynolab") / "client.ini"
    return path.with_name(f"{profile}.ini") if profile else path


def configured() -> bool:
    """Whether a hub is known."""
    return bool(os.environ.get("DYNOLAB_HUB_URL")) or file().is_file()


def load(profile: str | None = None) -> ClientConfig:
    """``DYNOLAB_HUB_URL`` and ``DYNOLAB_HUB_TOKEN``, else the file; ``DYNOLAB_PROJECT`` goes before the file's project.

    A ``profile`` that is named is read as it is. Raises :class:`UserError` when there is neither, and :class:`SpecInvalid`.
    """
    if profile is not None:
        return read(file(profile))
    url, token = os.environ.get("DYNOLAB_HUB_URL"), os.environ.get("DYNOLAB_HUB_TOKEN")
    if not url and not file().is_file():
        raise UserError("no hub is configured", hint="dynolab login URL, or DYNOLAB_HUB_URL and DYNOLAB_HUB_TOKEN")
    found = ClientConfig(token or "", _address(url, "DYNOLAB_HUB_URL")) if url else read(file())
    named = os.environ.get("DYNOLAB_PROJECT")
    return replace(found, default_project=check_project(named, "DYNOLAB_PROJECT")) if named else found


def token_file() -> Path | None:
    """The file that the configured token is in; None: it comes from the environment."""
    return None if os.environ.get("DYNOLAB_HUB_URL") else file()


def replace_token(path: Path, old: str, new: str) -> None:
    """Put another token into a file of AI Hub's form, which is otherwise as it was, for its owner's eyes only.

    It is written whole or not at all; where a link leads to it, the link stays. Raises OSError, and :class:`Conflict` where the
    file does not hold the old token.
    """
    place = path.resolve()
    line = re.compile(rf"^([ \t]*(?i:api_token)[ \t]*[=:][ \t]*){re.escape(old)}[ \t]*$", re.MULTILINE)
    text, count = line.subn(lambda found: found[1] + new, place.read_text(encoding="utf-8"))
    if not count:
        raise Conflict(f"{path} holds another token by now", hint="try again, with the token that it holds")
    private_files.write(place, text)


def others_with(token: str) -> list[Path]:
    """Other files that hold the token: that of AI Hub's own client, and that of a hub on this machine."""
    official = os.environ.get("QAIHUB_CLIENT_INI") or "~/.qai_hub/client.ini"
    hub = os.environ.get("DYNOLAB_DATA") or platformdirs.user_data_path("dynolab") / "hub"
    return [path for path in (Path(official).expanduser(), Path(hub, "client.ini")) if _holds(path, token)]


def _holds(path: Path, token: str) -> bool:
    try:
        return token in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def read(path: Path) -> ClientConfig:
    """The address in a file of AI Hub's form. Raises :class:`NotFound` and :class:`SpecInvalid`."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint="a hub prints where its client.ini is when it starts")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
        api = parser["api"]
        url, token = api["api_url"], api["api_token"]
        shown = api.getboolean("verbose", fallback=True)
    except (configparser.Error, KeyError, ValueError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise SpecInvalid(f"{path} is no client.ini: {what}", hint="dynolab login URL makes a good one") from error
    web_url, project = api.get("web_url", "").rstrip("/"), api.get("default_project", "")
    return ClientConfig(token, _address(url, str(path)), web_url, shown, project)


def _address(url: str, source: str) -> str:
    """The address as requests need it. Raises :class:`SpecInvalid`, naming where it came from."""
    if not is_address(url):
        raise SpecInvalid(f"{url!r} is no hub's address (from {source})", hint="such as http://127.0.0.1:8000")
    return url.rstrip("/")


def is_address(url: str) -> bool:
    """Whether it has a scheme that a hub may have, and a host, and a port that can be one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def save(config: ClientConfig) -> Path:
    """Write the file, for its owner's eyes only; where it is."""
    path = file()
    text = f"[api]\napi_token = {config.api_token}\napi_url = {config.api_url}\nweb_url = {config.pages}\n"
    if config.default_project:
        text += f"default_project = {config.default_project}\n"
    private_files.write(path, text)
    return path
