"""The page of people, for those who run the hub: found, made, closed, opened again; and for nobody else."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("pgqueuer")

from .conftest import Seeded

Visit = Callable[..., Any]


def new(seeded: Seeded, *more: str) -> tuple[str, str]:
    """The address and the token of somebody new."""
    email = f"one-{secrets.token_hex(4)}@example.org"
    return email, seeded.account(email, *more)


def row_of(page: Any, email: str) -> Any:
    """The row of one account, on the page that shows it alone."""
    page.goto(f"/people/?text={email}")
    return page.get_by_role("row").filter(has_text=email)


def test_it_is_in_the_menu_of_those_who_run_the_hub_alone(seeded: Seeded, visit: Visit) -> None:
    page = visit("/jobs/")
    page.locator("details.menu > summary").first.click()
    page.get_by_role("link", name="People").click()
    assert page.get_by_role("heading", level=1).inner_text() == "People"
    _, token = new(seeded)
    other = visit("/jobs/", token=token)
    other.locator("details.menu > summary").first.click()
    assert other.get_by_role("link", name="People").count() == 0
    answer = other.goto("/people/")
    assert answer.status == 403
    assert "for those who run the hub" in other.get_by_role("main").inner_text()


def test_an_account_is_made_and_its_token_is_shown_once(seeded: Seeded, visit: Visit) -> None:
    page, email = visit("/people/"), f"made-{secrets.token_hex(4)}@example.org"
    form = page.get_by_role("form", name="Make an account")
    form.get_by_label("E-mail address").fill(email)
    form.get_by_label("Name").fill("Máté 陈")
    form.get_by_role("button").click()
    page.get_by_role("heading", name=f"The account {email} is made").wait_for()
    secret = page.get_by_label(f"Token of {email}").input_value()
    assert "Máté 陈" in page.get_by_role("row").filter(has_text=email).inner_text()
    page.reload()
    assert page.get_by_label(f"Token of {email}").count() == 0
    theirs = visit("/account/", token=secret)
    assert email in theirs.get_by_role("main").inner_text()


def test_what_is_wrong_with_an_address_is_told_in_the_form(seeded: Seeded, visit: Visit) -> None:
    email, _ = new(seeded)
    page = visit("/people/")
    form = page.get_by_role("form", name="Make an account")
    form.get_by_label("E-mail address").fill(email)
    form.get_by_label("runs the hub").check()
    form.get_by_role("button").click()
    assert "already" in page.get_by_role("alert").inner_text()
    form = page.get_by_role("form", name="Make an account")
    assert form.get_by_label("E-mail address").input_value() == email
    assert form.get_by_label("runs the hub").is_checked()
    assert page.evaluate("document.activeElement.name") == "email"


def test_an_account_is_closed_and_opened_again_by_keys_alone(seeded: Seeded, visit: Visit) -> None:
    email, token = new(seeded)
    page = visit("/people/")
    row = row_of(page, email)
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    assert "Its tokens are revoked" in row.inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Close the account"
    page.keyboard.press("Enter")
    told = page.get_by_role("status").filter(has_text=f"{email} is closed")
    told.wait_for()
    assert re.search(rf"/people/\?text={email.replace('@', '%40')}$", page.url), "where the list stood"
    row = page.get_by_role("row").filter(has_text=email)
    assert "closed" in row.inner_text()
    refused = seeded.http.get(f"{seeded.url}/api/hub/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    row.locator("summary").click()
    row.get_by_role("button", name="Open the account").click()
    page.get_by_role("status").filter(has_text=f"{email} is open again").wait_for()
    assert "closed" not in page.get_by_role("row").filter(has_text=email).inner_text()


def test_running_the_hub_is_given_and_ended_but_not_ones_own(seeded: Seeded, visit: Visit) -> None:
    email, token = new(seeded)
    page = visit("/people/")
    row = row_of(page, email)
    row.locator("summary").click()
    row.get_by_role("button", name="Let them run the hub").click()
    page.get_by_role("status").filter(has_text=f"{email} runs the hub now").wait_for()
    theirs = visit("/people/?state=admin", token=token)
    mine = theirs.get_by_role("row").filter(has_text=email)
    assert "you" in mine.inner_text()
    assert mine.locator("summary").count() == 0
    row = page.get_by_role("row").filter(has_text=email)
    row.locator("summary").click()
    row.get_by_role("button", name="Take this right away").click()
    page.get_by_role("status").filter(has_text=f"{email} does not run the hub any more").wait_for()
    assert theirs.goto("/people/").status == 403


def test_what_cannot_be_done_is_told_above_the_list(seeded: Seeded, visit: Visit) -> None:
    email, _ = new(seeded)
    name = f"team-{secrets.token_hex(3)}"
    seeded.api("POST", "organisations", json={"name": name, "owner": email})
    row = row_of(visit("/people/"), email)
    row.locator("summary").click()
    row.get_by_role("button", name="Close the account").click()
    page = row.page
    alert = page.get_by_role("alert")
    assert f"is the only owner of {name}" in alert.inner_text()
    assert email in page.get_by_role("row").last.inner_text(), "the filter stays"
    page.get_by_role("button", name="中文").click()
    page.wait_for_url(re.compile("/people/"))
    page.get_by_role("button", name="English").click()


def test_the_list_is_narrowed_while_one_types(seeded: Seeded, visit: Visit) -> None:
    email, _ = new(seeded, "--name", "Zoë Quartz")
    page = visit("/people/")
    page.get_by_label("Name or address").press_sequentially("quartz")
    page.wait_for_url(re.compile("text=quartz"))
    rows = page.get_by_role("region", name="People").get_by_role("row")
    rows.filter(has_text=email).wait_for()
    assert rows.count() == 2  # with the heading
    page.get_by_label("State").select_option("closed")
    page.get_by_text("No account matches").wait_for()
    page.get_by_role("link", name="Show all").click()
    page.get_by_role("row").filter(has_text="admin@localhost").wait_for()
