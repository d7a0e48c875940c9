"""The services of deploy/compose/compose.yaml as processes on loopback: no Docker, the same commands, environments and files.

What Docker would do is done here: names of services become addresses, published and inner ports become free ones, mounted files
and volumes become files and folders. The programs are those of this machine: PostgreSQL, PgBouncer, HAProxy, ministack, the hub.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from dynolab.testing import database_servers
from dynolab.testing.database_servers import Server, free_port
from dynolab.testing.waiting import until

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
WITHIN_S = 60.0
INNER = {"postgres": 5432, "pgbouncer": 6432, "s3": 9000, "hub-1": 8000, "hub-2": 8000, "balancer": 8000}
"""Where each service listens, as the others name it."""


class Missing(Exception):
    """A program that a service needs is not installed here."""


class Deployment:
    """All services, each once it was started; ``url`` is the balancer's."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self._stack = folder, stack
        self.environment = {"POSTGRES_PASSWORD": database_servers.QUOTED}
        self.ports = {name: free_port() for name in INNER}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        document = (FOLDER / "compose.yaml").read_text(encoding="utf-8")
        self.compose = yaml.safe_load(self._interpolated(document))
        self.services: dict[str, dict[str, Any]] = self.compose["services"]
        self.database: Server | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.ports['balancer']}"

    def up(self) -> None:
        """Start them in the order of ``depends_on``."""
        started = set[str]()
        while len(started) < len(self.services):
            for name, service in self.services.items():
                needed = service.get("depends_on", ())
                if name not in started and set(needed) <= started:
                    self.start(name)
                    started.add(name)
        for name in ("hub-1", "hub-2"):
            self.await_health(name)

    def start(self, name: str) -> None:
        """Start one service, again if it was killed."""
        if name == "postgres":
            self._start_database()
            return
        service = self.services[name]
        environment = {key: self._here(str(value), name) for key, value in service.get("environment", {}).items()}
        if name.startswith("hub"):
            # Loopback only: in a container all addresses are its own.
            environment |= {"DYNOLAB_HOST": "127.0.0.1", "DYNOLAB_PORT": str(self.ports[name])}
        if name == "s3":
            environment |= {"BIND_HOST": "127.0.0.1"}
        command = [self._here(word, name) for word in [*service.get("entrypoint", ()), *service.get("command", ())]]
        if not service.get("entrypoint"):
            command = [*self._program(name), *command]
        if name == "balancer":
            command[0] = self._found("haproxy")
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=database_servers.NOBODY if name == "pgbouncer" and os.geteuid() == 0 else None,
            )
        if name == "bucket":
            assert self.processes.pop(name).wait(WITHIN_S) == 0, self.log(name)
        elif not name.startswith("hub"):
            until(lambda: self._listens(name), f"{name}: {self.log(name)}", WITHIN_S)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End one as the power does, or by another signal."""
        if name == "postgres" and self.database is not None:
            self.database.kill()
            return
        self.processes[name].send_signal(number)
        if number != signal.SIGSTOP:
            until(lambda: self.processes[name].poll() is not None, f"{name} to end: {self.log(name)}", WITHIN_S)

    def log(self, name: str) -> str:
        """What a service has written."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    def await_health(self, name: str) -> None:
        """Wait until a replica's own health check holds, as compose.yaml has it."""
        test = [self._here(word, name) for word in self.services[name]["healthcheck"]["test"][1:]]

        def healthy() -> bool:
            assert self.processes[name].poll() is None, self.log(name)
            asked = subprocess.run([sys.executable, *test[1:]], capture_output=True, check=False)
            return asked.returncode == 0

        assert test[0] == sys.executable
        until(healthy, f"{name} to be well", WITHIN_S)

    def down(self) -> None:
        """End all, the balancer first."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for name, process in self.processes.items():
            try:
                process.wait(5 if name.startswith("hub") else 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_database(self) -> None:
        """As the image's own entry point: a user, a password and a database of these names."""
        if self.database is not None:
            self.database.start()
            return
        wanted = self.services["postgres"]["environment"]
        assert (wanted["POSTGRES_USER"], wanted["POSTGRES_DB"]) == (database_servers.USER, database_servers.NAME)
        assert wanted["POSTGRES_PASSWORD"] == database_servers.QUOTED
        self.database = self._stack.enter_context(database_servers.postgres(port=self.ports["postgres"]))
        self.database.command = [*self.database.command, *self.services["postgres"]["command"][1:]]

    def _program(self, name: str) -> list[str]:
        """What the image's ENTRYPOINT in deploy/Dockerfile is, of this machine."""
        target = self.services[name].get("build", {}).get("target")
        text = (
            (FOLDER.parent / "Dockerfile")
            .read_text(encoding="utf-8")
            .partition(f"AS {target}\n")[2]
            .partition("FROM ")[0]
        )
        entry = re.search(r"^ENTRYPOINT \[(.*)\]", text, re.MULTILINE)
        words = [] if entry is None else [word.strip(' "') for word in entry[1].split(",")]
        match words:
            case ["dynolab"]:
                return [sys.executable, "-m", "dynolab.cli.main"]
            case ["python", *rest]:
                return [sys.executable, *rest]
            case [program]:
                return [self._found(program)]
        return []

    def _found(self, program: str) -> str:
        found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
        if found is None:
            raise Missing(f"{program} is not installed: apt-get install {program}")
        return found

    def _here(self, text: str, name: str) -> str:
        """A word of a command or an environment as it is on this machine."""
        if text == "python":
            return sys.executable
        for source, target in {**self._mounts(name), self.folder / "s3-data": "/home/s3/data"}.items():
            text = text.replace(target, str(source))
        return self._addresses(text, name)

    def _addresses(self, text: str, name: str) -> str:
        for service, port in INNER.items():
            text = re.sub(rf"\b{service}:{port}\b", f"127.0.0.1:{self.ports[service]}", text)
        text = text.replace("localhost:8000", f"localhost:{self.ports['balancer']}").replace(
            "localhost:9000", f"localhost:{self.ports['s3']}"
        )
        if name.startswith("hub"):
            text = text.replace("127.0.0.1:8000", f"127.0.0.1:{self.ports[name]}")
        return str(self.ports["s3"]) if (name, text) == ("s3", "9000") else text

    def _mounts(self, name: str) -> dict[Path, str]:
        """Files and folders here, by where the container has them; configs are written anew with this machine's addresses."""
        found = dict[Path, str]()
        for one in self.services[name].get("configs", ()):
            config = self.compose["configs"][one["source"]]
            content = (
                config["content"] if "content" in config else (FOLDER / config["file"]).read_text(encoding="utf-8")
            )
            file = self.folder / f"{name}-{Path(one['target']).name}"
            found[file] = one["target"]
        for file, target in list(found.items()):
            source = next(one["source"] for one in self.services[name]["configs"] if one["target"] == target)
            config = self.compose["configs"][source]
            content = (
                config["content"] if "content" in config else (FOLDER / config["file"]).read_text(encoding="utf-8")
            )
            file.write_text(self._file(content, name, found), encoding="utf-8")
            file.chmod(0o644)
        return found

    def _file(self, content: str, name: str, mounts: dict[Path, str]) -> str:
        data = self.folder / f"{name}-data"
        content = content.replace("/var/lib/dynolab", str(data)).replace("172.16.0.0/12", "127.0.0.0/8")
        for file, target in mounts.items():
            content = content.replace(target, str(file))
        content = content.replace("bind :8000", f"bind 127.0.0.1:{self.ports['balancer']}")
        content = content.replace("host=postgres port=5432", f"host=127.0.0.1 port={self.ports['postgres']}")
        content = content.replace("listen_addr = 0.0.0.0", "listen_addr = 127.0.0.1").replace(
            "listen_port = 6432", f"listen_port = {self.ports['pgbouncer']}"
        )
        if name == "pgbouncer":  # there the password itself, in addresses percent-encoded
            content = content.replace(database_servers.QUOTED, database_servers.PASSWORD)
        return self._addresses(content, "balancer" if name == "balancer" else "")

    def _interpolated(self, text: str) -> str:
        return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda found: self.environment.get(found[1], found[2]), text)

    def _listens(self, name: str) -> bool:
        import socket

        with socket.socket() as trying:
            return trying.connect_ex(("127.0.0.1", self.ports[name])) == 0

    def await_balancer(self) -> None:
        """Wait until the balancer has found a replica."""

        def answered() -> bool:
            try:
                return httpx.get(f"{self.url}/healthz", timeout=5).status_code == 200
            except httpx.TransportError:
                return False

        until(answered, "the balancer to find a replica", WITHIN_S)


@contextmanager
def deployed(folder: Path) -> Iterator[Deployment]:
    """Everything of compose.yaml, running. Raises :class:`Missing`; what services wrote is printed when the block fails."""
    folder.chmod(0o755)
    with ExitStack() as stack:
        deployment = Deployment(folder, stack)
        stack.callback(deployment.down)
        try:
            deployment.up()
            deployment.await_balancer()
            yield deployment
        except BaseException:
            for name in deployment.processes:
                sys.stderr.write(f"---- {name}\n{deployment.log(name)}\n")
            raise
