"""``dynolab agent``: serve this machine to a hub."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dynolab.cli import _agent_bundle, _agent_devices, _agent_unit

if TYPE_CHECKING:
    from dynolab.agent.loop import Agent
    from dynolab.agent.state import Membership
    from dynolab.spec.agents import DeviceOffer


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was given."""

    url: str
    token_file: Path | None
    join_token: str
    name: str
    join: str
    toolchains_only: bool
    simulate: str
    device: str = ""
    runtimes: tuple[str, ...] = ()


@click.group("agent", invoke_without_command=True)
@click.option("--hub", "url", default="", metavar="URL", help="The hub's address. Default: the hub that was joined.")
@click.option(
    "--join-token",
    default="",
    metavar="TOKEN",
    help="Join the hub with this token, once; the page /add-device makes one.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="File with an agent's token, instead of joining; or DYNOLAB_AGENT_TOKEN.",
)
@click.option(
    "--name",
    default="",
    help="The device's name. Default: the one given with the join token, or what its maker calls it.",
)
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
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="ADDRESS",
    help="Serve the device at this address in place of this machine, such as ssh://pi@board; may be repeated.",
)
@click.option(
    "--runtimes",
    default="",
    metavar="NAME,NAME",
    help="What is brought to such a device. Default: onnxruntime,litert.",
)
@click.option("--require-sandbox", is_flag=True, help="Refuse where nothing confines the models.")
@click.option("--wait-for-hub", is_flag=True, help="Wait for a hub that cannot be reached yet: for services.")
@click.option("--only-join", is_flag=True, help="Join the hub and end: a service serves the machine.")
@click.option("--parent", type=int, hidden=True, help="End when this process ends.")
@click.pass_context
def command(
    ctx: click.Context,
    url: str,
    join_token: str,
    token_file: Path | None,
    name: str,
    join: str,
    toolchains_only: bool,
    simulate: str,
    devices: tuple[str, ...],
    runtimes: str,
    require_sandbox: bool,
    wait_for_hub: bool,
    only_join: bool,
    parent: int | None,
) -> None:
    """Serve this machine as a device: take jobs from a hub, one at a time. Or: unit, bundle.

    \b
    dynolab agent --hub http://hub.example:8000 --join-token dlj_...
    dynolab agent
    dynolab agent --toolchains-only
    dynolab agent --device ssh://pi@board1 --device ssh://pi@board2
    dynolab agent unit > ~/.config/systemd/user/dynolab-agent.service
    dynolab agent bundle --arch aarch64
    """  # noqa: D301 - click wants the backspace character itself
    if ctx.invoked_subcommand is not None:
        return
    import logging
    from functools import partial
    from importlib.metadata import version

    from dynolab import logs, private_files, tracing
    from dynolab.agent import http, joining, rotation, settings
    from dynolab.agent.loop import Agent
    from dynolab.measure import lifeline
    from dynolab.sandbox import base as sandbox

    private_files.close_new_files()
    if parent is not None:
        lifeline.hold(parent)
    if require_sandbox:
        sandbox.require()
    asked = Asked(url.rstrip("/"), token_file, join_token, name, join, toolchains_only, simulate)
    settings.check(partial(_check_kinds, asked), partial(_check_address, asked))
    logs.configure(logs.chosen(), level=logging.INFO, text="agent: %(message)s")
    for library in ("httpx", "opentelemetry", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)
    tracing.start("dynolab-agent", version("dynolab"))
    if devices:
        _agent_devices.check(asked, devices, runtimes)
        asked = replace(asked, device=devices[0], runtimes=_agent_devices.parsed(runtimes))
    own = _own_token(asked)
    address = _address(asked, own)
    (joining.wait_for_hub if wait_for_hub else http.greet)(address)
    offered = _offer(asked, asked.name or ("" if asked.device else _kept_name(address)))
    member = own or joining.membership(
        address, asked.join_token, offered.id, offered.name, options=_agent_devices.written(devices, runtimes)
    )
    keeper = rotation.TokenKeeper(member, token_file, joined=own is None)
    door = http.HubDoor(member.hub, member.token)
    turns = rotation.Rotation(door, keeper, is_child=own is not None and token_file is None and parent is not None)
    turns.resume()
    if own is not None:
        door.check_token()
    if only_join:
        return
    is_named = member.name and member.name != offered.name and not asked.name
    if is_named and (not asked.device or asked.join_token):
        offered = _offer(asked, member.name)
    if len(devices) > 1:
        from dynolab.agent.other_devices import serve_others

        serve_others(devices[1:], runtimes, member.hub, keeper.now)
    _serve(Agent(door, offered, asked.device, rotation=turns), asked.device)


