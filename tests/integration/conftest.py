"""Our client of a module's hub, and the machine that the hub's own agent serves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until


@pytest.fixture(scope="module")
def client(hub: RunningHub) -> Iterator[Client]:
    found = Client(ClientConfig(hub.token, hub.url, verbose=False))
    yield found
    found.close()


@pytest.fixture(scope="module")
def device(client: Client) -> Device:
    return until(client.get_devices, "this machine's agent")[0]
