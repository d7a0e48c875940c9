"""The policy and its SQL say the same: every standing, each kind of thing, one row and lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from dataclasses import replace

from sqlalchemy import delete, insert, select, update

from dynolab.errors import Forbidden, NotFound
from dynolab.hub.store.tables import dataset, job, member, model, organisation, project, share
from dynolab.hub.usecases.access import ACTS, allowed_among, find_owned, find_visible, readable
from dynolab.hub.usecases.base import Account, new_id
from dynolab.hub.usecases.newest import Search, newest_ids
from dynolab.hub.usecases.policy import ROLES, Role, Standing, Verb, may
from dynolab.testing.bench import Bench, on_bench
from dynolab.testing.databases import OwnDatabase

Drill = Callable[[Bench], Awaitable[None]]
Run = Callable[[Drill], None]
TABLES = (job, model, dataset)


@pytest.fixture
def run(postgres: OwnDatabase, tmp_path: Path) -> Run:
    return lambda drill: on_bench(postgres, tmp_path, drill)


class World:
    """Two organisations, the first with two projects; things of two makers in each place; some are shared with everybody here."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.places: dict[str | None, str] = {}
        """Organisations by project."""
        self.roles: dict[tuple[int, str | None], Role] = {}
        """By account and project."""
        self.things: list[tuple[Any, str, Account, str | None, bool]] = []
        """Table, id, maker, project, whether it is shared."""

    async def add(self, table: Any, values: dict[str, Any]) -> None:
        async with self.bench.hub.database.begin() as connection:
            await connection.execute(insert(table).values(values))

    async def organisation(self, projects: int) -> list[str]:
        of = new_id("o")
        await self.add(organisation, {"id": of, "name": of})
        made = [new_id("r") for _ in range(projects)]
        for one in made:
            await self.add(project, {"id": one, "organisation_id": of, "name": one})
            self.places[one] = of
        return made

    async def role(self, account: Account, of: str, project_id: str | None, role: Role) -> None:
        await self.add(
            member, {"organisation_id": of, "project_id": project_id, "account_id": account.id, "role": role.word}
        )
        for one, place in self.places.items():
            if place == of and project_id in (None, one):
                held = self.roles.get((account.id, one))
                self.roles[account.id, one] = role if held is None else max(held, role)

    async def thing(self, table: Any, maker: Account, in_project: str | None, emails: list[str]) -> None:
        made = new_id(table.name[0])  # of which kind an id is, its letter tells
        values = {"id": made, "account_id": maker.id, "name": made, "in_project": in_project}
        if table is model:
            values |= {"kind": "onnx"}
        if table is job:
            of = await self.bench.model()
            values |= {"kind": "profile", "model_id": of, "device_name": "d", "device_os": "", "state": "done"}
        await self.add(table, values)
        for email in emails:
            await self.add(share, {"target_id": made, "email": email, "granted_by": maker.id})
        self.things.append((table, made, maker, in_project, bool(emails)))

    def standing(self, account: Account, maker: Account, in_project: str | None, shared: bool) -> Standing:
        if account.project_id not in (None, in_project):
            return Standing()
        role = self.roles.get((account.id, in_project))
        is_shared = shared and account.project_id is None
        return Standing(role, in_project is not None, is_maker=maker.id == account.id, is_shared=is_shared)


def listed_ids(table: Any, account: Account, only: list[Any], in_project: str | None = None, text: str = "") -> Any:
    """The statement for the ids that a list shows, as lists of jobs, models and datasets find them."""
    search = Search(text, ("id",), in_project=in_project)
    found = newest_ids(table, account.given, only, search.sought(account), limit=100)
    return select(found.c.id).params(**account.told, **search.told)


async def made_world(bench: Bench) -> tuple[World, list[Account]]:
    world = World(bench)
    one, two = await world.organisation(2)
    [far] = await world.organisation(1)
    people = [await bench.account() for _ in range(9)]
    stranger, *placed = people
    for account, role in zip(placed[:4], Role, strict=True):
        await world.role(account, world.places[one], None, role)
    for account, role in zip(placed[4:6], (Role.VIEWER, Role.MEMBER), strict=True):
        await world.role(account, world.places[one], one, role)
    await world.role(placed[6], world.places[one], None, Role.VIEWER)  # in all, and more than that in one
    await world.role(placed[6], world.places[one], two, Role.ADMIN)
    await world.role(placed[7], world.places[far], None, Role.OWNER)
    for account in (placed[1], placed[3]):
        await world.role(account, world.places[far], far, Role.VIEWER)
    emails = [one.email for one in people]
    for table in TABLES:
        for place in (None, one, two, far):
            for maker in (stranger, placed[1], placed[7]):
                await world.thing(table, maker, place, [])
            await world.thing(table, placed[2], place, emails)
    bound = [replace(account, project_id=place) for account in people for place in (one, two, far)]
    return world, [*people, *bound, replace(stranger, is_admin=True)]


