"""``dynolab hub account``: who may use a hub, for whoever runs it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dynolab.hub.usecases.base import Hub

    T = TypeVar("T")


@click.group("account")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The hub's data folder.")
@click.pass_context
def account(ctx: click.Context, data: Path | None) -> None:
    """Let people into a hub, while it runs or not.

    \b
    dynolab hub account add ana@example.org
    dynolab hub account token ana@example.org --agent
    dynolab hub account password ana@example.org
    dynolab hub account list
    dynolab hub account close ana@example.org
    dynolab hub account open ana@example.org
    dynolab hub account admin ana@example.org
    """  # noqa: D301 - click wants the backspace character itself
    ctx.obj = data or ctx.obj


@account.command("add")
@click.argument("email")
@click.option("--name", default="", help="What others see. Default: what stands before the @.")
@click.option(
    "--admin", is_flag=True, help="One who runs the hub: may change every pool, and is trusted with all models."
)
@click.pass_obj
def add(data: Path | None, email: str, name: str, admin: bool) -> None:
    """Make an account; prints its API token, this once."""
    from dynolab.hub import operate

    click.echo(
        carried_out(
            data, partial(operate.add_account, account=operate.OPERATOR, email=email, name=name, is_admin=admin)
        )
    )


@account.command("token")
@click.argument("email")
@click.option("--agent", is_flag=True, help="A token for an agent, not for a person.")
@click.option(
    "--scope", help="What it may be used for: read, submit or manage, each with those before it. Default: manage."
)
@click.option("--days", type=float, help="How long it is good. Default: for ever.")
@click.pass_obj
def token(data: Path | None, email: str, agent: bool, scope: str | None, days: float | None) -> None:
    """Make one more token of an account; prints it, this once."""
    from dynolab.hub import operate

    click.echo(
        carried_out(
            data,
            partial(
                operate.add_token,
                email=email,
                kind="agent" if agent else "user",
                scopes=[scope] if scope else [],
                days=days,
            ),
        )
    )


@account.command("password")
@click.argument("email")
@click.pass_obj
def password(data: Path | None, email: str) -> None:
    """Set an account's password, which is asked for, or is the first line of standard input where that is no terminal."""
    import sys

    from dynolab.hub import operate

    asked = sys.stdin.isatty()
    text = click.prompt("Password", hide_input=True, confirmation_prompt=True) if asked else sys.stdin.readline()
    carried_out(data, partial(operate.set_password, email=email, password=text.rstrip("\r\n")))
    click.echo(f"{email} signs in with it: qai-hub configure, or POST /api/v1/users/auth/login/", err=True)


@account.command("list")
@click.pass_obj
def listing(data: Path | None) -> None:
    """Who has an account: address, good tokens, whether with a password, whether signed in by OpenID Connect, when last seen, who runs the hub, and which are closed."""
    from dynolab.hub import operate

    asked = partial(operate.find_accounts, account=operate.OPERATOR)
    found = sorted(carried_out(data, asked), key=lambda one: one.email)
    wide = max((len(one.email) for one in found), default=0)
    for one in found:
        runs, seen = "runs the hub" if one.is_admin else "", "never seen"
        if one.seen_at is not None:
            seen = f"seen {one.seen_at:%Y-%m-%d %H:%M} UTC"
        closed = "" if one.closed_at is None else f"CLOSED since {one.closed_at:%Y-%m-%d %H:%M} UTC"
        ways = _counted(one.tokens, "token"), "password" if one.has_password else "no password"
        provider = "OpenID Connect" if one.by_provider else ""
        words = closed, *ways, provider, seen, runs
        click.echo(f"{one.email:<{wide}}  {', '.join(filter(None, words))}")


@account.command("close")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def close(data: Path | None, email: str, yes: bool) -> None:
    """Close an account when somebody leaves: its tokens, browsers, password and memberships end, and its agents stop.

    What it made stays. Nothing lets it in from then on, a sign-in by OpenID Connect neither, until `dynolab hub account open`.
    """
    from dynolab.hub import operate

    if not yes:
        click.confirm(
            f"Close {email}: revoke all its tokens (its agents stop), and take it out of all organisations?", abort=True
        )
    gone = carried_out(data, partial(operate.close_account, account=operate.OPERATOR, email=email))
    counts = (
        (gone.tokens, "token", "revoked"),
        (gone.browsers, "browser", "signed out"),
        (gone.memberships, "membership", "ended"),
    )
    told = ", ".join(f"{_counted(count, what)} {became}" for count, what, became in counts)
    click.echo(f"{gone.email}: {told}", err=True)
    click.echo(
        "its agents take no more jobs and are told why; `dynolab hub account open` lets the person in again", err=True
    )


@account.command("open")
@click.argument("email")
@click.pass_obj
def reopen(data: Path | None, email: str) -> None:
    """Open an account again that was closed.

    Its person may sign in by OpenID Connect, if the hub has that. Tokens, agents, password and memberships that ended do not come back.
    """
    from dynolab.hub import operate

    opened = carried_out(data, partial(operate.open_account, account=operate.OPERATOR, email=email))
    click.echo(
        f"{opened} is open again; `dynolab hub account token {opened}` makes a token, with --agent one for an agent",
        err=True,
    )


@account.command("admin")
@click.argument("email")
@click.option("--end", is_flag=True, help="Not any more.")
@click.pass_obj
def admin(data: Path | None, email: str, end: bool) -> None:
    """Let an account run the hub: change every pool, close accounts, read the audit log, be trusted with all models."""
    from dynolab.hub import operate

    changed = partial(operate.set_admin, account=operate.OPERATOR, email=email, is_admin=not end)
    click.echo(f"{carried_out(data, changed)} {'does not run the hub any more' if end else 'runs the hub'}", err=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def carried_out(data: Path | None, verb: Callable[[Hub], Awaitable[T]]) -> T:
    """What the verb gives for the hub with this data folder; None: the usual one."""
    from dynolab.cli._hub_settings import configuration
    from dynolab.hub.operate import carry_out

    return carry_out(configuration(data).settings, verb)
