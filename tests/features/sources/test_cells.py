"""What a cell may hold, and what becomes of one that makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from features.records import (
    Change,
)
from features.request import ATTRIBUTES
from features.sources import Reading

MARCH = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
Write = Callable[..., None]
Records = Callable[..., tuple[list[Any], Reading]]
One = Callable[..., Any]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T08:15:00Z", MARCH),
        ("2026-03-02T09:15:00+01:00", MARCH),
        ("2026-03-02T09:15:00.000+0100", MARCH),
        ("2026-03-02 09:15:00", MARCH),
        ("2026-03-02 09:15", MARCH),
        (" 2026-03-02 09:15:00 ", MARCH),
        ("2026-03-02", datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("1772439300000", MARCH),
        ("1772439300123", MARCH + timedelta(milliseconds=123)),
        ("2026-03-02 09:15:00.000001", MARCH + timedelta(microseconds=1)),
        ("2026-07-01 12:00:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        # the hour that comes twice, and the one that does not come
        ("2026-10-25 02:30:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-03-29 02:30:00", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(one: One, text: str, expected: datetime) -> None:
    mapping = '[source]\ntimezone = "Europe/Berlin"'
    change = one("changes", "change_id,submitted_at", f"C1,{text}", mapping)
    assert change.submitted_at == expected
    assert change.submitted_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        *(("cab_required", text, True) for text in ("true", "TRUE", "Y", "yes", "1", "t")),
        *(("cab_required", text, False) for text in ("false", "N", "no", "0", "F")),
        *(("cab_required", text, None) for text in ("", "NULL", "N/A")),
        *(("ci", text, None) for text in ("", "  ", "NULL", "null", "N/A", "n/a")),
        ("ci", " db-01 ", "db-01"),
        ("ci", "N/A-01", "N/A-01"),
        ("backout_plan", "N/A", "N/A"),
        ("backout_plan", "NULL", None),
        ("affected_cis", "a;b;;NULL; b", ("a", "b")),
        ("affected_cis", "", ()),
        ("priority", "2 - High", "2 - High"),
        ("revision", "", "1"),
        ("lines_added", "12.5", {"lines_added": 12.5}),
        ("lines_added", "", {}),
        ("is_revert", "true", {"is_revert": 1.0}),
    ],
)
def test_values(one: One, field: str, text: str, expected: object) -> None:
    row = f"C1,2026-03-02T08:15:00Z,{text}"
    change = one("changes", f"change_id,submitted_at,{field}", row)
    assert getattr(change, "attributes" if field in ATTRIBUTES else field) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 - High", 2),
        ("2", 2),
        ("P3", 3),
        ("4.0", 4),
        ("1-Critical", 1),
        ("", None),
        ("N/A", None),
    ],
)
def test_levels(one: One, text: str, expected: int | None) -> None:
    columns = "incident_id,occurred_at,priority"
    incident = one("incidents", columns, f"I1,2026-03-02T08:15:00Z,{text}")
    assert incident.priority == expected
    assert expected is None or type(incident.priority) is int


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("planned_start", "2026-02-30", "as a time"),
        ("planned_start", "next week", "as a time"),
        ("planned_start", "20260302", "as a time"),
        ("planned_start", "1772439300", "as a time"),
        ("planned_start", "99999999999999", "as a time"),
        ("planned_start", "1969-12-31T23:59:59Z", "as a time between 1970 and 2200"),
        ("planned_start", "2200-01-01T00:00:00Z", "as a time between 1970 and 2200"),
        ("planned_start", "0001-01-01T00:00:00+14:00", "as a time"),
        (
            "planned_start",
            "2026-03-02 09:15:00",
            "as a time: it has no offset, such as Z or +02:00, and the mapping names no timezone",
        ),
        ("cab_required", "maybe", "as yes or no"),
        ("lines_added", "many", "as a number"),
        ("lines_added", "inf", "as a number"),
        ("lines_added", "nan", "as a number"),
    ],
)
def test_an_optional_value_that_cannot_be_read_is_missing_and_counted(
    write: Write, records: Records, field: str, text: str, reason: str
) -> None:
    rows = "".join(f"C{row},2026-03-02T08:15:00Z,{text}\n" for row in range(12))
    write(changes=f"change_id,submitted_at,{field}\n{rows}")
    found, reading = records()
    assert found[3] == Change(change_id="C3", known_at=MARCH, submitted_at=MARCH)
    note = f"changes.{field}: 12 values could not be read {reason}, e.g. {text!r}"
    assert note in reading.notes
    assert reading.rejected == []


@pytest.mark.parametrize("text", ["high", "2.5", "-1", "2026", "1e3"])
def test_levels_that_cannot_be_read(write: Write, records: Records, text: str) -> None:
    write(
        changes="change_id,submitted_at\n",
        incidents=f"incident_id,occurred_at,priority\nI1,2026-03-02T08:15:00Z,{text}\n",
    )
    found, reading = records()
    assert found[0].priority is None
    assert f"incidents.priority: 1 value could not be read as a level, e.g. {text!r}" in (
        reading.notes
    )


def test_a_strptime_format_is_taken_at_its_word(write: Write, records: Records) -> None:
    write(
        changes=(
            "change_id,submitted_at,planned_start,planned_end\n"
            "C1,02.03.2026 09:15,2026-03-02 09:15,1772439300000\n"
        ),
        mapping='[source]\ntimezone = "Europe/Berlin"\n[changes]\ntime_format = "%d.%m.%Y %H:%M"',
    )
    found, reading = records()
    assert found == [
        Change(change_id="C1", known_at=MARCH, submitted_at=MARCH, planned_end=MARCH),
    ]
    assert any(note.startswith("changes.planned_start: 1 value") for note in reading.notes)


def test_a_format_with_an_offset_needs_no_timezone(one: One) -> None:
    mapping = '[source]\ntime_format = "%d/%m/%Y %H:%M %z"'
    change = one("changes", "change_id,submitted_at", "C1,02/03/2026 09:15 +0100", mapping)
    assert change.submitted_at == MARCH


def test_values_are_translated_before_they_are_read(one: One) -> None:
    mapping = """
        [changes.values.declared_risk]
        "3" = "moderate"
        4 = "low"
        [changes.values.cab_required]
        ja = true
        [changes.values.affected_cis]
        alt = "neu"
        weg = ""
        """
    row = "C1,2026-03-02T08:15:00Z,3,ja,alt;x;weg"
    columns = "change_id,submitted_at,declared_risk,cab_required,affected_cis"
    change = one("changes", columns, row, mapping)
    assert (change.declared_risk, change.cab_required) == ("moderate", True)
    assert change.affected_cis == ("neu", "x")
