"""Why a device does not let us in over ssh, and the way out."""

from __future__ import annotations

import shlex
from pathlib import Path

import asyncssh

from dynolab.errors import DeviceLost, Error, Forbidden

KNOWN_HOSTS = "~/.ssh/known_hosts"
SSH_PORT = 22


async def refused(error: BaseException, address: str, host: str, user: str | None, port: int | None) -> Error:
    """The error of a connection that was not made."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return await _unverified(address, host, user, port)
    if isinstance(error, asyncssh.PermissionDenied):
        return Forbidden(
            f"{address} does not let us in: {error.reason}",
            hint=f"give it your key: ssh-copy-id {_for_ssh(host, user, port)}; a key with a passphrase has to be in ssh-agent",
        )
    if isinstance(error, TimeoutError | asyncssh.ConnectionLost):
        return DeviceLost(
            f"{address} does not answer as an ssh server does", hint=f"try: ssh -v {_for_ssh(host, user, port)}"
        )
    return DeviceLost(
        f"{address} cannot be reached: {str(error) or type(error).__name__}",
        hint=f"is it on, and is this its address? try: ssh {_for_ssh(host, user, port)}",
    )


async def _unverified(address: str, host: str, user: str | None, port: int | None) -> Forbidden:
    """A host key that is not known, or is another one than it was."""
    name, number, files = await _resolved(host, port)
    known = any(asyncssh.match_known_hosts(str(file), name, "", number)[0] for file in files if file.exists())
    if known:
        entry = name if number == SSH_PORT else f"[{name}]:{number}"
        return Forbidden(
            f"{address} shows another host key than before: it was set up anew, or another machine answers in its place",
            hint=f"if it was set up anew: ssh-keygen -R {shlex.quote(entry)}, then connect once with ssh {_for_ssh(host, user, port)}",
        )
    return Forbidden(
        f"the host key of {address} is not known here, and is not taken unseen",
        hint=f"connect once with ssh {_for_ssh(host, user, port)}, compare the key that it shows with the device's own "
        "(there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), and say yes",
    )


async def _resolved(host: str, port: int | None) -> tuple[str, int, list[Path]]:
    """Where the user's ssh settings lead: host, port, and the files of known hosts."""
    settings = [str(path) for path in (Path("~/.ssh/config").expanduser(),) if path.is_file()]
    given = {"port": port} if port else {}
    found = await asyncssh.SSHClientConnectionOptions.construct(host=host, config=settings, **given)
    files = found.known_hosts if isinstance(found.known_hosts, list) and found.known_hosts else [KNOWN_HOSTS]
    return found.host, found.port, [Path(str(one)).expanduser() for one in files]


def _for_ssh(host: str, user: str | None, port: int | None) -> str:
    """The same place as ssh(1) takes it."""
    there = shlex.quote(host if user is None else f"{user}@{host}")
    return there if port in (None, SSH_PORT) else f"-p {port} {there}"
