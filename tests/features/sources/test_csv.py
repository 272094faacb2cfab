"""CSV tables as a whole: the document's example, every table, bad rows, importing again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Relation,
)
from features.request import ATTRIBUTES
from features.sources import ImportReport, Reading
from features.sources.mapping import TABLES
from features.store import Store

MARCH = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
DOC = Path(__file__).parents[3] / "docs" / "csv-mapping.md"
BLOCK = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```(?:csv|toml)\n(.*?)^```$", re.M | re.S)
Write = Callable[..., None]
Records = Callable[..., tuple[list[Any], Reading]]
Import = Callable[..., ImportReport]


def test_document_example_runs(tmp_path: Path, run: Import, store: Store) -> None:
    text = DOC.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == len(re.findall(r"^```(?:csv|toml)$", text, re.M)) == 3
    for name, content in blocks:
        (tmp_path / name).write_text(content, encoding="utf-8")

    report = run()

    assert report.records_read == {"Change": 3, "Incident": 2, "Link": 2, "ChangeEvent": 1}
    assert report.rejected == {}
    assert store.setting("label") == {"name": "incident"}
    history = store.load()
    first = history[Change].record(0)
    assert first == Change(
        change_id="CHG0001",
        known_at=MARCH,
        revision="0",
        change_type="normal",
        short_description="Upgrade the payments database",
        ci="pay-db-01",
        affected_cis=("pay-db-01", "pay-db-02"),
        declared_risk="moderate",
        submitted_at=MARCH,
        planned_start=datetime(2026, 3, 5, 21, tzinfo=UTC),
        planned_end=datetime(2026, 3, 5, 22, 30, tzinfo=UTC),
        attributes={"lines_added": 120.0},
    )
    last = history[Change].record(2)
    assert isinstance(last, Change)
    assert last.planned_start == datetime(2026, 3, 30, 20, tzinfo=UTC), "summer time by then"
    links = [history[Link].record(row) for row in range(2)]
    assert [(link.kind, link.change_id) for link in links if isinstance(link, Link)] == [
        ("caused_by", "CHG0001"),
        ("fixed_by", "CHG0002"),
    ]
    assert links[0].known_at == datetime(2026, 3, 8, 9, 2, tzinfo=UTC)


def test_document_names_every_field_and_attribute() -> None:
    sections = DOC.read_text(encoding="utf-8").split("## The fields")[1].split("\n\n| `")[1:]
    named = {part.split("`")[0]: set(re.findall(r"`(\w+)`", part)) for part in sections}
    for name, kind in TABLES.items():
        assert set(kind.fields) <= named[name], name
    text = DOC.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in ATTRIBUTES)


def test_columns_with_our_names_need_no_mapping(write: Write, records: Records) -> None:
    write(
        changes=(
            "change_id,submitted_at,cab_required,affected_cis,lines_added,planned_end,colour\n"
            "C1,2026-03-02T08:15:00Z,true,a; b;a,7,,red\n"
        ),
        incidents="incident_id,opened_at,priority\nI1,2026-03-03T00:00:00Z,P1\n",
        links="incident_id,change_id,kind,known_at\nI1,C1,CAUSED_BY,2026-03-04T00:00:00Z\n",
        items="ci,known_at,criticality\na,2026-01-01T00:00:00Z,1 - most critical\n",
        relations="parent,child,occurred_at\na,b,2026-01-01T00:00:00Z\n",
        calendar=(
            "entry_id,kind,starts_at,ends_at\nF1,freeze,2026-12-20T00:00:00Z,2027-01-02T00:00:00Z\n"
        ),
        events="change_id,kind,occurred_at,planned\nC1,backed_out,2026-03-05T00:00:00Z,Y\n",
    )
    found, reading = records()

    march = datetime(2026, 3, 1, tzinfo=UTC)
    assert found == [
        Change(
            change_id="C1",
            known_at=MARCH,
            submitted_at=MARCH,
            cab_required=True,
            affected_cis=("a", "b"),
            attributes={"lines_added": 7.0},
        ),
        Incident(
            incident_id="I1",
            occurred_at=march + timedelta(2),
            known_at=march + timedelta(2),
            priority=1,
        ),
        Link(
            incident_id="I1",
            change_id="C1",
            kind="caused_by",
            source="explicit",
            confidence=1.0,
            occurred_at=march + timedelta(3),
            known_at=march + timedelta(3),
        ),
        Item(ci="a", known_at=datetime(2026, 1, 1, tzinfo=UTC), criticality=1),
        Relation(
            parent="a",
            child="b",
            kind="depends_on",
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
            known_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
        CalendarEntry(
            entry_id="F1",
            kind="freeze",
            scope="*",
            starts_at=datetime(2026, 12, 20, tzinfo=UTC),
            ends_at=datetime(2027, 1, 2, tzinfo=UTC),
            known_at=datetime(2026, 12, 20, tzinfo=UTC),
        ),
        ChangeEvent(
            change_id="C1",
            kind="backed_out",
            occurred_at=march + timedelta(4),
            known_at=march + timedelta(4),
            planned=True,
        ),
    ]
    assert reading.rejected == []
    assert "changes.csv: columns not read: colour" in reading.notes
    assert "incidents: no column for known_at, occurred_at is taken" in reading.notes


def test_columns_known_only_afterwards_are_left_out_and_named(
    write: Write, records: Records
) -> None:
    write(
        changes="change_id,submitted_at,state,close_code\nC1,2026-03-02T08:15:00Z,closed,failed\n",
    )
    found, reading = records()
    assert found == [Change(change_id="C1", known_at=MARCH, submitted_at=MARCH)]
    note = "changes.csv: known only afterwards, of use in [events]: state, close_code"
    assert note in reading.notes


def test_changes_alone_are_enough(write: Write, run: Import) -> None:
    write(changes="change_id,submitted_at\nC1,2026-03-02T08:15:00Z\n")
    report = run()
    assert report.stored["change_revision"] == 1
    assert report.rows_read == {"changes.csv": 1}
    assert report.incidents_linked is None


@pytest.mark.parametrize(
    ("table", "columns", "row", "reason"),
    [
        ("changes", "change_id,submitted_at", ",2026-03-02T08:15:00Z", "change_id is empty"),
        ("changes", "change_id,submitted_at", "N/A,2026-03-02T08:15:00Z", "change_id is empty"),
        (
            "changes",
            "change_id,submitted_at",
            "C1,",
            "known_at is empty, and so is submitted_at",
        ),
        (
            "changes",
            "change_id,submitted_at",
            "C1,yesterday",
            "submitted_at could not be read as a time",
        ),
        (
            "changes",
            "change_id,submitted_at",
            "C1,2026-03-02 09:15:00",
            "submitted_at could not be read as a time: it has no offset, such as Z or +02:00, "
            "and the mapping names no timezone",
        ),
        (
            "changes",
            "change_id,submitted_at,known_at",
            "C1,2026-03-02T08:15:00Z,2026-13-01",
            "known_at could not be read as a time",
        ),
        (
            "incidents",
            "incident_id,occurred_at",
            "I1,",
            "occurred_at is empty, and so is opened_at",
        ),
        (
            "incidents",
            "incident_id,occurred_at,caused_by,linked_at",
            "I1,2026-03-02T08:15:00Z,C1,soon",
            "linked_at could not be read as a time",
        ),
        (
            "links",
            "incident_id,change_id,kind,known_at",
            "I1,C1,related,2026-03-02T08:15:00Z",
            "kind could not be read as one of caused_by, fixed_by",
        ),
        (
            "links",
            "incident_id,change_id,kind,known_at,confidence",
            "I1,C1,caused_by,2026-03-02T08:15:00Z,1.5",
            "confidence is not between 0 and 1",
        ),
        (
            "links",
            "incident_id,change_id,kind,known_at,confidence",
            "I1,C1,caused_by,2026-03-02T08:15:00Z,sure",
            "confidence could not be read as a number",
        ),
        ("items", "ci,known_at", "a,", "known_at is empty"),
        (
            "calendar",
            "entry_id,kind,starts_at,ends_at",
            "F,freeze,2026-03-03T00:00:00Z,2026-03-02T00:00:00Z",
            "ends_at is before starts_at",
        ),
        (
            "events",
            "change_id,kind,occurred_at",
            "C1,exploded,2026-03-02T00:00:00Z",
            "kind could not be read as one of started, closed, backed_out",
        ),
    ],
)
def test_a_row_without_what_is_required_is_rejected(
    write: Write, records: Records, table: str, columns: str, row: str, reason: str
) -> None:
    write(changes="change_id,submitted_at\n")
    write(**{table: f"{columns}\n{row}\n"})
    found, reading = records()
    assert found == []
    (reject,) = reading.rejected
    assert (reject.file, reject.row, reject.reason) == (f"{table}.csv", 2, reason)
    assert reject.content == dict(zip(columns.split(","), row.split(","), strict=True))


def test_revisions_of_a_change(write: Write, run: Import, store: Store) -> None:
    write(
        changes=(
            "change_id,revision,known_at,submitted_at,ci\n"
            "C1,1,2026-03-02T08:15:00Z,2026-03-02T08:15:00Z,a\n"
            "C1,2,2026-03-03T08:15:00Z,2026-03-02T08:15:00Z,b\n"
            "C1,2,2026-03-03T08:15:00Z,2026-03-02T08:15:00Z,b\n"
            "C1,2,2026-03-03T08:15:00Z,2026-03-02T08:15:00Z,c\n"
            "C1,3,,2026-03-02T08:15:00Z,d\n"
        ),
    )
    report = run()
    assert report.stored["change_revision"] == 3
    assert report.rejected == {
        "an earlier row has the same change_id, revision and known_at and says otherwise": 1
    }
    found = store.standing(["C1"])["C1"]
    assert (found.revision, found.known) == ("2", 3)
    known = store.load()[Change].record(2)
    assert (known.revision, known.known_at) == ("3", MARCH), "an empty known_at is the submission"  # type: ignore[union-attr]


def test_importing_again_stores_only_what_is_new(write: Write, run: Import, store: Store) -> None:
    rows = [f"C{row},2026-03-02T08:15:00Z,db-{row}" for row in range(40)]
    write(changes="\n".join(["change_id,submitted_at,ci", *rows]) + "\n")
    assert run().stored["change_revision"] == 40
    before = store.watermark()

    assert sum(run().stored.values()) == 0
    assert store.watermark() == before

    rows[7:7] = [f"N{row},2026-03-02T08:15:00Z,db-{row}" for row in range(3)]
    write(changes="\n".join(["change_id,submitted_at,ci", *rows]) + "\n")
    assert run().stored["change_revision"] == 3
    assert len(store.load(after=before)[Change]) == 3
    assert store.counts()["change_revision"] == 43


def test_links_named_in_the_incident(write: Write, records: Records) -> None:
    write(
        changes="change_id,submitted_at\n",
        incidents=(
            "incident_id,opened_at,known_at,caused_by,rfc,linked_at\n"
            "I1,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,C1;C2,C3,2026-03-09T00:00:00Z\n"
            "I2,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,C1,NULL,\n"
            "I3,2026-03-01T00:00:00Z,,,,\n"
        ),
    )
    found, _ = records()
    links = [record for record in found if isinstance(record, Link)]
    ninth, second = datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
    assert [(x.incident_id, x.change_id, x.kind, x.known_at) for x in links] == [
        ("I1", "C1", "caused_by", ninth),
        ("I1", "C2", "caused_by", ninth),
        ("I1", "C3", "fixed_by", ninth),
        ("I2", "C1", "caused_by", second),
    ]
    assert {(x.source, x.confidence) for x in links} == {("explicit", 1.0)}
    incidents = [record for record in found if isinstance(record, Incident)]
    assert [x.known_at.day for x in incidents] == [2, 2, 1]
    assert {x.occurred_at for x in incidents} == {datetime(2026, 3, 1, tzinfo=UTC)}


def test_a_guess_about_when_a_cause_was_known_is_said(write: Write, records: Records) -> None:
    write(
        changes="change_id,submitted_at\n",
        incidents="incident_id,occurred_at,caused_by\nI1,2026-03-01T00:00:00Z,C1\n",
    )
    found, reading = records()
    assert found[1].known_at == found[0].known_at
    assert "incidents: no column for linked_at, known_at is taken" in reading.notes


def test_one_event_a_column(write: Write, records: Records) -> None:
    write(
        changes=(
            "change_id,submitted_at,work_start,closed_at,close_code,undone,entered\n"
            "C1,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,2026-03-03T00:00:00Z,failed,"
            "2026-03-04T00:00:00Z,\n"
            "C2,2026-03-01T00:00:00Z,,,,,\n"
            "C3,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,,,,2026-03-07T00:00:00Z\n"
        ),
        mapping="""
            [events]
            file = "changes.csv"
            [events.columns]
            started_at = "work_start"
            known_at = "entered"
            code = "close_code"
            backed_out_at = "undone"
            planned = { value = true }
            """,
    )
    found, reading = records()
    events = [record for record in found if isinstance(record, ChangeEvent)]
    assert [(e.kind, e.occurred_at.day, e.known_at.day, e.code, e.planned) for e in events] == [
        ("started", 2, 2, None, False),
        ("closed", 3, 3, "failed", False),
        ("backed_out", 4, 4, None, True),
        ("started", 2, 7, None, False),
    ]
    assert not any("not read" in note for note in reading.notes), "events read them"
