"""The schedule for the service desk: a page, a calendar, a feed and data, without scores."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET

import icalendar
import pytest


def feeds(html: str) -> dict[str, str]:
    found = re.findall(r'href="(/schedule\.(\w+)\?[^"]+)"', html)
    return {kind: unescape(address) for address, kind in found}


def test_all_forms_tell_the_same(approver: Any) -> None:
    html = approver.get("/schedule").text
    data = approver.get("/schedule.json").json()
    ids = [entry["change_id"] for entry in data["changes"]]
    assert ids
    assert [entry["planned_start"] for entry in data["changes"]] == sorted(
        entry["planned_start"] for entry in data["changes"]
    )
    assert all(change_id in html for change_id in ids)
    calendar = icalendar.Calendar.from_ical(approver.get("/schedule.ics").content)
    uids = {str(event["uid"]).partition("@")[0] for event in calendar.walk("VEVENT")}
    assert uids == set(ids)
    feed = ET.fromstring(approver.get("/schedule.atom").content)  # noqa: S314 - our own
    entries = feed.findall("{http://www.w3.org/2005/Atom}entry")
    assert len(entries) == len(ids)


def test_no_score_is_told(approver: Any) -> None:
    for path in ("/schedule", "/schedule.json", "/schedule.ics", "/schedule.atom"):
        text = approver.get(path).text
        assert "probability" not in text
        assert 'class="band' not in text


def test_a_feed_opens_the_schedule_and_nothing_else(approver: Any, scored: Any) -> None:
    scored.client.cookies.clear()
    token = feeds(approver.get("/schedule").text)["ics"].partition("feed=")[2]
    for kind in ("ics", "atom", "json"):
        assert scored.client.get(f"/schedule.{kind}?feed={token}").status_code == 200
    for path in ("/", "/schedule", "/track-record"):
        answer = scored.client.get(f"{path}?feed={token}", follow_redirects=False)
        assert answer.status_code == 303
    forged = scored.client.get("/schedule.ics?feed=forged", follow_redirects=False)
    assert forged.status_code == 303


def test_a_service_alone(approver: Any) -> None:
    everything = approver.get("/schedule.json").json()["changes"]
    service = everything[0]["service"]
    mine = approver.get("/schedule.json", params={"service": service}).json()["changes"]
    assert mine == [entry for entry in everything if entry["service"] == service]
    assert service in approver.text(f"/schedule?service={service}")


def test_nothing_planned_says_so(
    serve: Callable[..., Any], home: Any, loaded: type, person: Callable[..., Any]
) -> None:
    assert "Nothing is planned" in person(serve(home, kind=loaded), "auditor").text("/schedule")


@pytest.mark.parametrize("title", ["\x0b\x01 bad", "<b>&", "line\nbreak;,\\", "🚒" * 100, "\ud7ff"])
def test_whatever_a_title_holds_the_forms_can_be_read(
    desk_of: Callable[..., Any],
    person: Callable[..., Any],
    ticket: Callable[..., Any],
    title: str,
) -> None:
    service = desk_of()
    service.score(ticket(short_description=title, planned_start="2025-06-04T10:00:00Z"))
    someone = person(service, "approver")
    icalendar.Calendar.from_ical(someone.get("/schedule.ics").content)
    ET.fromstring(someone.get("/schedule.atom").content)  # noqa: S314 - our own
    assert someone.get("/schedule").status_code == 200
