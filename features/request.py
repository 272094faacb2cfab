"""Features said by the ticket itself: what is asked for, how well it is described, and when."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from functools import partial
from operator import not_
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import instants
from features.columns import MANY, Columns
from features.entities import affected
from features.instants import MISSING
from features.place import Place
from features.readings import Reading
from features.texts import text_key

Floats = NDArray[np.float64]

BOILERPLATE = frozenset([
    "n/a", "na", "none", "nil", "tbc", "tbd", "todo", "test", "see", "above", "attached", "as",
    "usual", "standard", "not", "applicable", "required", "no", "rollback", "revert", "x", "-",
    "see above", "see attached", "as usual", "not applicable", "not required", "no rollback",
    "same as above", "roll back",
])  # fmt: skip
"""Whole texts that say nothing; a plan made of one of them counts as missing."""

LEVELS: dict[str, float] = {
    **dict.fromkeys(("very low", "minor", "tiny", "none"), 1.0),
    **dict.fromkeys(("low", "minor change"), 1.0),
    **dict.fromkeys(("moderate", "medium", "business change"), 2.0),
    **dict.fromkeys(("high", "major", "major business change", "significant"), 3.0),
    **dict.fromkeys(("very high", "very_high", "critical", "extensive"), 4.0),
}
"""Words people declare a risk with, as an order."""

CHANGE_TYPES = ("normal", "standard", "emergency")
"""What the catalogue tells types of change apart by."""

ATTRIBUTES = (
    "lines_added",
    "lines_deleted",
    "files_changed",
    "components_changed",
    "new_files",
    "binary_files",
    "message_lines",
    "depends_on",
    "is_revert",
    "review_hours",
    "planned_downtime_hours",
)
"""Names under ``attributes`` that the catalogue reads; others are kept but not used."""

DESCRIBED_BY = (
    "ci",
    "service",
    "assignment_group",
    "category",
    "description",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
    "planned_start",
    "planned_end",
)
"""The fields whose absence makes a record incomplete."""

_WORD = re.compile(r"\w+")
_LEADING_NUMBER = re.compile(r"\s*(\d+(?:\.\d+)?)")

Reader = Callable[[Columns], Floats]
LocalReader = Callable[[Columns, Place], Floats]

PLANS = ("description", "justification", "implementation_plan", "backout_plan", "test_plan")
"""Fields that tell in words what is done and why."""


def words(text: str | None) -> int:
    """Number of words of a text; 0 for none or boilerplate."""
    return len(_WORD.findall(text)) if text and _says(text) else 0


def _says(text: str) -> bool:
    """Whether a text is more than boilerplate."""
    return text.strip().lower().rstrip(".") not in BOILERPLATE


def level(text: str | None) -> float:
    """A declared level as a number: a leading number as it is, a known word by its order, else NaN.

    Examples
    --------
    >>> level("3 - Moderate"), level("Moderate"), level("purple")
    (3.0, 2.0, nan)
    """
    if not text:
        return np.nan
    number = _LEADING_NUMBER.match(text)
    return float(number.group(1)) if number else LEVELS.get(text.strip().lower(), np.nan)


def start(changes: Columns) -> NDArray[np.int64]:
    """Planned start, or the submission where none is planned."""
    return changes.derived("start", _start)


def _start(changes: Columns) -> NDArray[np.int64]:
    planned, submitted = changes.times("planned_start"), changes.times("submitted_at")
    return np.where(planned != MISSING, planned, submitted)


def end(changes: Columns) -> NDArray[np.int64]:
    """Planned end; where it is missing or before the start, the start."""
    return np.maximum(changes.times("planned_end"), start(changes))


def planned(changes: Columns) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """Which changes have no planned start, and all planned windows, 0 where there is none."""
    return changes.derived("planned", _planned)


def _planned(
    changes: Columns,
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    starts = changes.times("planned_start")
    unknown = starts == MISSING
    return unknown, np.where(unknown, 0, starts), np.where(unknown, 0, end(changes))


class ByValues:
    """A reading of some fields.

    Parameters
    ----------
    fields : tuple of str
    one
        The feature of a change by its values of the fields.
    many
        The same of many changes in a fraction of the time that it would take one by one.
    """

    def __init__(self, fields: tuple[str, ...], one: Callable[..., float], many: Reader) -> None:
        self._fields, self._one, self._many = fields, one, many

    def __call__(self, changes: Columns) -> Floats:
        """The feature of all changes."""
        if len(changes) >= MANY:
            return self._many(changes)
        return np.array(self.each(changes), np.float64)

    def each(self, changes: Columns) -> list[float]:
        """The feature of every one of few changes."""
        return changes.read_few(self._fields, self._one)


def _each(field: str, function: Callable[[str | None], float]) -> Reader:
    def many(changes: Columns) -> Floats:
        # Of a million plans many are one text: each is read once.
        return changes.read_each(field, function)

    return ByValues((field,), function, many)


def _is(field: str, wanted: str) -> Reader:
    def read(value: str | None) -> float:
        return np.nan if not value else float(value.strip().lower() == wanted)

    return _each(field, read)


def _hours(first: str, last: str) -> Reader:
    """The hours from one moment to another; NaN where either is missing."""

    def one(begin: int, end: int) -> float:
        return np.nan if MISSING in (begin, end) else (end - begin) / instants.HOUR

    def many(changes: Columns) -> Floats:
        begins, ends = changes.times(first), changes.times(last)
        known = (begins != MISSING) & (ends != MISSING)
        span = np.where(known, ends, 0) - np.where(known, begins, 0)
        return np.where(known, span / instants.HOUR, np.nan)

    return ByValues((first, last), one, many)


def _in_days(read: Callable[[NDArray[np.int64]], NDArray[Any]]) -> Reader:
    """A reading of the planned start, microseconds in UTC; NaN where there is no start."""

    def values(changes: Columns) -> Floats:
        moments = start(changes)
        known = moments != MISSING
        return np.where(known, read(np.where(known, moments, 0)), np.nan)

    return values


def _calendar(read: Callable[[Any], Any]) -> Reader:
    """The same of a reading that takes one moment, too."""

    def one(planned: int, submitted: int) -> float:
        moment = submitted if planned == MISSING else planned
        return np.nan if moment == MISSING else float(read(moment))

    return ByValues(("planned_start", "submitted_at"), one, _in_days(read))


def _weekday(moments: Any) -> Any:
    """Monday is 0; the first of January 1970 was a Thursday."""
    return (moments // instants.DAY + 3) % 7


def _days_left(planned: int, submitted: int) -> float:
    """Days from the start of one change to the end of its month."""
    day = instants.from_micros(submitted if planned == MISSING else planned)
    return np.nan if day is None else float(monthrange(day.year, day.month)[1] - day.day)


def _to_month_end(moments: NDArray[np.int64]) -> NDArray[np.int64]:
    days = (moments // instants.DAY).astype("datetime64[D]")
    following = (days.astype("datetime64[M]") + 1).astype("datetime64[D]")
    left: NDArray[np.int64] = (following - days).astype(np.int64)
    return left - 1


def _attributed(changes: Columns) -> list[tuple[int, Mapping[str, float]]]:
    """Rows that have attributes at all, and these."""
    return [pair for pair in enumerate(changes["attributes"].tolist()) if pair[1]]


def _attribute(name: str) -> Reader:
    def read(changes: Columns) -> Floats:
        found = np.full(len(changes), np.nan)
        for row, attributes in changes.derived("attributed", _attributed):
            found[row] = attributes.get(name, np.nan)
        return found

    return read


def _is_missing(*values: object) -> int:
    return sum(one == MISSING if isinstance(one, int) else not one for one in values)


def _missing(changes: Columns) -> Floats:
    total = np.zeros(len(changes))
    for name in DESCRIBED_BY:
        values = changes[name]
        if name.startswith("planned"):
            total += values == MISSING
        else:
            total += changes.read_each(name, not_)
    return total


def _filled(*names: str) -> Reader:
    """Share of the fields that hold something; a text made of boilerplate holds nothing."""

    def holds(name: str, value: Any) -> bool:
        if name == "cab_required":
            return bool(value == value)  # not NaN
        return bool(value) and (name not in PLANS or _says(value))

    def one(*values: Any) -> float:
        return sum(map(holds, names, values)) / len(names)

    each = {name: partial(holds, name) for name in names}

    def many(changes: Columns) -> Floats:
        held = np.zeros(len(changes))
        for name in names:
            if name == "cab_required":
                held += ~np.isnan(changes.numbers(name))
                continue
            held += changes.read_each(name, each[name])
        return held / len(names)

    return ByValues(names, one, many)


def _copies(plan: str | None, other: str | None) -> float:
    """Whether a plan repeats another; NaN without both."""
    keys = text_key(plan), text_key(other)
    return np.nan if None in keys else float(keys[0] == keys[1])


def _copied(changes: Columns) -> Floats:
    """The same of the backout plan and the implementation plan of many changes."""
    numbers: dict[str | None, int] = {None: -1}
    keys = []
    for name in ("implementation_plan", "backout_plan"):
        place, texts = changes.once_each(name)
        found = (numbers.setdefault(text_key(text), len(numbers)) for text in texts)
        keys.append(np.array([*found, -1])[place])
    return np.where((keys[0] < 0) | (keys[1] < 0), np.nan, keys[0] == keys[1])


def _local(read: Callable[[pd.DatetimeIndex], object]) -> LocalReader:
    """A reading of the planned start in local time; NaN where there is no start or no zone."""

    def values(changes: Columns, place: Place) -> Floats:
        moments = place.local(start(changes))
        if moments is None:
            return np.full(len(changes), np.nan)
        return np.where(moments.isna(), np.nan, np.asarray(read(moments), np.float64))

    return values


def _holiday(days: int) -> LocalReader:
    """Whether the day that many days after the planned start is a public holiday."""

    def values(changes: Columns, place: Place) -> Floats:
        begins = start(changes)
        moved = np.where(begins == MISSING, MISSING, begins + days * instants.DAY)
        return place.holiday(moved)

    return values


def _names_each(read: Reading) -> Reader:
    """How many names every change has."""

    def values(changes: Columns) -> Floats:
        if len(changes) < MANY:
            return np.array([*map(len, read.each(changes))], np.float64)
        return np.bincount(read(changes).row, minlength=len(changes)).astype(np.float64)

    return values


def _count(field: str) -> Reader:
    def read(changes: Columns) -> Floats:
        lists = changes[field]
        counts = np.fromiter(map(len, lists), np.float64, len(lists))
        for row in np.flatnonzero(counts > 1).tolist():
            counts[row] = len(set(lists[row]))
        return counts

    return read


VALUES: dict[str, Reader] = {
    "affected_ci_count": _names_each(affected),
    "impacted_service_count": _count("impacted_services"),
    "reference_count": _count("references"),
    "is_emergency": _is("change_type", "emergency"),
    "is_standard": _is("change_type", "standard"),
    "declared_risk_level": _each("declared_risk", level),
    "impact_level": _each("impact", level),
    "urgency_level": _each("urgency", level),
    "priority_level": _each("priority", level),
    "cab_required": lambda changes: changes.numbers("cab_required"),
    "title_words": _each("short_description", words),
    "description_words": _each("description", words),
    "justification_words": _each("justification", words),
    "implementation_plan_words": _each("implementation_plan", words),
    "backout_plan_words": _each("backout_plan", words),
    "test_plan_words": _each("test_plan", words),
    "missing_field_count": ByValues(DESCRIBED_BY, _is_missing, _missing),
    "lead_time_hours": _hours("submitted_at", "planned_start"),
    "duration_hours": _hours("planned_start", "planned_end"),
    "start_hour": _calendar(lambda moments: moments // instants.HOUR % 24),
    "start_weekday": _calendar(_weekday),
    "start_on_weekend": _calendar(lambda moments: _weekday(moments) >= 5),
    "days_to_month_end": ByValues(
        ("planned_start", "submitted_at"), _days_left, _in_days(_to_month_end)
    ),
    "target_fields_share": _filled(
        "ci", "affected_cis", "service", "category", "change_model", "assignment_group"
    ),
    "text_fields_share": _filled(*PLANS),
    "declared_fields_share": _filled(
        "change_type", "declared_risk", "impact", "urgency", "priority", "cab_required"
    ),
    "backout_copies_implementation": ByValues(
        ("implementation_plan", "backout_plan"), _copies, _copied
    ),
    **{name: _attribute(name) for name in ATTRIBUTES},
}
"""How each request feature is read, by its name in the catalogue."""

LOCAL_VALUES: dict[str, LocalReader] = {
    "local_start_hour": _local(lambda moments: moments.hour),
    "local_start_weekday": _local(lambda moments: moments.day_of_week),
    "start_on_holiday": _holiday(0),
    "holiday_next_day": _holiday(1),
}
"""How each feature is read that also depends on where the organisation is."""
