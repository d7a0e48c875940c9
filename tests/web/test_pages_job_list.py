"""What is done from the list of jobs, in a real Chromium: filters, selecting, the menu of a row, pages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

Visit = Callable[..., Any]
NOBODYS = {"name": "Nobody's Phone", "os": "14", "attributes": []}


@pytest.fixture(scope="module")
def model_id(seeded: Any) -> str:
    """A model, and a device that never takes a job."""
    door = seeded.door
    seeded.announce(door, device_id="nobody-1", name=NOBODYS["name"])
    return str(seeded.model("a net to list"))


@pytest.fixture
def wait(seeded: Any, model_id: str) -> Callable[..., str]:
    """Submits a job that waits for as long as the tests run; its id."""

    def submitted(name: str, **asked: Any) -> str:
        return str(seeded.submit(name, model_id, device=NOBODYS, **asked))

    return submitted


def row(page: Any, name: str) -> Any:
    """The job's row."""
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader").filter(has_text=name))


def choose(page: Any, name: str, action: str) -> None:
    """Opens the menu of a row, and takes what it offers."""
    page.get_by_role("button", name=f"Actions: {name}", exact=True).click()
    row(page, name).get_by_role("button", name=action, exact=True).click()


def select(page: Any, *names: str) -> None:
    for name in names:
        page.get_by_label(f"Select {name}", exact=True).check()


def told(page: Any) -> str:
    """What the page says was done."""
    return " ".join(page.locator("#flash").inner_text().split())


# ---- filters --------------------------------------------------------------------------------------------------------


def test_jobs_are_found_by_their_models_name_and_by_its_id(seeded: Any, wait: Any, model_id: str, visit: Visit) -> None:
    wait("Of the listed net")
    seeded.submit("Of another net", device=NOBODYS)
    page = visit("/jobs/")
    page.get_by_text("More filters").click()
    page.get_by_label("Model", exact=True).fill("a net to list")
    row(page, "Of another net").wait_for(state="detached")
    assert row(page, "Of the listed net").count() == 1
    page.goto(f"/jobs/?model={model_id}")
    assert row(page, "Of the listed net").count() == 1
    assert row(page, "Of another net").count() == 0
    assert page.get_by_label("Model", exact=True).input_value() == model_id
    page.goto("/jobs/?model=no+such+net")
    page.get_by_text("No job matches.").wait_for()


def test_the_fields_offer_what_jobs_were_about_lately(seeded: Any, wait: Any, visit: Visit) -> None:
    wait("Offers its names")
    page = visit("/jobs/", java_script_enabled=False)
    offered = {
        label: page.get_by_label(label, exact=True).evaluate("field => [...field.list.options].map(one => one.value)")
        for label in ("Model", "Device", "Creator")
    }
    assert "a net to list" in offered["Model"]
    assert NOBODYS["name"] in offered["Device"]
    assert offered["Creator"] == ["admin@localhost"]


def test_several_states_are_chosen_at_once_also_without_scripts(seeded: Any, wait: Any, visit: Visit) -> None:
    seeded.done("Several: done")
    wait("Several: queued")
    seeded.api("POST", f"jobs/{wait('Several: cancelled')}/cancel")
    page = visit("/jobs/?text=Several", java_script_enabled=False)
    for state in ("queued", "cancelled"):
        page.get_by_role("group", name="State").get_by_label(state).check()
    page.get_by_role("button", name="Filter").click()
    row(page, "Several: done").wait_for(state="detached")
    for name in ("Several: queued", "Several: cancelled"):
        row(page, name).wait_for()
    assert page.get_by_role("group", name="State").get_by_label("queued").is_checked()
    assert not page.get_by_role("group", name="State").get_by_label("done").is_checked()


