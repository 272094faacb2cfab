"""The pages in a real browser: by mouse, by keyboard alone, without JavaScript, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from serving.pages.site import page_of

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def riskiest(service: Any) -> str:
    answers = [body["answer"] for body in service.journal() if "answer" in body]
    best = max(answers, key=lambda answer: answer["incident_probability"] or 0)
    return page_of(best["change_id"])


@pytest.fixture(scope="session")
def places(scored: Any) -> dict[str, str]:
    """A page of every kind."""
    return {
        "agenda": "/?days=28",
        "change": riskiest(scored),
        "missing": "/changes/none",
        "record": "/track-record",
        "try": "/try?short_description=Upgrade+the+database&backout_plan=none",
        "schedule": "/schedule",
        "snapshots": "/snapshots",
        "sign-in": "/sign-in",
    }


PLACES = ["agenda", "change", "missing", "sign-in", "record", "try", "schedule", "snapshots"]
QUICK = [("agenda", 1280, "light"), ("change", 390, "dark")]
EVERY = [
    pytest.param(
        place, width, scheme, marks=() if (place, width, scheme) in QUICK else pytest.mark.slow
    )
    for place in PLACES
    for width in (1280, 390)
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize(("place", "width", "scheme"), EVERY)
def test_axe_finds_nothing(
    look: Callable[..., Any],
    site: Any,
    places: dict[str, str],
    place: str,
    width: int,
    scheme: str,
) -> None:
    tab = look(
        site,
        viewport={"width": width, "height": 860},
        color_scheme=scheme,
        bypass_csp=True,
    )
    page = tab.open(places[place])
    tab.faults.clear() if place == "missing" else None
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}})
    faults = [
        (fault["id"], node["target"], node["failureSummary"])
        for fault in found.response["violations"]
        for node in fault["nodes"]
    ]
    assert faults == []


@pytest.mark.parametrize("place", PLACES)
def test_nothing_scrolls_sideways_at_320_pixels(
    look: Callable[..., Any], site: Any, places: dict[str, str], place: str
) -> None:
    tab = look(site, viewport={"width": 320, "height": 700})
    page = tab.open(places[place])
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    tab.faults.clear() if place == "missing" else None


def test_filters_swap_the_list_and_stand_in_the_address(
    look: Callable[..., Any], site: Any
) -> None:
    page = look(site).open("/?days=28")
    before = page.locator(".what").count()
    page.get_by_label("Band").select_option("low")
    expect(page).to_have_url(re.compile("band=low"))
    expect(page.locator("#said")).to_contain_text("shown")
    assert 0 < page.locator(".what").count() < before
    page.go_back()
    expect(page).to_have_url(re.compile(r"days=28$"))


def test_filters_work_without_javascript(look: Callable[..., Any], site: Any) -> None:
    page = look(site, java_script_enabled=False).open("/?days=28")
    page.get_by_label("Band").select_option("low")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("band=low"))
    expect(page.locator(".band.high")).to_have_count(0)


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


def test_a_page_prints(look: Callable[..., Any], site: Any, places: dict[str, str]) -> None:
    page = look(site).open(places["change"])
    page.emulate_media(media="print")
    expect(page.locator(".bar")).to_be_hidden()
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


def test_a_decision_by_mouse_with_its_faults(
    look: Callable[..., Any], site_of: Callable[..., Any], places: dict[str, str]
) -> None:
    tab = look(site_of(own_view="ask"))
    page = tab.open(places["change"])
    expect(page.locator(".huge")).to_have_count(0)
    page.get_by_label("Moderate").check()
    page.get_by_role("button", name="Say so and see the score").click()
    expect(page.locator(".huge")).to_be_visible()
    decide_with(page, "short")
    expect(page.locator("#decision-head")).to_be_focused()
    page.get_by_role("link", name="Give a reason of at least 10 characters.").click()
    expect(page.locator("#reason")).to_be_focused()
    expect(page.locator("#further")).to_have_value("Call the service desk first")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("About right").check()
    page.get_by_role("button", name="Record decision").click()
    expect(page.locator("#decision-head")).to_have_text("Approved with conditions")
    expect(page.locator("#decision-head")).to_be_focused()
    expect(page.locator("#said")).to_contain_text("Recorded: Approved with conditions")
    page.get_by_text("Reopen decision").click()
    page.get_by_role("textbox", name="Why").fill("The vendor asks to wait a week.")
    page.get_by_role("button", name="Reopen", exact=True).click()
    expect(page.get_by_role("button", name="Record decision")).to_be_visible()
    # The browser itself tells of the refused form (422); nothing else was wrong.
    assert all("422" in fault for fault in tab.faults)
    tab.faults.clear()


def test_a_ticked_lever_makes_an_approval_conditional(
    look: Callable[..., Any], site: Any, scored: Any
) -> None:
    answers = [body["answer"] for body in scored.journal() if "answer" in body]
    answer = next(a for a in answers if a["levers"])
    page = look(site).open(page_of(answer["change_id"]))
    page.locator("input[name=condition]").first.check()
    expect(page.get_by_label("Approve with conditions")).to_be_checked()


def test_a_decision_by_keyboard_alone(
    look: Callable[..., Any], site_of: Callable[..., Any], places: dict[str, str]
) -> None:
    page = look(site_of()).open(places["change"])
    page.get_by_label("Approve", exact=False).first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("Call the service desk first")
    page.keyboard.press("Tab")
    page.keyboard.type(REASON)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#decision-head")).to_have_text("Approved with conditions")


def test_a_decision_without_javascript(
    look: Callable[..., Any], site_of: Callable[..., Any], places: dict[str, str]
) -> None:
    tab = look(site_of(own_view="ask"), java_script_enabled=False)
    page = tab.open(places["change"])
    page.get_by_role("button", name="Show the score without my view").click()
    decide_with(page, "short")
    expect(page.get_by_role("alert")).to_contain_text("Not recorded yet")
    decide_with(page, REASON)
    expect(page.locator("#decision-head")).to_have_text("Approved with conditions")
    tab.faults.clear()  # the browser tells of the refused form (422)


def test_a_trial_is_scored_as_one_types_and_without_javascript(
    look: Callable[..., Any], site: Any
) -> None:
    page = look(site, role="requester").open("/try")
    page.get_by_label("Title").fill("Upgrade the database")
    page.keyboard.press("Tab")
    expect(page.locator("#result .huge")).to_be_visible()
    plain = look(site, role="requester", java_script_enabled=False).open("/try")
    plain.get_by_label("Title").fill("Upgrade the database")
    plain.get_by_role("button", name="Score it").click()
    expect(plain.locator("#result .huge")).to_be_visible()


def test_an_agenda_is_frozen_by_mouse(
    look: Callable[..., Any], site_of: Callable[..., Any]
) -> None:
    page = look(site_of()).open("/")
    page.get_by_role("button", name="Freeze for the meeting").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Agenda as of")
