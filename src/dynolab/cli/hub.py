"""``dynolab hub``: a hub of your own."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("hub")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8000, show_default=True, help="Port to listen at; 0: any that is free.")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="Folder for everything that it keeps.")
@click.option("--agent/--no-agent", default=True, show_default=True, help="Serve this machine as a device.")
def command(host: str, port: int, data: Path | None, agent: bool) -> None:
    """Run a hub: devices, models and jobs over HTTP, with this machine as its first device.

    \b
    dynolab hub
    dynolab hub --port 9000 --data /srv/dynolab
    """  # noqa: D301 - click wants the backspace character itself
    import platformdirs

    from dynolab.hub.launch import serve
    from dynolab.hub.settings import Settings

    folder = data or platformdirs.user_data_path("dynolab") / "hub"
    settings = Settings.from_environment(folder.absolute(), host=host, port=port)
    serve(settings, lambda text: click.echo(text, err=True), with_agent=agent)
