"""``dynolab hub organisation``: organisations, their projects and members, for whoever runs a hub."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from dynolab.cli._accounts import carried_out

AS_HUB = -1
ROLES = ("viewer", "member", "admin", "owner", "none")


@click.group("organisation")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The hub's data folder.")
@click.pass_context
def organisation(ctx: click.Context, data: Path | None) -> None:
    """Make organisations, while the hub runs or not; their owners do the rest on the hub's pages.

    \b
    dynolab hub organisation add acme ana@example.org
    dynolab hub organisation project acme vision
    dynolab hub organisation member acme.vision bo@example.org viewer
    dynolab hub organisation invitations acme.vision
    """  # noqa: D301 - click wants the backspace character itself
    ctx.obj = data or ctx.obj


@organisation.command("add")
@click.argument("name")
@click.argument("owner")
@click.pass_obj
def add(data: Path | None, name: str, owner: str) -> None:
    """Make an organisation; OWNER is the e-mail address of the account that is its first owner."""
    from dynolab.hub import operate

    carried_out(data, partial(operate.create_organisation, account=operate.OPERATOR, name=name, owner=owner))
    click.echo(f"{owner} is the owner of {name}", err=True)


@organisation.command("project")
@click.argument("name")
@click.argument("project")
@click.pass_obj
def project(data: Path | None, name: str, project: str) -> None:
    """Make a project in the organisation NAME; prints its id."""
    from dynolab.hub import operate

    made = partial(operate.create_project, account=operate.OPERATOR, organisation_named=name, name=project)
    click.echo(carried_out(data, made))


@organisation.command("member")
@click.argument("place")
@click.argument("email")
@click.argument("role", type=click.Choice(ROLES))
@click.pass_obj
def member(data: Path | None, place: str, email: str, role: str) -> None:
    """Give an account a role in PLACE: an organisation, or one project, as in acme.vision; `none` takes it away."""
    from dynolab.hub import operate

    given = partial(operate.set_member, account=operate.OPERATOR, email=email, role=None if role == "none" else role)
    carried_out(data, partial(given, project=place) if "." in place else partial(given, organisation=place))
    became = f"no member of {place} any more" if role == "none" else f"{role} in {place}"
    click.echo(f"{email} is {became}", err=True)


@organisation.command("invitations")
@click.argument("place")
@click.option("--withdraw", metavar="ID", help="Take this one back: nobody becomes a member by it any more.")
@click.pass_obj
def invitations(data: Path | None, place: str, withdraw: str | None) -> None:
    """List the invitation links into PLACE (an organisation, or one project, as in acme.vision) that nobody has followed yet, or withdraw one."""
    from dynolab.hub import operate

    def told(verb: partial[Any]) -> Any:
        return carried_out(data, partial(verb, project=place) if "." in place else partial(verb, organisation=place))

    if withdraw is not None:
        told(partial(operate.withdraw_member_link, account=operate.OPERATOR, link_id=withdraw))
        click.echo(f"{withdraw} is withdrawn", err=True)
        return
    for one in told(partial(operate.find_member_links, account=operate.OPERATOR)):
        click.echo(f"{one.id}  {one.role:<7} made by {one.made_by}, ends {one.expires_at:%Y-%m-%d %H:%M} UTC")


class _Bound(click.ParamType[int]):
    """A number, or ``default``, which is ``AS_HUB``: what the hub's settings say."""

    name = "NUMBER|default"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "default":
            return AS_HUB
        if not (str(value).isascii() and str(value).isdecimal()) or int(str(value)) > self.most:
            self.fail(f"{value!r} is neither `default` nor a number from 0 to {self.most}", param, ctx)
        return int(str(value))


@organisation.command("quota")
@click.argument("place")
@click.option("--bytes", "most_bytes", type=_Bound(2**63 - 1), help="Of models, datasets and what jobs leave.")
@click.option("--jobs", "most_jobs", type=_Bound(2**31 - 1), help="That wait or run at once.")
@click.option("--minutes", "most_minutes", type=_Bound(2**31 - 1), help="For which jobs hold devices in a month (UTC).")
@click.pass_obj
def quota(
    data: Path | None, place: str, most_bytes: int | None, most_jobs: int | None, most_minutes: int | None
) -> None:
    """Bound PLACE: a project, as in acme.vision, or an account's personal space, by its e-mail address; print what then holds.

    What is left out stays as it is; `default` is what the hub's settings say: DYNOLAB_QUOTA_BYTES, DYNOLAB_QUOTA_JOBS, DYNOLAB_QUOTA_MINUTES.
    """
    from dynolab.hub import operate

    asked = {"most_bytes": most_bytes, "most_jobs": most_jobs, "most_minutes": most_minutes}
    bounds = {name: None if value == AS_HUB else value for name, value in asked.items() if value is not None}
    found = carried_out(data, partial(operate.set_quota, place=place, bounds=bounds))
    click.echo(found.bounds.name)
    used = str(found.bytes), str(found.jobs), f"{found.minutes:.1f}"
    most = found.bounds.bytes, found.bounds.jobs, found.bounds.minutes
    for what, count, bound in zip(("bytes", "jobs at once", "device minutes this month"), used, most, strict=True):
        click.echo(f"  {what:<27}{count}{', no limit' if bound is None else f' of {bound}'}")


@organisation.command("list")
@click.pass_obj
def listing(data: Path | None) -> None:
    """Organisations with their projects and members."""
    from dynolab.hub import operate

    for one in carried_out(data, partial(operate.find_organisations, account=operate.OPERATOR)):
        click.echo(one.name)
        for each in one.members:
            click.echo(f"  {each.role:<7} {each.email}")
        for inside in one.projects:
            click.echo(f"  {inside.full_name}  {inside.id}")
            for each in inside.members:
                click.echo(f"    {each.role:<7} {each.email}")
