"""The schedule of changes to come, for the service desk: a page, a calendar, a feed, data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any
from xml.etree import ElementTree as ET

import icalendar
import orjson
from starlette.requests import Request
from starlette.responses import Response

from features import instants
from serving import queue
from serving.pages.agenda import DECIDED, window_of
from serving.pages.agenda_page import EVERYTHING
from serving.pages.desk import Desk
from serving.pages.feeds import feeds_of
from serving.pages.site import caller_of, page_of
from serving.pages.words import short
from serving.queue import QueueEntry, Wanted

DAYS = 28

ATOM = "http://www.w3.org/2005/Atom"


def _planned(desk: Desk, request: Request) -> tuple[list[QueueEntry], list[Mapping[str, Any]]]:
    """Changes with a window in the next weeks, soonest first, and the calendar over them."""
    service = request.query_params.get("service") or None
    now, until = desk.now, desk.now + timedelta(days=DAYS)
    with desk.store() as store:
        wanted = Wanted(order="soonest", service=service, limit=EVERYTHING)
        entries = queue.page(store, wanted, now=now).items
        with store.review() as review:
            calendar = review.calendar(instants.to_micros(now), instants.to_micros(until))
    planned = [e for e in entries if e.planned_start is not None and e.planned_start < until]
    return planned, list(calendar)


def schedule(desk: Desk, request: Request) -> Response:
    """``GET /schedule``: what is planned, day by day; no scores."""
    entries, calendar = _planned(desk, request)
    times = desk.site.times()
    service = request.query_params.get("service", "")[:300]
    with desk.store() as store:
        services = queue.services(store, now=desk.now)
        found = feeds_of(desk, store, caller_of(request), service)
    days = [
        (day, list(group))
        for day, group in groupby(entries, lambda e: times.day(max(_start(e), desk.now)))
    ]
    return desk.site.render(
        request,
        "schedule.html",
        days=days,
        count=len(entries),
        window_of=window_of,
        spans=_together(_spans(calendar)),
        decided_words=DECIDED,
        service=service,
        services=services,
        feeds=found,
    )


def _start(entry: QueueEntry) -> Any:
    return entry.planned_start


def _spans(calendar: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "kind": row["kind"],
            "scope": "everything" if row["scope"] == "*" else row["scope"],
            "start": instants.from_micros(row["starts_at"]),
            "end": instants.from_micros(row["ends_at"]),
        }
        for row in calendar
    ]


def _together(spans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Spans of one kind and one time, with all they hold for."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for span in spans:
        scopes = found.setdefault((span["kind"], span["start"], span["end"]), [])
        scopes.append(short(span["scope"], 60))
    return [
        {"kind": kind, "start": start, "end": end, "scopes": scopes}
        for (kind, start, end), scopes in found.items()
    ]


def calendar(desk: Desk, request: Request) -> Response:
    """``GET /schedule.ics``: iCalendar (RFC 5545)."""
    entries, _ = _planned(desk, request)
    made = icalendar.Calendar()
    made.add("prodid", "-//change-risk//schedule//EN")
    made.add("version", "2.0")
    for entry in entries:
        start, end = window_of(entry)
        event = icalendar.Event()
        event.add("uid", f"{entry.change_id}@change-risk")
        event.add("dtstamp", entry.scored_at)
        event.add("dtstart", start)
        event.add("dtend", end)
        event.add("summary", _title(entry))
        event.add("description", _facts(entry))
        event.add("url", str(request.base_url.replace(path=page_of(entry.change_id))))
        made.add_component(event)
    return _answer(made.to_ical(), "text/calendar", "schedule.ics")


def atom(desk: Desk, request: Request) -> Response:
    """``GET /schedule.atom``: a feed (RFC 4287)."""
    entries, _ = _planned(desk, request)
    times = desk.site.times()
    here = str(request.base_url.replace(path="/schedule"))
    feed = ET.Element(f"{{{ATOM}}}feed")
    updated = max((entry.scored_at for entry in entries), default=desk.now)
    for name, text in (
        ("id", here),
        ("title", "Changes to come"),
        ("updated", updated.isoformat()),
    ):
        ET.SubElement(feed, f"{{{ATOM}}}{name}").text = text
    ET.SubElement(ET.SubElement(feed, f"{{{ATOM}}}author"), f"{{{ATOM}}}name").text = "change-risk"
    for entry in entries:
        item = ET.SubElement(feed, f"{{{ATOM}}}entry")
        link = str(request.base_url.replace(path=page_of(entry.change_id)))
        words = (
            ("id", link),
            ("title", _title(entry)),
            ("updated", entry.scored_at.isoformat()),
            ("summary", f"{times.window(*window_of(entry))}. {_facts(entry)}"),
        )
        for name, text in words:
            ET.SubElement(item, f"{{{ATOM}}}{name}").text = _printable(text)
        ET.SubElement(item, f"{{{ATOM}}}link", {"href": link})
    ET.register_namespace("", ATOM)
    body = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return _answer(body, "application/atom+xml", "schedule.atom")


def json(desk: Desk, request: Request) -> Response:
    """``GET /schedule.json``: data."""
    entries, spans = _planned(desk, request)
    items = [
        {
            "change_id": entry.change_id,
            "title": entry.title,
            "change_type": entry.change_type,
            "service": entry.service,
            "ci": entry.ci,
            "assignment_group": entry.assignment_group,
            "planned_start": entry.planned_start,
            "planned_end": entry.planned_end,
            "decision": entry.decision,
        }
        for entry in entries
    ]
    body = orjson.dumps({"changes": items, "calendar": _spans(spans)}, option=orjson.OPT_UTC_Z)
    return _answer(body, "application/json", "schedule.json")


def _title(entry: QueueEntry) -> str:
    return " ".join(f"{entry.change_id} {entry.title or 'Without a title'}".split())[:250]


def _facts(entry: QueueEntry) -> str:
    facts = (entry.service, entry.ci, entry.assignment_group, entry.change_type)
    return ", ".join(fact for fact in facts if fact)


def _printable(text: str) -> str:
    """A text without the characters XML does not know."""
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def _answer(body: bytes, kind: str, name: str) -> Response:
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'inline; filename="{name}"',
    }
    return Response(body, headers=headers, media_type=f"{kind}; charset=utf-8")
