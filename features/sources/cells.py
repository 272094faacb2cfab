"""The cells of a table: text as people and exports write it, to values of a record's fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite, isnan

from features.sources.advice import HOW_TO_NAME_A_ZONE, example, how_to_read_times
from features.sources.mapping import EVENT_COLUMNS, Column, Formats, TableMapping

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""A moment before the first, or not before the last, is taken for a mistake."""

NO_TIME = "as a time"
NO_OFFSET = "as a time: it has no offset, such as Z or +02:00, and the mapping names no timezone"
"""How "could not be read" ends for times that are not in the format, and for those of no zone."""

_PROSE = {
    "short_description",
    "description",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
}
_LEVELS = {"priority", "criticality"}
_ALLOWED = {
    ("links", "kind"): ("caused_by", "fixed_by"),
    ("links", "source"): ("explicit", "text", "same_item"),
    ("events", "kind"): tuple(EVENT_COLUMNS.values()),
    ("calendar", "kind"): ("freeze", "blackout", "maintenance"),
}
_FLAGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
_MILLISECONDS = re.compile(r"\d{11,13}")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LEVEL = re.compile(r"[Pp]?(\d{1,2})(?:\.0+)?(?![\w.])")


class UnreadableError(Exception):
    """A cell is not what it should be; the message ends the sentence "could not be read"."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One field of a table: where its values stand and how they are read.

    Parameters
    ----------
    kind : str
        As in :func:`features.columns.kinds`, or ``attribute``, a number under ``attributes``.
    index : int
        Position of the column in a row; -1 where the mapping gives one value for all rows.
    strict : bool
        The row is lost if the value cannot be read; otherwise only the value is.
    """

    name: str
    kind: str
    index: int
    column: Column
    formats: Formats
    values: Mapping[str, str]
    allowed: Sequence[str] | None
    strict: bool

    @classmethod
    def of(cls, table: TableMapping, name: str, column: Column, header: Sequence[str]) -> Cell:
        """The cell of a field in a table whose file has these columns."""
        return cls(
            name=name,
            kind=table.kind.fields.get(name, "attribute"),
            index=-1 if column.name is None else header.index(column.name),
            column=column,
            formats=table.formats,
            values=table.values.get(name, {}),
            allowed=_ALLOWED.get((table.name, name)),
            strict=name in table.kind.strict,
        )

    def raw(self, row: Sequence[object]) -> object:
        """The field's value in a row as it stands there."""
        return self.column.value if self.index < 0 else row[self.index]

    def read(self, row: Sequence[object]) -> object:
        """The field's value in a row; None where it is empty.

        Raises
        ------
        UnreadableError
            If there is a value that makes no sense for the field.
        """
        raw = self.raw(row)
        if self.kind == "list":
            return self._names(raw)
        value = plain(raw)
        if isinstance(value, datetime):
            return _moment(value, self.formats) if self.kind == "time" else value.isoformat()
        text = self.values.get(value, value)
        if _is_empty(text, prose=self.name in _PROSE):
            return None
        if self.kind == "time":
            return _time(text, self.formats)
        if self.kind == "text":
            return text if self.allowed is None else _one_of(text, self.allowed)
        if self.kind == "flag":
            return _flag(text)
        return _level(text) if self.name in _LEVELS else _number(text)

    def hint(self, row: Sequence[object], reason: str, file: str) -> str:
        """An example of what could not be read and, of times, how they can be."""
        text = str(plain(self.raw(row)))
        shown = example(file, self.column.name, text)
        if reason == NO_OFFSET:
            return f"{shown}; {HOW_TO_NAME_A_ZONE}"
        if reason != NO_TIME:
            return shown
        zone_known = self.formats.zone is not None
        how = how_to_read_times(text, self.formats.time_format, zone_known=zone_known)
        return f"{shown}; {how}"

    def _names(self, raw: object) -> tuple[str, ...] | None:
        parts = raw if isinstance(raw, list) else str(plain(raw)).split(self.column.separator)
        texts = (str(plain(part)) for part in parts)
        named = (self.values.get(text, text) for text in texts)
        return tuple(dict.fromkeys(text for text in named if not _is_empty(text))) or None


def plain(value: object) -> str | datetime:
    """A cell as text, as it would stand in a CSV file; a moment of a Parquet file as it is."""
    if isinstance(value, str):
        return value.strip()
    if value is None or isinstance(value, datetime):
        return "" if value is None else value
    if isinstance(value, float):
        return "" if isnan(value) else f"{value:.0f}" if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return value.isoformat() if isinstance(value, date) else str(value)


def _is_empty(text: str, *, prose: bool = False) -> bool:
    """Whether a cell says that there is nothing; in prose "N/A" is what somebody wrote."""
    lower = text.lower()
    return lower in ("", "null") or (lower == "n/a" and not prose)


def _time(text: str, formats: Formats) -> datetime:
    try:
        if _MILLISECONDS.fullmatch(text):
            return _moment(datetime.fromtimestamp(int(text) / 1000, UTC), formats)
        if formats.time_format is not None:
            return _moment(datetime.strptime(text, formats.time_format), formats)  # noqa: DTZ007
        if _ISO_DATE.match(text):
            return _moment(datetime.fromisoformat(text), formats)
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableError(NO_TIME) from error
    raise UnreadableError(NO_TIME)


def _moment(moment: datetime, formats: Formats) -> datetime:
    """A moment in UTC. The hour that comes twice in autumn is read as its first coming."""
    if moment.tzinfo is None:
        if formats.zone is None:
            raise UnreadableError(NO_OFFSET)
        moment = moment.replace(tzinfo=formats.zone)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise UnreadableError(NO_TIME) from error
    if not FIRST <= moment < LAST:
        raise UnreadableError("as a time between 1970 and 2200")
    return moment


def _number(text: str) -> float:
    flag = _FLAGS.get(text.lower())
    try:
        number = float(text) if flag is None else float(flag)
    except ValueError as error:
        raise UnreadableError("as a number") from error
    if not isfinite(number):
        raise UnreadableError("as a number")
    return number


def _flag(text: str) -> bool:
    flag = _FLAGS.get(text.lower())
    if flag is None:
        raise UnreadableError("as yes or no")
    return flag


def _level(text: str) -> int:
    match = _LEVEL.match(text)
    if match is None:
        raise UnreadableError("as a level")
    return int(match.group(1))


def _one_of(text: str, allowed: Sequence[str]) -> str:
    if text.lower() not in allowed:
        raise UnreadableError(f"as one of {', '.join(allowed)}")
    return text.lower()
