"""Organisations, their projects, and who is a member of them."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request

from dynolab.hub.api.common import Caller, TheHub
from dynolab.hub.api.schemas import (
    Invite,
    InviteAsked,
    MemberAsked,
    OpenInvite,
    OpenInvites,
    Organisation,
    OrganisationAsked,
    Organisations,
    Project,
    ProjectAsked,
    Projects,
    RetentionAsked,
    Usage,
)
from dynolab.hub.usecases import quotas
from dynolab.hub.usecases.change_members import make_member_link, set_member
from dynolab.hub.usecases.change_organisation import (
    create_organisation,
    create_project,
    delete_organisation,
    delete_project,
)
from dynolab.hub.usecases.find_member_links import find_member_links, withdraw_member_link
from dynolab.hub.usecases.find_organisations import find_one_project, find_organisation, find_organisations
from dynolab.hub.usecases.quotas import read_usage
from dynolab.hub.usecases.sweep_retention import keep_for

router = APIRouter(tags=["organisations"])


@router.get("/organisations")
async def organisations(hub: TheHub, account: Caller) -> Organisations:
    """Those that you see: as a member of them, or of one of their projects."""
    found = await find_organisations(hub, account)
    return Organisations(organisations=[Organisation.model_validate(one) for one in found])


@router.post("/organisations", status_code=201)
async def make(hub: TheHub, account: Caller, asked: OrganisationAsked) -> Organisation:
    """Make an organisation; for administrators of the hub."""
    made = await create_organisation(hub, account, asked.name, asked.owner)
    return Organisation.model_validate(await find_organisation(hub, account, made))


@router.get("/organisations/{organisation}")
async def show(hub: TheHub, account: Caller, organisation: str) -> Organisation:
    """One of them, by id or name."""
    return Organisation.model_validate(await find_organisation(hub, account, organisation))


@router.delete("/organisations/{organisation}", status_code=204)
async def end(hub: TheHub, account: Caller, organisation: str) -> None:
    """Delete one that has no projects; for its owners."""
    await delete_organisation(hub, account, organisation)


@router.post("/organisations/{organisation}/projects", status_code=201)
async def make_project(hub: TheHub, account: Caller, organisation: str, asked: ProjectAsked) -> Project:
    """Make a project; for admins of the organisation."""
    made = await create_project(hub, account, organisation, asked.name)
    return Project.model_validate(await find_one_project(hub, account, made))


@router.put("/organisations/{organisation}/members/{email}", status_code=204)
async def name_member(hub: TheHub, account: Caller, organisation: str, email: str, asked: MemberAsked) -> None:
    """Give an account a role in all projects of the organisation; for admins, of owners for owners."""
    await set_member(hub, account, email, asked.role, organisation=organisation)


@router.delete("/organisations/{organisation}/members/{email}", status_code=204)
async def remove_member(hub: TheHub, account: Caller, organisation: str, email: str) -> None:
    """Take that role away, or leave oneself; a role in a single project stays."""
    await set_member(hub, account, email, None, organisation=organisation)


@router.post("/organisations/{organisation}/invites", status_code=201)
async def invite(request: Request, hub: TheHub, account: Caller, organisation: str, asked: InviteAsked) -> Invite:
    """Make a link by which one account, whichever follows it, becomes a member."""
    return await _invited(request, hub, account, asked, organisation=organisation)


async def _invited(request: Request, hub: TheHub, account: Caller, asked: InviteAsked, **place: str) -> Invite:
    """A link into an ``organisation`` or ``project``."""
    secret = secrets.token_urlsafe(20)
    await make_member_link(hub, account, asked.role, secret, **place)
    return Invite(url=f"{request.app.state.base_url(request)}join/{secret}")


@router.get("/organisations/{organisation}/invites")
async def invites(hub: TheHub, account: Caller, organisation: str) -> OpenInvites:
    """Links into the whole organisation that nobody has followed yet; for admins. Their addresses are shown when they are made, and never again."""
    return await _open_invites(hub, account, organisation=organisation)


async def _open_invites(hub: TheHub, account: Caller, **place: str) -> OpenInvites:
    """Links into an ``organisation`` or ``project``."""
    found = await find_member_links(hub, account, **place)
    return OpenInvites(invites=[OpenInvite.model_validate(one) for one in found])


@router.delete("/organisations/{organisation}/invites/{invite}", status_code=204)
async def withdraw_invite(hub: TheHub, account: Caller, organisation: str, invite: str) -> None:
    """Take a link back: nobody becomes a member by it any more."""
    await withdraw_member_link(hub, account, invite, organisation=organisation)


@router.get("/projects")
async def projects(hub: TheHub, account: Caller) -> Projects:
    """The projects that you see, of all organisations."""
    found = [one for each in await find_organisations(hub, account) for one in each.projects]
    return Projects(projects=[Project.model_validate(one) for one in found])


@router.get("/projects/{project}")
async def show_project(hub: TheHub, account: Caller, project: str) -> Project:
    """One of them, by id or `ORGANISATION.PROJECT`."""
    return Project.model_validate(await find_one_project(hub, account, project))


@router.get("/projects/{project}/usage")
async def project_usage(hub: TheHub, account: Caller, project: str) -> Usage:
    """What a project has of its quotas, and for how long results are kept."""
    found = await find_one_project(hub, account, project)
    return shown_usage(await read_usage(hub, account, found.id))


@router.put("/projects/{project}/retention", status_code=204)
async def keep(hub: TheHub, account: Caller, project: str, asked: RetentionAsked) -> None:
    """Say for how long a project's results and datasets are kept; for its admins."""
    await keep_for(hub, account, asked.kept_days, project_named=project)


