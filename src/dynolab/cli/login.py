"""``dynolab login``: which hub the other commands and ``import dynolab as hub`` go to."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from dynolab.cli import _hub


@click.command("login")
@click.argument("url", required=False)
@click.option("--token", help="API token; without it, it is asked for and not shown.")
@click.option("--from", "ini", type=click.Path(path_type=Path), help="A client.ini, such as a hub writes.")
@_hub.AS_JSON
def command(url: str | None, token: str | None, ini: Path | None, as_json: bool) -> None:
    """Remember a hub's address and token, once they are seen to work.

    \b
    dynolab login http://127.0.0.1:8000
    dynolab login --from ~/.local/share/dynolab/hub/client.ini
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.client import settings
    from dynolab.client.settings import ClientConfig
    from dynolab.errors import SpecInvalid

    if ini is not None:
        config = settings.read(ini.expanduser())
    elif url is None:
        raise SpecInvalid("which hub?", hint="dynolab login URL, or dynolab login --from client.ini")
    elif not settings.is_address(url):
        raise SpecInvalid(f"{url!r} is no hub's address", hint="such as http://127.0.0.1:8000")
    else:
        config = ClientConfig(token or _asked(), url.rstrip("/"))
    with _hub.client(config) as client:
        me = client.api.get("me")
    file = settings.save(config)
    text = f"signed in at {config.api_url} as {me['email']}; kept in {file}"
    _hub.answer(text, {"url": config.api_url, "email": me["email"], "file": str(file)}, as_json)


def _asked() -> str:
    """The token that a person types, unseen, or that is piped in. Raises :class:`~dynolab.errors.SpecInvalid`."""
    from dynolab.errors import SpecInvalid

    if sys.stdin.isatty():
        return str(click.prompt("API token", hide_input=True))
    if token := sys.stdin.readline().strip():
        return token
    raise SpecInvalid("there is no API token, and no terminal to ask for it", hint="--token, or on standard input")
