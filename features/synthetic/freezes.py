"""When changes are unwelcome: the freeze over the turn of the year, blackouts at month ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from features import instants
from features.records import CalendarEntry
from features.synthetic.arrays import Ints, Mask

BLACKOUT_SERVICES = ("Payments", "General Ledger", "Payroll", "Reporting")
"""Services that close their books at the end of a month."""


class Span(NamedTuple):
    """A closed time, microseconds."""

    kind: str
    name: str
    starts: int
    ends: int
    known: int


def spans(begin: int, until: int) -> list[Span]:
    """Freezes and blackouts that were announced by ``until``."""
    first, last = _moment(begin), _moment(until) + timedelta(days=70)
    found = []
    for year in range(first.year - 1, last.year + 1):
        turn = datetime(year + 1, 1, 1, tzinfo=UTC)
        freeze = (turn - timedelta(days=12), turn + timedelta(days=2))
        found.append(_span("freeze", f"Year end {year}", *freeze, notice=60))
        for month in range(1, 13):
            after = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
            blackout = (after - timedelta(hours=18), after + timedelta(hours=12))
            found.append(_span("blackout", f"Month end {year}-{month:02d}", *blackout, notice=45))
    return [span for span in found if span.ends > begin and span.known <= until]


def _span(kind: str, name: str, starts: datetime, ends: datetime, *, notice: int) -> Span:
    known = starts - timedelta(days=notice)
    return Span(kind, name, *(instants.to_micros(moment) for moment in (starts, ends, known)))


def _moment(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


def inside(moments: Ints, closed: list[Span], kind: str) -> Mask:
    """Whether each moment lies in a closed time of a kind."""
    found = np.zeros(len(moments), bool)
    for span in closed:
        if span.kind == kind:
            found |= (moments >= span.starts) & (moments < span.ends)
    return found


def before_closing(moments: Ints, closed: list[Span]) -> Mask:
    """Whether each moment lies in the last two days before a freeze or of a month."""
    found = np.zeros(len(moments), bool)
    for span in closed:
        end = span.starts + (18 * instants.HOUR if span.kind == "blackout" else 0)
        found |= (moments >= end - 2 * instants.DAY) & (moments < end)
    return found


def entries(closed: list[Span]) -> list[CalendarEntry]:
    """The calendar as records; a blackout has one entry a service."""
    found: list[CalendarEntry] = []
    for span in closed:
        scopes = ("*",) if span.kind == "freeze" else BLACKOUT_SERVICES
        found.extend(
            CalendarEntry(
                entry_id=f"{span.name}/{scope}",
                kind=span.kind,
                scope=scope,
                starts_at=_moment(span.starts),
                ends_at=_moment(span.ends),
                known_at=_moment(span.known),
            )
            for scope in scopes
        )
    return found
