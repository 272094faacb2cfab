"""Bodies of ServiceNow's webhooks: the row, what stands beside it, what it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from features import people
from features.sources import servicenow_calendar as calendar
from features.sources.connections import Connection
from features.sources.servicenow_rows import LINK, SYS_ID, Row
from features.sources.vendor import DeliveryError, Directory, Oddities

ENVELOPES = ("result", "record")
"""Keys under which a body may hold the row."""

AHEAD = timedelta(minutes=5)
"""How far an instance's clock may be ahead of ours without a word."""


@dataclass(frozen=True)
class Post:
    """A row that came with all that it is read with.

    Parameters
    ----------
    envelope : mapping
        What stands beside the row.
    now : datetime
        When it arrived.
    """

    row: Mapping[str, Any]
    envelope: Mapping[str, Any]
    connection: Connection
    names: Directory
    odd: Oddities
    now: datetime

    @property
    def read(self) -> Row:
        """The row, to be read cell by cell."""
        return self.another(self.row)

    def another(self, row: Mapping[str, Any]) -> Row:
        """A further row, to be read with the same names."""
        return Row(row, self.connection, self.names, self.odd)

    @property
    def deleted(self) -> bool:
        """Whether the row is gone."""
        operation = self.envelope.get("operation")
        return isinstance(operation, str) and operation.strip().casefold() in ("delete", "deleted")

    def known_at(self, column: str) -> datetime:
        """When the row could be read first, as a column of it says; at latest on arrival."""
        moment = self.read.stamp(column)
        if moment is None:
            text = f"{column} is missing; the row counts from its arrival on"
            self.odd.note("missing_field", column, text)
            return self.now
        if moment > self.now + AHEAD:
            text = f"{column} is still to come; the row counts from its arrival on"
            self.odd.note("time_ahead", column, text)
        return min(moment, self.now)


@contextmanager
def within(body: object) -> Iterator[None]:
    """Let the pointers of what is refused lead to where the row stands in a body.

    Raises
    ------
    DeliveryError
        What was refused within, with its place in the body.
    """
    try:
        yield
    except DeliveryError as refused:
        raise DeliveryError(f"{_place(body)}{refused.pointer}", refused.detail) from None


def _place(body: object) -> str:
    """JSON pointer of the row within a body."""
    if isinstance(body, dict):
        for key in ENVELOPES:
            if key in body:
                return f"/{key}/0" if isinstance(body[key], list) else f"/{key}"
    return ""


def unwrapped(body: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of a body, and what stands beside it.

    Raises
    ------
    DeliveryError
        If there is not exactly one row.
    """
    if not isinstance(body, dict):
        raise DeliveryError("", "expected a JSON object")
    for key in ENVELOPES:
        if key in body:
            inner = body[key]
            if isinstance(inner, list) and len(inner) == 1:
                inner = inner[0]
            if not isinstance(inner, dict):
                raise DeliveryError(f"/{key}", "expected one record")
            # A number or sys_id beside the record stands in for one missing in it.
            beside = {k: v for k, v in body.items() if k != key}
            usual = {k: beside[k] for k in ("sys_id", "number", "sys_mod_count") if k in beside}
            return {**usual, **inner}, beside
    return body, {}


def references(body: object) -> set[str]:
    """Every id that a body refers to, be it a person's or a schedule's, so that names can be looked
    up.
    """
    found: set[str] = set()
    waiting, steps = [body], 0
    scheduled = False
    while waiting and steps < 50_000:
        steps += 1
        value = waiting.pop()
        if isinstance(value, dict):
            scheduled = scheduled or calendar.SCHEDULE in value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and len(value) < 500:
            match = LINK.search(value)
            if match:
                found.add(match.group(2))
            elif SYS_ID.fullmatch(value):
                found.add(value)
    schedules = set(map(calendar.reference_id, found)) if scheduled else set()
    return found | {people.reference_id(one) for one in found} | schedules