@router.get("/account/usage")
async def account_usage(hub: TheHub, account: Caller) -> Usage:
    """What one's personal space has of its quotas; with a token that is bound to a project, that project."""
    return shown_usage(await read_usage(hub, account, account.project_id))


@router.put("/account/retention", status_code=204)
async def keep_own(hub: TheHub, account: Caller, asked: RetentionAsked) -> None:
    """Say for how long results and datasets of one's personal space are kept."""
    await keep_for(hub, account, asked.kept_days)


def shown_usage(found: quotas.Usage) -> Usage:
    """As it is told."""
    return Usage(
        bytes=found.bytes,
        bytes_left_by_jobs=found.bytes_of_jobs,
        most_bytes=found.bounds.bytes,
        jobs=found.jobs,
        most_jobs=found.bounds.jobs,
        device_minutes=found.minutes,
        most_device_minutes=found.bounds.minutes,
        kept_days=found.kept_days,
    )


@router.delete("/projects/{project}", status_code=204)
async def end_project(hub: TheHub, account: Caller, project: str) -> None:
    """Delete an empty project, with the tokens that are bound to it; for admins."""
    await delete_project(hub, account, project)


@router.put("/projects/{project}/members/{email}", status_code=204)
async def name_project_member(hub: TheHub, account: Caller, project: str, email: str, asked: MemberAsked) -> None:
    """Give an account a role in this project alone; for its admins."""
    await set_member(hub, account, email, asked.role, project=project)


@router.delete("/projects/{project}/members/{email}", status_code=204)
async def remove_project_member(hub: TheHub, account: Caller, project: str, email: str) -> None:
    """Take that role away, or leave oneself."""
    await set_member(hub, account, email, None, project=project)


@router.post("/projects/{project}/invites", status_code=201)
async def invite_to_project(request: Request, hub: TheHub, account: Caller, project: str, asked: InviteAsked) -> Invite:
    """Make a link by which one account, whichever follows it, becomes a member of this project."""
    return await _invited(request, hub, account, asked, project=project)


@router.get("/projects/{project}/invites")
async def project_invites(hub: TheHub, account: Caller, project: str) -> OpenInvites:
    """Links into this project that nobody has followed yet; for admins. Their addresses are shown when they are made, and never again."""
    return await _open_invites(hub, account, project=project)


@router.delete("/projects/{project}/invites/{invite}", status_code=204)
async def withdraw_project_invite(hub: TheHub, account: Caller, project: str, invite: str) -> None:
    """Take a link back: nobody becomes a member by it any more."""
    await withdraw_member_link(hub, account, invite, project=project)
