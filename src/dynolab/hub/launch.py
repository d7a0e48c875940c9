"""A hub in a data folder: its own PostgreSQL, the server, an agent for this machine; all of it started and ended here."""

from __future__ import annotations

import asyncio
import configparser
import gc
import io
import logging
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from math import ceil
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dynolab import errors, logs, private_files, tracing
from dynolab.errors import Conflict, SpecInvalid
from dynolab.hub.app import create, open_hub
from dynolab.hub.middleware.forwarded import ForwardedHost
from dynolab.hub.settings import Settings
from dynolab.hub.store import data_folder
from dynolab.hub.store.postgres import Postgres, urls
from dynolab.hub.timeouts import ImpatientProtocol
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.invite_user import INVITATION_LIFE, invite_user
from dynolab.hub.usecases.make_token import TokenTerms, make_token
from dynolab.sandbox.base import CONNECTING, own_environment

AGENT_FIRST_S, AGENT_STOP_S = 4.0, 15.0
"""How long the server waits for the agent before it ends, and how long after that the agent may take."""
TRY_WITHIN_S = 5.0
WATCH_EVERY_S = 0.1
SETTLE_S = 1.0
"""After the start, so that nobody waits for it."""
COLLECT_AFTER = 10_000, 20, 20
"""Requests leave few cycles behind; by Python's own figures (700, 10, 10) a tenth of the time goes into looking for them."""
RESTART_FIRST_S, RESTART_MOST_S = 0.5, 30.0
LOCAL_USER = "admin@localhost"
Tell = Callable[[str], None]
log = logging.getLogger(__name__)


def serve(settings: Settings, tell: Tell, *, tell_secrets: bool = False) -> None:
    """Run a hub until it is told to end, by Ctrl-C or SIGTERM. ``tell`` receives what a person should read.

    ``tell_secrets``: that it may be told what signs in, because a person alone reads it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ends run the same way out
    _check_certificate(settings)
    _raise_limit()
    logs.configure(settings.log_format, level=logging.WARNING, text="%(message)s")
    if settings.log_format == "json":
        log.setLevel(logging.INFO)
        tell = partial(log.info, "%s")
    tracing.start("dynolab-hub", version("dynolab"))
    for told in data_folder.prepare(settings.data, settings.blobs_url):
        tell(told)
    listening = _listen(settings)
    settings = replace(settings, port=listening.getsockname()[1])
    postgres = None if settings.database_url else OwnPostgres(settings.data / "postgres", tell)
    try:
        url, dsn = (postgres.url, postgres.dsn) if postgres else _urls(settings)
        kept = postgres.kept() if postgres else nullcontext()
        with kept, asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:  # uvloop's, if there
            runner.run(_serve(settings, url, dsn, listening, tell, tell_secrets=tell_secrets))
    except KeyboardInterrupt:
        tell("hub stopped")
    finally:
        tracing.stop()
        if postgres is not None:
            postgres.stop()


def _urls(settings: Settings) -> tuple[str, str]:
    """SQLAlchemy's form of the database's address, which may be a pooler's, and the plain one of the database itself."""
    url, dsn = urls(str(settings.database_url))
    return url, urls(settings.database_direct_url)[1] if settings.database_direct_url else dsn


class OwnPostgres:
    """The hub's own PostgreSQL, started, and started again whenever it ends by itself."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._folder, self._tell = folder, tell
        self._server = Postgres.start(folder)
        self.url, self.dsn = self._server.url, self._server.dsn
        self._stopping = threading.Event()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Look after it until the block ends."""
        watching = threading.Thread(target=self._watch, name="postgres-watch", daemon=True)
        watching.start()
        try:
            yield
        finally:
            self._stopping.set()
            watching.join()

    def stop(self) -> None:
        """End it."""
        self._server.stop()

    def _watch(self) -> None:
        pause_s = RESTART_FIRST_S
        while not self._stopping.wait(WATCH_EVERY_S):
            code = self._server.poll()
            if code is None:
                pause_s = RESTART_FIRST_S
                continue
            self._tell(f"the database ended by itself (code {code}); it is started again")
            while not self._restarted():
                if self._stopping.wait(pause_s):
                    return
                pause_s = min(2 * pause_s, RESTART_MOST_S)

    def _restarted(self) -> bool:
        try:
            server = Postgres.start(self._folder)
        except errors.Error as error:
            self._tell(f"the database does not start, which is tried again: {error}")
            return False
        if server.dsn != self.dsn:
            server.stop()
            self._tell("the database's socket has another place now: the hub must be started anew")
            return False
        self._server = server
        self._tell("the database is back")
        return True


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise Conflict(
            f"the address {settings.host}:{settings.port} cannot be listened at: {error.strerror}",
            hint="another program has it, perhaps another hub: choose another with --port",
        ) from error
    return listening


