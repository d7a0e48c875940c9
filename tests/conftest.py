"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dynolab.spec.models import ModelFormat
from dynolab.testing import fork_server
from dynolab.testing.harness import Harness

from .devices.fixtures import (
    arm64_board_fixture,
    new_ssh_device_fixture,
    phone_fixture,
    ssh_account_fixture,
    ssh_device_fixture,
)
from .devices.sshd import KEPT_WHEELS

if TYPE_CHECKING:
    from dynolab.agent.http import HubDoor
    from dynolab.testing.databases import Databases, OwnDatabase
    from dynolab.testing.running_hub import RunningHub

__all__ = [
    "arm64_board_fixture",
    "new_ssh_device_fixture",
    "phone_fixture",
    "ssh_account_fixture",
    "ssh_device_fixture",
]
EXAMPLES = Path(__file__).parents[1] / "examples" / "models"
LONG = (
    "contract.test_runtimes",
    "e2e.test_bad_input",
    "e2e.test_commands",
    "e2e.test_compare_models",
    "e2e.test_known_answers",
    "integration.test_adb",
    "integration.test_boards_by_address",
    "integration.test_client",
    "integration.test_hub_commands",
    "integration.test_official_client",
    "integration.test_reached_devices",
    "integration.test_sessions",
    "integration.test_ssh",
    "web.test_pages_accessible",
    "web.test_pages_graph",
    "web.test_pages_job_list",
    "web.test_pages_markup",
    "web.test_pages_submit",
)
"""Modules that take longest: they begin first, so that of two workers none is left with one of them at the end."""


VENVS = "DYNOLAB_TEST_VENVS"


def pytest_configure(config: pytest.Config) -> None:
    """Environments of the official client are made once for a run of the tests, for all of its processes."""
    if VENVS not in os.environ:
        folder = os.environ[VENVS] = tempfile.mkdtemp(prefix="dynolab-official-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


WEB = Path(__file__).parent / "web"
LINES_OF_HUB = 40
"""So many of a hub's last lines stand in the report of a test that failed."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Beside what failed stands what the hubs that it asked have said."""
    report = yield
    for name, fixture in getattr(item, "funcargs", {}).items() if report.failed else ():
        if isinstance(lines := getattr(fixture, "lines", None), list):
            report.sections.append((f"last lines of {name}", "".join(map(str, lines[-LINES_OF_HUB:]))))
    return report


def _turn(item: pytest.Item) -> tuple[bool, bool]:
    """The pages' modules follow each other, so that each process needs one browser once; long ones go first of these and of the rest."""
    is_long = item.path.with_suffix("").as_posix().replace("/", ".").endswith(LONG)
    return not item.path.is_relative_to(WEB), not is_long


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the user's records or workspaces, or waits for who measures on this machine beside the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DYNOLAB_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("DYNOLAB_WORKSPACE", str(tmp_path_factory.mktemp("workspaces")))
        patch.setenv("DYNOLAB_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session", autouse=True)
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hubs begin with a database, and agents with knowing which runtimes load here: both are made once for all processes of a run of the tests.

    So is what devices are sent first. Hubs are forked of a process that has imported all that they need.
    """
    ours = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        whole_run = ours.parent if "PYTEST_XDIST_WORKER" in os.environ else ours
        patch.setenv("TEST_POSTGRES_TEMPLATE", str(whole_run / "postgres-template"))
        patch.setenv("TEST_KNOWN_RUNTIMES", str(whole_run / "known-runtimes"))
        patch.setenv(KEPT_WHEELS, str(whole_run / "board-wheels"))
        patch.setenv("TEST_FORK_SERVER", "1")
        yield
        fork_server.close()


@pytest.fixture(scope="session", autouse=True)
def one_issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One certificate for HTTP clients to trust, ours and our processes': reading all of them takes most of a short test."""
    import certifi  # httpx's

    mark = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("issuers") / "one.pem"
    path.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(mark)[0] + mark, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture
def null_model(tmp_path: Path) -> Callable[..., Path]:
    """Writes a model for the null runtime and returns its path."""

    def write(**content: Any) -> Path:
        path = tmp_path / "model.null"
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def null_harness(tmp_path: Path, null_model: Callable[..., Path]) -> Callable[..., Harness]:
    """A harness around a null model with the content given, inspected already."""

    def make(**content: Any) -> Harness:
        harness = Harness(Path(tempfile.mkdtemp(dir=tmp_path)), null_model(**content), ModelFormat.NULL, "null")
        harness.inspect()
        return harness

    return make


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One PostgreSQL for all tests that do nothing to it itself."""
    pytest.importorskip("pgqueuer")
    from dynolab.testing.databases import databases

    with databases(tmp_path_factory.mktemp("postgres") / "postgres") as found:
        yield found


@pytest.fixture(scope="module")
def postgres(databases: Databases) -> OwnDatabase:
    """A database of the module's own."""
    return databases.new()


@pytest.fixture(scope="module")
def hub(
    request: pytest.FixtureRequest, postgres: OwnDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """A hub of the module's own without an agent, with the settings in the module's ``ENVIRONMENT`` if it has one."""
    from dynolab.testing.running_hub import running_hub

    settings = {"DYNOLAB_DATABASE_URL": postgres.dsn, **getattr(request.module, "ENVIRONMENT", {})}
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent", "--show-link", environment=settings) as running:
        yield running


@pytest.fixture
def door(hub: RunningHub) -> Iterator[HubDoor]:
    """The agents' door of the module's hub."""
    from dynolab.agent.http import HubDoor

    opened = HubDoor(hub.url, hub.agent_token)
    yield opened
    opened.close()
