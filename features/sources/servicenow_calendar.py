"""Spans of ServiceNow's blackout and maintenance schedules as entries of the calendar."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from features.records import CalendarEntry
from features.sources import vendor
from features.sources.servicenow_rows import SYS_ID, Row
from features.sources.vendor import DeliveryError

KINDS = ("blackout", "maintenance")
"""Types of schedules that say anything about changes."""

SCHEDULE = "schedule"
"""Kind of a reference that gives what is known of a schedule by its id."""

COLUMNS = ("type", "time_zone", "condition", "sys_class_name")
"""What of a schedule its spans are read with."""

_CLASS = "cmn_schedule_"
_FORMATS = ("%Y%m%dT%H%M%S", "%Y-%m-%d %H:%M:%S")
_WORDS = re.compile(r"[a-z]+")
_SPOKEN = {"blackout": "blackout", "freeze": "blackout", "maintenance": "maintenance"}
"""Words of a schedule's name that tell its type."""
_ONCE = ("does not repeat", "-- none --", "none")
"""How a span is shown that does not repeat; its database value is empty."""


@dataclass(frozen=True)
class Schedule:
    """What a span has to know of its schedule.

    Parameters
    ----------
    kind : str
        Its type in lower case; those of most schedules are none of ``KINDS``.
    zone : str
        Time zone of its floating times; empty or ``floating`` for none.
    conditional : bool
        Whether it is for some changes only.
    """

    kind: str
    zone: str = ""
    conditional: bool = False

    @classmethod
    def of(cls, row: Row) -> Schedule:
        """A row of ``cmn_schedule``, or of a table that extends it."""
        given = row.cell("type")
        kind = (given.value or given.display or "").casefold()
        if kind not in KINDS:
            kind = kind_of_class(row.cell("sys_class_name").shown) or kind
        zone = row.cell("time_zone")
        return cls(kind, zone.value or zone.display or "", row.cell("condition").shown is not None)

    def told(self) -> str:
        """All of it as one text, to be remembered like a name."""
        return json.dumps([self.kind[:100], self.zone[:100], self.conditional])

    @classmethod
    def remembered(cls, told: str) -> Schedule:
        """A schedule from such a text."""
        return cls(*json.loads(told))


def reference_id(sys_id: str) -> str:
    """The id of a reference to what is known of a schedule, apart from that to its name."""
    return f"{SCHEDULE}:{sys_id}"


def kind_of_class(name: str | None) -> str | None:
    """What the class of a schedule, or the table of a link to one, says of its type."""
    kind = (name or "").strip().casefold().removeprefix(_CLASS)
    return kind if kind in KINDS else None


def kind_of_name(name: str | None) -> str | None:
    """What people called a schedule says of its type."""
    words = set(_WORDS.findall((name or "").casefold()))
    return next((kind for word, kind in _SPOKEN.items() if word in words), None)


def span(row: Row, schedule: Schedule, *, known_at: datetime) -> CalendarEntry | None:
    """A row of ``cmn_schedule_span`` as an entry; None, and told of, where it cannot be one.

    Raises
    ------
    DeliveryError
        If it has no id, or not two times in their order.
    """
    entry_id = span_id(row)
    if schedule.kind not in KINDS:
        text = f"a schedule of type {schedule.kind[:60]!r} is neither blackout nor maintenance"
        row.note("schedule_left_out", "schedule", text)
        return None
    repeats = row.cell("repeat_type")
    repeated = vendor.word(repeats.value or repeats.display or "none") not in _ONCE
    if schedule.conditional or repeated:
        text = "a schedule with a condition or a repetition cannot be told as one span"
        row.note("schedule_left_out", "cmn_schedule", text)
        return None
    starts = _time(row, schedule, "start_date_time")
    ends = _time(row, schedule, "end_date_time")
    if ends < starts:
        raise DeliveryError("/end_date_time", "expected a time after the start")
    return CalendarEntry(
        entry_id=entry_id,
        kind=schedule.kind,
        scope="*",
        starts_at=starts,
        ends_at=ends,
        known_at=known_at,
    )


def span_id(row: Row) -> str:
    """The id of a span.

    Raises
    ------
    DeliveryError
        If it has none.
    """
    sys_id = row.cell("sys_id").shown
    if not sys_id or not SYS_ID.fullmatch(sys_id):
        raise DeliveryError("/sys_id", "expected the id of the span")
    return sys_id


def _time(row: Row, schedule: Schedule, column: str) -> datetime:
    """A span's moment, in the zone of its schedule; a floating one is in the zone set."""
    cell = row.cell(column)
    if cell.value is None:
        found = row.time(column, cell)
    elif cell.value.endswith("Z"):
        utc = vendor.local_time(cell.value.rstrip("Z"), _FORMATS, ZoneInfo("UTC"))
        found = utc or vendor.iso_time(cell.value)
    else:
        zone = _zone(row, schedule)
        if zone is None:
            text = "expected the time zone of its schedule, or display_zone to be set"
            raise DeliveryError(f"/{column}", text)
        found = vendor.local_time(cell.value, _FORMATS, zone)
    if found is None:
        hint = " (a display value alone needs display_zone)" if cell.value is None else ""
        raise DeliveryError(f"/{column}", f"expected a time such as 20261224T220000Z{hint}")
    return found


def _zone(row: Row, schedule: Schedule) -> ZoneInfo | None:
    if schedule.zone in ("", "floating"):
        return row.zone
    try:
        return ZoneInfo(schedule.zone)
    except (ValueError, OSError, KeyError):
        return None