class Server(uvicorn.Server):
    """uvicorn's server, which lets this machine's agent end first, as long as it can still give its job back.

    It sends those who wait for a job away before it ends: their questions would hold the end up. Told to end by SIGTERM, it first says
    that it leaves, for as long as balancers need to hear that; told again, it ends at once.
    """

    def __init__(self, config: uvicorn.Config, hub: Hub, drain_s: float) -> None:
        super().__init__(config)
        self.hub, self._drain_s = hub, drain_s
        self.agent: subprocess.Popen[bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self._ending = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        asked_before, self._ending = self._ending, True
        if sig != signal.SIGTERM or asked_before or not self._drain_s:
            self._end(sig, frame, asked_before)
            return
        self.hub.wakeups.leaving = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_s, self._end, sig, frame, False)

    def _end(self, sig: int, frame: FrameType | None, asked_before: bool) -> None:
        if self.should_exit and not asked_before:
            return  # it was told again meanwhile
        agent = self.agent
        if agent is None or agent.poll() is not None or asked_before:
            self._exit(sig, frame)
            return
        agent.terminate()
        threading.Thread(target=self._exit_after, args=(agent, sig), name="agent-end", daemon=True).start()

    def _exit_after(self, agent: subprocess.Popen[bytes], sig: int) -> None:
        with suppress(subprocess.TimeoutExpired):
            agent.wait(AGENT_FIRST_S)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._exit, sig, None)

    def _exit(self, sig: int, frame: FrameType | None) -> None:
        self.hub.wakeups.close()
        super().handle_exit(sig, frame)


async def _serve(
    settings: Settings,
    url: str,
    dsn: str,
    listening: socket.socket,
    tell: Tell,
    *,
    tell_secrets: bool,
) -> None:
    hub = await open_hub(settings, url, dsn)
    address = _address(settings)
    agent_token = await _first_start(hub, settings, address, tell, tell_secrets)
    way_in = await _way_in(hub, settings, address, tell_secrets)
    server = Server(_config(settings, hub), hub, settings.drain_s)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    try:
        if settings.agent and not serving.done():
            server.agent = _start_agent(address, agent_token, settings.log_format)
        if not serving.done():
            tell(way_in)
        tell(f"hub ready at {address}")
        asyncio.get_running_loop().call_later(SETTLE_S, _settle)
        if settings.tls_certificate and not serving.done():
            await asyncio.to_thread(_try_certificate, address, tell)
        await serving
    finally:
        if server.agent is not None:
            _end(server.agent)


def _raise_limit() -> None:
    """As many connections as the system lets this process have: the usual limit is one for programs of decades ago."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _config(settings: Settings, hub: Hub) -> uvicorn.Config:
    app: Any = create(settings, hub)
    if settings.trusted_proxies:
        believing = ProxyHeadersMiddleware(app, list(settings.trusted_proxies))
        app = ForwardedHost(believing, believing.trusted_hosts)  # type: ignore[arg-type] # uvicorn types ASGI anew
    return uvicorn.Config(
        app,
        interface="asgi3",  # uvicorn would guess it, and be wrong: what gives a coroutine need be none
        log_level="warning",
        log_config=None if settings.log_format == "json" else uvicorn.config.LOGGING_CONFIG,
        timeout_graceful_shutdown=ceil(settings.grace_s),
        server_header=False,
        http=ImpatientProtocol,
        proxy_headers=False,  # uvicorn would believe every program on this machine
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


def _check_certificate(settings: Settings) -> None:
    """Raises :class:`SpecInvalid` for files that the server could not start with."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return

    def no_password() -> str:
        raise SpecInvalid(f"the key {settings.tls_key} is encrypted", hint="give one that needs no password")

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, no_password)
    except OSError as error:  # ssl.SSLError is one
        raise SpecInvalid(
            f"{settings.tls_certificate} and {settings.tls_key} are no certificate and its key: {error}",
            hint="PEM files: the certificate with those of its issuers after it, and the key",
        ) from error


