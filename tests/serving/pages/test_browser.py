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
        "sign-in": "/sign-in",
    }


PLACES = ["agenda", "change", "missing", "sign-in"]
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


@pytest.mark.parametrize("place", ["agenda", "change", "sign-in"])
def test_nothing_scrolls_sideways_at_320_pixels(
    look: Callable[..., Any], site: Any, places: dict[str, str], place: str
) -> None:
    page = look(site, viewport={"width": 320, "height": 700}).open(places[place])
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


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
