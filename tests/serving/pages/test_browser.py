"""The pages in a real browser: what axe finds, on a phone, on paper, and what scripts add."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from serving import decisions
from serving.decisions import DecisionIn
from serving.keys import Caller
from serving.pages.session import COOKIE
from serving.pages.site import page_of


def answers(service: Any) -> list[dict[str, Any]]:
    return [body["answer"] for body in service.journal() if "answer" in body]


def riskiest(service: Any) -> str:
    best = max(answers(service), key=lambda answer: answer["incident_probability"] or 0)
    return page_of(best["change_id"])


def of_band(service: Any, band: str) -> str:
    return next(a["change_id"] for a in answers(service) if a["risk_band"] == band)


@pytest.fixture(scope="session")
def places(scored: Any, organisation_made: Any) -> dict[str, str]:
    """A page of every kind."""
    past = next(r for r in organisation_made.records if type(r).__name__ == "ChangeEvent")
    return {
        "agenda": "/?days=28",
        "no match": "/?service=Nobody",
        "change": riskiest(scored),
        "past change": page_of(past.change_id),
        "record": "/track-record",
        "try": "/try?short_description=Upgrade+the+database&backout_plan=none",
        "schedule": "/schedule",
        "snapshots": "/snapshots",
    }


PLACES = ["agenda", "no match", "change", "past change", "record", "try", "schedule",
          "snapshots"]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    look: Callable[..., Any],
    site: Any,
    places: dict[str, str],
    place: str,
    violations: Callable[..., list[Any]],
) -> None:
    tab = look(site, bypass_csp=True, reduced_motion="reduce")
    page = tab.open(places[place])
    assert violations(page) == []


def test_axe_finds_nothing_in_the_states_of_a_decision(
    look: Callable[..., Any],
    site_of: Callable[..., Any],
    places: dict[str, str],
    violations: Callable[..., list[Any]],
) -> None:
    site = site_of(own_view="ask")
    tab = look(site, bypass_csp=True, reduced_motion="reduce")
    page = tab.open(places["change"])
    expect(page.get_by_text("Your own view comes first")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name="Show the score without my view").click()
    page.get_by_role("button", name="Record decision").click()
    expect(page.get_by_text("Choose what to decide.")).to_be_visible()
    assert violations(page, "#decision") == []
    other = Caller(key_id="k2", name="Ines Ferreira", role="approver")
    asked = DecisionIn(decision="reject", reason="The vendor asks to wait a week.")
    change_id = places["change"].rpartition("/")[2]
    decisions.decide(site.service.store, change_id, asked, other, now=site.service.clock.now)
    decide_with(page, REASON)
    expect(page.get_by_text("Somebody else decided while you were writing.")).to_be_visible()
    assert violations(page, "#decision") == []
    page.reload()
    expect(page.locator("#decision-head")).to_have_text("Rejected")
    assert violations(page, "#decision") == []
    page.goto(site.address)
    page.get_by_role("button", name="Freeze for the meeting").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Agenda as of")
    withdrawn = of_band(site.service, "low")
    path = f"/v1/changes/{withdrawn}/outcome"
    gone = {"kind": "closed", "code": "withdrawn"}
    assert site.service.ask("POST", path, json=gone).status_code == 201
    page.reload()
    expect(page.get_by_text("Not on the agenda any more").first).to_be_visible()
    assert violations(page) == []
    page.goto(site.address + page_of(withdrawn))
    expect(page.get_by_text("This change was withdrawn")).to_be_visible()
    assert violations(page) == []
    assert all("422" in fault or "409" in fault for fault in tab.faults)
    tab.faults.clear()  # the browser itself tells of answers that refuse


def test_filters_swap_the_list_and_stand_in_the_address(
    look: Callable[..., Any], site: Any
) -> None:
    page = look(site).open("/?days=28")
    before = page.locator(".what").count()
    page.get_by_label("Band").focus()
    page.get_by_label("Band").select_option("low")
    expect(page).to_have_url(re.compile("band=low"))
    expect(page.locator("#said")).to_contain_text("shown")
    assert 0 < page.locator(".what").count() < before
    expect(page.get_by_label("Band")).to_be_focused()
    page.locator("#by-days").select_option("7")
    expect(page.get_by_text("planned for the next 7 days")).to_be_visible()
    expect(page.get_by_role("link", name="CSV")).to_have_attribute("href", re.compile("band=low"))
    page.go_back()
    page.go_back()
    expect(page).to_have_url(re.compile(r"days=28$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("CAB agenda")
    expect(page.locator(".what")).to_have_count(before)


def test_signing_in_by_keyboard_alone(look: Callable[..., Any], site: Any) -> None:
    page = look(site, role=None).open("/?days=28")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type(site.service.keys["approver"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("CAB agenda")
    expect(page).to_have_url(re.compile("days=28"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_pages_print_as_tables_with_their_charts(
    look: Callable[..., Any], site: Any, places: dict[str, str]
) -> None:
    page = look(site, viewport={"width": 688, "height": 1000}).open(places["agenda"])
    page.emulate_media(media="print")
    expect(page.locator("header.bar")).to_be_hidden()
    expect(page.locator("rect.bar").first).to_be_visible()
    assert page.locator(".rows tr").first.evaluate("e => getComputedStyle(e).display") == (
        "table-row"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    wide = page.locator(".rows th:nth-child(3)").first.evaluate("e => e.offsetWidth")
    assert wide > 688 / 4, "the reasons have room"
    expect(page.locator(".fold table")).to_be_visible()
    page.goto(site.address + places["change"])
    line = page.locator("#decision").evaluate("e => getComputedStyle(e, '::after').content")
    assert "Decision: ____" in line
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_targets_can_be_hit(look: Callable[..., Any], site: Any, places: dict[str, str]) -> None:
    page = look(site, viewport={"width": 390, "height": 860}).open(places["agenda"])
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select, .button, nav a, summary")]
        .filter(e => e.offsetParent && e.getBoundingClientRect().height < 24)
        .map(e => e.outerHTML.slice(0, 80))"""
    )
    assert small == []


