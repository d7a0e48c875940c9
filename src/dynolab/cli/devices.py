"""``dynolab devices``: what jobs can be sent to, and who may send them."""

from __future__ import annotations

from typing import Any

import click

from dynolab.cli import _hub

WAIT_EVERY_S = 2.0
"""How often it is asked whether a machine has joined."""


@click.group("devices", invoke_without_command=True)
@click.option("--name", default="", help="Of this name only.")
@click.option("--os", default="", help='Of this system version, or an interval such as "[14,15)".')
@click.option(
    "--attribute", "attributes", multiple=True, metavar="KEY:VALUE", help="With this attribute; may be repeated."
)
@_hub.AS_JSON
@click.pass_context
def command(ctx: click.Context, name: str, os: str, attributes: tuple[str, ...], as_json: bool) -> None:
    """List the hub's devices that your jobs may go to: how many boards of each, how many are busy, how many jobs wait.

    A board that is unfit, because its disk is full say, or quarantined takes no job: its reason is told beside what it is.

    \b
    dynolab devices
    dynolab devices boards
    dynolab devices quarantine BOARD --reason TEXT
    dynolab devices release BOARD
    dynolab devices access NAME --let-send ana@example.org
    dynolab devices trust bob@example.org
    dynolab devices join-token --wait
    dynolab devices add ssh://pi@board
    """  # noqa: D301 - click wants the backspace character itself
    if ctx.invoked_subcommand is not None:
        return
    with _hub.client() as client:
        query = {"name": name or None, "os": os or None, "attribute": list(attributes) or None}
        found = client.api.get("devices", **query)["devices"]
        pools = [] if as_json else client.api.get("pools")["pools"]
    if as_json:
        _hub.print_json(found)
        return
    _hub.show(_table(found) if found else "no device fits" if name or os or attributes else "no device is known yet")
    for one in pools:
        if one["may_send"] and not one["trusted"]:
            click.echo(
                f"{one['name']} of {one['owner']} would take your jobs; let it receive your models: "
                f"dynolab devices trust {one['owner']}",
                err=True,
            )


def _table(found: list[dict[str, Any]]) -> Any:
    from rich.markup import escape

    rows = [
        (
            escape(one["name"]),
            one["os"],
            *(str(one[key]) for key in ("boards", "busy", "queued")),
            escape(one["owner"]),
            escape("; ".join((one["description"], *_troubles(one)))),
        )
        for one in found
    ]
    titles = ("Device", "OS", "Boards", "Busy", "Waiting", "Whose", "What it is")
    return _hub.table(titles, rows, right=("Boards", "Busy", "Waiting"))


def _troubles(one: dict[str, Any]) -> list[str]:
    """Why boards take no job, and what slowly changed of them."""
    told = (("unfit", "unfit"), ("quarantined", "quarantined"), ("slow change", "drifts"))
    return [f"{word}: {why}" for word, key in told for why in one[key]]


@command.command("boards")
@click.argument("name", default="")
@_hub.AS_JSON
def boards(name: str, as_json: bool) -> None:
    """List single boards, or those of a name: whether each is free, whether it is well, and since when.

    \b
    dynolab devices boards
    dynolab devices boards NAME --json
    """  # noqa: D301 - click wants the backspace character itself
    with _hub.client() as client:
        found, before = [], None
        while page := client.api.get("boards", name=name or None, before=before):
            found += page["boards"]
            before = page.get("next")
            if before is None:
                break
    if as_json:
        _hub.print_json(found)
    else:
        _hub.show(_boards(found) if found else "no board fits" if name else "no board is known yet")


def _boards(found: list[dict[str, Any]]) -> Any:
    from rich.markup import escape

    rows = []
    for one in found:
        told = (one["why"], one["probed_again"], one["drift"] and f"slow change: {one['drift']}")
        why = "; ".join(part for part in told if part)
        by = f" (by {one['health_by']})" if one["health_by"] else ""
        rows.append((escape(one["name"]), escape(one["id"]), one["state"], one["health"], escape(f"{why}{by}")))
    return _hub.table(("Device", "Board", "State", "Health", "Why"), rows)