def test_what_is_no_state_and_no_kind_is_named_with_those_that_are(wait: Any, visit: Visit) -> None:
    wait("Of a known state")
    page = visit("/jobs/?state=bogus&state=queued&kind=<i>all&kind=", java_script_enabled=False)
    known = "queued, preparing, running, done, failed, cancelled"
    assert page.locator(".notice").all_inner_texts() == [
        f"Unknown state “bogus” ignored. Valid states: {known}.",
        "Unknown kind “<i>all” ignored. Valid kinds: profile, inference, compare, compile, quantize, link.",
    ]
    assert row(page, "Of a known state").count() == 1
    page = visit("/jobs/?state=bogus")
    page.get_by_role("group", name="State").get_by_label("queued").check()
    page.locator(".notice").wait_for(state="detached")


# ---- one job --------------------------------------------------------------------------------------------------------


def test_a_job_is_renamed_cancelled_shared_run_again_and_deleted_from_its_row(wait: Any, visit: Visit) -> None:
    job_id = wait("In a row")
    page = visit("/jobs/?text=row")
    choose(page, "In a row", "Rename…")
    asks = page.get_by_role("dialog", name="Rename “In a row”")
    asks.get_by_label("Name").fill("In the row")
    asks.get_by_role("button", name="Rename").click()
    page.wait_for_url("**/jobs/?text=row")
    assert told(page) == "The job is now called “In the row”."
    choose(page, "In the row", "Share…")
    page.get_by_role("dialog").get_by_label("E-mail address").fill("friend@example.org")
    page.get_by_role("dialog").get_by_role("button", name="Share").click()
    page.get_by_text("“In the row” is shared with friend@example.org.").wait_for()
    assert page.get_by_text("This address has no account here yet.").is_visible()
    choose(page, "In the row", "Share…")
    page.get_by_role("dialog").get_by_text("friend@example.org").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    page.get_by_text("“In the row” is no longer shared with friend@example.org.").wait_for()
    choose(page, "In the row", "Cancel")
    page.get_by_text("“In the row” is cancelled").wait_for()
    assert "cancelled" in row(page, "In the row").inner_text()
    choose(page, "In the row", "Run again")
    page.get_by_text("“In the row” was submitted again: j").wait_for()
    assert row(page, "In the row").count() == 2
    assert page.url.endswith("/jobs/?text=row")
    page.goto(f"/jobs/?text={job_id}")
    assert page.locator("#flash").count() == 0  # it was told once
    choose(page, "In the row", "Delete…")
    page.get_by_role("dialog", name="Delete “In the row”?").get_by_role("button", name="Delete permanently").click()
    page.get_by_text("“In the row” is deleted.").wait_for()
    page.get_by_text("No job matches.").wait_for()


def test_without_scripts_a_page_asks_and_leads_back(seeded: Any, visit: Visit) -> None:
    seeded.done("Plain <b>one")
    page = visit("/jobs/?text=Plain&state=done", java_script_enabled=False)
    choose(page, "Plain <b>one", "Rename…")
    page.get_by_role("heading", level=1, name="Rename “Plain <b>one”", exact=True).wait_for()
    page.get_by_label("Name").fill("Plain two")
    page.get_by_role("button", name="Rename").click()
    assert told(page) == "The job is now called “Plain two”."
    assert page.url.endswith("/jobs/?text=Plain&state=done")
    choose(page, "Plain two", "Delete…")
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("**/jobs/?text=Plain&state=done")
    choose(page, "Plain two", "Delete…")
    page.get_by_role("button", name="Delete permanently").click()
    assert told(page) == "“Plain two” is deleted."
    assert page.url.endswith("/jobs/?text=Plain&state=done")


def test_of_anothers_job_only_what_one_may_do_is_offered(seeded: Any, wait: Any, visit: Visit) -> None:
    token = seeded.account("guest@example.org")
    job_id = wait("Shared with a guest")
    seeded.api("PATCH", f"jobs/{job_id}/sharing", json={"add": ["guest@example.org"]})
    page = visit("/jobs/", token=token)
    page.get_by_role("button", name="Actions: Shared with a guest").click()
    assert row(page, "Shared with a guest").locator("td.does").get_by_role("button").all_inner_texts()[1:] == [
        "Run again"
    ]
    page.keyboard.press("Escape")
    select(page, "Shared with a guest")
    page.get_by_role("group", name="Selected").get_by_role("button", name="Delete…").click()
    asks = page.get_by_role("dialog", name="This cannot be done")
    assert "Shared with a guest: it belongs to admin@localhost" in asks.inner_text()
    assert asks.get_by_role("button").count() == 0
    asks.get_by_role("link", name="Back").click()
    page.get_by_role("group", name="Selected").get_by_role("button", name="Cancel").click()
    page.get_by_text("Not cancelled:").wait_for()
    assert f"Shared with a guest: the job {job_id} is another's: only its owner may cancel it" in told(page)