REASON = "Looked at with the team; the window is quiet."


def decide_with(page: Any, reason: str) -> None:
    page.get_by_label("Approve with conditions").check()
    page.get_by_label("Condition of your own").fill("Call the service desk first")
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name="Record decision").click()


def test_a_ticked_lever_makes_an_approval_conditional(
    look: Callable[..., Any], site: Any, scored: Any
) -> None:
    answers = [body["answer"] for body in scored.journal() if "answer" in body]
    answer = next(a for a in answers if a["levers"])
    page = look(site).open(page_of(answer["change_id"]))
    page.locator("input[name=condition]").first.check()
    expect(page.get_by_label("Approve with conditions")).to_be_checked()


def test_scripts_move_the_focus_and_say_what_came_of_it(
    look: Callable[..., Any], site_of: Callable[..., Any], places: dict[str, str]
) -> None:
    tab = look(site_of())
    page = tab.open(places["change"])
    decide_with(page, "short")
    expect(page.locator("#decision-head")).to_be_focused()
    page.get_by_role("link", name="Give a reason of at least 10 characters.").click()
    expect(page.locator("#reason")).to_be_focused()
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Record decision").click()
    expect(page.locator("#decision-head")).to_have_text("Approved with conditions")
    expect(page.locator("#decision-head")).to_be_focused()
    expect(page.locator("#said")).to_contain_text("Recorded: Approved with conditions")
    assert all("422" in fault for fault in tab.faults)
    tab.faults.clear()  # the browser itself tells of the refused form


def test_a_session_that_ends_leaves_what_was_written(
    look: Callable[..., Any], site_of: Callable[..., Any]
) -> None:
    site = site_of()
    tab = look(site)
    page = tab.open(page_of(of_band(site.service, "low")))
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.context.add_cookies([{"name": COOKIE, "value": "ended", "url": site.address}])
    decide_with(page, REASON)
    said = page.get_by_role("alert").filter(has_text="Your session has ended")
    expect(said).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value(REASON)
    page.context.add_cookies(cookies)  # signed in again in another tab
    page.get_by_role("button", name="Record decision").click()
    expect(page.locator("#decision-head")).to_have_text("Approved with conditions")
    expect(said).to_have_count(0)
    assert all("401" in fault for fault in tab.faults)
    tab.faults.clear()


def test_a_service_that_does_not_answer_leaves_what_was_written(
    look: Callable[..., Any], site: Any, places: dict[str, str]
) -> None:
    tab = look(site)
    page = tab.open(places["change"])
    page.route("**/decisions", lambda route: route.abort())
    decide_with(page, REASON)
    expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    expect(page.get_by_label("Reason")).to_have_value(REASON)
    tab.faults.clear()


def test_a_trial_is_scored_as_one_types(look: Callable[..., Any], site: Any) -> None:
    page = look(site, role="requester").open("/try")
    page.get_by_label("Title").fill("Upgrade the database")
    page.keyboard.press("Tab")
    expect(page.locator("#result .huge")).to_be_visible()


def test_hostile_titles_do_nothing_and_fit_a_narrow_screen(
    look: Callable[..., Any], site_of: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    site = site_of()
    body = ticket(planned_start="2025-06-03T10:00:00Z")
    for number, title in enumerate(
        ("<script>alert(1)</script>", "w" * 4000, "\u202eevil \u2067x 🚒")
    ):
        named = {"short_description": title, "service": title[:300], "ci": title[:300]}
        site.service.score({**body, **named, "change_id": f"HOSTILE{number}"})
    tab = look(site, viewport={"width": 320, "height": 700})
    tab.page.on("dialog", lambda dialog: tab.faults.append(f"dialog: {dialog.message}"))
    for place in ("/", "/schedule", *(page_of(f"HOSTILE{n}") for n in range(3))):
        page = tab.open(place)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, place


def test_a_title_without_spaces_leaves_every_column_in_sight(
    look: Callable[..., Any], site_of: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    site = site_of()
    planned = {"planned_start": "2025-06-03T10:00:00Z", "planned_end": "2025-06-03T11:00:00Z"}
    body = ticket(short_description="A" * 2000, service="S" * 300, **planned)
    site.service.score(body)
    page = look(site).open("/?days=28")
    page.get_by_role("button", name="Freeze for the meeting").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Agenda as of")
    assert page.get_by_text("AAAA").count() == 1
    late = site.address + page_of(body["change_id"])
    for address in (page.url, site.address + "/?days=28", site.address + "/schedule", late):
        page.goto(address)
        # Whichever facts weigh most here, a sentence may name the service.
        page.evaluate(
            "for (const told of document.querySelectorAll('.factors strong'))"
            " told.textContent += 'S'.repeat(300)"
        )
        for width in (1280, 800, 320):
            page.set_viewport_size({"width": width, "height": 860})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{address} is {wide} px wide on {width}"
