"""The BPI Challenge 2014 format, on invented rows; the real files where they are found."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.history import History
from features.records import Change, ChangeEvent, Incident, Item, Link
from features.sources import Reading, SourceError, import_source
from features.sources.bpic14 import read
from features.store import Store

CHANGE_HEADER = (
    "CI Name (aff);CI Type (aff);CI Subtype (aff);Service Component WBS (aff);Change ID;"
    "Change Type;Risk Assessment;Emergency Change;CAB-approval needed;Planned Start;Planned End;"
    "Scheduled Downtime Start;Scheduled Downtime End;Actual Start;Actual End;Requested End Date;"
    "Change record Open Time;Change record Close Time;Originated from;# Related Interactions;"
    "# Related Incidents"
)
INCIDENT_HEADER = (
    "CI Name (aff);CI Type (aff);CI Subtype (aff);Service Component WBS (aff);Incident ID;Status;"
    "Impact;Urgency;Priority;Category;KM number;Alert Status;# Reassignments;Open Time;Reopen Time;"
    "Resolved Time;Close Time;Handle Time (Hours);Closure Code;# Related Interactions;"
    "Related Interaction;# Related Incidents;# Related Changes;Related Change;CI Name (CBy);"
    "CI Type (CBy);CI Subtype (CBy);ServiceComp WBS (CBy);;"
)

CHANGE = {
    "CI Name (aff)": "XYZ1",
    "CI Type (aff)": "widget",
    "Service Component WBS (aff)": "WBS-A",
    "Change ID": "C90000001",
    "Change Type": "Release Type 99",
    "Risk Assessment": "Business Change",
    "Emergency Change": "N",
    "CAB-approval needed": "Y",
    "Planned Start": "14-01-2014 20:00",
    "Planned End": "14-01-2014 22:30",
    "Change record Open Time": "10-01-2014 09:00",
    "Originated from": "Interaction",
    "# Related Incidents": "3",
}
INCIDENT = {
    "CI Name (aff)": "XYZ1",
    "CI Type (aff)": "widget",
    "Service Component WBS (aff)": "WBS-A",
    "Incident ID": "IM9000001",
    "Priority": "2",
    "Category": "incident",
    "Open Time": "15/01/2014 07:30:05",
    "Resolved Time": "15/01/2014 09:00:00",
    "Close Time": "16/01/2014 12:00:00",
    "CI Name (CBy)": "AFTERWARDS",
    "CI Type (CBy)": "AFTERWARDS",
    "ServiceComp WBS (CBy)": "AFTERWARDS",
}


def export(folder: Path, changes: list[dict[str, str]], incidents: list[dict[str, str]]) -> Path:
    """The two files, as the export writes them."""
    _write(folder / "Detail Change.csv", CHANGE_HEADER, changes, "utf-8")
    _write(folder / "Detail Incident.csv", INCIDENT_HEADER, incidents, "latin-1")
    return folder


def _write(path: Path, header: str, rows: list[dict[str, str]], encoding: str) -> None:
    columns = header.split(";")
    lines = [header, *(";".join(row.get(name, "") for name in columns) for row in rows)]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))


def history(folder: Path) -> tuple[History, Reading]:
    reading = Reading()
    return History.from_records(read(folder, reading)), reading


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def test_a_change_on_several_items_is_one_change(tmp_path: Path) -> None:
    rows = [
        CHANGE,
        CHANGE | {"Change ID": "C90000002", "CI Name (aff)": "OTHER"},
        CHANGE | {"CI Name (aff)": "XYZ2", "Service Component WBS (aff)": "WBS-B"},
        CHANGE | {"CI Name (aff)": "XYZ1"},
    ]
    found, reading = history(export(tmp_path, rows, []))
    assert len(found[Change]) == 2
    assert found[Change].record(0) == Change(
        change_id="C90000001",
        known_at=utc(2014, 1, 10, 8),
        change_type="normal",
        category="Release",
        change_model="Release Type 99",
        ci="XYZ1",
        affected_cis=("XYZ1", "XYZ2"),
        service="WBS-A",
        impacted_services=("WBS-A", "WBS-B"),
        declared_risk="moderate",
        cab_required=True,
        submitted_at=utc(2014, 1, 10, 8),
        planned_start=utc(2014, 1, 14, 19),
        planned_end=utc(2014, 1, 14, 21, 30),
    )
    assert reading.rows_read == {"Detail Change.csv": 4, "Detail Incident.csv": 0}


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"Change Type": "Standard Change Type 12"}, "change_type", "standard"),
        ({"Change Type": "Standard Change Type 12"}, "category", "Standard Change"),
        ({"Emergency Change": "Y"}, "change_type", "emergency"),
        ({"Risk Assessment": "Minor Change"}, "declared_risk", "low"),
        ({"Risk Assessment": "Major Business Change"}, "declared_risk", "high"),
        ({"Risk Assessment": "Unheard of"}, "declared_risk", "Unheard of"),
        ({"Risk Assessment": ""}, "declared_risk", None),
        ({"Change Type": ""}, "change_model", None),
        ({"Change Type": ""}, "category", None),
        ({"CI Name (aff)": ""}, "ci", None),
        ({"CI Name (aff)": ""}, "affected_cis", ()),
        ({"CAB-approval needed": "N"}, "cab_required", False),
        ({"Planned Start": ""}, "planned_start", None),
        ({"Planned Start": "31-02-2014 10:00"}, "planned_start", None),
        (
            {
                "Scheduled Downtime Start": "14-01-2014 20:00",
                "Scheduled Downtime End": "14-01-2014 20:45",
            },
            "attributes",
            {"planned_downtime_hours": 0.75},
        ),
        ({"Scheduled Downtime Start": "14-01-2014 20:00"}, "attributes", {}),
    ],
)
def test_fields_of_a_change(
    tmp_path: Path, given: dict[str, str], field: str, expected: object
) -> None:
    found, _ = history(export(tmp_path, [CHANGE | given], []))
    assert getattr(found[Change].record(0), field) == expected


def test_what_is_known_afterwards_is_an_event_known_at_the_closing(tmp_path: Path) -> None:
    given = {
        "Actual Start": "14-01-2014 20:10",
        "Actual End": "14-01-2014 22:00",
        "Change record Close Time": "20-01-2014 09:00",
    }
    found, _ = history(export(tmp_path, [CHANGE | given], []))
    plain, _ = history(export(tmp_path, [CHANGE], []))
    assert found[Change].record(0) == plain[Change].record(0), "no field of the change moves"
    assert [found[ChangeEvent].record(row) for row in range(2)] == [
        ChangeEvent(
            change_id="C90000001",
            kind="started",
            occurred_at=utc(2014, 1, 14, 19, 10),
            known_at=utc(2014, 1, 20, 8),
        ),
        ChangeEvent(
            change_id="C90000001",
            kind="closed",
            occurred_at=utc(2014, 1, 20, 8),
            known_at=utc(2014, 1, 20, 8),
        ),
    ]


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("10-01-2014 09:00", utc(2014, 1, 10, 8)),
        ("10-07-2014 09:00", utc(2014, 7, 10, 7)),
        ("27-10-2013 01:59", utc(2013, 10, 26, 23, 59)),
        # the hour that comes twice: its first coming
        ("27-10-2013 02:30", utc(2013, 10, 27, 0, 30)),
        ("27-10-2013 03:00", utc(2013, 10, 27, 2)),
        # the hour that does not come: the moment after
        ("30-03-2014 02:30", utc(2014, 3, 30, 1)),
    ],
)
def test_dutch_time_becomes_utc(tmp_path: Path, local: str, expected: datetime) -> None:
    row = CHANGE | {"Change record Open Time": local}
    found, _ = history(export(tmp_path, [row], []))
    assert found[Change].record(0).known_at == expected


def test_incidents(tmp_path: Path) -> None:
    rows = [INCIDENT, INCIDENT | {"Incident ID": "IM9000002", "Priority": "?", "Category": ""}]
    found, _ = history(export(tmp_path, [CHANGE], rows))
    opened = utc(2014, 1, 15, 6, 30, 5)
    assert found[Incident].record(0) == Incident(
        incident_id="IM9000001",
        occurred_at=opened,
        known_at=opened,
        resolved_at=utc(2014, 1, 15, 8),
        priority=2,
        ci="XYZ1",
        service="WBS-A",
        category="incident",
    )
    second: Any = found[Incident].record(1)
    assert (second.priority, second.category) == (None, None)


def test_related_change_repairs_and_never_causes(tmp_path: Path) -> None:
    rows = [
        INCIDENT | {"Related Change": "C90000001"},
        INCIDENT | {"Incident ID": "IM2", "Related Change": "#MULTIVALUE"},
        INCIDENT | {"Incident ID": "IM3", "Related Change": "C90000001", "Close Time": ""},
    ]
    found, _ = history(export(tmp_path, [CHANGE], rows))
    assert [found[Link].record(row) for row in range(len(found[Link]))] == [
        Link(
            incident_id="IM9000001",
            change_id="C90000001",
            kind="fixed_by",
            source="explicit",
            confidence=1.0,
            occurred_at=utc(2014, 1, 15, 6, 30, 5),
            known_at=utc(2014, 1, 16, 11),
        )
    ]


def test_columns_about_the_cause_are_not_read(tmp_path: Path) -> None:
    rows = [INCIDENT | {"Related Change": "C90000001"}]
    reading = Reading()
    found = list(read(export(tmp_path, [CHANGE], rows), reading))
    assert "AFTERWARDS" not in repr(found)


def test_what_an_incident_turned_out_to_be_is_known_at_its_closing(tmp_path: Path) -> None:
    found, _ = history(export(tmp_path, [], [INCIDENT | {"Closure Code": "Software"}]))
    opened, closed = (found[Incident].record(row) for row in range(2))
    assert isinstance(opened, Incident)
    assert (opened.close_code, opened.known_at) == (None, utc(2014, 1, 15, 6, 30, 5))
    assert closed == replace(opened, close_code="Software", known_at=utc(2014, 1, 16, 11))


def test_items_are_described_as_first_met(tmp_path: Path) -> None:
    changes = [CHANGE, CHANGE | {"CI Name (aff)": "XYZ2", "CI Type (aff)": ""}]
    early = INCIDENT | {"Open Time": "02/01/2014 00:00:00", "CI Type (aff)": "gadget"}
    found, _ = history(export(tmp_path, changes, [INCIDENT, early | {"Incident ID": "IM2"}]))
    assert [found[Item].record(row) for row in range(len(found[Item]))] == [
        Item(ci="XYZ1", known_at=utc(2014, 1, 1, 23), ci_class="gadget", service="WBS-A"),
        Item(ci="XYZ2", known_at=utc(2014, 1, 10, 8), ci_class=None, service="WBS-A"),
    ]


def test_blank_rows_are_rejected_each_with_its_line(tmp_path: Path) -> None:
    changes = [CHANGE, {}, {}, CHANGE | {"Change ID": "C2", "Change record Open Time": "soon"}]
    incidents: list[dict[str, str]] = [{}, INCIDENT, INCIDENT | {"Open Time": ""}]
    found, reading = history(export(tmp_path, changes, incidents))
    assert (len(found[Change]), len(found[Incident])) == (1, 1)
    assert [(reject.file, reject.row) for reject in reading.rejected] == [
        ("Detail Change.csv", 3),
        ("Detail Change.csv", 4),
        ("Detail Change.csv", 5),
        ("Detail Incident.csv", 2),
        ("Detail Incident.csv", 4),
    ]
    assert reading.rejected[2].content["Change record Open Time"] == "soon"
    assert {reject.reason for reject in reading.rejected} == {
        "expected Change ID and Change record Open Time, one is empty or not a time",
        "expected Incident ID and Open Time, one is empty or not a time",
    }


def test_the_zipped_files_are_the_same(tmp_path: Path) -> None:
    rows = [INCIDENT | {"CI Name (aff)": "Zoë"}]
    export(tmp_path, [CHANGE], rows)
    plain = list(read(tmp_path, Reading()))
    zipped = tmp_path / "zipped"
    zipped.mkdir()
    for kind in ("Change", "Incident"):
        with zipfile.ZipFile(zipped / f"detail_{kind.lower()}.zip", "w") as archive:
            archive.write(tmp_path / f"Detail {kind}.csv", f"Detail {kind}.csv")
    assert list(read(zipped, Reading())) == plain
    assert any(isinstance(record, Incident) and record.ci == "Zoë" for record in plain)


def test_what_is_not_an_export_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"expected detail_change\.zip or Detail Change\.csv in"):
        list(read(tmp_path, Reading()))
    (tmp_path / "detail_change.zip").write_bytes(b"no archive")
    with pytest.raises(SourceError, match=r"Detail Change\.csv could not be read"):
        list(read(tmp_path, Reading()))
    (tmp_path / "detail_change.zip").unlink()
    (tmp_path / "Detail Change.csv").write_text("Change ID;Planned Start\n")
    with pytest.raises(SourceError, match=r"expected the columns Actual End, Actual Start, CAB"):
        list(read(tmp_path, Reading()))
    (tmp_path / "Detail Change.csv").write_text("")
    with pytest.raises(SourceError, match=r"Detail Change\.csv could not be read"):
        list(read(tmp_path, Reading()))


@pytest.mark.real
@pytest.mark.slow
def test_the_real_export(tmp_path: Path) -> None:
    here = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("CHANGERISK_REAL_DATA", here)) / "bpic14"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CHANGERISK_REAL_DATA to the folder of it")
    store = Store(f"sqlite:///{tmp_path}/history.db")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    report = import_source(store, "bpic14", folder, now=now, rejects=tmp_path)
    assert report.stored["change_revision"] == 18_000
    assert report.rows_read["Detail Change.csv"] == 30_275
    assert set(report.rejected) == {
        "expected Incident ID and Open Time, one is empty or not a time"
    }
    assert store.setting("label") == {"name": "incident_rise"}
    found = store.load()
    assert set(found[Link]["kind"]) == {"fixed_by"}
    assert len(set(found[Incident]["incident_id"])) == 46_606
    codes = found[Incident]["close_code"]
    assert sum(code == "Software" for code in codes) > 10_000

    again = import_source(store, "bpic14", folder, now=now, rejects=tmp_path)
    assert sum(again.stored.values()) == 0
    assert store.watermark() == 1
    store.close()
