"""What a hub leaves at its first start: the first administrator's token, and this machine's agent's; and the way in."""

from __future__ import annotations

import configparser
import io
from collections.abc import Callable
from pathlib import Path

from dynolab import private_files
from dynolab.hub.settings import Settings
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.invite_user import INVITATION_LIFE, invite_user
from dynolab.hub.usecases.make_token import TokenTerms, make_first_token, make_token
from dynolab.hub.usecases.sign_in import would_sign_in

LOCAL_USER = "admin@localhost"
Tell = Callable[[str], None]


async def first_start(hub: Hub, settings: Settings, address: str, tell: Tell, *, tell_secrets: bool) -> Path:
    """The file with the agent's token, made where it is needed.

    Of all replicas, the first to start makes a token of the first administrator's and a ``client.ini`` with it, for the
    owner's eyes only; ``address``: how clients reach the hub.
    """
    ini, agent_token = settings.data / "client.ini", settings.data / "agent.token"
    token = None if ini.exists() else await make_first_token(hub, LOCAL_USER, "made at the first start")
    if token is not None:
        text = f"[api]\napi_token = {token}\napi_url = {address}\nweb_url = {address}\nverbose = True\n"
        private_files.write(ini, text)
        if tell_secrets:
            tell(f"API token (shown this once): {token}")
        tell(f"for the official client: export QAIHUB_CLIENT_INI={ini}")
        tell(f"for dynolab's own commands: dynolab login --from {ini}")
    elif ini.exists():
        _keep_address(ini, address)
    if not agent_token.exists() and (settings.agent or token is not None):
        terms = TokenTerms(made_by="first start")
        label = "this machine's agent"
        secret = await make_token(hub, email=LOCAL_USER, kind="agent", label=label, is_admin=True, terms=terms)
        private_files.write(agent_token, secret)
    return agent_token


async def way_in(hub: Hub, settings: Settings, address: str, *, tell_secrets: bool) -> str:
    """How a person gets to the pages. A link that signs in is not for what keeps this text, such as a service's log."""
    invitation = await invite_user(hub, LOCAL_USER) if tell_secrets else None
    if invitation is not None:
        minutes = INVITATION_LIFE.total_seconds() / 60
        return f"open {address}/welcome/{invitation}  (signs you in, once, within {minutes:.0f} minutes)"
    ini = settings.data / "client.ini"
    if ini.exists() and await would_sign_in(hub, _read(ini).get("api", "api_token", fallback="")):
        return f"pages: sign in at {address}/sign-in with the API token in {ini}"
    return f"pages: sign in at {address}/sign-in; `dynolab hub account add` lets people in"


def _read(ini: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ini, encoding="utf-8")
    return parser


def _keep_address(ini: Path, address: str) -> None:
    """Have the file name the address that the hub has now: it may have been started at another port."""
    parser = _read(ini)
    if parser.get("api", "api_url", fallback=address) != address:
        parser["api"]["api_url"] = parser["api"]["web_url"] = address
        text = io.StringIO()
        parser.write(text)
        private_files.write(ini, text.getvalue())