command.add_command(_agent_unit.unit)
command.add_command(_agent_bundle.bundle)


def _serve(agent: Agent, address: str) -> None:
    """Until the process is told to end."""
    import logging
    import signal

    from dynolab import tracing
    from dynolab.sandbox import base as sandbox

    if not address and not sandbox.strongest().protects:
        logging.warning("NO SANDBOX: models run with all rights of this user. %s gives one.", sandbox.INSTALL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    try:
        agent.serve()
    finally:
        tracing.stop()


def _offer(asked: Asked, name: str) -> DeviceOffer:
    """What this machine is to the hub. Raises :class:`~dynolab.errors.PluginMissing` where it could do nothing there."""
    from importlib.metadata import version

    from dynolab.agent import offer, reached
    from dynolab.errors import PluginMissing
    from dynolab.spec.runtime_support import RUNS

    if asked.device:
        offered = reached.ask_offer(asked.device, asked.runtimes, name or None)
        return replace(offered, join=asked.join, agent_version=version("dynolab"))
    offered = offer.ask(name or None, asked.simulate)
    if asked.toolchains_only:
        offered = offer.toolchains_of(offered)
    elif not any(one.startswith(RUNS) for one in offered.attributes):
        from dynolab.runtimes.base import install_command  # with numpy

        raise PluginMissing(
            "no runtime is installed here, so no model could be run",
            hint=f"{install_command('onnxruntime')}; `dynolab runtimes` names the others",
        )
    return replace(offered, join=asked.join, agent_version=version("dynolab"))


def _kept_name(address: str) -> str:
    from dynolab.agent import state

    kept = state.load(state.file())
    return kept.name if kept is not None and kept.hub == address else ""


def _check_kinds(asked: Asked) -> None:
    from dynolab.errors import SpecInvalid

    if asked.simulate and asked.toolchains_only:
        raise SpecInvalid("--simulate and --toolchains-only contradict each other", hint="start an agent for each")


def _check_address(asked: Asked) -> None:
    from dynolab.client import settings
    from dynolab.errors import SpecInvalid

    if asked.url and not settings.is_address(asked.url):
        raise SpecInvalid(f"{asked.url!r} is no hub's address", hint="such as http://127.0.0.1:8000")


def _address(asked: Asked, own: Membership | None) -> str:
    """The hub's. Raises :class:`~dynolab.errors.SpecInvalid` where none is known."""
    from dynolab.agent import joining

    return own.hub if own is not None else joining.address(asked.url, asked.join_token)


def _own_token(asked: Asked) -> Membership | None:
    """The hub, with the token that was given by a file or by the environment; None: neither was.

    Raises :class:`~dynolab.errors.SpecInvalid` for what is no agent's token, and :class:`~dynolab.errors.NotFound`.
    """
    import os

    from dynolab.agent.state import Membership
    from dynolab.errors import NotFound, SpecInvalid

    source, token = "DYNOLAB_AGENT_TOKEN", os.environ.get("DYNOLAB_AGENT_TOKEN", "").strip()
    if asked.token_file is not None:
        if not asked.token_file.is_file():
            raise NotFound(f"there is no token file {asked.token_file}", hint=_TOKENS)
        source = f"the token file {asked.token_file}"
        token = asked.token_file.read_bytes()[:4096].decode("utf-8", "replace").strip()
        if not token:
            raise SpecInvalid(f"{source} is empty", hint=_TOKENS)
    if not token:
        return None
    _check_kind(source, token)
    if asked.join_token:
        raise SpecInvalid(f"{source} and --join-token contradict each other", hint="join with one of them")
    if not asked.url:
        raise SpecInvalid("an agent with a token of its own needs its hub's address", hint="--hub URL")
    return Membership(asked.url, token)


_TOKENS = "the hub's page /account/ makes tokens for agents; /add-device has a line that needs no file"


def _check_kind(source: str, token: str) -> None:
    """Raises :class:`~dynolab.errors.SpecInvalid` for a token of another kind, or another file."""
    from dynolab.errors import SpecInvalid
    from dynolab.spec.joining import AGENT_PREFIX, JOIN_PREFIX

    if token.startswith(JOIN_PREFIX):
        raise SpecInvalid(f"{source} holds a join token", hint="--join-token TOKEN")
    if not token.startswith(AGENT_PREFIX) or not token.isascii() or not token.isprintable() or " " in token:
        raise SpecInvalid(f"{source} holds no agent's token: those begin with {AGENT_PREFIX}", hint=_TOKENS)
