"""``dynolab hub``: a hub of your own, its backup, and a hub made of a backup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from dynolab.cli._accounts import account
from dynolab.cli._audit import audit
from dynolab.cli._hub_check import check_command
from dynolab.cli._hub_settings import CONFIG, configuration
from dynolab.cli._organisations import organisation

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("hub", invoke_without_command=True)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="File with the hub's settings (TOML). What is given here goes first.",
)
@click.option("--host", help="Address to listen at.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen at; 0: any that is free.  [default: 8000]")
@click.option("--data", type=FOLDER, help="Folder for everything that it keeps.")
@click.option("--tls-certificate", type=FILE, help="Speak HTTPS, with this certificate (PEM).")
@click.option("--tls-key", type=FILE, help="The certificate's key (PEM).")
@click.option("--agent/--no-agent", default=None, help="Serve this machine as a device.  [default: agent]")
@click.option("--require-sandbox", is_flag=True, help="Refuse where nothing confines the models of its own device.")
@click.option(
    "--show-link", is_flag=True, help="Print what signs in also where the output is no terminal: logs keep it."
)
@click.pass_context
def command(
    ctx: click.Context,
    config: Path | None,
    host: str | None,
    port: int | None,
    data: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    agent: bool | None,
    require_sandbox: bool,
    show_link: bool,
) -> None:
    """Run a hub: devices, models and jobs over HTTP, with this machine as its first device. Or back one up.

    \b
    dynolab hub
    dynolab hub --port 9000 --data /srv/dynolab
    dynolab hub --config hub.toml
    dynolab hub --host 0.0.0.0 --port 443 --tls-certificate hub.pem --tls-key hub.key
    dynolab hub backup hub.tar.gz
    """  # noqa: D301 - click wants the backspace character itself
    import sys

    from dynolab import private_files

    private_files.close_new_files()
    ctx.meta[CONFIG] = config
    if ctx.invoked_subcommand is not None:
        ctx.obj = data
        return
    from dynolab.hub.configuration import load
    from dynolab.hub.launch import START_CHECKS, serve
    from dynolab.sandbox import base as sandbox

    given: dict[str, object] = {"data": data, "host": host, "port": port, "agent": agent}
    given |= {"tls_certificate": tls_certificate, "tls_key": tls_key}
    settings = load(config, checks=START_CHECKS, **given).settings
    if settings.agent and require_sandbox:
        sandbox.require()  # its agent is told by the environment
    shown = show_link or sys.stderr.isatty()
    serve(settings, lambda text: click.echo(text, err=True), tell_secrets=shown)


command.add_command(account)
command.add_command(organisation)
command.add_command(audit)
command.add_command(check_command)


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", type=FOLDER, help="The hub's data folder.")
@click.option("--skip-missing", is_flag=True, help="Leave out files that the hub has lost, and name them.")
@click.pass_obj
def backup_command(before: Path | None, file: Path, data: Path | None, skip_missing: bool) -> None:
    """Write all that a hub keeps into one FILE, while it runs or not; compressed if its name ends in .gz.

    \b
    dynolab hub backup /backups/hub.tar
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.hub.operate import backup

    with _progress("backing up") as progress:
        found = backup(configuration(data or before).settings, file.absolute(), progress, skip_missing=skip_missing)
    click.echo(f"{file}: {_told(found.rows, found.members)}, {file.stat().st_size:,} bytes", err=True)
    _tell_missing(found.missing)
    click.echo("its tokens open the hub: keep the file as safe as the hub itself", err=True)


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", type=FOLDER, help="A new or empty folder, for everything that the hub is to keep.")
@click.pass_obj
def restore_command(before: Path | None, file: Path, data: Path | None) -> None:
    """Make a hub of a backup FILE: into a new folder, with the same tokens. It is checked first, and not started.

    \b
    dynolab hub restore /backups/hub.tar --data /srv/dynolab
    """  # noqa: D301 - click wants the backspace character itself
    import shlex

    from dynolab.hub.operate import restore

    settings = configuration(data or before).settings
    with _progress("restoring") as progress:
        found = restore(settings, file.absolute(), progress)
    click.echo(f"{settings.data}: {_told(found.rows, found.members)}", err=True)
    _tell_missing(found.missing)
    config = click.get_current_context().meta.get(CONFIG)
    named = ["--config", str(config)] if config else []
    kept = [name for name in ("database_url", "blobs_url") if getattr(settings, name)]
    same = f", with the same {' and '.join(kept)}" if kept else ""
    start = shlex.join(["dynolab", "hub", *named, "--data", str(settings.data)])
    click.echo(f"start it: {start}{same}", err=True)


@command.command("config")
@click.option("--data", type=FOLDER, help="The hub's data folder.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def config_command(before: Path | None, data: Path | None, as_json: bool) -> None:
    """Print the settings that hold, and where each comes from: command line, environment or file. Starts nothing.

    \b
    dynolab hub --config hub.toml config
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.cli import _hub
    from dynolab.hub.configuration import described

    rows = [(one.name, value, source) for one, value, source in described(configuration(data or before))]
    if as_json:
        _hub.print_json([{"name": name, "value": value, "from": source} for name, value, source in rows])
        return
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        click.echo(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")


def _told(rows: dict[str, int], members: dict[str, list[int | str]]) -> str:
    files = sum(name.startswith("blobs/") for name in members)
    counts = ", ".join(f"{rows.get(table, 0)} {table}s" for table in ("job", "model", "dataset", "token"))
    return f"{counts}, {files} files"


def _tell_missing(missing: dict[str, str]) -> None:
    for key, whose in missing.items():
        click.echo(f"missing: {whose} (the object {key} was lost before the backup was made)", err=True)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line at the beginning."""
    import sys

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    if not sys.stderr.isatty():
        click.echo(f"{what} ...", err=True)
        yield lambda done, total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
