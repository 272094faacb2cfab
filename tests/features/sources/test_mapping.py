"""The mapping file: every mistake is said before a row is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.records import (
    FORBIDDEN_FIELDS,
    Change,
    Record,
)
from features.sources import ImportReport, Reading, SourceError
from features.sources.mapping import TABLES
from features.sources.table import read
from features.store import Store

MARCH = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
HEADER = "number,opened_at,cis\n"
Write = Callable[..., None]
Records = Callable[..., tuple[list[Any], Reading]]
One = Callable[..., Any]
Import = Callable[..., ImportReport]


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
def test_mistakes_in_the_mapping_file(
    write: Write, tmp_path: Path, mapping: str, message: str
) -> None:
    write(changes=f"{HEADER}not,a,single,row,is,read\n", mapping=mapping)
    reading = Reading()
    with pytest.raises(SourceError, match=message):
        next(read(tmp_path, reading))
    assert reading.rejected == []


@pytest.mark.parametrize("name", sorted(FORBIDDEN_FIELDS))
def test_nothing_known_afterwards_gets_into_a_change(
    write: Write, records: Records, name: str
) -> None:
    write(changes=f"change_id,submitted_at,{name}\n")
    message = rf"{name!r} is known only after the change was submitted.* belongs in \[events\]"
    for mapping in (
        f"[changes.columns]\n{name} = '{name}'",
        f"[changes.columns]\ndescription = '{name}'",
        f"[changes.columns]\ndescription = {{ column = '{name}' }}",
        f"[changes.attributes]\n{name} = 'submitted_at'",
        f"[changes.attributes]\nlines_added = '{name}'",
    ):
        write(mapping=mapping)
        with pytest.raises(SourceError, match=message):
            records()


def test_marks_of_a_revision_may_come_from_any_column(one: One) -> None:
    mapping = "[changes.columns]\nrevision = 'sys_mod_count'"
    columns = "change_id,submitted_at,sys_mod_count"
    change = one("changes", columns, "C1,2026-03-02T08:15:00Z,6", mapping)
    assert change.revision == "6"


def test_all_headers_are_checked_before_a_row_is_read(write: Write, tmp_path: Path) -> None:
    write(
        changes="change_id,submitted_at\nC1,2026-03-02T08:15:00Z\n",
        events="change_id,kind,when\n",
    )
    with pytest.raises(SourceError, match=r"events\.csv: expected a column for"):
        next(read(tmp_path, Reading()))


def test_a_field_can_be_left_out_or_set_for_all_rows(one: One) -> None:
    mapping = """
        [changes.columns]
        description = false
        service = { value = "mail" }
        known_at = { value = 2026-03-02T08:15:00Z }
        """
    columns = "change_id,submitted_at,description"
    change = one("changes", columns, "C1,,secret", mapping)
    assert change == Change(change_id="C1", known_at=MARCH, service="mail")


def test_attributes_that_no_feature_reads_are_kept_and_named(
    write: Write, records: Records
) -> None:
    write(
        changes="change_id,submitted_at,loc\nC1,2026-03-02T08:15:00Z,5\n",
        mapping="[changes.attributes]\nlines = 'loc'",
    )
    found, reading = records()
    assert found[0].attributes == {"lines": 5.0}
    start = "changes: no feature reads the attributes lines; they read lines_added"
    assert any(note.startswith(start) for note in reading.notes)


def test_a_mapping_elsewhere_and_its_label(
    write: Write, tmp_path: Path, run: Import, store: Store
) -> None:
    write(changes="change_id,submitted_at\nC1,2026-03-02T08:15:00Z\n", mapping="[oops]")
    elsewhere = tmp_path / "var" / "other.toml"
    with pytest.raises(SourceError, match=r"expected a mapping file at .*other\.toml"):
        run(mapping=elsewhere)
    elsewhere.write_text("[source]\nlabel = 'failed'")
    run(mapping=str(elsewhere))
    assert store.setting("label") == {"name": "failed"}
    assert store.setting("source") == "csv"


def test_every_record_type_has_a_table() -> None:
    assert {kind.record_type for kind in TABLES.values()} == set(Record.__args__)
