"""``dynolab jobs``: the hub's jobs, listed, looked into, cancelled."""

from __future__ import annotations

from pathlib import Path

import click

from dynolab.cli import _files, _hub


@click.group("jobs", invoke_without_command=True)
@_files.LIMIT
@_files.OFFSET
@click.option("--state", type=click.Choice(list(_hub.COLOURS)), help="Only those in this state.")
@_hub.PROJECT
@_hub.AS_JSON
@click.pass_context
def command(ctx: click.Context, limit: int, offset: int, state: str | None, project: str | None, as_json: bool) -> None:
    """List jobs, or: show, log, artifact, watch, cancel, rerun, delete one.

    \b
    dynolab jobs --state running
    dynolab jobs show ID
    dynolab jobs log ID
    """  # noqa: D301 - click wants the backspace character itself
    if ctx.invoked_subcommand is None:
        _list(limit, offset, state, project, as_json)


def _list(limit: int, offset: int, state: str | None, project: str | None, as_json: bool) -> None:
    from rich.markup import escape

    from dynolab.spec.show import show_time

    with _hub.client_in(project, makes=False) as client:
        within = client.project
        found = client.transport.list_documents("jobs", offset, limit, state=state, project=within or None)
    if as_json:
        _hub.print_json(found)
        return
    names_projects = not within and any(one.get("project") for one in found)
    rows = []
    for one in found:
        time_ns = (one["summary"] or {}).get("estimated_inference_time_ns")
        rows.append(
            (
                one["id"],
                escape(one["name"]),
                *([escape(one["project"] or "")] if names_projects else []),
                one["kind"],
                escape(one["device"]["name"]),
                _hub.state(one),
                show_time(time_ns) if time_ns is not None else "",
                _hub.ago(one["created_at"]),
            )
        )
    titles = (
        "Job",
        "Name",
        *(["Project"] if names_projects else []),
        "Kind",
        "Device",
        "State",
        "Inference",
        "Submitted",
    )
    where = f" in {within}" if within else ""
    nothing = (
        f"no job{where} is {state}"
        if state
        else f"no job{where} is that old"
        if offset
        else f"no job{where} yet: `dynolab submit profile MODEL` makes one"
    )
    _hub.show(_hub.table(titles, rows, right=("Inference",)) if found else nothing)


@command.command("show")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="As JSON: the job, not its profile.")
@click.option(
    "--format", "form", default="text", show_default=True, help="How the profile is printed: see `dynolab report`."
)
def show(job_id: str, as_json: bool, form: str) -> None:
    """Show a job: its profile when it is done, else where it stands."""
    from dynolab.cli import _compiled, _duet, _output, _quantized
    from dynolab.client.compare_jobs import CompareJob
    from dynolab.client.compile_jobs import CompileJob
    from dynolab.client.quantize_jobs import QuantizeJob

    _output.report(form)
    with _hub.client() as client:
        job = client.get_job(job_id)
        if isinstance(job, CompileJob):
            if job.get_status().success and not as_json:
                _compiled.show(job.compiled)
            else:
                _hub.tell(job, as_json)
        elif isinstance(job, QuantizeJob):
            if job.get_status().success and not as_json:
                _quantized.show(job.quantized)
            else:
                _hub.tell(job, as_json)
        elif isinstance(job, CompareJob):
            if job.get_status().success and not as_json:
                _duet.show(job.comparison)
            else:
                _hub.tell(job, as_json)
        elif job.profiling and job.get_status().success and not as_json:
            _output.show([job.profile], form)
        else:
            _hub.tell(job, as_json)


@command.command("log")
@click.argument("job_id")
@click.option("--follow", is_flag=True, help="Print it as it comes, until the job is over.")
@_hub.AS_JSON
def log(job_id: str, follow: bool, as_json: bool) -> None:
    """Print the log of a job's last attempt."""
    with _hub.client() as client:
        job = client.get_job(job_id)
        if follow and not as_json:
            for piece in job.follow_log():
                click.echo(piece, nl=False)
            return
        text = "".join(job.follow_log()) if follow else job.log()
    _hub.answer(text, {"id": job_id, "log": text}, as_json)


@command.command("artifact")
@click.argument("job_id")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=".", help="A folder, or a file's name.")
@_hub.AS_JSON
def artifact(job_id: str, output: Path, as_json: bool) -> None:
    """Fetch what compile made, as a zip file, of a job that was to keep it."""
    with _hub.client() as client:
        path = client.get_job(job_id).fetch_artifact(output)
    _hub.answer(path, {"id": job_id, "artifact": path}, as_json)


@command.command("watch")
@click.argument("job_id")
@_hub.AS_JSON
def watch(job_id: str, as_json: bool) -> int:
    """Follow a job until it is over; exit 1 when it fails."""
    with _hub.client() as client:
        job = client.get_job(job_id)
        status = job.wait()
        _hub.tell(job, as_json)
    return int(not status.success)


@command.command("cancel")
@click.argument("job_id")
@_hub.AS_JSON
def cancel(job_id: str, as_json: bool) -> None:
    """Cancel a job that waits or runs."""
    with _hub.client() as client:
        job = client.get_job(job_id)
        job.cancel()
        _hub.tell(job, as_json)


@command.command("rerun")
@click.argument("job_id")
@_hub.AS_JSON
def rerun(job_id: str, as_json: bool) -> None:
    """Submit a job once more; prints the new one's id."""
    with _hub.client() as client:
        again = client.get_job(job_id).rerun()
    _hub.answer(again.job_id, again.document, as_json)


@command.command("delete")
@click.argument("job_id")
@_hub.AS_JSON
def delete(job_id: str, as_json: bool) -> None:
    """Delete a job that is over, with its results."""
    with _hub.client() as client:
        client.get_job(job_id).delete()
    _hub.answer(f"{job_id} is deleted", {"id": job_id, "deleted": True}, as_json)
