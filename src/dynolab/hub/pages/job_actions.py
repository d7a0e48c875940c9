"""What can be done with one job, or with several that are selected in the list; and the pages that ask first."""

from __future__ import annotations

from functools import partial

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.compare import address
from dynolab.hub.pages.compare_outputs import outputs_address
from dynolab.hub.pages.flash import JOB_LIST, Action, Flash, redirect_with_flash, refusals, sharing_action
from dynolab.hub.pages.jobs import LIVE, line
from dynolab.hub.pages.posted_forms import field_text, posted_form
from dynolab.hub.pages.redirects import redirect, safe_path
from dynolab.hub.pages.rendering import is_fragment, page
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.store.tables import job as job_table
from dynolab.hub.usecases.act_on_jobs import Act, act_on_jobs
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.cancel_job import cancel_job
from dynolab.hub.usecases.compare_outputs import find_with_outputs
from dynolab.hub.usecases.delete_job import delete_job
from dynolab.hub.usecases.find_allowed import find_allowed
from dynolab.hub.usecases.find_compared import MOST, find_chosen
from dynolab.hub.usecases.find_jobs import find_job, find_listed
from dynolab.hub.usecases.pin_job import pin_job
from dynolab.hub.usecases.rename import rename as give_name
from dynolab.hub.usecases.rerun_job import rerun_job
from dynolab.hub.usecases.share_access import change_sharing, shared_with


async def _rerun(hub: Hub, account: Account, job_id: str) -> str:
    return (await rerun_job(hub, account, job_id))[0]


async def _comparable(hub: Hub, account: Account, job_id: str) -> None:
    await find_chosen(hub, account, [job_id])


async def _with_outputs(hub: Hub, account: Account, job_id: str) -> None:
    await find_with_outputs(hub, account, [job_id])


ACTS: dict[Action, Act] = {Action.RERUN: _rerun, Action.CANCEL: cancel_job, Action.DELETE: delete_job}
ASKED = (Action.RENAME, Action.SHARE, Action.DELETE)


async def act(action: Action, request: Request) -> Response:
    """``POST /jobs/ID/rerun`` (or ``cancel``, ``delete``): back to the list that ``next`` names, which tells what was done.

    Without ``next`` it is the job's own page that asks; what is refused then gets a page of its own.
    Raises :class:`NotFound` for a job that is not there, or another's.
    """
    hub, account, form = await posted_form(request)
    job_id = request.path_params["id"]
    name = (await find_job(hub, account, job_id)).name
    if field_text(form, "next"):
        return await _acted(request, hub, account, action, [job_id], _back(form))
    made = await ACTS[action](hub, account, job_id)
    if action is Action.DELETE:
        return redirect_with_flash(request, JOB_LIST, Flash(action, 1, name))
    return redirect(request, f"/jobs/{made or job_id}/")


async def act_on_selected(action: Action, request: Request) -> Response:
    """``POST /jobs/selected/rerun`` (or ``cancel``, ``delete``) with every ``job``; the oldest comes first."""
    hub, account, form = await posted_form(request)
    return await _acted(request, hub, account, action, _selected(form)[::-1], _back(form))


async def compare_selected(request: Request) -> Response:
    """``POST /jobs/selected/compare`` with every ``job``; where one has nothing to compare, the list tells which."""
    hub, account, form = await posted_form(request)
    ids, back = _selected(form), _back(form)
    if len(ids) > MOST:
        return redirect_with_flash(request, back, Flash(Action.TOO_MANY, len(ids)))
    acted = await act_on_jobs(hub, account, ids, _comparable)
    if acted.refused or not ids:
        flash = Flash(Action.COMPARE, refused=refusals(acted.refused)) if ids else Flash(Action.NOTHING)
        return redirect_with_flash(request, back, flash)
    return redirect(request, address(ids))


async def compare_selected_outputs(request: Request) -> Response:
    """``POST /jobs/selected/compare-outputs`` with two ``job``; where one has no outputs, the list tells which."""
    hub, account, form = await posted_form(request)
    ids, back = _selected(form), _back(form)
    acted = await act_on_jobs(hub, account, ids, _with_outputs)
    if acted.refused or not ids:
        flash = Flash(Action.COMPARE, refused=refusals(acted.refused)) if ids else Flash(Action.NOTHING)
        return redirect_with_flash(request, back, flash)
    if len(ids) > 2:
        return redirect_with_flash(request, back, Flash(Action.NOT_TWO, len(ids)))
    return redirect(request, outputs_address(ids))


