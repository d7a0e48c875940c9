"""``dynolab agent unit``: how systemd keeps the agent running."""

from __future__ import annotations

import click


@click.command("unit", context_settings={"ignore_unknown_options": True})
@click.option("--system", is_flag=True, help="For the whole machine, as the user dynolab. Default: for you.")
@click.argument("options", nargs=-1)
def unit(system: bool, options: tuple[str, ...]) -> None:
    """Print a systemd unit that keeps the agent running, also after a restart. OPTIONS are the agent's own.

    \b
    dynolab agent unit > ~/.config/systemd/user/dynolab-agent.service
    dynolab agent unit --system | sudo tee /etc/systemd/system/dynolab-agent.service
    dynolab agent unit -- --toolchains-only
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.agent import unit as units

    click.echo(units.system_unit(options) if system else units.user_unit(options), nl=False)
