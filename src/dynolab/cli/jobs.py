"""``dynolab jobs``: the hub's jobs, listed, looked into, cancelled."""

from __future__ import annotations

import json
from typing import Any

import click


@click.group("jobs", invoke_without_command=True)
@click.option("--limit", default=20, show_default=True, help="At most so many, the newest.")
@click.option("--state", help="Only those that are queued, preparing, running, done, failed or cancelled.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def command(ctx: click.Context, limit: int, state: str | None, as_json: bool) -> None:
    """List jobs, or: show, log, watch, cancel, rerun, delete one.

    \b
    dynolab jobs --state running
    dynolab jobs show ID
    dynolab jobs log ID
    """  # noqa: D301 - click wants the backspace character itself
    if ctx.invoked_subcommand is None:
        _list(limit, state, as_json)


def _list(limit: int, state: str | None, as_json: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from dynolab.cli import _hub
    from dynolab.spec.show import show_time

    with _hub.client() as client:
        found = [job.document for job in client.get_job_summaries(limit=limit, state=state)]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Job", "Name", "Kind", "Device", "State", "Inference", "Submitted"):
        table.add_column(title, justify="right" if title == "Inference" else "left")
    for one in found:
        time_ns = (one["summary"] or {}).get("estimated_inference_time_ns")
        table.add_row(
            one["id"],
            escape(one["name"]),
            one["kind"],
            escape(one["device"]["name"]),
            _hub.state(one),
            show_time(time_ns) if time_ns is not None else "",
            _hub.ago(one["created_at"]),
        )
    _hub.show(table if found else "no job yet: `dynolab submit profile MODEL` makes one")


@command.command("show")
@click.argument("job_id")
@click.option("--json", "as_json", is_flag=True, help="As JSON: the job, not its profile.")
@click.option(
    "--format", "form", default="text", show_default=True, help="How the profile is printed: see `dynolab report`."
)
def show(job_id: str, as_json: bool, form: str) -> int:
    """Show a job: its profile when it is done, else where it stands."""
    from dynolab.cli import _hub, _output
    from dynolab.client.jobs import ProfileJob

    with _hub.client() as client:
        job = client.get_job(job_id)
        if as_json:
            click.echo(json.dumps(job.document, indent=1))
        elif isinstance(job, ProfileJob) and job.get_status().success and job.document["measures"]:
            _output.show([job.profile], form)
        else:
            _tell(job.document)
    return 0


def _tell(document: dict[str, Any]) -> None:
    """Where a job stands, in a few lines."""
    from rich.markup import escape

    from dynolab.cli import _hub

    _hub.show(f"[bold]{document['id']}[/bold] {escape(document['name'])}: {_hub.state(document)}")
    if document.get("queue_position"):
        click.echo(f"number {document['queue_position']} in the queue of {document['device']['name']}")
    if document["failure"]:
        click.echo(document["failure"]["message"])
        if document["failure"]["hint"]:
            click.echo(f"hint: {document['failure']['hint']}")


@command.command("log")
@click.argument("job_id")
def log(job_id: str) -> None:
    """Print the log of a job's last attempt."""
    from dynolab.cli import _hub

    with _hub.client() as client:
        click.echo(client.get_job(job_id).log(), nl=False)


@command.command("watch")
@click.argument("job_id")
def watch(job_id: str) -> int:
    """Follow a job until it is over; exit 1 when it fails."""
    from dynolab.cli import _hub

    with _hub.client() as client:
        job = client.get_job(job_id)
        status = job.wait()
        _tell(job.document)
    return int(not status.success)


@command.command("cancel")
@click.argument("job_id")
def cancel(job_id: str) -> None:
    """Cancel a job that waits or runs."""
    from dynolab.cli import _hub

    with _hub.client() as client:
        job = client.get_job(job_id)
        job.cancel()
        _tell(job.document)


@command.command("rerun")
@click.argument("job_id")
def rerun(job_id: str) -> None:
    """Submit a job once more."""
    from dynolab.cli import _hub

    with _hub.client() as client:
        click.echo(client.get_job(job_id).rerun().job_id)


@command.command("delete")
@click.argument("job_id")
def delete(job_id: str) -> None:
    """Delete a job that is over, with its results."""
    from dynolab.cli import _hub

    with _hub.client() as client:
        client.get_job(job_id).delete()
        click.echo(f"{job_id} is deleted")
