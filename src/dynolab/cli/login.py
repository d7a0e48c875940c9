"""``dynolab login``: which hub the other commands and ``import dynolab as hub`` go to."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("login")
@click.argument("url", required=False)
@click.option("--token", help="API token; without it, it is asked for and not shown.")
@click.option("--from", "ini", type=click.Path(path_type=Path), help="A client.ini, such as a hub writes.")
def command(url: str | None, token: str | None, ini: Path | None) -> None:
    """Remember a hub's address and token, once they are seen to work.

    \b
    dynolab login http://127.0.0.1:8000
    dynolab login --from ~/.local/share/dynolab/hub/client.ini
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.client import settings
    from dynolab.client.client import Client
    from dynolab.client.settings import HubAddress
    from dynolab.errors import SpecInvalid

    if ini is not None:
        address = settings.read(ini.expanduser())
    elif url is not None:
        address = HubAddress(url.rstrip("/"), token or click.prompt("API token", hide_input=True))
    else:
        raise SpecInvalid("which hub?", hint="dynolab login URL, or dynolab login --from client.ini")
    if not address.url.startswith(("http://", "https://")):
        raise SpecInvalid(f"{address.url!r} is no hub's address", hint="such as http://127.0.0.1:8000")
    client = Client(address)
    me = client.api.get("me")
    client.close()
    click.echo(f"signed in at {address.url} as {me['email']}; kept in {settings.save(address)}")
