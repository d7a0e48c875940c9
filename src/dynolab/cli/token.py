"""``dynolab token``: the API token that the commands go to a hub with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from dynolab.cli import _hub


@click.group("token", invoke_without_command=True)
@_hub.AS_JSON
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Show the API token that commands go to the hub with: whose it is, where it works, when it ends. Or rotate it.

    \b
    dynolab token
    dynolab token rotate
    dynolab token list
    dynolab token revoke ID
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.client import settings

    if ctx.invoked_subcommand is not None:
        return
    with _hub.client(tells_token_end=False) as client:
        me = client.api.get("me")
        within = client.api.get(f"projects/{me['project_id']}")["full_name"] if me["project_id"] else None
    place = settings.token_file()
    if as_json:
        _hub.print_json({**me, "project": within, "url": client.config.api_url, "file": place and str(place)})
        return
    click.echo(f"token {me['token_id']} of {me['email']} at {client.config.api_url}")
    click.echo(f"works in: {f'the project {within} alone' if within else 'all that the account may see'}")
    click.echo(f"ends: {_hub.instant(me['expires_at']) if me['expires_at'] else 'never'}")
    click.echo(f"kept in: {place or 'the environment (DYNOLAB_HUB_TOKEN)'}")


@command.command("rotate")
@click.option(
    "--days",
    type=click.FloatRange(0, 36_500),
    help="How long the new secret is good; 0: for ever. Default: as the old one was.",
)
@_hub.AS_JSON
def rotate(days: float | None, as_json: bool) -> None:
    """Give the token a new secret, into the file that `dynolab login` wrote; the old one is good for a while yet.

    It stays the same token, with its devices and browsers.
    """
    from dynolab.client import rotation, settings
    from dynolab.errors import SpecInvalid

    place = settings.token_file()
    if place is None:
        raise SpecInvalid(
            "the token comes from the environment (DYNOLAB_HUB_TOKEN), where no new one can be kept",
            hint="rotate it on the hub's page /account/; or unset DYNOLAB_HUB_URL, to rotate the one that `dynolab login` kept",
        )
    with _hub.client(tells_token_end=False) as client:
        old = client.config.api_token
        made = rotation.rotate(client, place, days)
    others = [str(one) for one in settings.others_with(old)]
    told = {"id": made["id"], "file": str(place), "also_in": others}
    told |= {name: made[name] for name in ("expires_at", "previous_until")}
    good = f", good until {_hub.instant(made['expires_at'])}" if made["expires_at"] else ""
    _hub.answer(f"token {made['id']} has a new secret{good}; kept in {place}", told, as_json)
    _tell_old(made, str(place), others)


@command.command("list")
@click.option("--all", "revoked", is_flag=True, help="Those that open nothing any more, too.")
@_hub.AS_JSON
def listing(revoked: bool, as_json: bool) -> None:
    """List the account's tokens, its agents' too, the newest first: what for, when last used, when they end."""
    from rich.markup import escape

    with _hub.client() as client:
        found = [one for one in client.api.get("tokens")["tokens"] if revoked or _is_good(one)]
    if as_json:
        _hub.print_json(found)
        return
    titles = ("Token", "Label", "For", "Made", "Used", "Ends")
    rows = [
        (
            one["id"],
            escape(one["label"]),
            "agent" if one["kind"] == "agent" else (one["scopes"] or ["manage"])[-1],
            _hub.ago(one["created_at"]),
            _hub.ago(one["used_at"]) or "never",
            "revoked" if one["revoked_at"] else _hub.instant(one["expires_at"]) if one["expires_at"] else "never",
        )
        for one in found
    ]
    _hub.show(_hub.table(titles, rows))


@command.command("revoke")
@click.argument("token_id")
@_hub.AS_JSON
def revoke(token_id: str, as_json: bool) -> None:
    """Have a token open nothing any more, at once; an agent that has it stops. Its id is what `dynolab token list` tells."""
    from dynolab.client.transport import object_path

    with _hub.client(tells_token_end=False) as client:
        client.api.send("DELETE", object_path("tokens", token_id))
    _hub.answer(f"{token_id} is revoked", {"id": token_id, "revoked": True}, as_json)


def _is_good(one: dict[str, Any]) -> bool:
    ends = one["expires_at"]
    return one["revoked_at"] is None and (ends is None or datetime.fromisoformat(ends) > datetime.now(UTC))


def _tell_old(made: dict[str, Any], place: str, others: list[str]) -> None:
    """Who still has the old secret, and until when it is good."""
    import shlex

    until = _hub.instant(made["previous_until"])
    click.echo(f"the old secret is good until {until}: bring the new one to whatever else has it by then", err=True)
    for one in others:
        click.echo(f"{one} has it: {shlex.join(['cp', place, one])}", err=True)
