"""The policy as a table: every verb, for every standing."""

from __future__ import annotations

from itertools import product

import pytest

from dynolab.hub.usecases.policy import Role, Standing, Verb, least_roles, may, may_name

V, M, A, TOP = Role
STANDINGS = {
    "stranger": Standing(in_project=True),
    "viewer": Standing(V, in_project=True),
    "member": Standing(M, in_project=True),
    "admin": Standing(A, in_project=True),
    "owner": Standing(TOP, in_project=True),
    "hub admin": Standing(in_project=True, runs_hub=True),
    "its maker, a member": Standing(M, in_project=True, is_maker=True),
    "its maker, a viewer by now": Standing(V, in_project=True, is_maker=True),
    "its maker, out by now": Standing(in_project=True, is_maker=True),
    "shared with": Standing(in_project=True, is_shared=True),
    "personal: its maker": Standing(is_maker=True),
    "personal: shared with": Standing(is_shared=True),
    "personal: hub admin": Standing(runs_hub=True),
    "personal: nobody": Standing(),
}
THINGS = "read change share delete"
# fmt: off
TABLE = {
    "stranger": "",
    "viewer": "read see",
    "member": "read see create",
    "admin": f"{THINGS} see create manage",
    "owner": f"{THINGS} see create manage own",
    "hub admin": "see manage own run",
    "its maker, a member": f"{THINGS} see create",
    "its maker, a viewer by now": "read see",
    "its maker, out by now": "",
    "shared with": "read",
    "personal: its maker": THINGS,
    "personal: shared with": "read",
    "personal: hub admin": "see manage own run",
    "personal: nobody": "",
}
# fmt: on


@pytest.mark.parametrize("who", STANDINGS)
def test_each_may_what_the_table_says_and_nothing_else(who: str) -> None:
    assert {verb.value for verb in Verb if may(verb, STANDINGS[who])} == set(TABLE[who].split())


def test_every_standing_and_every_verb_are_in_the_table() -> None:
    assert set(TABLE) == set(STANDINGS)
    assert {verb.value for verb in Verb} == {word for words in TABLE.values() for word in words.split()}


@pytest.mark.parametrize("verb", Verb)
def test_a_higher_role_may_all_that_a_lower_one_may(verb: Verb) -> None:
    for made, shared in product((False, True), repeat=2):
        allowed = [may(verb, Standing(role, in_project=True, is_maker=made, is_shared=shared)) for role in Role]
        assert allowed == sorted(allowed)
    assert list(least_roles(verb)) == [role for role in Role if may(verb, Standing(role, in_project=True))]


def test_who_names_whom() -> None:
    for named, becomes in product((None, V, M, A, TOP), repeat=2):
        takes_an_owner = TOP in (named, becomes)
        for role in (None, V, M, A, TOP):
            expected = role is TOP or (role is A and not takes_an_owner)
            assert may_name(Standing(role, in_project=True), named, becomes) == expected
        assert may_name(Standing(runs_hub=True), named, becomes)
