"""Every flow by mouse, by keyboard alone, and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from serving import decisions, feedback
from serving.pages.site import page_of

REASON = "Looked at with the team; the window is quiet."


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def link(page: Any, name: str) -> Any:
    return page.get_by_role("link", name=name, exact=True)


def with_levers(service: Any) -> dict[str, Any]:
    """The answer to a change of the high bands that something would lower."""
    answers = [body["answer"] for body in service.journal() if "answer" in body]
    high = [a for a in answers if a["risk_band"] in ("high", "very_high") and a["levers"]]
    return max(high, key=lambda answer: answer["incident_probability"])


def test_signing_in_looking_round_and_out(hand_of: Callable[..., Any], site: Any) -> None:
    hand = hand_of(site, role=None)
    page = hand.tab.open("/?days=28")
    hand.write(page.locator("#key"), site.service.keys["approver"])
    hand.press(button(page, "Sign in"))
    expect(page).to_have_url(re.compile("days=28"))
    hand.choose(page.get_by_label("Band"), "Low")
    if not hand.scripts:
        hand.press(button(page, "Show"))
    expect(page).to_have_url(re.compile("band=low"))
    expect(page.locator(".band.moderate")).to_have_count(0)
    hand.press(link(page, "Agenda"))
    expect(page).to_have_url(re.compile("/$"))
    hand.press(page.locator(".what a").first)
    place = page.locator(".crumbs .note")
    expect(place).to_contain_text("1 of ")
    hand.press(page.get_by_text(re.compile("records? behind it")).first)
    expect(page.locator(".factors details[open] li").first).to_be_visible()
    hand.press(page.get_by_role("link", name=re.compile("^Next")))
    expect(place).to_contain_text("2 of ")
    hand.press(link(page, "Track record"))
    hand.choose(page.get_by_label("Period"), "365 days")
    hand.press(button(page, "Show"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("last 365 days")
    hand.press(link(page, "Schedule"))
    service = page.get_by_label("Service").locator("option").nth(1).inner_text()
    hand.choose(page.get_by_label("Service"), service)
    hand.press(button(page, "Show"))
    expect(page.locator(".lead")).to_contain_text(service)
    hand.press(button(page, "Sign out"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_trying_a_change(hand_of: Callable[..., Any], site: Any) -> None:
    hand = hand_of(site, role="requester")
    page = hand.tab.open("/try")
    hand.write(page.get_by_label("Title"), "Upgrade the database")
    hand.choose(page.get_by_label("Type"), "Emergency")
    hand.press(button(page, "Score it"))
    expect(page.locator("#result .huge")).to_be_visible()
    expect(page.get_by_label("Title")).to_have_value("Upgrade the database")


def test_deciding_and_opening_it_again(
    hand_of: Callable[..., Any], site_of: Callable[..., Any]
) -> None:
    site = site_of(own_view="ask")
    store, answer = site.service.store, with_levers(site.service)
    change_id = answer["change_id"]
    hand = hand_of(site)
    page = hand.tab.open(page_of(change_id))
    expect(page.locator(".huge")).to_have_count(0)
    hand.tick(page.get_by_label("Moderate"))
    hand.press(button(page, "Say so and see the score"))
    expect(page.locator(".huge")).to_be_visible()
    hand.tick(page.locator("input[name=not_useful]").first)
    hand.tick(page.locator("input[name=condition]").first)
    hand.tick(page.get_by_label("Approve with conditions"))
    hand.write(page.get_by_label("Condition of your own"), "Call the service desk first")
    hand.write(page.get_by_label("Reason"), "short")
    hand.tick(page.get_by_label("Too high"))
    hand.press(button(page, "Record decision"))
    expect(page.get_by_text("Not recorded yet:")).to_be_visible()
    expect(page.get_by_label("Too high")).to_be_checked()
    hand.write(page.get_by_label("Reason"), REASON)
    hand.press(button(page, "Record decision"))
    expect(page.locator("#decision-head")).to_have_text("Approved with conditions")
    made = decisions.read(store, change_id).standing
    assert made is not None
    assert made.reason == REASON
    assert made.conditions[-1] == "Call the service desk first"
    assert len(made.conditions) == 2
    said = {row["about"]: row["verdict"] for row in feedback.read(store, change_id)}
    assert said == {"score": "too_high", answer["factors"][0]["group"]: "not_useful"}
    hand.press(page.get_by_text("Reopen decision"))
    hand.write(page.get_by_role("textbox", name="Why"), "The vendor asks to wait a week.")
    hand.press(button(page, "Reopen"))
    expect(button(page, "Record decision")).to_be_visible()
    assert decisions.read(store, change_id).standing is None
    # The browser itself tells of the refused form; nothing else was wrong.
    assert all("422" in fault for fault in hand.tab.faults)
    hand.tab.faults.clear()


def test_freezing_comparing_and_taking_away(
    hand_of: Callable[..., Any], site_of: Callable[..., Any]
) -> None:
    hand = hand_of(site_of())
    page = hand.tab.open("/")
    hand.write(page.get_by_label("Minutes", exact=True), "45")
    if hand.scripts:
        page.keyboard.press("Tab")
    else:
        hand.press(button(page, "Show"))
    expect(page).to_have_url(re.compile("minutes=45"))
    hand.press(button(page, "Freeze for the meeting"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Agenda as of")
    expect(page.locator(".lead")).to_contain_text("for 45 minutes")
    with page.expect_download() as taken:
        hand.press(link(page, "CSV"))
    assert taken.value.path().read_text().startswith("change_id,title,")
    hand.press(link(page, "All frozen agendas"))
    hand.press(page.locator(".levers a").first)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Agenda as of")


def test_making_addresses_for_a_calendar(
    hand_of: Callable[..., Any], site_of: Callable[..., Any]
) -> None:
    proxied = {"X-Remote-User": "Ada", "X-Remote-Roles": "requester"}
    site = site_of(CHANGERISK_PROXY_PEERS="127.0.0.1")
    hand = hand_of(site, role=None, extra_http_headers=proxied)
    page = hand.tab.open("/schedule")
    expect(page.locator(".links a").first).to_have_attribute("href", "/schedule.ics")
    hand.press(button(page, "Make addresses a calendar can keep"))
    expect(page.locator(".links a").first).to_have_attribute("href", re.compile("feed="))