# ---- several jobs ---------------------------------------------------------------------------------------------------


def test_several_are_cancelled_and_what_cannot_be_is_named(seeded: Any, wait: Any, visit: Visit) -> None:
    seeded.done("Batch over")
    for name in ("Batch one", "Batch two"):
        wait(name)
    page = visit("/jobs/?text=Batch")
    selected = page.get_by_role("group", name="Selected")
    row(page, "Batch one").wait_for()
    assert not page.locator(".selected").is_visible()  # what acts on the selected is there with the first of them
    page.get_by_label("Select all on this page").check()
    assert "(3)" in selected.inner_text()
    selected.get_by_role("button", name="Cancel").click()
    page.get_by_text("2 jobs are cancelled").wait_for()
    assert re.search("Not cancelled: Batch over: the job j[a-z0-9]+ is over already: it is done", told(page))
    assert page.url.endswith("/jobs/?text=Batch")
    assert row(page, "Batch over").get_by_text("done").count() == 1


def test_several_are_deleted_after_a_question_that_names_what_stays(wait: Any, seeded: Any, visit: Visit) -> None:
    for name in ("Heap one", "Heap two"):
        seeded.api("POST", f"jobs/{wait(name)}/cancel")
    wait("Heap alive")
    page = visit("/jobs/?text=Heap", java_script_enabled=False)
    select(page, "Heap one", "Heap two", "Heap alive")
    page.get_by_role("button", name="Delete…").last.click()
    page.get_by_role("heading", level=1, name="Delete 2 jobs?", exact=True).wait_for()
    assert "Heap alive: still queued or running, cancel it first" in page.get_by_role("main").inner_text()
    page.get_by_role("button", name="Delete permanently").click()
    assert told(page) == "2 jobs are deleted."
    assert [row(page, f"Heap {name}").count() for name in ("one", "two", "alive")] == [0, 0, 1]


def test_several_run_again_in_their_order_and_are_compared(seeded: Any, wait: Any, visit: Visit) -> None:
    for name in ("Trio first", "Trio second"):
        seeded.done(name)
    wait("Trio third")
    page = visit("/jobs/?text=Trio")
    select(page, "Trio second", "Trio third")
    page.get_by_role("group", name="Selected").get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text("Nothing was compared, because these cannot be:").wait_for()
    assert "Trio third: the job" in told(page)
    assert "Trio second" not in told(page)
    select(page, "Trio second", "Trio first")
    page.get_by_role("group", name="Selected").get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", name="2 jobs compared").wait_for()
    page.goto("/jobs/?text=Trio")
    select(page, "Trio first", "Trio second")
    page.get_by_role("group", name="Selected").get_by_role("button", name="Run again").click()
    page.get_by_text("2 jobs were submitted again.").wait_for()
    names = page.get_by_role("rowheader").get_by_role("link").all_inner_texts()
    assert names == ["Trio second", "Trio first", "Trio third", "Trio second", "Trio first"]
    page.get_by_label("Select all on this page").check()
    page.get_by_role("group", name="Selected").get_by_role("button", name="Cancel").click()
    page.get_by_text("3 jobs are cancelled").wait_for()


