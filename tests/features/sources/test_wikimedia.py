"""The Wikimedia change files, on invented rows; the real files where they are found."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from features.history import History
from features.records import FORBIDDEN_FIELDS, Change, ChangeEvent
from features.sources import Reading, SourceError, import_source
from features.sources.wikimedia import read_config, read_puppet
from features.store import Store

MAY = datetime(2022, 5, 4, 10, 30, 0, 17, tzinfo=UTC)
ROW: dict[str, Any] = {
    "change_id": "a1",
    "submitted_at": MAY,
    "authored_at": MAY - timedelta(days=3),
    "requester": "u0042",
    "component": "cache",
    "subject": "cache: halve the number of workers",
    "n_files": 2,
    "n_components": 1,
    "n_new_files": 0,
    "n_binary": 0,
    "lines_added": 4,
    "lines_deleted": 9,
    "msg_lines": 3,
    "n_bugs": 1,
    "depends_on": 0,
    "is_revert": 0,
    "self_merge": 1,
    "is_staff": 1,
    "review_hours": 2.5,
    "tasks": "T900001, T900002",
    "reverted_at": None,
    "revert_reason": None,
    "planned_reversal": 0,
}


def export(folder: Path, *rows: dict[str, Any], files: list[tuple[str, str]] | None = None) -> Path:
    """The two files of the configuration repository."""
    frame = pd.DataFrame([ROW | row for row in rows])
    frame = frame.astype(
        {
            "component": "category",
            "submitted_at": "datetime64[us, UTC]",
            "reverted_at": "datetime64[us, UTC]",
            "revert_reason": "str",
        }
    )
    frame.to_parquet(folder / "mediawiki_config_changes.parquet")
    touched = pd.DataFrame(
        [(change, path, 1, 0) for change, path in files or []],
        columns=["change_id", "path", "lines_added", "lines_deleted"],
    )
    touched = touched.astype({"change_id": "str", "path": "category"})
    touched.to_parquet(folder / "mediawiki_config_files.parquet")
    return folder


def history(folder: Path) -> tuple[History, Reading]:
    reading = Reading()
    return History.from_records(read_config(folder, reading)), reading


def test_a_change(tmp_path: Path) -> None:
    files = [("a1", "cache/workers.yaml"), ("zz", "lost.yaml"), ("a1", "cache/README")]
    found, reading = history(export(tmp_path, {}, files=files))
    assert found[Change].record(0) == Change(
        change_id="a1",
        known_at=MAY,
        short_description="cache: halve the number of workers",
        ci="cache",
        affected_cis=("cache/workers.yaml", "cache/README"),
        references=("T900001", "T900002"),
        requested_by="u0042",
        submitted_at=MAY,
        attributes={
            "lines_added": 4,
            "lines_deleted": 9,
            "files_changed": 2,
            "components_changed": 1,
            "new_files": 0,
            "binary_files": 0,
            "message_lines": 3,
            "depends_on": 0,
            "is_revert": 0,
            "review_hours": 2.5,
        },
    )
    assert len(found[ChangeEvent]) == 0
    assert reading.notes == ["1 file rows name a change that is not in the file of changes"]
    assert reading.rejected == []


def test_a_back_out_is_an_event_and_leaves_the_change_as_it_was(tmp_path: Path) -> None:
    backed_out = {
        "reverted_at": MAY + timedelta(hours=5),
        "revert_reason": "it was too slow",
        "planned_reversal": 1,
    }
    plain, _ = history(export(tmp_path, {}))
    found, _ = history(export(tmp_path, backed_out))
    change = found[Change].record(0)
    assert change == plain[Change].record(0)
    assert not FORBIDDEN_FIELDS & set(asdict(change))  # type: ignore[arg-type]
    assert "too slow" not in repr(change)
    assert not {"planned_reversal", "n_bugs", "is_staff"} & set(change.attributes)  # type: ignore[union-attr]
    assert [found[ChangeEvent].record(row) for row in range(len(found[ChangeEvent]))] == [
        ChangeEvent(
            change_id="a1",
            kind="backed_out",
            occurred_at=MAY + timedelta(hours=5),
            known_at=MAY + timedelta(hours=5),
            code="it was too slow",
            planned=True,
        )
    ]


def test_an_unplanned_back_out(tmp_path: Path) -> None:
    found, _ = history(export(tmp_path, {"reverted_at": MAY + timedelta(days=1)}))
    event: Any = found[ChangeEvent].record(0)
    assert (event.planned, event.code) == (False, None)


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"component": "none"}, "ci", None),
        ({"component": None}, "ci", None),
        ({"component": ""}, "ci", None),
        ({"tasks": ""}, "references", ()),
        ({"tasks": None}, "references", ()),
        ({"subject": None}, "short_description", None),
        ({"requester": None}, "requested_by", None),
    ],
)
def test_what_is_missing_is_none(
    tmp_path: Path, given: dict[str, Any], field: str, expected: object
) -> None:
    # The second row keeps the columns of texts what they are in the real files.
    found, _ = history(export(tmp_path, given, {"change_id": "b2"}))
    assert getattr(found[Change].record(0), field) == expected


def test_a_number_that_is_missing_is_no_attribute(tmp_path: Path) -> None:
    found, _ = history(export(tmp_path, {"review_hours": None}, {"change_id": "b2"}))
    assert "review_hours" not in found[Change]["attributes"][0]
    assert found[Change]["attributes"][1]["review_hours"] == 2.5


def test_rows_without_id_or_time_are_rejected(tmp_path: Path) -> None:
    rows = ({}, {"change_id": None}, {"change_id": ""}, {"change_id": "c3", "submitted_at": None})
    found, reading = history(export(tmp_path, *rows))
    assert list(found[Change]["change_id"]) == ["a1"]
    assert [(reject.file, reject.row) for reject in reading.rejected] == [
        ("mediawiki_config_changes.parquet", row) for row in (2, 3, 4)
    ]
    assert {reject.reason for reject in reading.rejected} == {
        "expected change_id and submitted_at, one is empty"
    }
    assert reading.rejected[2].content["change_id"] == "c3"
    assert reading.rejected[2].content["submitted_at"] is None


def test_what_is_not_an_export_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"expected the file puppet_changes\.parquet in"):
        list(read_puppet(tmp_path, Reading()))
    path = tmp_path / "puppet_changes.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(SourceError, match=r"puppet_changes\.parquet is not a Parquet file"):
        list(read_puppet(tmp_path, Reading()))
    pd.DataFrame([ROW]).drop(columns=["planned_reversal", "tasks"]).to_parquet(path)
    with pytest.raises(SourceError, match="expected the columns planned_reversal, tasks"):
        list(read_puppet(tmp_path, Reading()))


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "backed_out"),
    [("wikimedia-config", 27_060, 2_531), ("wikimedia-puppet", 83_386, 3_029)],
)
def test_the_real_files(tmp_path: Path, name: str, changes: int, backed_out: int) -> None:
    here = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("CHANGERISK_REAL_DATA", here)) / "wikimedia"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set CHANGERISK_REAL_DATA to the folder of it")
    store = Store(f"sqlite:///{tmp_path}/history.db")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    report = import_source(store, name, folder, now=now, rejects=tmp_path)
    assert report.stored["change_revision"] == changes
    assert report.stored["change_event"] == backed_out
    assert report.rejected == {}

    again = import_source(store, name, folder, now=now, rejects=tmp_path)
    assert sum(again.stored.values()) == 0
    assert store.watermark() == 1
    store.close()
