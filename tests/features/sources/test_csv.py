"""CSV and Parquet tables: what a newcomer's export may look like, and everything wrong with it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.records import (
    FORBIDDEN_FIELDS,
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Record,
    Relation,
)
from features.request import ATTRIBUTES
from features.sources import ImportReport, Reading, SourceError, import_source
from features.sources.mapping import TABLES
from features.sources.table import read
from features.store import Store

DOC = Path(__file__).parents[3] / "docs" / "csv-mapping.md"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
BLOCK = re.compile(r"^\*\*`([^`]+)`\*\*\n\n```(?:csv|toml)\n(.*?)^```$", re.M | re.S)

Import = Callable[[], ImportReport]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/var/history.db")
    yield opened
    opened.close()


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Import:
    def imported(**options: object) -> ImportReport:
        rejects = tmp_path / "var" / "rejected"
        return import_source(store, "csv", tmp_path, now=NOW, rejects=rejects, options=options)

    return imported


def write(folder: Path, **files: str) -> None:
    """Text files by table name; ``mapping`` is the mapping file."""
    for name, text in files.items():
        suffix = "toml" if name == "mapping" else "csv"
        (folder / f"{name}.{suffix}").write_text(text, encoding="utf-8")


def records(folder: Path, **options: object) -> tuple[list[Any], Reading]:
    reading = Reading(options=options)
    return list(read(folder, reading)), reading


def one(folder: Path, table: str, columns: str, row: str, mapping: str = "") -> Any:
    """The only record of a table of one row."""
    if table != "changes":
        write(folder, changes="change_id,submitted_at\n")
    write(folder, **{table: f"{columns}\n{row}\n"}, mapping=mapping)
    found, reading = records(folder)
    assert reading.rejected == []
    assert len(found) == 1
    return found[0]


# the document ------------------------------------------------------------------------------------


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


# without a mapping -------------------------------------------------------------------------------


def test_columns_with_our_names_need_no_mapping(tmp_path: Path) -> None:
    write(
        tmp_path,
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
    found, reading = records(tmp_path)

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


def test_columns_known_only_afterwards_are_left_out_and_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes="change_id,submitted_at,state,close_code\nC1,2026-03-02T08:15:00Z,closed,failed\n",
    )
    found, reading = records(tmp_path)
    assert found == [Change(change_id="C1", known_at=MARCH, submitted_at=MARCH)]
    note = "changes.csv: known only afterwards, of use in [events]: state, close_code"
    assert note in reading.notes


def test_changes_alone_are_enough(tmp_path: Path, run: Import) -> None:
    write(tmp_path, changes="change_id,submitted_at\nC1,2026-03-02T08:15:00Z\n")
    report = run()
    assert report.stored["change_revision"] == 1
    assert report.rows_read == {"changes.csv": 1}
    assert report.incidents_linked is None


# what a cell may hold ----------------------------------------------------------------------------


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
def test_times(tmp_path: Path, text: str, expected: datetime) -> None:
    mapping = '[source]\ntimezone = "Europe/Berlin"'
    change = one(tmp_path, "changes", "change_id,submitted_at", f"C1,{text}", mapping)
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
def test_values(tmp_path: Path, field: str, text: str, expected: object) -> None:
    row = f"C1,2026-03-02T08:15:00Z,{text}"
    change = one(tmp_path, "changes", f"change_id,submitted_at,{field}", row)
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
def test_levels(tmp_path: Path, text: str, expected: int | None) -> None:
    columns = "incident_id,occurred_at,priority"
    incident = one(tmp_path, "incidents", columns, f"I1,2026-03-02T08:15:00Z,{text}")
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
            "as a time: it has no offset and the mapping names no timezone",
        ),
        ("cab_required", "maybe", "as yes or no"),
        ("lines_added", "many", "as a number"),
        ("lines_added", "inf", "as a number"),
        ("lines_added", "nan", "as a number"),
    ],
)
def test_an_optional_value_that_cannot_be_read_is_missing_and_counted(
    tmp_path: Path, field: str, text: str, reason: str
) -> None:
    rows = "".join(f"C{row},2026-03-02T08:15:00Z,{text}\n" for row in range(12))
    write(tmp_path, changes=f"change_id,submitted_at,{field}\n{rows}")
    found, reading = records(tmp_path)
    assert found[3] == Change(change_id="C3", known_at=MARCH, submitted_at=MARCH)
    note = f"changes.{field}: 12 values could not be read {reason}, e.g. {text!r}"
    assert note in reading.notes
    assert reading.rejected == []


@pytest.mark.parametrize("text", ["high", "2.5", "-1", "2026", "1e3"])
def test_levels_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    write(
        tmp_path,
        changes="change_id,submitted_at\n",
        incidents=f"incident_id,occurred_at,priority\nI1,2026-03-02T08:15:00Z,{text}\n",
    )
    found, reading = records(tmp_path)
    assert found[0].priority is None
    assert f"incidents.priority: 1 value could not be read as a level, e.g. {text!r}" in (
        reading.notes
    )


def test_a_strptime_format_is_taken_at_its_word(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes=(
            "change_id,submitted_at,planned_start,planned_end\n"
            "C1,02.03.2026 09:15,2026-03-02 09:15,1772439300000\n"
        ),
        mapping='[source]\ntimezone = "Europe/Berlin"\n[changes]\ntime_format = "%d.%m.%Y %H:%M"',
    )
    found, reading = records(tmp_path)
    assert found == [
        Change(change_id="C1", known_at=MARCH, submitted_at=MARCH, planned_end=MARCH),
    ]
    assert any(note.startswith("changes.planned_start: 1 value") for note in reading.notes)


def test_a_format_with_an_offset_needs_no_timezone(tmp_path: Path) -> None:
    mapping = '[source]\ntime_format = "%d/%m/%Y %H:%M %z"'
    change = one(
        tmp_path, "changes", "change_id,submitted_at", "C1,02/03/2026 09:15 +0100", mapping
    )
    assert change.submitted_at == MARCH


def test_values_are_translated_before_they_are_read(tmp_path: Path) -> None:
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
    change = one(tmp_path, "changes", columns, row, mapping)
    assert (change.declared_risk, change.cab_required) == ("moderate", True)
    assert change.affected_cis == ("neu", "x")


# rows that are rejected --------------------------------------------------------------------------


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
            "submitted_at could not be read as a time: it has no offset and the mapping names no "
            "timezone",
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
    tmp_path: Path, table: str, columns: str, row: str, reason: str
) -> None:
    write(tmp_path, changes="change_id,submitted_at\n")
    write(tmp_path, **{table: f"{columns}\n{row}\n"})
    found, reading = records(tmp_path)
    assert found == []
    (reject,) = reading.rejected
    assert (reject.file, reject.row, reject.reason) == (f"{table}.csv", 2, reason)
    assert reject.content == dict(zip(columns.split(","), row.split(","), strict=True))


def test_rejected_rows_carry_the_line_that_an_editor_shows(tmp_path: Path, run: Import) -> None:
    text = (
        "change_id,submitted_at,description\n"
        'C1,2026-03-02T08:15:00Z,"two\nlines"\n'
        "\n"
        "C2,2026-03-02T08:15:00Z,one,too many\n"
        "C3,2026-03-02T08:15:00Z\n"
        'C4,2026-03-02T08:15:00Z,"says ""no"", twice"\n'
        'C5,2026-03-02T08:15:00Z,"a "stray" quote"\n'
        'C6,2026-03-02T08:15:00Z,"never closed\n'
        "C7,2026-03-02T08:15:00Z,fine\n"
        "C8,never,fine\n"
        ",,\n"
    )
    write(tmp_path, changes=text)
    report = run()

    assert report.records_read == {"Change": 3}
    assert report.rows_read == {"changes.csv": 9}
    lines = [
        orjson.loads(line) for line in Path(report.rejected_file or "").read_bytes().splitlines()
    ]
    assert [(line["row"], line["reason"]) for line in lines] == [
        (5, "the row does not have 3 values"),
        (6, "the row does not have 3 values"),
        (8, "the quotation marks do not match"),
        (9, "the quotation marks do not match"),
        (11, "submitted_at could not be read as a time"),
        (12, "change_id is empty"),
    ]
    editor = text.splitlines()
    assert lines[0]["content"] == {
        "change_id": "C2",
        "submitted_at": "2026-03-02T08:15:00Z",
        "description": "one",
        "value 4": "too many",
    }
    assert lines[3]["content"]["change_id"] == editor[lines[3]["row"] - 1], "the line as it is"
    assert sum(report.rejected.values()) == len(lines)


@given(
    texts=st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=20
        ).map(str.strip),
        min_size=1,
        max_size=8,
    ),
    bad=st.integers(0, 8),
)
def test_any_text_survives_and_lines_are_counted(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], bad: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    buffer = io.StringIO()
    out = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)
    out.writerow(["change_id", "submitted_at", "description"])
    expected, wrong = [], None
    for number, text in enumerate(texts):
        if number == bad:
            wrong = buffer.getvalue().count("\n") + 1
        when = "never" if number == bad else "2026-03-02T08:15:00Z"
        out.writerow([f"C{number}", when, text])
        if number != bad:
            expected.append(None if text.lower() in ("", "null") else text)
    (folder / "changes.csv").write_text(buffer.getvalue(), encoding="utf-8", newline="")
    found, reading = records(folder)
    assert [change.description for change in found] == expected
    assert [reject.row for reject in reading.rejected] == ([] if wrong is None else [wrong])


# revisions and importing again -------------------------------------------------------------------


def test_revisions_of_a_change(tmp_path: Path, run: Import, store: Store) -> None:
    write(
        tmp_path,
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
    assert store.latest_revision("C1") == ("2", 3)
    known = store.load()[Change].record(2)
    assert (known.revision, known.known_at) == ("3", MARCH), "an empty known_at is the submission"  # type: ignore[union-attr]


def test_importing_again_stores_only_what_is_new(tmp_path: Path, run: Import, store: Store) -> None:
    rows = [f"C{row},2026-03-02T08:15:00Z,db-{row}" for row in range(40)]
    write(tmp_path, changes="\n".join(["change_id,submitted_at,ci", *rows]) + "\n")
    assert run().stored["change_revision"] == 40
    before = store.watermark()

    assert sum(run().stored.values()) == 0
    assert store.watermark() == before

    rows[7:7] = [f"N{row},2026-03-02T08:15:00Z,db-{row}" for row in range(3)]
    write(tmp_path, changes="\n".join(["change_id,submitted_at,ci", *rows]) + "\n")
    assert run().stored["change_revision"] == 3
    assert len(store.load(after=before)[Change]) == 3
    assert store.counts()["change_revision"] == 43


# incidents and events ----------------------------------------------------------------------------


def test_links_named_in_the_incident(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes="change_id,submitted_at\n",
        incidents=(
            "incident_id,opened_at,known_at,caused_by,rfc,linked_at\n"
            "I1,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,C1;C2,C3,2026-03-09T00:00:00Z\n"
            "I2,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,C1,NULL,\n"
            "I3,2026-03-01T00:00:00Z,,,,\n"
        ),
    )
    found, _ = records(tmp_path)
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


def test_a_guess_about_when_a_cause_was_known_is_said(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes="change_id,submitted_at\n",
        incidents="incident_id,occurred_at,caused_by\nI1,2026-03-01T00:00:00Z,C1\n",
    )
    found, reading = records(tmp_path)
    assert found[1].known_at == found[0].known_at
    assert "incidents: no column for linked_at, known_at is taken" in reading.notes


def test_one_event_a_column(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes=(
            "change_id,submitted_at,work_start,closed_at,close_code,undone\n"
            "C1,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,2026-03-03T00:00:00Z,failed,"
            "2026-03-04T00:00:00Z\n"
            "C2,2026-03-01T00:00:00Z,,,,\n"
        ),
        mapping="""
            [events]
            file = "changes.csv"
            [events.columns]
            started_at = "work_start"
            code = "close_code"
            backed_out_at = "undone"
            planned = { value = true }
            """,
    )
    found, reading = records(tmp_path)
    events = [record for record in found if isinstance(record, ChangeEvent)]
    assert [(e.kind, e.occurred_at.day, e.known_at.day, e.code, e.planned) for e in events] == [
        ("started", 2, 2, None, False),
        ("closed", 3, 3, "failed", False),
        ("backed_out", 4, 4, None, True),
    ]
    assert not any("not read" in note for note in reading.notes), "events read them"


# files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiter_and_encoding_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    lines = [["change_id", "submitted_at", "ci"], ["C1", "2026-03-02T08:15:00Z", "Köln"]]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    (tmp_path / "changes.csv").write_bytes(text.encode(encoding))
    found, reading = records(tmp_path)
    assert found == [Change(change_id="C1", known_at=MARCH, submitted_at=MARCH, ci="Köln")]
    assert reading.rejected == []


def test_encoding_and_delimiter_may_be_set_for_one_table(tmp_path: Path) -> None:
    (tmp_path / "changes.csv").write_bytes(
        "change_id#submitted_at#ci\nC1#2026-03-02T08:15:00Z#Köln,a;b\n".encode("cp1252")
    )
    write(
        tmp_path,
        incidents="incident_id,occurred_at,ci\nI1,2026-03-02T08:15:00Z,Köln\n",
        mapping='[changes]\nencoding = "cp1252"\ndelimiter = "#"',
    )
    found, _ = records(tmp_path)
    assert [record.ci for record in found] == ["Köln,a;b", "Köln"]


def test_a_file_in_another_encoding_is_an_error_that_names_it(
    tmp_path: Path, run: Import, store: Store
) -> None:
    rows = "".join(f"C{row},2026-03-02T08:15:00Z,x\n" for row in range(20_000))
    text = f"change_id,submitted_at,ci\n{rows}C1,2026-03-02T08:15:00Z,Köln\n"
    (tmp_path / "changes.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(SourceError, match=r"changes\.csv could not be read as utf-8 .*cp1252"):
        run()
    assert store.watermark() == 0


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"expected changes\.csv or changes\.parquet in .*, found neither"),
        ({"incidents": "incident_id,occurred_at\n"}, "expected changes.csv or changes.parquet"),
        ({"changes": ""}, "changes.csv: expected a first line with the columns' names"),
        (
            {"changes": "number,submitted_at\n"},
            r"expected a column for change_id; it has number, submitted_at\. Name it in the "
            r"mapping file: \[changes\.columns\] change_id = ",
        ),
        ({"changes": "change_id\n"}, "expected a column for known_at or submitted_at"),
        (
            {"changes": "change_id,submitted_at\n", "items": "ci\n"},
            "items.csv: expected a column for known_at; it has ci",
        ),
        ({"changes": "change_id,submitted_at,ci,ci\n"}, "ci: two columns are called 'ci'"),
        (
            {
                "changes": "change_id,submitted_at\n",
                "events": "change_id,kind,occurred_at,closed_at\n",
            },
            "expected either kind and occurred_at, or columns for started_at, closed_at",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, files: dict[str, str], message: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(SourceError, match=message):
        records(tmp_path)


def test_other_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a folder"):
        records(tmp_path / "nowhere")
    (tmp_path / "changes.parquet").write_bytes(b"change_id,submitted_at\n")
    with pytest.raises(SourceError, match=r"changes\.parquet is not a Parquet file"):
        records(tmp_path)
    write(tmp_path, changes="change_id,submitted_at\n")
    with pytest.raises(SourceError, match=r"found both changes\.csv and changes\.parquet"):
        records(tmp_path)


def test_progress_is_told_in_rows(tmp_path: Path) -> None:
    rows = "".join(f"C{row},2026-03-02T08:15:00Z\n" for row in range(12_000))
    write(tmp_path, changes=f"change_id,submitted_at\n{rows}")
    told: list[tuple[str, int, int | None]] = []
    reading = Reading(progress=lambda *said: told.append(said))
    list(read(tmp_path, reading))
    assert told == [
        ("read changes", 0, None),
        ("read changes", 5_000, None),
        ("read changes", 10_000, None),
        ("read changes", 12_000, 12_000),
    ]


# parquet -----------------------------------------------------------------------------------------


def test_parquet_with_its_own_types(tmp_path: Path) -> None:
    naive = datetime(2026, 3, 2, 9, 15)  # noqa: DTZ001 (as a database exports it)
    table = pa.table(
        {
            "change_id": pa.array([7, 8, None]),
            "submitted_at": pa.array([naive, naive, naive], pa.timestamp("ns")),
            "known_at": pa.array([MARCH] * 3, pa.timestamp("ms", "America/New_York")),
            "planned_start": pa.array([date(2026, 7, 1), None, None]),
            "planned_end": pa.array([1772439300000.0, None, None]),
            "cab_required": pa.array([True, None, False]),
            "affected_cis": pa.array([["a", "b", "a"], [], None]),
            "ci": pa.array(["x", "y", None]).dictionary_encode(),
            "service": pa.array([b"mail", None, None]),
            "declared_risk": pa.array([3.0, float("nan"), None]),
            "impact": pa.array([Decimal("2"), None, None]),
            "lines_added": pa.array([12, None, None]),
        }
    )
    pq.write_table(table, tmp_path / "changes.parquet", row_group_size=2)
    write(tmp_path, mapping='[source]\ntimezone = "Europe/Berlin"')
    found, reading = records(tmp_path)

    assert found == [
        Change(
            change_id="7",
            known_at=MARCH,
            submitted_at=MARCH,
            planned_start=datetime(2026, 6, 30, 22, tzinfo=UTC),
            planned_end=MARCH,
            cab_required=True,
            affected_cis=("a", "b"),
            ci="x",
            service="mail",
            declared_risk="3",
            impact="2",
            attributes={"lines_added": 12.0},
        ),
        Change(change_id="8", known_at=MARCH, submitted_at=MARCH, ci="y"),
    ]
    assert [(r.file, r.row, r.reason) for r in reading.rejected] == [
        ("changes.parquet", 3, "change_id is empty")
    ]
    assert type(found[0].submitted_at) is datetime
    assert not any("could not" in note for note in reading.notes)


def test_parquet_moments_that_no_calendar_has(tmp_path: Path) -> None:
    moments = pa.array([10**18, 1772439300 * 10**6], pa.int64()).cast(pa.timestamp("us", "UTC"))
    table = pa.table({"change_id": ["A", "B"], "submitted_at": moments})
    pq.write_table(table, tmp_path / "changes.parquet")
    found, reading = records(tmp_path)
    assert [(change.change_id, change.submitted_at) for change in found] == [("B", MARCH)]
    assert [r.reason for r in reading.rejected] == ["submitted_at could not be read as a time"]


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    texts = {"change_id": ["A", "B"], "submitted_at": ["2026-03-02T08:15:00Z"] * 2, "ci": ["", "x"]}
    (tmp_path / "p").mkdir()
    pq.write_table(pa.table(texts), tmp_path / "p" / "changes.parquet")
    rows = "\n".join(",".join(row) for row in zip(*texts.values(), strict=True))
    write(tmp_path, changes=f"{','.join(texts)}\n{rows}\n")
    assert records(tmp_path)[0] == records(tmp_path / "p")[0]


# the mapping file --------------------------------------------------------------------------------

HEADER = "number,opened_at,cis\n"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ("[change]", r"mapping\.toml: unknown table 'change'; did you mean 'changes'\? known are"),
        ("x = 1", "unknown table 'x'; known are calendar, changes, events"),
        ("[source]\ntimezon = 'UTC'", r"\[source\]: unknown setting 'timezon'; did you mean"),
        ("[source]\ntimezone = 'Europe/Berln'", "unknown timezone 'Europe/Berln'; .*Europe/Berlin"),
        ("[source]\ntimezone = 1", "timezone: expected text in quotes, got 1"),
        ("[source]\nencoding = 'utf-99'", "unknown encoding 'utf-99'"),
        ("[source]\ndelimiter = ';;'", "delimiter: expected one character, got ';;'"),
        ("[source]\ntime_format = '%H:%M'", "time_format: '%H:%M' does not describe a time"),
        ("[source]\ntime_format = '%Q'", "time_format: '%Q' does not describe a time"),
        ("[source]\nlabel = 'incidents'", "unknown label 'incidents'; did you mean 'incident'"),
        ("changes = 3", r"expected \[changes\] to be a table, got 3"),
        ("[changes]\nfiel = 'x.csv'", r"\[changes\]: unknown setting 'fiel'; did you mean 'file'"),
        ("[changes]\nfile = 'chnges.csv'", "unknown file 'chnges.csv'; did you mean 'changes.csv'"),
        ("[changes]\nfile = 'changes.xlsx'", "expected .csv, .tsv, .txt, .parquet, got"),
        ("[incidents.columns]\nincident_id = 'n'", r"\[incidents\]: expected incidents\.csv or"),
        ("[items]\nattributes = {}", "unknown setting 'attributes'"),
        (
            "[changes.columns]\nsubmited_at = 'opened_at'",
            r"\[changes\.columns\]: unknown field 'submited_at'; did you mean 'submitted_at'\?",
        ),
        (
            "[changes.columns]\nsubmitted_at = 'opend_at'",
            r"changes\.csv: submitted_at: unknown column 'opend_at'; did you mean 'opened_at'\?",
        ),
        (
            "[changes.columns]\nci = { colum = 'cis' }",
            r"ci: expected a column's name, \{ column = … \}",
        ),
        (
            "[changes.columns]\nci = { column = 'cis', sep = '|' }",
            "unknown setting 'sep'; known are column, separator, value",
        ),
        ("[changes.columns]\nci = { column = 'cis', separator = 3 }", "separator: expected text"),
        ("[changes.columns]\nci = 3", "ci: expected a column's name"),
        (
            "[changes.columns]\nchange_id = 'number'\nsubmitted_at = { value = 'soon' }",
            "submitted_at: the value 'soon' could not be read as a time",
        ),
        ("[changes.values.declared_rsk]\na = 'b'", "unknown field 'declared_rsk'; did you mean"),
        ("[changes.values]\ndeclared_risk = 'b'", r"expected \[declared_risk\] to be a table"),
        ("[changes.attributes]\nlines = 'locs'", "lines: unknown column 'locs'"),
        ("[changes.attributes]\nlines = 3", "attributes lines: expected a column, got 3"),
        ("[changes.attributes]\nci = 'cis'", "'ci' is a field; put it under columns"),
        ("[changes.columns]\nchange_id = false", "expected a column for change_id"),
        ("[changes", r"mapping\.toml is not a TOML file"),
    ],
)
def test_mistakes_in_the_mapping_file(tmp_path: Path, mapping: str, message: str) -> None:
    write(tmp_path, changes=f"{HEADER}not,a,single,row,is,read\n", mapping=mapping)
    reading = Reading()
    with pytest.raises(SourceError, match=message):
        next(read(tmp_path, reading))
    assert reading.rejected == []


@pytest.mark.parametrize("name", sorted(FORBIDDEN_FIELDS))
def test_nothing_known_afterwards_gets_into_a_change(tmp_path: Path, name: str) -> None:
    write(tmp_path, changes=f"change_id,submitted_at,{name}\n")
    message = rf"{name!r} is known only after the change was submitted.* belongs in \[events\]"
    for mapping in (
        f"[changes.columns]\n{name} = '{name}'",
        f"[changes.columns]\ndescription = '{name}'",
        f"[changes.columns]\ndescription = {{ column = '{name}' }}",
        f"[changes.attributes]\n{name} = 'submitted_at'",
        f"[changes.attributes]\nlines_added = '{name}'",
    ):
        write(tmp_path, mapping=mapping)
        with pytest.raises(SourceError, match=message):
            records(tmp_path)


def test_marks_of_a_revision_may_come_from_any_column(tmp_path: Path) -> None:
    mapping = "[changes.columns]\nrevision = 'sys_mod_count'"
    columns = "change_id,submitted_at,sys_mod_count"
    change = one(tmp_path, "changes", columns, "C1,2026-03-02T08:15:00Z,6", mapping)
    assert change.revision == "6"


def test_all_headers_are_checked_before_a_row_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes="change_id,submitted_at\nC1,2026-03-02T08:15:00Z\n",
        events="change_id,kind,when\n",
    )
    with pytest.raises(SourceError, match=r"events\.csv: expected a column for"):
        next(read(tmp_path, Reading()))


def test_a_field_can_be_left_out_or_set_for_all_rows(tmp_path: Path) -> None:
    mapping = """
        [changes.columns]
        description = false
        service = { value = "mail" }
        known_at = { value = 2026-03-02T08:15:00Z }
        """
    columns = "change_id,submitted_at,description"
    change = one(tmp_path, "changes", columns, "C1,,secret", mapping)
    assert change == Change(change_id="C1", known_at=MARCH, service="mail")


def test_attributes_that_no_feature_reads_are_kept_and_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        changes="change_id,submitted_at,loc\nC1,2026-03-02T08:15:00Z,5\n",
        mapping="[changes.attributes]\nlines = 'loc'",
    )
    found, reading = records(tmp_path)
    assert found[0].attributes == {"lines": 5.0}
    start = "changes: no feature reads the attributes lines; they read lines_added"
    assert any(note.startswith(start) for note in reading.notes)


def test_a_mapping_elsewhere_and_its_label(tmp_path: Path, run: Import, store: Store) -> None:
    write(tmp_path, changes="change_id,submitted_at\nC1,2026-03-02T08:15:00Z\n", mapping="[oops]")
    elsewhere = tmp_path / "var" / "other.toml"
    with pytest.raises(SourceError, match=r"expected a mapping file at .*other\.toml"):
        run(mapping=elsewhere)
    elsewhere.write_text("[source]\nlabel = 'failed'")
    run(mapping=str(elsewhere))
    assert store.setting("label") == {"name": "failed"}
    assert store.setting("source") == "csv"


def test_every_record_type_has_a_table() -> None:
    assert {kind.record_type for kind in TABLES.values()} == set(Record.__args__)