@command.command("quarantine")
@click.argument("board")
@click.option("--reason", default="", help="Why; shown with it.")
def quarantine(board: str, reason: str) -> None:
    """Have a board of yours take no more jobs until you release it. A job that runs there goes on."""
    _change(board, {"quarantine": True, "reason": reason})


@command.command("release")
@click.argument("board")
@click.option("--relearn", is_flag=True, help="The board has changed for good: learn its usual speed anew.")
def release(board: str, relearn: bool) -> None:
    """Have a quarantined board take jobs again, on probation: one probe out of its band puts it back."""
    _change(board, {"quarantine": False, "relearn": relearn})


def _change(board: str, asked: dict[str, object]) -> None:
    from urllib.parse import quote

    with _hub.client() as client:
        one = client.api.send("PUT", f"devices/{quote(board, safe='')}/health", asked)
    why = f" ({one['why']})" if one["why"] else ""
    click.echo(f"{one['name']} {one['id']}: {one['health']}{why}")


@command.command("access")
@click.argument("name")
@click.option("--let-send", multiple=True, metavar="EMAIL", help="May send jobs; may be repeated.")
@click.option("--let-join", multiple=True, metavar="EMAIL", help="May bring devices, which get the jobs sent here.")
@click.option("--remove", multiple=True, metavar="EMAIL", help="May do neither any more; may be repeated.")
@click.option("--open/--private", "is_open", default=None, help="Whether everybody with an account may send jobs.")
@click.option("--owner", default="", metavar="EMAIL", help="Whose, for administrators. Default: yours.")
def access(
    name: str,
    let_send: tuple[str, ...],
    let_join: tuple[str, ...],
    remove: tuple[str, ...],
    is_open: bool | None,
    owner: str,
) -> None:
    """Show who may use your devices of a name, or change it."""
    from dynolab.errors import NotFound

    with _hub.client() as client:
        mine = owner or client.api.get("me")["email"]
        found = [one for one in client.api.get("pools", name=name)["pools"] if one["owner"] == mine]
        if not found:
            raise NotFound(f"{mine} has no devices {name!r}", hint="`dynolab devices` lists those that you may use")
        pool = found[0]
        if let_send or let_join or remove or is_open is not None:
            asked = {"let_send": list(let_send), "let_join": list(let_join), "remove": list(remove), "is_open": is_open}
            pool = client.api.send("PATCH", f"pools/{pool['id']}", asked)
    click.echo(f"{pool['name']} of {pool['owner']}")
    senders = ["everybody with an account"] if pool["is_open"] else pool["senders"]
    click.echo(f"may send jobs: {', '.join(senders) or 'nobody else'}")
    click.echo(f"may join with devices: {', '.join(pool['joiners']) or 'nobody else'}")


@command.command("trust")
@click.argument("owner", required=False)
@click.option("--end", is_flag=True, help="Not any more; jobs that wait for these devices fail.")
def trust(owner: str | None, end: bool) -> None:
    """Let somebody's devices receive your models; without an address, show whose may."""
    from urllib.parse import quote

    with _hub.client() as client:
        if owner and end:
            client.api.send("DELETE", f"trusted/{quote(owner, safe='')}")
        elif owner:
            client.api.send("POST", "trusted", {"owner": owner})
        owners = client.api.get("trusted")["owners"]
    click.echo(f"may receive your models: the devices of {', '.join(['you', *owners])}")


