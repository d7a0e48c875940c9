"""``dynolab agent``: serve this machine to a hub."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("agent")
@click.option("--hub", "url", required=True, metavar="URL", help="The hub's address.")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="File with the agent's token; or DYNOLAB_AGENT_TOKEN."
)
@click.option("--name", help="The device's name. Default: the host's.")
@click.option(
    "--join",
    default="",
    metavar="EMAIL",
    help="Join the devices of this name of another account, whose owner let you in.",
)
@click.option(
    "--toolchains-only", is_flag=True, help="Serve this machine's toolchains alone: it compiles, and measures nothing."
)
@click.option(
    "--simulate",
    default="",
    metavar="NPU",
    help="Serve a simulator in place of this machine: hexagon-v73. Inference jobs give numbers there.",
)
@click.option("--require-sandbox", is_flag=True, help="Refuse where nothing confines the models.")
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
def command(
    url: str,
    token_file: Path | None,
    name: str | None,
    join: str,
    toolchains_only: bool,
    simulate: str,
    require_sandbox: bool,
    parent: int | None,
) -> None:
    """Serve this machine as a device: take jobs from a hub, one at a time.

    \b
    dynolab agent --hub http://hub.example:8000 --token-file agent.token
    dynolab agent --hub http://hub.example:8000 --token-file agent.token --toolchains-only
    dynolab agent --hub http://hub.example:8000 --token-file agent.token --simulate hexagon-v73
    """  # noqa: D301 - click wants the backspace character itself
    import logging
    import signal
    from dataclasses import replace

    from dynolab import private_files
    from dynolab.agent import offer
    from dynolab.agent.http import HubDoor
    from dynolab.agent.loop import Agent
    from dynolab.client import settings
    from dynolab.errors import SpecInvalid
    from dynolab.measure import lifeline
    from dynolab.sandbox import base as sandbox

    if not settings.is_address(url):
        raise SpecInvalid(f"{url!r} is no hub's address", hint="such as http://127.0.0.1:8000")
    private_files.close_new_files()
    if parent is not None:
        lifeline.hold(parent)
    if require_sandbox:
        sandbox.require()
    logging.basicConfig(level=logging.INFO, format="agent: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    if simulate and toolchains_only:
        raise SpecInvalid("--simulate and --toolchains-only contradict each other", hint="start an agent for each")
    offered = offer.ask(name, simulate)
    if toolchains_only:
        offered = offer.toolchains_of(offered)
    agent = Agent(HubDoor(url, _token(token_file)), replace(offered, join=join))
    if not sandbox.strongest().protects:
        logging.warning("NO SANDBOX: models run with all rights of this user. %s gives one.", sandbox.INSTALL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    agent.serve()


def _token(path: Path | None) -> str:
    """The agent's token. Raises :class:`~dynolab.errors.SpecInvalid` when there is none."""
    import os

    from dynolab.errors import NotFound, SpecInvalid

    if path is None:
        token = os.environ.get("DYNOLAB_AGENT_TOKEN", "")
        if not token:
            raise SpecInvalid("an agent needs a token", hint="--token-file FILE, or DYNOLAB_AGENT_TOKEN")
        return token
    if not path.is_file():
        raise NotFound(f"there is no token file {path}")
    return path.read_text(encoding="utf-8").strip()