def _try_certificate(address: str, tell: Tell) -> None:
    """Tell when clients on this machine would not take the certificate, the agent among them."""
    parts = urlsplit(address)
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), TRY_WITHIN_S) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return
    except OSError as error:
        tell(
            f"{address} cannot be opened from here, so this machine's agent has to wait: {error}\n"
            "DYNOLAB_PUBLIC_URL names the hub as the certificate does, SSL_CERT_FILE the issuer of one of your own"
        )


def _settle() -> None:
    """What is loaded by now stays: the collector would look through all of it time and again, 0.1 s each, and all wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _address(settings: Settings) -> str:
    """Where this machine's clients find the hub, without a slash: with HTTPS, by the name that the certificate is for."""
    if settings.tls_certificate is None:
        return f"http://{_shown(settings.host)}:{settings.port}"
    return (settings.public_url or f"https://{_shown(settings.host)}:{settings.port}").rstrip("/")


def _shown(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)


async def _way_in(hub: Hub, settings: Settings, address: str, tell_secrets: bool) -> str:
    """How a person gets to the pages. A link that signs in is not for what keeps this text, such as a service's log."""
    invitation = await invite_user(hub, LOCAL_USER) if tell_secrets else None
    if invitation is None:
        return f"pages: sign in at {address}/sign-in with the API token in {settings.data / 'client.ini'}"
    minutes = INVITATION_LIFE.total_seconds() / 60
    return f"open {address}/welcome/{invitation}  (signs you in, once, within {minutes:.0f} minutes)"


async def _first_start(hub: Hub, settings: Settings, address: str, tell: Tell, tell_secrets: bool) -> Path:
    """At the first start: tokens and a ``client.ini``, for the owner's eyes only. The file with the agent's token."""
    ini, agent_token = settings.data / "client.ini", settings.data / "agent.token"
    if not ini.exists():
        token = await make_token(
            hub,
            email=LOCAL_USER,
            kind="user",
            label="made at the first start",
            is_admin=True,
            terms=TokenTerms(made_by="first start"),
        )
        private_files.write(
            ini, f"[api]\napi_token = {token}\napi_url = {address}\nweb_url = {address}\nverbose = True\n"
        )
        if tell_secrets:
            tell(f"API token (shown this once): {token}")
        tell(f"for the official client: export QAIHUB_CLIENT_INI={ini}")
        tell(f"for dynolab's own commands: dynolab login --from {ini}")
    _keep_address(ini, address)
    if not agent_token.exists():
        token = await make_token(
            hub,
            email=LOCAL_USER,
            kind="agent",
            label="this machine's agent",
            is_admin=True,
            terms=TokenTerms(made_by="first start"),
        )
        private_files.write(agent_token, token)
    return agent_token


def _keep_address(ini: Path, address: str) -> None:
    """Have the file name the address that the hub has now: it may have been started at another port."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ini, encoding="utf-8")
    if parser.get("api", "api_url", fallback=address) != address:
        parser["api"]["api_url"] = parser["api"]["web_url"] = address
        text = io.StringIO()
        parser.write(text)
        private_files.write(ini, text.getvalue())


def _start_agent(address: str, token_file: Path, log_format: str) -> subprocess.Popen[bytes]:
    """The agent of this machine, in a session of its own: Ctrl-C reaches it through us. It sends traces where the hub does."""
    traces = [name for name in os.environ if name.startswith(tracing.PREFIX) and name != "OTEL_SERVICE_NAME"]
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", address, "--token-file", str(token_file)]
    return subprocess.Popen(
        [*command, "--wait-for-hub", "--parent", str(os.getpid())],
        env={
            **own_environment(*CONNECTING, *traces),
            logs.VARIABLE: log_format,
        },  # the hub's own may hold its database's address and its cloud's keys
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(agent: subprocess.Popen[bytes]) -> None:
    if agent.poll() is None:
        agent.terminate()
    try:
        agent.wait(AGENT_STOP_S)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()
