"""What kinds of values settings have: how each is read from text and from TOML, bounded and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from math import isfinite
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

SECRET = "***"
SCRAPE_TOKEN_LEAST = 16
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):([^?]*)(?=@)")
_PASSWORD_ARGUMENT = re.compile(r"(?<=[?&])(password|sslpassword)=[^&]*")


class Type(Protocol):
    """One kind of value. Both readers raise ValueError that says what is wrong with the value."""

    @property
    def hint(self) -> str:
        """What is taken, in words."""

    def read(self, text: str) -> Any:
        """The value of a text: the environment's or the command line's."""

    def take(self, value: object) -> Any:
        """The value of what TOML holds."""

    def show(self, value: Any) -> str:
        """The value as it would be written in the environment, without what is secret."""


def without_password(url: str) -> str:
    """An address whose password is not shown."""
    return _PASSWORD_ARGUMENT.sub(rf"\1={SECRET}", _PASSWORD.sub(rf"\1:{SECRET}", url))


@dataclass(frozen=True, slots=True)
class Text:
    """A text, of which ``check`` says what is wrong (raising ValueError), or gives the form that is kept."""

    check: Callable[[str], str] = str
    hint: str = "a text, in quotes"
    secret: bool = False

    def read(self, text: str) -> str:
        return self.check(text)

    def take(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("is no text: it needs quotes")
        return self.check(value)

    def show(self, value: str) -> str:
        return SECRET if self.secret else without_password(value)


@dataclass(frozen=True, slots=True)
class File:
    """The path of a file or folder; in a configuration file, relative to that file."""

    hint: str = "a path, in quotes"

    def read(self, text: str) -> Path:
        return Path(text)

    def take(self, value: object) -> Path:
        if not isinstance(value, str) or not value:
            raise ValueError("is no path: it needs quotes")
        return Path(value)

    def show(self, value: Path) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class Number:
    """A number of ``unit`` within bounds; ``zero_is_none``: 0 takes the bound away that the setting is."""

    unit: str
    least: float
    most: float | None = None
    whole: bool = False
    zero_is_none: bool = False

    @property
    def hint(self) -> str:
        """What is taken."""
        bounds = f"{self.least:.12g} to {self.most:.12g}" if self.most is not None else f"at least {self.least:.12g}"
        return f"{'a whole number' if self.whole else 'a number'} of {self.unit}, {bounds}" + (
            "; 0: no bound" if self.zero_is_none else ""
        )

    def read(self, text: str) -> float | None:
        try:
            found = int(text) if self.whole and text.isascii() else float(text)
        except ValueError as error:
            raise ValueError(f"is no {'whole ' if self.whole else ''}number of {self.unit}") from error
        return self._bounded(found)

    def take(self, value: object) -> float | None:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            raise ValueError(f"is no {'whole ' if self.whole else ''}number of {self.unit}")
        return self._bounded(value if self.whole else float(value))

    def show(self, value: float) -> str:
        return f"{value:d}" if isinstance(value, int) else f"{value:.15g}"

    def _bounded(self, found: float) -> float | None:
        if not isfinite(found):
            raise ValueError(f"is no number of {self.unit}")
        if self.zero_is_none and found == 0:
            return None
        if found < self.least or (self.most is not None and found > self.most):
            raise ValueError(f"is {'below' if found < self.least else 'above'} what is taken")
        return found


@dataclass(frozen=True, slots=True)
class Switch:
    """On or off."""

    hint: str = "true or false"

    def read(self, text: str) -> bool:
        found = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        if text.lower() not in found:
            raise ValueError("is neither true nor false")
        return found[text.lower()]

    def take(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError("is neither true nor false")
        return value

    def show(self, value: bool) -> str:
        return "true" if value else "false"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words."""

    words: tuple[str, ...]

    @property
    def hint(self) -> str:
        """What is taken."""
        return " or ".join(self.words)

    def read(self, text: str) -> str:
        if text not in self.words:
            raise ValueError("is none of the words that are taken")
        return text

    def take(self, value: object) -> str:
        return self.read(value if isinstance(value, str) else "")

    def show(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class Texts:
    """Several texts: separated by commas in the environment, a list in TOML. ``check`` is each one's."""

    check: Callable[[str], str] = str
    hint: str = "texts: separated by commas, or a list of them in a file"

    def read(self, text: str) -> tuple[str, ...]:
        return tuple(self.check(one.strip()) for one in text.split(",") if one.strip())

    def take(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValueError("is no list of texts")
        return tuple(self.check(one) for one in value)

    def show(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


def network(text: str) -> str:
    """An address or a network of addresses."""
    ip_network(text)
    return text


def public_address(url: str) -> str:
    """A hub's address, with the slash at its end that addresses of files are joined to."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("is no address of a hub")
    return url.rstrip("/") + "/"


def store_address(url: str) -> str:
    """The address of a server that speaks S3."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/") or parts.query:
        raise ValueError("is no address of a server")
    return url.rstrip("/")


def database_address(url: str) -> str:
    """The address of a PostgreSQL database."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("is no PostgreSQL address")
    words = dict(parse_qsl(urlsplit(url).query))
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        if name in words and not Path(words[name]).is_file():
            raise ValueError(f"names a file that is not there: {name}={words[name]}")
    return url


def is_safe_url(url: str) -> bool:
    """Whether nobody on the way reads what is sent there: HTTPS, or HTTP to this machine itself. May raise ValueError."""
    parts = urlsplit(url)
    if not parts.hostname or parts.fragment or parts.username is not None:
        return False
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost"):
        return True
    try:
        return parts.scheme == "http" and ip_address(parts.hostname).is_loopback
    except ValueError:
        return False


def provider_address(url: str) -> str:
    """The address of a sign-in provider, to the letter: it is compared with what the provider says of itself."""
    if not is_safe_url(url) or urlsplit(url).query:
        raise ValueError("is no address of a provider that nobody on the way can pretend to be")
    return url


def scrape_token(text: str) -> str:
    """A secret that opens the metrics. Nothing holds up guesses: so a short one is refused."""
    if len(text) < SCRAPE_TOKEN_LEAST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("is too short, or holds what no header can")
    return text


def domain(text: str) -> str:
    """A domain of e-mail addresses."""
    found = text.lower().removeprefix("@")
    if not _DOMAIN.fullmatch(found):
        raise ValueError("holds what is no domain")
    return found
