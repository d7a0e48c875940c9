"""Our client of a module's hub, and the machine that the hub's own agent serves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.testing.running_hub import RunningHub


@pytest.fixture(scope="module")
def client(hub: RunningHub) -> Iterator[Client]:
    found = Client(ClientConfig(hub.token, hub.url, verbose=False))
    yield found
    found.close()


@pytest.fixture(scope="module")
def device(client: Client) -> Device:
    end = time.monotonic() + 60
    while not (found := client.get_devices()) and time.monotonic() < end:
        time.sleep(0.2)  # until the hub's own agent has announced this machine
    return found[0]
