"""How a ServiceNow row stood before: its revisions, taken back one audit entry at a time.

ServiceNow overwrites its rows. Where ``sys_audit`` may be read, each change of a column is there
with its time, the value before and the number of the update.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from features.sources.servicenow_rows import database_time

AUDIT = "sys_audit"


@dataclass(frozen=True)
class Version:
    """A row as it stood from a moment on."""

    row: Mapping[str, Any]
    known_at: datetime
    number: str | None


def by_record(audits: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Audit entries by the record they are about."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in audits:
        found[_value(entry, "documentkey")].append(entry)
    return found


def versions(
    row: Mapping[str, Any],
    audits: Sequence[Mapping[str, Any]],
    *,
    created: datetime,
    updated: datetime,
) -> list[Version]:
    """A row as it stood at each update, oldest first; the last is the row itself.

    Parameters
    ----------
    created, updated : datetime
        When it was made, and when it was last written.
    """
    if not audits:
        return [Version(row, updated, _value(row, "sys_mod_count") or None)]
    steps: dict[datetime, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in audits:
        moment = database_time(_value(entry, "sys_created_on"))
        if moment is not None and moment > created:
            steps[moment].append(entry)
    found = []
    standing = dict(row)
    for moment in sorted(steps, reverse=True):
        number = next((n for e in steps[moment] if (n := _value(e, "record_checkpoint"))), None)
        found.append(Version(dict(standing), moment, number))
        for entry in steps[moment]:
            column = _value(entry, "fieldname")
            if column in standing:
                standing[column] = {"value": _value(entry, "oldvalue")}
    found.append(Version(standing, created, "0"))
    if updated > found[0].known_at:
        # Written last without an entry of its own, such as by a comment.
        found.insert(0, Version(row, updated, _value(row, "sys_mod_count") or None))
    return found[::-1]


def _value(row: Mapping[str, Any], column: str) -> str:
    cell = row.get(column)
    value = cell.get("value") if isinstance(cell, dict) else cell
    return "" if value is None else str(value)
