"""What one job costs a hub's processor, step by step: a figure that other work on the machine hardly touches, unlike a rate.

python tests/benchmarks/hub_cpu.py [--jobs 400] [--slots 20] [--against FOLDER] [--result-bytes 50000]

Rounds of so many jobs as there are agents are submitted, claimed, renewed, given a result and a log, and finished, one step after
the other; beside each stands the hub's processor time, all its threads, and that of its PostgreSQL. Then jobs come to agents that
wait, as they do all day. ``--against``: another checkout (``git worktree add FOLDER COMMIT``), whose hub runs beside this one's and
takes every second round, so that whatever else the machine does falls to both. What a hub does by itself in that time (sweeps; it is
seen first, while nobody asks for anything) is taken off.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub_clients import LOST, UNLIMITED, Agent, Line, submission, submit, users
from hub_processes import cpu_s

from dynolab.testing.running_hub import RunningHub, running_hub

HERE = Path(__file__).parents[2]
IDLE_S, WARM_UP, SUBMITTERS = 8.0, 3, 20
STEPS = ("submit", "claim", "renew", "result", "log", "finish")
NOTHING = "a request for nothing (/livez)"
WAITED = "submission to finish, with agents that wait"


@dataclass
class Subject:
    """A hub that is measured, and what its processes used: seconds by step, of the hub and of PostgreSQL."""

    name: str
    hub: RunningHub
    body: bytes
    agents: list[Agent]
    lines: list[Line]
    idle: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("hub", "postgres"), 0.0))
    """Of a second, what each uses while nobody asks for anything."""
    spent: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Adds what the block took."""
        before, start = cpu_s(self.hub.process.pid), time.perf_counter()
        yield
        after, took = cpu_s(self.hub.process.pid), time.perf_counter() - start
        for kind, each_s in self.idle.items():
            self.spent[name][kind] += after[kind] - before[kind] - took * each_s

    async def look_idle(self) -> None:
        with self.step("idle"):
            await asyncio.sleep(IDLE_S)
        self.idle = {kind: spent / IDLE_S for kind, spent in self.spent.pop("idle").items()}

    async def round(self) -> None:
        """One job for each agent, step by step."""
        with self.step(NOTHING):
            await _all(self.agents, lambda agent: agent.told("GET", "/livez", b"", 200))
        with self.step("submit"):
            await self._submitted()
        with self.step("claim"):
            found = await _all(self.agents, lambda agent: agent.claim(0.0))
        attempts = {agent: one["attempt"] for agent, one in zip(self.agents, found, strict=True) if one is not None}
        assert len(attempts) == len(self.agents), "each agent has a job"
        with self.step("renew"):
            await _all(attempts, lambda agent: agent.renew(attempts[agent]))
        for what in ("result", "log"):
            with self.step(what):
                await _all(attempts, lambda agent, what=what: agent.send(attempts[agent], what))
        with self.step("finish"):
            assert all(await _all(attempts, lambda agent: agent.finish(attempts[agent])))

    async def waited_round(self) -> None:
        """As many jobs, come to agents that wait; two at a time, as if they came one after the other."""
        serving = [asyncio.create_task(_served(agent)) for agent in self.agents]
        with self.step(WAITED):
            await self._submitted(at_once=2)
            await asyncio.gather(*serving)

    async def _submitted(self, at_once: int = SUBMITTERS) -> None:
        left = list(self.agents)

        async def some(line: Line) -> None:
            while left:
                left.pop()
                try:
                    await submit(line, self.body)
                except LOST:  # the hub had closed the idle connection
                    await submit(line, self.body)

        await _all(self.lines[:at_once], some)


async def _served(agent: Agent) -> None:
    while (found := await agent.claim(20.0)) is None:
        pass
    assert await agent.leave(found)


async def _all(whom: Iterable[Any], do: Callable[[Any], Awaitable[Any]]) -> list[Any]:
    return list(await asyncio.gather(*map(do, whom)))


def started(stack: ExitStack, folder: Path, tree: Path, slots: int, result: bytes) -> Subject:
    """The hub of a checkout, in this one's environment of packages."""
    environment = {**UNLIMITED, "PYTHONPATH": str(tree / "src")}
    hub = stack.enter_context(running_hub(folder, "--no-agent", environment=environment))
    agents = [Agent([hub.url], hub.agent_token, number, result) for number in range(slots)]
    return Subject(tree.name, hub, b"", agents, users([hub.url], hub.token, SUBMITTERS))


async def measure(subjects: list[Subject], rounds: int) -> None:
    for one in subjects:
        await _all(one.agents, lambda agent: agent.claim(0.0))
        one.body = await asyncio.to_thread(submission, one.hub)
        for _ in range(WARM_UP):
            await one.round()
            await one.waited_round()
        one.spent.clear()
    for one in subjects:
        await one.look_idle()
    for _ in range(rounds):
        for one in subjects:
            await one.round()
    for _ in range(rounds):
        for one in subjects:
            await one.waited_round()


def table(subjects: list[Subject], jobs: int) -> Iterator[str]:
    heads = [f"{one.name}: {kind}" for one in subjects for kind in ("hub", "PostgreSQL")]
    yield f"| ms of processor time a job, {jobs} jobs | {' | '.join(heads)} |"
    yield f"|{'---|' * (len(heads) + 1)}"
    for name, steps in (
        *((one, (one,)) for one in STEPS),
        ("all of these", STEPS),
        (WAITED, (WAITED,)),
        (NOTHING, (NOTHING,)),
    ):
        figures = [sum(one.spent[step][kind] for step in steps) / jobs for one in subjects for kind in one.idle]
        yield f"| {name} | {' | '.join(f'{figure * 1e3:.2f}' for figure in figures)} |"
    own = [one.idle[kind] * 1e3 for one in subjects for kind in one.idle]
    yield f"| taken off: by itself, a second | {' | '.join(f'{figure:.1f}' for figure in own)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--slots", type=int, default=20)
    parser.add_argument(
        "--against", type=Path, action="append", default=[], help="another checkout; several may be named"
    )
    parser.add_argument("--result-bytes", type=int, default=50_000)
    asked = parser.parse_args()
    if asked.jobs % asked.slots:
        parser.error(f"--jobs {asked.jobs}: a multiple of --slots {asked.slots}")
    if missing := [one for one in asked.against if not (one / "src" / "dynolab").is_dir()]:
        parser.error(f"--against {missing[0]}: there is no src/dynolab below it")
    result = os.urandom(asked.result_bytes)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        subjects = [
            started(stack, Path(name, str(number)), tree.resolve(), asked.slots, result)
            for number, tree in enumerate((HERE, *asked.against))
        ]
        asyncio.run(measure(subjects, asked.jobs // asked.slots))
    print("\n".join(table(subjects, asked.jobs)))


if __name__ == "__main__":
    main()