def test_what_no_page_sends_is_answered_and_not_a_failure(seeded: Any, wait: Any) -> None:
    job_id = wait("Not to be broken")
    with httpx.Client(base_url=seeded.url, timeout=30) as browser:
        own = {"Origin": seeded.url, "Sec-Fetch-Site": "same-origin"}
        browser.post("/sign-in", data={"token": seeded.hub.token}, headers=own)
        ids = ["jnothing", job_id, job_id, "j\x00"]
        sent = {"job": ids, "next": "https://evil.example/jobs/"}
        answer = browser.post("/jobs/selected/cancel", data=sent, headers=own)
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/")
        page = browser.get("/jobs/").text
        assert "“Not to be broken” is cancelled" in page
        assert "there is no job &#39;jnothing&#39;" in page
        assert "“Not to be broken” is cancelled" not in browser.get("/jobs/").text
        assert browser.post("/jobs/selected/cancel", data=sent).status_code == 403
        many = {"job": [f"j{secrets.token_hex(40)}" for _ in range(150)]}
        assert browser.post("/jobs/selected/delete", data=many, headers=own).status_code == 303
        page = browser.get("/jobs/").text
        assert page.count("there is no job") + int(re.findall(r"and (\d+) more", page)[0]) == 150
        assert browser.get("/jobs/jnothing/delete").status_code == 404
        for forged in ("rubbish", "e30=", "eJyrVkrOL80rUbIy1FEqzyzJUFKyUspLzFWyUtJRykpVslLKykxRqgUA4mgMUA=="):
            browser.cookies.set("dynolab_flash", forged, path="/jobs/")
            assert browser.get("/jobs/").status_code == 200


# ---- the list goes on living ----------------------------------------------------------------------------------------


def test_a_living_list_keeps_menu_ticks_and_focus(wait: Any, seeded: Any, visit: Visit) -> None:
    for name in ("Alive one", "Alive two"):
        wait(name)
    page = visit("/jobs/?text=Alive")
    select(page, "Alive two")
    page.get_by_role("button", name="Actions: Alive one").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    menu = row(page, "Alive one").get_by_role("button", name="Run again")
    assert menu.is_visible()
    fresh = wait("Alive three")
    row(page, "Alive three").wait_for()  # a row came in above the others
    seeded.api("POST", f"jobs/{fresh}/cancel")
    row(page, "Alive three").get_by_text("cancelled").wait_for()
    seeded.api("DELETE", f"jobs/{fresh}")
    row(page, "Alive three").wait_for(state="detached")
    assert menu.is_visible()
    assert menu.evaluate("button => button === document.activeElement")
    assert page.get_by_label("Select Alive two").is_checked()
    assert "(1)" in page.get_by_role("group", name="Selected").inner_text()
    page.keyboard.press("Escape")
    menu.wait_for(state="hidden")
    assert page.get_by_role("button", name="Actions: Alive one").evaluate("one => one === document.activeElement")


def test_what_asks_stays_open_while_the_list_changes_and_gives_the_focus_back(wait: Any, visit: Visit) -> None:
    wait("Asked about")
    page = visit("/jobs/?text=Asked")
    choose(page, "Asked about", "Rename…")
    name = page.get_by_role("dialog").get_by_label("Name")
    name.fill("Half typed")
    wait("Asked meanwhile")
    page.locator("tr", has_text="Asked meanwhile").wait_for()
    assert name.input_value() == "Half typed"
    assert name.evaluate("field => field === document.activeElement")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    assert page.get_by_role("button", name="Actions: Asked about").evaluate("one => one === document.activeElement")


def test_an_empty_list_stays_one_and_a_name_is_not_taken_for_an_address(seeded: Any, wait: Any, visit: Visit) -> None:
    page = visit("/jobs/", token=seeded.account("nobody@example.org"))
    with page.expect_response("**/jobs/?seen=*"):
        pass
    page.get_by_text("There are no jobs yet.").wait_for()
    assert page.locator("pre").inner_text().splitlines()[0] == f"dynolab login {seeded.url}"
    assert re.search(r"dynolab submit profile MODEL --device '(Bench|Nobody)", page.locator("pre").inner_text())
    assert page.get_by_role("search").count() == 0  # there is nothing to filter
    wait("seen=0 in a name")
    page = visit("/jobs/?text=seen")
    page.get_by_text("More filters").click()
    assert page.get_by_label("Model", exact=True).get_attribute("placeholder") == "whole name, or id"
    with page.expect_response(lambda answer: answer.status == 204):
        pass
    assert row(page, "seen=0 in a name").count() == 1


