"""The pages of organisations, projects and their people: forms that are refused, invitations, and what is asked about first."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("pgqueuer")


from dynolab.testing.databases import OwnDatabase

from .conftest import Seeded

Visit = Callable[..., Any]


@dataclass
class Team:
    """An organisation with one project, an owner, and a member of the project alone; both by their tokens."""

    seeded: Seeded
    name: str
    owner: str
    guest: str
    guests_email: str

    @property
    def place(self) -> str:
        return f"/organisations/{self.name}/"

    def ask(self, token: str, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        answer = self.seeded.http.request(method, f"{self.seeded.url}/api/hub/v1{path}", headers=headers, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def team(seeded: Seeded) -> Team:
    mark = secrets.token_hex(3)
    emails = f"owner-{mark}@example.org", f"guest-{mark}@example.org"
    owner, guest = (seeded.account(one) for one in emails)
    made = Team(seeded, f"team-{mark}", owner, guest, emails[1])
    seeded.api("POST", "organisations", json={"name": made.name, "owner": emails[0]})
    made.ask(owner, "POST", f"/organisations/{made.name}/projects", {"name": "vision"})
    made.ask(owner, "PUT", f"/projects/{made.name}.vision/members/{emails[1]}", {"role": "viewer"})
    return made


def test_a_form_that_is_refused_says_so_in_its_place_and_keeps_what_was_typed(team: Team, visit: Visit) -> None:
    page = visit(team.place, token=team.owner)
    form = page.get_by_role("form", name="Add a member")
    form.get_by_label("E-mail address").fill("ghost@example.org")
    form.get_by_role("combobox").select_option("viewer")
    form.get_by_role("button", name="Add a member").click()
    alert = page.get_by_role("alert")
    assert "no account 'ghost@example.org'" in alert.inner_text()
    field = form.get_by_label("E-mail address")
    assert field.input_value() == "ghost@example.org"
    assert form.get_by_role("combobox").input_value() == "viewer"
    assert page.evaluate("document.activeElement.name") == "email"
    assert field.get_attribute("aria-describedby") == alert.get_attribute("id")
    page.get_by_role("button", name="中文").click()
    page.wait_for_url(re.compile(f"{team.place}$"))  # the page, not the address that only takes forms
    page.get_by_role("button", name="English").click()


@pytest.mark.parametrize(
    ("form", "fields", "button", "said"),
    [
        ("Make a project", {"Name": "vision"}, "Make a project", "already"),
        ("Make a project", {"Name": "x" * 60}, "Make a project", "40 at most"),
        ("Make a project", {"Name": "Not This"}, "Make a project", "small letters"),
        ("Make a project", {"Name": ""}, "Make a project", "small letters"),
    ],
)
def test_what_is_wrong_with_a_name_is_told_beside_it(
    team: Team, visit: Visit, form: str, fields: dict[str, str], button: str, said: str
) -> None:
    page = visit(team.place, token=team.owner)
    found = page.get_by_role("form", name=form)
    for label, text in fields.items():
        field = found.get_by_label(label)
        field.evaluate("one => ['pattern', 'maxlength', 'required'].forEach(name => one.removeAttribute(name))")
        field.fill(text)
    found.get_by_role("button", name=button).click()
    assert said in page.get_by_role("alert").inner_text()
    for label, text in fields.items():
        assert page.get_by_role("form", name=form).get_by_label(label).input_value() == text
    assert page.get_by_role("heading", level=1).inner_text() == team.name


def test_an_invitation_is_listed_until_it_is_withdrawn(team: Team, visit: Visit) -> None:
    page = visit(team.place, token=team.owner)
    page.get_by_role("button", name="Make an invitation link").click()
    link = page.get_by_role("region", name="Link", exact=True).inner_text().strip()
    rows = page.get_by_role("region", name="Open invitations").get_by_role("row")
    assert rows.count() == 2  # with the heading
    rows.last.get_by_role("button", name=re.compile("^Withdraw")).click()
    page.get_by_text("The invitation is withdrawn").wait_for()
    assert page.get_by_role("region", name="Open invitations").count() == 0
    invited = visit(link, token=team.guest)
    assert "not valid, or not any more" in invited.get_by_role("alert").inner_text()


def test_who_is_in_one_project_alone_sees_no_empty_list_of_members(team: Team, visit: Visit) -> None:
    page = visit(team.place, token=team.guest)
    assert page.get_by_role("heading", name="Projects").is_visible()
    assert page.get_by_role("heading", name="Members").count() == 0
    page.get_by_role("link", name=f"{team.name}.vision").click()
    assert team.guests_email in page.get_by_role("region", name="Members", exact=True).inner_text()


def test_a_tokens_row_says_which_project_it_is_bound_to(team: Team, visit: Visit) -> None:
    page = visit("/account/", token=team.owner)
    page.get_by_label("Label").fill("builds")
    page.get_by_label("Project").select_option(label=f"{team.name}.vision")
    page.get_by_role("button", name="Create token").click()
    row = page.get_by_role("region", name="Tokens").get_by_role("row").filter(has_text="builds")
    assert f"{team.name}.vision alone" in row.inner_text()


def age(postgres: OwnDatabase, job_id: str) -> None:
    """Have the job be over for ten days."""
    then = "created_at - interval '10 days'"
    postgres.rows(f"UPDATE job SET created_at = {then}, finished_at = {then} WHERE id = $1", job_id)


def test_days_by_which_results_go_are_asked_about_first(seeded: Seeded, visit: Visit, postgres: OwnDatabase) -> None:
    age(postgres, seeded.done("long ago"))
    page = visit("/account/")

    def set_days(days: str) -> None:
        page.get_by_label("Days kept").fill(days)
        page.get_by_role("button", name="Set days").click()

    set_days("20")
    page.get_by_text("Retention is set.").wait_for()
    set_days("5")
    page.get_by_role("heading", name="Delete what is older than 5 days?").wait_for()
    assert "1 finished jobs" in page.locator("main").inner_text()
    page.get_by_role("link", name="Back").click()
    assert page.get_by_label("Days kept").input_value() == "20"
    set_days("5")
    page.get_by_role("button", name="Delete permanently").click()
    page.get_by_text("Retention is set.").wait_for()
    assert page.get_by_label("Days kept").input_value() == "5"
    set_days("")
    page.get_by_text("Retention is set.").wait_for()
