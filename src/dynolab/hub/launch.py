"""A hub in a data folder: its own PostgreSQL, the server, an agent for this machine; all of it started and ended here."""

from __future__ import annotations

import asyncio
import gc
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

from dynolab import errors, logs, tracing
from dynolab.hub.app import create
from dynolab.hub.first_start import first_start, way_in
from dynolab.hub.listening import check_certificate, listen
from dynolab.hub.middleware.forwarded import ForwardedHost
from dynolab.hub.oidc_settings import oidc_settings
from dynolab.hub.opening import opened
from dynolab.hub.settings import Settings
from dynolab.hub.store import data_folder
from dynolab.hub.store.direct import check_store
from dynolab.hub.store.postgres import Postgres, urls
from dynolab.hub.timeouts import ImpatientProtocol
from dynolab.hub.usecases.base import Hub
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
Tell = Callable[[str], None]
log = logging.getLogger(__name__)


def _check_store(settings: Settings) -> None:
    if settings.transfers == "direct":
        check_store(settings.blobs_url or "")


START_CHECKS: tuple[Callable[[Settings], object], ...] = (
    lambda settings: check_certificate(settings.tls_certificate, settings.tls_key),
    _check_store,
    oidc_settings,
)
"""What settings must be besides, and files that they name, for a hub to start; each raises :class:`SpecInvalid`."""


def serve(settings: Settings, tell: Tell, *, tell_secrets: bool = False) -> None:
    """Run a hub until it is told to end, by Ctrl-C or SIGTERM. ``tell`` receives what a person should read.

    The settings have passed :data:`START_CHECKS`.

    ``tell_secrets``: that it may be told what signs in, because a person alone reads it.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ends run the same way out
    _raise_limit()
    logs.configure(settings.log_format, level=logging.WARNING, text="%(message)s")
    if settings.log_format == "json":
        log.setLevel(logging.INFO)
        tell = partial(log.info, "%s")
    else:
        tell = partial(_tell_timed, tell)
    tracing.start("dynolab-hub", version("dynolab"))
    for told in data_folder.prepare(settings.data, settings.blobs_url):
        tell(told)
    listening = listen(settings.host, settings.port)
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
    hub = await opened(settings, url, dsn, tell)
    address = _address(settings)
    public = (settings.public_url or address).rstrip("/")
    agent_token = await first_start(hub, settings, public, tell, tell_secrets=tell_secrets)
    entrance = await way_in(hub, settings, public, tell_secrets=tell_secrets)
    server = Server(_config(settings, hub), hub, settings.drain_s)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    try:
        if settings.agent and not serving.done():
            server.agent = _start_agent(address, agent_token, settings.log_format)
        if not serving.done():
            tell(entrance)
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


def _tell_timed(tell: Tell, text: str) -> None:
    tell(logs.timed(text))


def _config(settings: Settings, hub: Hub) -> uvicorn.Config:
    app: Any = create(settings, hub)
    if settings.trusted_proxies:
        believing = ProxyHeadersMiddleware(app, list(settings.trusted_proxies))
        app = ForwardedHost(believing, believing.trusted_hosts)  # type: ignore[arg-type] # uvicorn types ASGI anew
    return uvicorn.Config(
        app,
        interface="asgi3",  # uvicorn would guess it, and be wrong: what gives a coroutine need be none
        log_level="warning",
        log_config=None,  # its lines look as all others do
        timeout_graceful_shutdown=ceil(settings.grace_s),
        server_header=False,
        http=ImpatientProtocol,
        proxy_headers=False,  # uvicorn would believe every program on this machine
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


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