async def rename(request: Request) -> Response:
    """``POST /jobs/ID/rename`` with ``name``."""
    hub, account, form = await posted_form(request)
    job_id, name = request.path_params["id"], field_text(form, "name")
    await give_name(hub, account, job_table, job_id, name)
    return redirect_with_flash(request, _back(form, f"/jobs/{job_id}/"), Flash(Action.RENAME, 1, name, job_id))


async def pin(request: Request) -> Response:
    """``POST /jobs/ID/pin`` with ``pinned=yes``, or without to pin it no longer."""
    hub, account, form = await posted_form(request)
    job_id, is_pinned = request.path_params["id"], field_text(form, "pinned") == "yes"
    await pin_job(hub, account, job_id, is_pinned)
    name = (await find_job(hub, account, job_id)).name
    flash = Flash(Action.PIN if is_pinned else Action.UNPIN, 1, name, job_id)
    return redirect_with_flash(request, _back(form, f"/jobs/{job_id}/"), flash)


async def share(request: Request) -> Response:
    """``POST /jobs/ID/share`` with ``email``, and ``end=yes`` to share with that address no longer."""
    hub, account, form = await posted_form(request)
    job_id, email, end = request.path_params["id"], field_text(form, "email"), bool(field_text(form, "end"))
    strangers = await change_sharing(hub, account, job_table, job_id, **{"remove" if end else "add": [email]})
    name = (await find_job(hub, account, job_id)).name
    flash = Flash(sharing_action(end, strangers), 1, name, job_id, email)
    return redirect_with_flash(request, _back(form, f"/jobs/{job_id}/"), flash)


async def ask(action: Action, request: Request) -> Response:
    """``GET /jobs/ID/rename`` (or ``share``, ``delete``) and ``GET /jobs/selected/delete``: a page that asks first.

    htmx, or our own script, gets what is asked alone. Of the selected, what cannot be deleted is named.
    """
    hub, account = await current_account(request)
    back = _back(request.query_params)
    job_id = request.path_params.get("id")
    ids = [job_id] if job_id else _selected(request.query_params)
    if not ids:
        return redirect_with_flash(request, back, Flash(Action.NOTHING))
    rows = await find_listed(hub, account, ids) if len(ids) > 1 else [await find_job(hub, account, ids[0])]
    jobs = [line(row) for row in rows]
    allowed = await find_allowed(hub, account, job_table, [one.id for one in jobs])
    able = [one for one in jobs if one.id in allowed and not (action is Action.DELETE and one.state in LIVE)]
    shared = await shared_with(hub, account, job_table, ids[0]) if action is Action.SHARE else []
    return await page(
        request,
        "_ask.html.j2" if is_fragment(request) else "ask.html.j2",
        account,
        action=action,
        able=able,
        unable=[one for one in jobs if one not in able],
        shared=shared,
        back=back,
        whole=not is_fragment(request),
    )


async def _acted(request: Request, hub: Hub, account: Account, action: Action, ids: list[str], back: str) -> Response:
    """Back to the list, which tells what was done and what was refused."""
    if not ids:
        return redirect_with_flash(request, back, Flash(Action.NOTHING))
    acted = await act_on_jobs(hub, account, ids, ACTS[action])
    job_id, name = acted.done[0] if len(acted.done) == 1 else ("", "")
    kept = "" if action is Action.DELETE else job_id
    return redirect_with_flash(
        request, back, Flash(action, len(acted.done), name, kept, refused=refusals(acted.refused))
    )


def _selected(given: FormData | QueryParams) -> list[str]:
    """The selected jobs, each once; a NUL is in no id, and no database takes it."""
    ids = (one.replace("\x00", "").strip()[:100] for one in given.getlist("job") if isinstance(one, str))
    return list(dict.fromkeys(one for one in ids if one))


def _back(given: FormData | QueryParams, default: str = JOB_LIST) -> str:
    """Where to go after it."""
    following = given.get("next")
    return safe_path(following) if isinstance(following, str) and following else default


routes = [
    Route("/jobs/selected/compare", compare_selected, methods=["POST"]),
    Route("/jobs/selected/compare-outputs", compare_selected_outputs, methods=["POST"]),
    Route("/jobs/selected/delete", partial(ask, Action.DELETE)),
    *(Route(f"/jobs/selected/{action}", partial(act_on_selected, action), methods=["POST"]) for action in ACTS),
    *(Route(f"/jobs/{{id}}/{action}", partial(ask, action)) for action in ASKED),
    *(Route(f"/jobs/{{id}}/{action}", partial(act, action), methods=["POST"]) for action in ACTS),
    Route("/jobs/{id}/rename", rename, methods=["POST"]),
    Route("/jobs/{id}/pin", pin, methods=["POST"]),
    Route("/jobs/{id}/share", share, methods=["POST"]),
]