# ---- pages ----------------------------------------------------------------------------------------------------------


def many(seeded: Any, where: str, bodies: list[dict[str, Any]]) -> None:
    """Makes models or jobs over one connection."""
    headers = {"Authorization": f"Bearer {seeded.hub.token}"}
    with httpx.Client(base_url=f"{seeded.url}/api/hub/v1/", headers=headers, timeout=30) as client:
        for body in bodies:
            client.post(where, json=body).raise_for_status()


def turn(page: Any, name: str) -> None:
    page.get_by_role("link", name=name).click()
    page.wait_for_load_state()


def shown(page: Any) -> list[str]:
    return list(page.get_by_role("rowheader").get_by_role("link").all_inner_texts())


def test_pages_lead_on_and_back_and_an_action_keeps_the_page(
    seeded: Any, wait: Any, model_id: str, visit: Visit
) -> None:
    names = [f"Paged {number:03}" for number in range(120)]
    asked = {"kind": "profile", "model_id": model_id, "device": NOBODYS}
    many(seeded, "jobs", [{**asked, "name": name} for name in names])
    names.reverse()
    page = visit("/jobs/?text=Paged")
    assert shown(page) == names[:50]
    assert page.get_by_role("link", name="Previous page").count() == 0
    turn(page, "Next page")
    assert shown(page) == names[50:100]
    turn(page, "Next page")
    assert shown(page) == names[100:]
    assert page.get_by_role("link", name="Next page").count() == 0
    choose(page, names[110], "Cancel")
    page.get_by_text(f"“{names[110]}” is cancelled").wait_for()
    assert shown(page) == names[100:]
    turn(page, "Previous page")
    assert shown(page) == names[50:100]
    wait("Paged anew")
    turn(page, "Next page")
    assert shown(page) == names[100:]
    turn(page, "Previous page")
    turn(page, "Previous page")
    assert shown(page) == names[:50]  # what came in meanwhile has not shifted it
    turn(page, "Previous page")
    assert shown(page) == ["Paged anew", *names[:49]]
    assert page.get_by_role("link", name="First page").count() == 0
    page.goto("/jobs/?after=rubbish")
    assert "after='rubbish' is no place in a list" in page.get_by_role("alert").inner_text()


def test_models_and_a_boards_history_lead_back_too(seeded: Any, wait: Any, visit: Visit) -> None:
    names = [f"shelved {number:02}" for number in range(60)]
    many(seeded, "models", [{"name": name, "kind": "onnx", "is_directory": False} for name in names])
    names.reverse()
    page = visit("/models/?text=shelved")
    turn(page, "Next page")
    assert shown(page) == names[50:]
    turn(page, "Previous page")
    assert shown(page) == names[:50]
    done = [f"History {number:02}" for number in range(27)]
    for name in done:
        seeded.done(name)
    done.reverse()
    page.goto("/devices/bench-1")
    assert shown(page) == done[:25]
    turn(page, "Next page")
    assert shown(page)[:2] == done[25:]
    turn(page, "Previous page")
    assert shown(page) == done[:25]


# ---- the frame ------------------------------------------------------------------------------------------------------


def test_trends_are_in_the_navigation_and_the_foot_stands_under_the_content(visit: Visit) -> None:
    page = visit("/jobs/", viewport={"width": 1700, "height": 900})
    left = """at => {
        const one = document.querySelector(at);
        return Math.round(one.getBoundingClientRect().left + parseFloat(getComputedStyle(one).paddingLeft));
    }"""
    for path in ("/jobs/", "/account/", "/definitions"):
        page.goto(path)
        assert page.evaluate(left, "footer.site") == page.evaluate(left, "main"), path
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Trends").click()
    page.wait_for_url("**/trends")
    assert page.get_by_role("navigation", name="Main").locator("[aria-current]").inner_text() == "Trends"
