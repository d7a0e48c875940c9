"""What the fork server of tests leaves behind: nothing."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from dynolab.testing.databases import OwnDatabase

_TESTS = """
import sys
from pathlib import Path
from dynolab.testing import fork_server
from dynolab.testing.running_hub import running_hub
with running_hub(Path(sys.argv[1]), "--no-agent") as hub:
    print(hub.process.pid, fork_server._server._process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl(2) is Linux's")
def test_hubs_and_their_server_end_with_tests_that_are_killed(tmp_path: Path, postgres: OwnDatabase) -> None:
    environment = {**os.environ, "DYNOLAB_DATABASE_URL": postgres.dsn, "TEST_FORK_SERVER": "1"}
    command = [sys.executable, "-c", _TESTS, str(tmp_path / "hub")]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tests:
        assert tests.stdout is not None
        ends = {os.pidfd_open(int(pid)) for pid in tests.stdout.readline().split()}
        assert len(ends) == 2
        assert not select.select(ends, [], [], 0)[0], "they run"
        tests.kill()
    try:
        assert all(select.select([end], [], [], 60)[0] for end in ends)
    finally:
        for end in ends:
            os.close(end)
