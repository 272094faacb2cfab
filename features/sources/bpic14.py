"""BPI Challenge 2014: changes and incidents of Rabobank Group ICT, from HP Service Manager.

One change spans several rows of ``Detail Change.csv``, one an affected item. The incidents'
``Related Change`` mostly names the change that *fixes* the incident, so it becomes a ``fixed_by``
link, never a cause. Close time, actual times, closure codes and the ``(CBy)`` columns are known
only afterwards and are read, if at all, into events. Times are local to the Netherlands.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from features import instants
from features.records import Change, ChangeEvent, Incident, Item, Link, Record
from features.sources.reading import Reading, SourceError

ZONE = ZoneInfo("Europe/Amsterdam")

_CHANGE_TEXTS = (
    "CI Name (aff)",
    "CI Type (aff)",
    "Service Component WBS (aff)",
    "Change ID",
    "Change Type",
    "Risk Assessment",
    "Emergency Change",
    "CAB-approval needed",
)
_CHANGE_TIMES = (
    "Change record Open Time",
    "Change record Close Time",
    "Planned Start",
    "Planned End",
    "Scheduled Downtime Start",
    "Scheduled Downtime End",
    "Actual Start",
    "Actual End",
)
_INCIDENT_TEXTS = (
    "CI Name (aff)",
    "CI Type (aff)",
    "Service Component WBS (aff)",
    "Incident ID",
    "Priority",
    "Category",
    "Closure Code",
    "Related Change",
)
_INCIDENT_TIMES = ("Open Time", "Resolved Time", "Close Time")
_RISK = {
    "Minor Change": "low",
    "Business Change": "moderate",
    "Major Business Change": "high",
}


def read(path: Path, reading: Reading) -> Iterator[Record]:
    """Records of the change and incident exports in a folder, zipped or not."""
    changes = _frame(path, "change", "utf-8", {*_CHANGE_TEXTS, *_CHANGE_TIMES})
    incidents = _frame(path, "incident", "latin-1", {*_INCIDENT_TEXTS, *_INCIDENT_TIMES})
    reading.rows_read["Detail Change.csv"] = len(changes)
    reading.rows_read["Detail Incident.csv"] = len(incidents)
    yield from _items(changes, incidents)
    yield from _changes(changes, reading)
    yield from _incidents(incidents, reading)


def _frame(path: Path, kind: str, encoding: str, needed: set[str]) -> pd.DataFrame:
    archive, plain = path / f"detail_{kind}.zip", path / f"Detail {kind.capitalize()}.csv"
    if not archive.is_file() and not plain.is_file():
        raise SourceError(f"expected {archive.name} or {plain.name} in {path}, found neither")
    try:
        content: Any = plain
        if archive.is_file():
            with zipfile.ZipFile(archive) as opened:
                content = io.BytesIO(opened.read(plain.name))
        frame = pd.read_csv(content, sep=";", dtype=str, encoding=encoding, keep_default_na=False)
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise SourceError(f"{plain.name} could not be read: {error}") from error
    frame = frame.loc[:, [c for c in frame.columns if not c.startswith("Unnamed")]]
    missing = needed - set(frame.columns)
    if missing:
        raise SourceError(f"{plain.name}: expected the columns {', '.join(sorted(missing))}")
    return frame


def _moments(column: pd.Series, form: str) -> list[datetime | None]:
    """Local times as UTC; None where empty or not a time. The hour that comes twice in autumn is
    read as its first coming, the one that spring skips as the moment after.
    """
    local = pd.to_datetime(column, format=form, errors="coerce")
    aware = local.dt.tz_localize(ZONE, ambiguous=[True] * len(local), nonexistent="shift_forward")  # type: ignore[arg-type]
    micros = instants.series_to_micros(aware.dt.tz_convert("UTC"))
    return [instants.from_micros(value) for value in micros.tolist()]


def _items(changes: pd.DataFrame, incidents: pd.DataFrame) -> Iterator[Record]:
    """Items as first met: class and service, from the earliest record that names them."""
    opened = [
        (changes, _moments(changes["Change record Open Time"], "%d-%m-%Y %H:%M")),
        (incidents, _moments(incidents["Open Time"], "%d/%m/%Y %H:%M:%S")),
    ]
    names = ("CI Name (aff)", "CI Type (aff)", "Service Component WBS (aff)")
    first: dict[str, tuple[datetime, str, str]] = {}
    for frame, moments in opened:
        columns = (frame[name].tolist() for name in names)
        for moment, ci, kind, service in zip(moments, *columns, strict=True):
            if ci and moment is not None and (ci not in first or moment < first[ci][0]):
                first[ci] = (moment, kind, service)
    for ci, (moment, kind, service) in first.items():
        yield Item(ci=ci, known_at=moment, ci_class=kind or None, service=service or None)


def _changes(frame: pd.DataFrame, reading: Reading) -> Iterator[Record]:
    columns: dict[str, list[Any]] = {name: frame[name].tolist() for name in _CHANGE_TEXTS}
    for name in _CHANGE_TIMES:
        columns[name] = _moments(frame[name], "%d-%m-%Y %H:%M")
    rows_of: dict[str, list[int]] = {}
    for row, change_id in enumerate(columns["Change ID"]):
        rows_of.setdefault(change_id, []).append(row)
    for done, (change_id, rows) in enumerate(rows_of.items()):
        if done % 500 == 0:
            reading.progress("read changes", done, len(rows_of))
        first = {name: values[rows[0]] for name, values in columns.items()}
        if not change_id or first["Change record Open Time"] is None:
            reason = "expected Change ID and Change record Open Time, one is empty or not a time"
            for row in rows:
                reading.reject("Detail Change.csv", row + 2, reason, _content(frame, row))
            continue
        cis = (columns["CI Name (aff)"][row] for row in rows)
        services = (columns["Service Component WBS (aff)"][row] for row in rows)
        yield from _change_records(change_id, first, _names(cis), _names(services))
    reading.progress("read changes", len(rows_of), len(rows_of))


def _content(frame: pd.DataFrame, row: int) -> dict[str, Any]:
    return {str(name): value for name, value in frame.iloc[row].items()}


def _names(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _change_records(
    change_id: str, first: dict[str, Any], cis: tuple[str, ...], services: tuple[str, ...]
) -> Iterator[Record]:
    opened, closed = first["Change record Open Time"], first["Change record Close Time"]
    model = first["Change Type"]
    emergency = first["Emergency Change"] == "Y"
    standard = model.startswith("Standard")
    yield Change(
        change_id=change_id,
        known_at=opened,
        change_type="emergency" if emergency else "standard" if standard else "normal",
        category=model.split(" Type ")[0] or None,
        change_model=model or None,
        ci=cis[0] if cis else None,
        affected_cis=cis,
        service=services[0] if services else None,
        impacted_services=services,
        declared_risk=_RISK.get(first["Risk Assessment"], first["Risk Assessment"] or None),
        cab_required=first["CAB-approval needed"] == "Y",
        submitted_at=opened,
        planned_start=first["Planned Start"],
        planned_end=first["Planned End"],
        attributes=_downtime(first),
    )
    for kind, moment in (("started", first["Actual Start"]), ("closed", closed)):
        if moment is not None and closed is not None:
            yield ChangeEvent(change_id=change_id, kind=kind, occurred_at=moment, known_at=closed)


def _downtime(first: dict[str, Any]) -> dict[str, float]:
    start, end = first["Scheduled Downtime Start"], first["Scheduled Downtime End"]
    if start is None or end is None:
        return {}
    return {"planned_downtime_hours": (end - start).total_seconds() / 3600}


def _incidents(frame: pd.DataFrame, reading: Reading) -> Iterator[Record]:
    opened = _moments(frame["Open Time"], "%d/%m/%Y %H:%M:%S")
    resolved = _moments(frame["Resolved Time"], "%d/%m/%Y %H:%M:%S")
    closed = _moments(frame["Close Time"], "%d/%m/%Y %H:%M:%S")
    columns = {name: frame[name].tolist() for name in _INCIDENT_TEXTS}
    for row in range(len(frame)):
        values = {name: column[row] for name, column in columns.items()}
        if row % 2_000 == 0:
            reading.progress("read incidents", row, len(frame))
        start = opened[row]
        if not values["Incident ID"] or start is None:
            reason = "expected Incident ID and Open Time, one is empty or not a time"
            reading.reject("Detail Incident.csv", row + 2, reason, _content(frame, row))
            continue
        opened_as = Incident(
            incident_id=values["Incident ID"],
            occurred_at=start,
            known_at=start,
            resolved_at=resolved[row],
            priority=int(values["Priority"]) if values["Priority"].isdigit() else None,
            ci=values["CI Name (aff)"] or None,
            service=values["Service Component WBS (aff)"] or None,
            category=values["Category"] or None,
        )
        yield opened_as
        end = closed[row]
        if values["Closure Code"] and end is not None:
            yield replace(opened_as, known_at=end, close_code=values["Closure Code"])
        if values["Related Change"].startswith("C") and end is not None:
            yield Link(
                incident_id=values["Incident ID"],
                change_id=values["Related Change"],
                kind="fixed_by",
                source="explicit",
                confidence=1.0,
                occurred_at=start,
                known_at=end,
            )
    reading.progress("read incidents", len(frame), len(frame))