@command.group("join-token", invoke_without_command=True)
@click.option("--name", default="", help="What the device is to be called. Default: the machine's own name.")
@click.option("--wait", is_flag=True, help="Wait until a machine has joined with it.")
@_hub.AS_JSON
@click.pass_context
def join_token(ctx: click.Context, name: str, wait: bool, as_json: bool) -> None:
    """Make a token that makes one machine a device, within an hour; print the line to run there. Or list those that wait, and revoke one.

    The line installs dynolab from the hub and starts the agent, which keeps what it is known by from then on. Where dynolab is
    there already: `dynolab agent --hub URL --join-token TOKEN`.

    \b
    dynolab devices join-token --name bench-1
    dynolab devices join-token list
    dynolab devices join-token revoke ID
    """  # noqa: D301 - click wants the backspace character itself
    import time

    from dynolab.client.jobs import AWAY_MOST_S
    from dynolab.errors import SpecInvalid

    if ctx.invoked_subcommand is not None:
        return
    with _hub.client() as client:
        made = client.api.send("POST", "join-tokens", {"name": name})
        if as_json and not wait:
            _hub.print_json(made)
            return
        click.echo(made["command"], err=as_json)
        while wait and made["state"] != "expired" and made["device"] is None:
            time.sleep(WAIT_EVERY_S)
            made = client.api.awaited(f"join-tokens/{made['id']}", AWAY_MOST_S)
    if wait and made["device"] is None:
        raise SpecInvalid("no machine joined in time: the token is too old", hint="make another one")
    if as_json:
        _hub.print_json(made)
    elif wait:
        click.echo(f"joined: {made['device']['name']} ({made['device']['id']})", err=True)


@join_token.command("list")
@_hub.AS_JSON
def join_tokens(as_json: bool) -> None:
    """List your join tokens that wait for their machines, those that end first before."""
    from rich.markup import escape

    with _hub.client() as client:
        found = client.api.get("join-tokens")["join_tokens"]
    if as_json:
        _hub.print_json(found)
        return
    rows = [
        (
            one["id"],
            escape(one["name"]) or "its machine's name",
            _hub.ago(one["created_at"]),
            _hub.instant(one["expires_at"]),
        )
        for one in found
    ]
    titles = ("Join token", "Device", "Made", "Ends")
    _hub.show(_hub.table(titles, rows) if rows else "no join token waits for its machine")


@join_token.command("revoke")
@click.argument("join_token_id", metavar="ID")
@_hub.AS_JSON
def revoke_join_token(join_token_id: str, as_json: bool) -> None:
    """Have no machine join with a token any more. Its ID is what `dynolab devices join-token list` tells."""
    from dynolab.client.transport import object_path

    with _hub.client() as client:
        client.api.send("DELETE", object_path("join-tokens", join_token_id))
    _hub.answer(f"{join_token_id} is revoked", {"id": join_token_id, "revoked": True}, as_json)


@command.command("add")
@click.argument("address")
@click.option("--runtimes", default="", metavar="NAME,NAME", help="To bring there. Default: onnxruntime,litert.")
def add(address: str, runtimes: str) -> None:
    """Reach the device at ADDRESS, bring what it measures with, and tell what it is. No hub is needed.

    \b
    dynolab devices add ssh://pi@board
    dynolab devices add adb://R5CX0000000 --runtimes litert
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.agent import reached
    from dynolab.cli import _agent_devices
    from dynolab.spec import device_attributes

    names = _agent_devices.parsed(runtimes)
    found = reached.look(address, names, lambda text: click.echo(text, err=True))
    facts, where = found.survey.device, found.survey.environment
    rows = [
        (facts.name, device_attributes.description(facts)),
        ("System", f"{facts.os} {facts.os_version}, kernel {facts.kernel}"),
        ("Python", where.get("python", "")),
        ("Virtualisation", where.get("virtualisation", "")),
        ("Confines models by", found.survey.sandbox),
        ("Memory", found.survey.memory_reason or found.survey.memory_method),
        *(
            (name, ", ".join(f"{one} {version}" for one, version in told.items()))
            for name, told in found.versions.items()
        ),
        *((name, f"cannot be used: {why}") for name, why in found.unavailable.items()),
    ]
    width = max(len(name) for name, _ in rows[1:])
    click.echo(f"{rows[0][0]}: {rows[0][1]}")
    for name, text in rows[1:]:
        click.echo(f"  {name:<{width}}  {text}")
    more = f" --runtimes {runtimes}" if runtimes else ""
    click.echo(f"\nmeasure on it:       dynolab profile MODEL --device {address}")
    click.echo(f"serve it to a hub:   dynolab agent --device {address}{more}")
