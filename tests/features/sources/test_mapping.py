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


def test_times_in_another_format_are_shown_with_what_to_set(write: Write, run: Import) -> None:
    changes = 'Nr,"Erstellt am"\nC1,05.01.2026 10:00\nC2,06.01.2026 10:00\n'
    columns = '[changes.columns]\nchange_id = "Nr"\nsubmitted_at = "Erstellt am"\n'
    write(changes=changes, mapping=columns)
    report = run()
    reason = "submitted_at could not be read as a time"
    assert report.rejected == {reason: 2}
    hint = report.hints[reason]
    assert "column 'Erstellt am' of changes.csv, e.g. '05.01.2026 10:00'" in hint
    said = 'time_format = "%d.%m.%Y %H:%M"'
    assert f'{said} and timezone = "Europe/Berlin"' in hint
    assert "docs/csv-mapping.md" in hint
    assert f"rejected 2: {reason}: {hint}" in report.lines()
    assert f"{reason} (2): {hint}" in (report.fault() or "")

    write(mapping=f'[source]\n{said}\ntimezone = "Europe/Berlin"\n{columns}')
    assert run().stored["change_revision"] == 2, "what was said helps"


@pytest.mark.parametrize(
    ("text", "mapping", "hint"),
    [
        ("05.01.2026", "", '"%d.%m.%Y" and timezone'),
        ("2026/01/05 10:00:01", "", '"%Y/%m/%d %H:%M:%S" and timezone'),
        ("01/05/2026", "", '"%d.%m.%Y %H:%M" for times like 05.01.2026 10:00 and'),
        ("05.01.2026", '[source]\ntime_format = "%d/%m/%Y"', "it has '%d/%m/%Y' now"),
        ("2026-01-05 10:00", "", '; set timezone = "Europe/Berlin", or whichever it is'),
        ("1969-01-01T00:00Z", "", "e.g. '1969-01-01T00:00Z'"),
    ],
)
def test_what_to_set_depends_on_the_example(
    write: Write, run: Import, text: str, mapping: str, hint: str
) -> None:
    write(changes=f"change_id,submitted_at\nC1,{text}\n", mapping=mapping)
    (said,) = run().hints.values()
    assert hint in said
    assert said.endswith("'1969-01-01T00:00Z'") == ("1969" in text), "no format would help"


def test_types_of_change_that_mean_nothing_are_counted(write: Write, run: Import) -> None:
    kinds = ["Notfall"] * 3 + ["Routine", " Emergency ", "normal", ""]
    rows = "".join(f"C{row},2026-03-02T08:15:00Z,{kind}\n" for row, kind in enumerate(kinds))
    again = "C0,2026-03-02T08:15:00Z,Notfall\n"
    write(changes=f"change_id,submitted_at,change_type\n{rows}{again}")
    (note,) = [note for note in run().notes if "change_type" in note]
    assert "4 changes have types that no feature tells apart" in note
    assert "'Notfall' (3), 'Routine' (1); say" in note
    assert '[changes.values.change_type] "Notfall" = "…"' in note

    write(mapping='[changes.values.change_type]\nNotfall = "emergency"\nRoutine = "standard"\n')
    assert not [note for note in run().notes if "change_type" in note]


def test_of_many_types_of_change_the_most_frequent_are_named(write: Write, run: Import) -> None:
    rows = "".join(f"C{row},2026-03-02T08:15:00Z,T{row}\n" for row in range(7))
    write(changes=f"change_id,submitted_at,change_type\n{rows}")
    (note,) = [note for note in run().notes if "change_type" in note]
    assert "'T4' (1) and 2 more; say" in note


@pytest.mark.parametrize("files", [{}, {"changes": "Nr,Datum\n"}])
def test_without_a_mapping_file_the_error_says_what_it_is(
    write: Write, records: Records, files: dict[str, str]
) -> None:
    write(**files)
    with pytest.raises(SourceError, match=r"mapping\.toml in the folder.*docs/csv-mapping\.md"):
        records()
