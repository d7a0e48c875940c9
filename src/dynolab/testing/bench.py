"""A hub's use cases without its doors, in this process: a user with a model, and boards whose agents are the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Row, Table, delete, select

from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import attempt, dataset, device, job, model, setting
from dynolab.hub.usecases.add_account import add_account, add_token
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.check_runs_hub import OPERATOR
from dynolab.hub.usecases.claim_attempt import Claim, claim_attempt
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_dataset import create_dataset
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.end_attempt import finish_attempt
from dynolab.hub.usecases.job_request import JobRequest
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.store_file import store_file
from dynolab.hub.usecases.store_part import store_part
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.hub.usecases.time_away import SWEPT
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing.databases import OwnDatabase

T = TypeVar("T")


async def bytes_of(*chunks: bytes) -> AsyncIterator[bytes]:
    """The chunks, as a request's body comes."""
    for chunk in chunks:
        yield chunk


class Bench:
    """The parts of a hub, which sweeps only when it is told to; ``user`` and ``agent`` are of one account of its own."""

    def __init__(self, hub: Hub, user: Account, agent: Account, name: str) -> None:
        self.hub, self.user, self.agent, self.name = hub, user, agent, name

    async def account(self) -> Account:
        """Somebody else."""
        secret = await add_account(self.hub, OPERATOR, new_id("n") + "@example.org")
        return await sign_in(self.hub, f"token {secret}", kind="user")

    async def agent_of(self, account: Account) -> Account:
        """A new token of the account's for an agent."""
        return await sign_in(self.hub, f"token {await add_token(self.hub, account.email, 'agent')}", kind="agent")

    async def upload(self, table: Table, target_id: str, *parts: bytes) -> None:
        """All bytes of a model or dataset."""
        begun = await begin_upload(self.hub, self.user, table, target_id, size=sum(map(len, parts)))
        for number, content in enumerate(parts):
            await store_part(self.hub, Link("part", begun.id, "", number), bytes_of(content))
        await complete_upload(self.hub, self.user, table, target_id, upload_id=begun.id)

    async def model(self, content: bytes = b"model") -> str:
        """A model whose bytes are there."""
        made, _ = await create_model(self.hub, self.user, name="net", kind="onnx", is_directory=False)
        await self.upload(model, made, content)
        return made

    async def dataset(self, content: bytes = b"data") -> str:
        """A dataset whose bytes are there."""
        made, _, _ = await create_dataset(self.hub, self.user, name="data")
        await self.upload(dataset, made, content)
        return made

    def offer(self, board: int = 1) -> DeviceOffer:
        """What a board says of itself."""
        return DeviceOffer(f"{self.name}-{board}", self.name, "1.0", ("framework:onnx",))

    async def submit(self, model_id: str, account: Account | None = None, **changes: Any) -> str:
        """A profile job for any of the boards."""
        asked = JobRequest("profile", model_id, device_name=self.name, device_os="")
        return (await submit_job(self.hub, account or self.user, replace(asked, **changes)))[0]

    async def claim(self, board: int = 1, agent: Account | None = None) -> Claim | None:
        """The next job for a board, if there is one."""
        asked = ClaimRequest(AGENT_PROTOCOL, self.offer(board))
        return await claim_attempt(self.hub, agent or self.agent, asked)

    async def claimed(self, board: int = 1) -> Claim:
        """The next job for a board."""
        found = await self.claim(board)
        assert found is not None
        return found

    async def leave(self, claimed: Claim, verb: str, content: bytes) -> None:
        """A file of the attempt."""
        await store_file(self.hub, self.agent, claimed.attempt_id, verb, bytes_of(content))

    async def finish(self, claimed: Claim, outcome: Outcome | None = None) -> None:
        """The attempt's end, as its agent says it."""
        await finish_attempt(self.hub, self.agent, claimed.attempt_id, outcome or Outcome())

    async def row(self, table: Table, id: object) -> Row[Any]:
        """A row as it is now."""
        async with self.hub.database.single() as connection:
            return (await connection.execute(select(table).where(table.c.id == id))).one()

    async def state(self, job_id: str) -> str:
        """A job's."""
        return str((await self.row(job, job_id)).state)

    async def holder(self, board: int = 1) -> object:
        """The attempt that holds a board."""
        return (await self.row(device, f"{self.name}-{board}")).attempt_id

    async def attempts(self, job_id: str) -> Sequence[Row[Any]]:
        """Of a job, from the first to the last."""
        found = select(attempt).where(attempt.c.job_id == job_id).order_by(attempt.c.number)
        async with self.hub.database.single() as connection:
            return (await connection.execute(found)).all()

    async def run(self, statement: Any) -> None:
        """Change a row behind the hub's back."""
        async with self.hub.database.begin() as connection:
            await connection.execute(statement)


def on_bench(
    database: OwnDatabase, folder: Path, drill: Callable[[Bench], Awaitable[T]], *, boards: int = 2, **settings: Any
) -> T:
    """What the drill gives, on a bench of its own with its boards announced."""

    async def carry_out() -> T:
        hub = await open_hub(Settings(folder, **settings), database.url, database.dsn)
        try:
            name = new_id("n")
            email = f"{name}@example.org"
            user = await sign_in(hub, f"token {await add_account(hub, OPERATOR, email)}", kind="user")
            agent = await sign_in(hub, f"token {await add_token(hub, email, 'agent')}", kind="agent")
            bench = Bench(hub, user, agent, name)
            # Another bench's hub, which is gone, may have swept the same database just now.
            await bench.run(delete(setting).where(setting.c.name == SWEPT))
            for board in range(1, boards + 1):
                assert await bench.claim(board) is None
            return await drill(bench)
        finally:
            await hub.database.close()

    return asyncio.run(carry_out())
