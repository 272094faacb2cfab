"""Wikimedia's production configuration changes, from their public git history.

One row is a change merged to the configuration that runs Wikipedia. ``component`` is the item it is
about, the files it touches are the affected items, tracker ids are references. A back-out is an
event of the change, known when it happened; ``planned_reversal`` belongs to that event and is never
a field of the change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa

from features.records import Change, ChangeEvent, Record
from features.sources.reading import Reading, SourceError

_RENAMED = {
    "lines_added": "lines_added",
    "lines_deleted": "lines_deleted",
    "n_files": "files_changed",
    "n_components": "components_changed",
    "n_new_files": "new_files",
    "n_binary": "binary_files",
    "msg_lines": "message_lines",
    "depends_on": "depends_on",
    "is_revert": "is_revert",
    "review_hours": "review_hours",
}
_NEEDED = {
    "change_id",
    "submitted_at",
    "component",
    "subject",
    "tasks",
    "reverted_at",
    "planned_reversal",
    *_RENAMED,
}
_TASK = re.compile(r"[\w-]+")


def read_config(path: Path, reading: Reading) -> Iterator[Record]:
    """Records of the site configuration repository."""
    return _read(path, "mediawiki_config", reading)


def read_puppet(path: Path, reading: Reading) -> Iterator[Record]:
    """Records of the server configuration (Puppet) repository."""
    return _read(path, "puppet", reading)


def _read(path: Path, name: str, reading: Reading) -> Iterator[Record]:
    changes = _frame(path / f"{name}_changes.parquet", _NEEDED)
    files = _frame(path / f"{name}_files.parquet", {"change_id", "path"})
    reading.rows_read[f"{name}_changes.parquet"] = len(changes)
    reading.rows_read[f"{name}_files.parquet"] = len(files)
    paths = files.astype({"path": str}).groupby("change_id", sort=False)["path"].agg(tuple)
    unknown = int((~files["change_id"].isin(set(changes["change_id"]))).sum())
    if unknown:
        reading.notes.append(
            f"{unknown} file rows name a change that is not in the file of changes"
        )
    touched = cast(dict[str, tuple[str, ...]], paths.to_dict())
    for row, values in enumerate(cast(list[dict[str, Any]], changes.to_dict("records"))):
        if row % 1_000 == 0:
            reading.progress("read changes", row, len(changes))
        yield from _records(values, touched, row, f"{name}_changes.parquet", reading)
    reading.progress("read changes", len(changes), len(changes))


def _frame(path: Path, needed: set[str]) -> pd.DataFrame:
    if not path.is_file():
        raise SourceError(f"expected the file {path.name} in {path.parent}, found none")
    try:
        frame = pd.read_parquet(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path.name} is not a Parquet file: {error}") from error
    missing = needed - set(frame.columns)
    if missing:
        raise SourceError(f"{path.name}: expected the columns {', '.join(sorted(missing))}")
    return frame


def _records(
    values: dict[str, Any],
    touched: dict[str, tuple[str, ...]],
    row: int,
    file: str,
    reading: Reading,
) -> Iterator[Record]:
    change_id, submitted = _text(values["change_id"]), _moment(values["submitted_at"])
    if change_id is None or submitted is None:
        reading.reject(file, row + 1, "expected change_id and submitted_at, one is empty", values)
        return
    component = _text(values["component"])
    yield Change(
        change_id=change_id,
        known_at=submitted,
        short_description=_text(values["subject"]),
        ci=None if component == "none" else component,
        affected_cis=touched.get(change_id, ()),
        references=tuple(_TASK.findall(_text(values["tasks"]) or "")),
        requested_by=_text(values.get("requester")),
        submitted_at=submitted,
        attributes={
            ours: float(values[theirs])
            for theirs, ours in _RENAMED.items()
            if not pd.isna(values[theirs])
        },
    )
    reverted = _moment(values["reverted_at"])
    if reverted is not None:
        yield ChangeEvent(
            change_id=change_id,
            kind="backed_out",
            occurred_at=reverted,
            known_at=reverted,
            code=_text(values.get("revert_reason")),
            planned=values["planned_reversal"] == 1,
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    if value is None or value is pd.NaT:
        return None
    return pd.Timestamp(value).to_pydatetime()  # type: ignore[arg-type]
