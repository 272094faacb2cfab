"""The files themselves: lines, quotes, encodings, delimiters, and Parquet's own types."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime
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
    Change,
)
from features.sources import ImportReport, Reading, SourceError
from features.sources.table import read
from features.store import Store

MARCH = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
Write = Callable[..., None]
Records = Callable[..., tuple[list[Any], Reading]]
Import = Callable[..., ImportReport]


def test_rejected_rows_carry_the_line_that_an_editor_shows(write: Write, run: Import) -> None:
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
    write(changes=text)
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
    reading = Reading()
    found: list[Any] = list(read(folder, reading))
    assert [change.description for change in found] == expected
    assert [reject.row for reject in reading.rejected] == ([] if wrong is None else [wrong])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiter_and_encoding_are_found(
    records: Records, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    lines = [["change_id", "submitted_at", "ci"], ["C1", "2026-03-02T08:15:00Z", "Köln"]]
    text = "\r\n".join(delimiter.join(line) for line in lines)
    (tmp_path / "changes.csv").write_bytes(text.encode(encoding))
    found, reading = records()
    assert found == [Change(change_id="C1", known_at=MARCH, submitted_at=MARCH, ci="Köln")]
    assert reading.rejected == []


def test_encoding_and_delimiter_may_be_set_for_one_table(
    write: Write, records: Records, tmp_path: Path
) -> None:
    (tmp_path / "changes.csv").write_bytes(
        "change_id#submitted_at#ci\nC1#2026-03-02T08:15:00Z#Köln,a;b\n".encode("cp1252")
    )
    write(
        incidents="incident_id,occurred_at,ci\nI1,2026-03-02T08:15:00Z,Köln\n",
        mapping='[changes]\nencoding = "cp1252"\ndelimiter = "#"',
    )
    found, _ = records()
    assert [record.ci for record in found] == ["Köln,a;b", "Köln"]


@pytest.mark.parametrize(
    ("rows", "end"), [(0, "\n"), (1, "\r\n"), (20_000, "\r\n"), (20_000, "\n")]
)
def test_a_file_in_another_encoding_is_an_error_that_names_it_and_the_line(
    tmp_path: Path, run: Import, store: Store, rows: int, end: str
) -> None:
    lines = [f"C{row},2026-03-02T08:15:00Z,x" for row in range(rows)]
    text = end.join(["change_id,submitted_at,ci", *lines, "C1,2026-03-02T08:15:00Z,Köln", "C2,,"])
    (tmp_path / "changes.csv").write_bytes(text.encode("latin-1"))
    expected = rf"changes\.csv could not be read as utf-8 \(line {rows + 2}\); .*cp1252"
    with pytest.raises(SourceError, match=expected):
        run()
    assert store.watermark() == 0


def test_a_file_that_ends_within_a_character_fails_on_its_last_line(
    tmp_path: Path, run: Import
) -> None:
    text = "change_id,submitted_at,ci\nC1,2026-03-02T08:15:00Z,Köln"
    (tmp_path / "changes.csv").write_bytes(text.encode("utf-16")[:-1])
    with pytest.raises(SourceError, match=r"could not be read as utf-16 \(line 2\)"):
        run()


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
def test_files_that_cannot_be_read(
    write: Write, records: Records, files: dict[str, str], message: str
) -> None:
    write(**files)
    with pytest.raises(SourceError, match=message):
        records()


def test_other_files_that_cannot_be_read(write: Write, records: Records, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a folder"):
        records(tmp_path / "nowhere")
    (tmp_path / "changes.parquet").write_bytes(b"change_id,submitted_at\n")
    with pytest.raises(SourceError, match=r"changes\.parquet is not a Parquet file"):
        records()
    write(changes="change_id,submitted_at\n")
    with pytest.raises(SourceError, match=r"found both changes\.csv and changes\.parquet"):
        records()


def test_progress_is_told_in_rows(write: Write, tmp_path: Path) -> None:
    rows = "".join(f"C{row},2026-03-02T08:15:00Z\n" for row in range(12_000))
    write(changes=f"change_id,submitted_at\n{rows}")
    told: list[tuple[str, int, int | None]] = []
    reading = Reading(progress=lambda *said: told.append(said))
    list(read(tmp_path, reading))
    assert told == [
        ("read changes", 0, None),
        ("read changes", 5_000, None),
        ("read changes", 10_000, None),
        ("read changes", 12_000, 12_000),
    ]


def test_parquet_with_its_own_types(write: Write, records: Records, tmp_path: Path) -> None:
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
    write(mapping='[source]\ntimezone = "Europe/Berlin"')
    found, reading = records()

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


def test_parquet_moments_that_no_calendar_has(records: Records, tmp_path: Path) -> None:
    moments = pa.array([10**18, 1772439300 * 10**6], pa.int64()).cast(pa.timestamp("us", "UTC"))
    table = pa.table({"change_id": ["A", "B"], "submitted_at": moments})
    pq.write_table(table, tmp_path / "changes.parquet")
    found, reading = records()
    assert [(change.change_id, change.submitted_at) for change in found] == [("B", MARCH)]
    assert [r.reason for r in reading.rejected] == ["submitted_at could not be read as a time"]


def test_parquet_gives_what_csv_gives(write: Write, records: Records, tmp_path: Path) -> None:
    texts = {"change_id": ["A", "B"], "submitted_at": ["2026-03-02T08:15:00Z"] * 2, "ci": ["", "x"]}
    (tmp_path / "p").mkdir()
    pq.write_table(pa.table(texts), tmp_path / "p" / "changes.parquet")
    rows = "\n".join(",".join(row) for row in zip(*texts.values(), strict=True))
    write(changes=f"{','.join(texts)}\n{rows}\n")
    assert records()[0] == records(tmp_path / "p")[0]
