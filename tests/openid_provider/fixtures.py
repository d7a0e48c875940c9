"""A real OpenID Connect provider on this machine: ``oidc-provider`` for Node.js, which script/test installs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
INSTALL = f"npm ci --ignore-scripts --prefix {HERE.relative_to(HERE.parents[1])}"


class OpenidProvider:
    """The running provider. ``secret`` is its client's, ``dynolab``."""

    CLIENT, SECRET = "dynolab", "the client's secret, with a % and a +"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        ready = re.match(r"ready (\S+)", self._line())
        assert ready is not None
        self.issuer = ready[1]

    def tell(self, **order: Any) -> None:
        """Have it do something (see provider.mjs), and wait until that is done."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        while self._line() != "done\n":  # it has remarks of its own
            assert self._process.poll() is None, "the provider ended"

    def serve(self, hub_url: str) -> None:
        """Know the hub at this address as a client."""
        self.tell(
            client={
                "client_id": self.CLIENT,
                "client_secret": self.SECRET,
                "redirect_uris": [f"{hub_url}/sign-in/oidc/callback"],
                "post_logout_redirect_uris": [f"{hub_url}/sign-in"],
                "backchannel_logout_uri": f"{hub_url}/sign-out/oidc/back-channel",
                "backchannel_logout_session_required": True,
                "response_types": ["code"],
                "grant_types": ["authorization_code"],
            }
        )

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """What a hub is started with that signs people in by it."""
        secret = folder / "client.secret"
        secret.write_text(f"{self.SECRET}\n", encoding="utf-8")
        return {
            "DYNOLAB_OIDC_ISSUER": self.issuer,
            "DYNOLAB_OIDC_CLIENT_ID": self.CLIENT,
            "DYNOLAB_OIDC_CLIENT_SECRET_FILE": str(secret),
            "DYNOLAB_OIDC_NAME": "Example SSO",
            "DYNOLAB_OIDC_SCOPES": "openid,email,profile,groups",
            **more,
        }

    def stop(self) -> None:
        """End it: it reads to the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@pytest.fixture(scope="module")
def openid_provider() -> Iterator[OpenidProvider]:
    """The provider, of the module's own."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules" / "oidc-provider").is_dir():
        missing = "node is not installed" if node is None else f"the provider is not installed: {INSTALL}"
        if node is not None and os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    process = subprocess.Popen(
        [node, "provider.mjs"],
        cwd=HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # that it is no provider for the world
        text=True,
    )
    with process:
        provider = OpenidProvider(process)
        try:
            yield provider
        finally:
            if process.poll() is None:
                provider.stop()