def test_lists_single_things_and_acts_follow_the_policy(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        world, people = await made_world(bench)
        hub = bench.hub
        for account in people:
            for table in TABLES:
                mine = [one for one in world.things if one[0] is table]
                ids = [made for _, made, *_ in mine]
                expected = {made for _, made, *of in mine if may(Verb.READ, world.standing(account, *of))}
                async with hub.database.begin() as connection:
                    found = select(table.c.id).where(readable(table, account), table.c.id.in_(ids))
                    assert set((await connection.execute(found)).scalars()) == expected
                    only = [table.c.id.in_(ids)]
                    listed = listed_ids(table, account, only)
                    rows = list((await connection.execute(listed)).scalars())
                    assert (len(rows), set(rows)) == (len(expected), expected)
                    for text in (table.name[0], mine[0][1][:4]):  # a letter is looked for otherwise than several
                        listed = listed_ids(table, account, only, text=text)
                        rows = list((await connection.execute(listed)).scalars())
                        assert sorted(rows) == sorted(one for one in expected if text in one)
                    for place in world.places:
                        listed = listed_ids(table, account, only, in_project=place)
                        there = set((await connection.execute(listed)).scalars())
                        role = world.roles.get((account.id, place))
                        in_place = {made for _, made, _, at, _ in mine if at == place}
                        assert there == (in_place if role and account.project_id in (None, place) else set())
                    for act, verb in ACTS.items():
                        allowed = {made for _, made, *of in mine if may(verb, world.standing(account, *of))}
                        assert await allowed_among(connection, table, ids, account, act) == allowed

    run(drill)


def test_one_row_is_there_refused_or_not_there_as_the_policy_says(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        world, people = await made_world(bench)
        for account in people:
            for table, made, *of in world.things:
                stands = world.standing(account, *of)
                async with bench.hub.database.begin() as connection:
                    if not may(Verb.READ, stands):
                        with pytest.raises(NotFound):
                            await find_visible(connection, table, made, account)
                        continue
                    assert (await find_visible(connection, table, made, account, lock="share")).id == made
                    for act in ("rename", "delete"):
                        if may(ACTS[act], stands):
                            assert (await find_owned(connection, table, made, account, act, lock="own")).id == made
                        else:
                            with pytest.raises(Forbidden):
                                await find_owned(connection, table, made, account, act)

    run(drill)


def test_nobody_reads_what_is_deleted(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        world, people = await made_world(bench)
        ids = [made for table, made, *_ in world.things if table is model]
        async with bench.hub.database.begin() as connection:
            await connection.execute(update(model).where(model.c.id.in_(ids)).values(deleted_at=model.c.created_at))
            for account in people:
                only = [model.c.id.in_(ids)]
                listed = listed_ids(model, account, [*only, model.c.deleted_at.is_(None)])
                assert (await connection.execute(listed)).all() == []
                with pytest.raises(NotFound):
                    await find_visible(connection, model, ids[0], account)

    run(drill)


def test_a_role_that_is_taken_back_is_worth_nothing_at_once(run: Run) -> None:
    async def drill(bench: Bench) -> None:
        world, people = await made_world(bench)
        async with bench.hub.database.begin() as connection:
            await connection.execute(delete(member).where(member.c.account_id.in_([one.id for one in people])))
            for account in people:
                for table in TABLES:
                    found = select(table.c.id).where(readable(table, account), table.c.in_project.is_not(None))
                    shared = {made for of, made, _, at, is_shared in world.things if of is table and at and is_shared}
                    expected = shared if account.project_id is None else set()
                    assert set((await connection.execute(found)).scalars()) == expected

    run(drill)


def test_roles_are_kept_by_their_words() -> None:
    assert list(ROLES) == ["viewer", "member", "admin", "owner"]
