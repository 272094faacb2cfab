"""What all vendor adapters share: texts and times as they come over the wire, names of what records
refer to, values put into our words, and an account of what was odd.

Nothing here raises for an odd value: it becomes missing or stays as it is, and is noted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from features.records import Change, Record
from features.sources.cells import FIRST, LAST

MOST_ODDITIES = 50
"""Odd values that are told of one delivery; the rest is only counted."""

_LEADING = re.compile(r"\s*[Pp]?(\d{1,2})(?:\.0+)?\s*(?:[-–:.)]|$)")
_WHOLE = re.compile(r"([+-]?\d{1,15})\.0+")


class DeliveryError(ValueError):
    """A body that holds no record that could be understood.

    Parameters
    ----------
    pointer : str
        JSON pointer of what is missing or wrong.
    detail : str
        What was expected.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}")
        self.pointer = pointer
        self.detail = detail


@dataclass(frozen=True)
class Oddity:
    """A value that could not be used as it is, and what became of it."""

    code: str
    field: str
    text: str


@dataclass
class Oddities:
    """What was odd about a record, in the order found, each once."""

    found: dict[Oddity, None] = field(default_factory=dict)

    def note(self, code: str, name: str, text: str) -> None:
        """Remember an odd value."""
        if len(self.found) < MOST_ODDITIES:
            self.found.setdefault(Oddity(code, name[:100], text[:300]))

    def __iter__(self) -> Iterator[Oddity]:
        return iter(list(self.found))


@dataclass(frozen=True)
class Reference:
    """A record that others refer to by its id, and its name."""

    kind: str
    ref_id: str
    name: str


class Directory:
    """Names by id: those known before, and those that the records at hand give.

    Parameters
    ----------
    known : mapping of str to str
        Names by id, as the store keeps them.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._names = dict(known or {})
        self.learnt: dict[str, Reference] = {}

    def name(self, ref_id: str) -> str | None:
        """The name of an id; None for one never seen."""
        return self._names.get(ref_id)

    def learn(self, kind: str, ref_id: str, name: str) -> None:
        """Remember a name."""
        if self._names.get(ref_id) != name:
            self._names[ref_id] = name
            self.learnt[ref_id] = Reference(kind, ref_id, name)


@dataclass(frozen=True)
class Affects:
    """An item was added to those that a change affects, or taken from them.

    Parameters
    ----------
    item_id : str or None
        Its id, which may stand in for the name where that was not known.
    """

    change_id: str
    item: str
    item_id: str | None
    removed: bool

    def applied(self, items: Sequence[str]) -> tuple[str, ...]:
        """The affected items of the change after it."""
        if self.item in items and not self.removed:
            return tuple(items)
        others = tuple(one for one in items if one not in (self.item, self.item_id))
        return others if self.removed else (*others, self.item)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What one body of a vendor says.

    Parameters
    ----------
    change : Change or None
        The change it is about, to be scored.
    withdrawn : bool
        The change was cancelled or deleted: there is nothing left to score.
    records : tuple
        Further facts: incidents, links, events.
    number : str
        The number of the record it is about.
    numbered : bool
        Whether the vendor gives the revision's number.
    late : bool
        A later state of the change came before.
    affects : Affects or None
        What it says of the affected items of a change.
    affected_told : bool
        Whether it says which items the change affects; else those on record stay.
    """

    number: str
    change: Change | None = None
    withdrawn: bool = False
    records: tuple[Record, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    references: tuple[Reference, ...] = ()
    numbered: bool = False
    late: bool = False
    affects: Affects | None = None
    affected_told: bool = True


def text(value: object) -> str | None:
    """A scalar as text: ``3``, ``3.0`` and ``"3"`` are the same, blank is None.

    Examples
    --------
    >>> text(3.0), text(" 3 "), text(True), text(""), text(None)
    ('3', '3', 'true', None, None)

    Raises
    ------
    TypeError
        If the value is no scalar.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        # Python refuses to write out longer numbers than this.
        return str(value) if value.bit_length() < 10_000 else None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"expected a text or a number, got {type(value).__name__}")
    # Lone surrogates and NUL are no text that a database or a JSON writer takes.
    clean = value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return clean.replace("\r\n", "\n").strip() or None


def word(value: str) -> str:
    """A value as it is looked up: lower case, one space, no ``.0``."""
    whole = _WHOLE.fullmatch(value)
    return " ".join((whole.group(1) if whole else value).casefold().split())


def put(
    name: str, candidates: Sequence[str | None], words: Mapping[str, str], odd: Oddities
) -> str | None:
    """A value in our words: the first candidate that the mapping knows.

    A label such as ``2 - Medium`` is known by its number where the mapping knows that. A value that
    nothing knows stays as it is and is noted.
    """
    given = [candidate for candidate in candidates if candidate]
    for candidate in given:
        mapped = words.get(word(candidate))
        if mapped is None and (leading := _LEADING.match(candidate)):
            mapped = words.get(leading.group(1))
        if mapped is not None:
            return mapped or None
    if not given:
        return None
    if words:
        odd.note(
            "unknown_value",
            name,
            f"{given[0][:60]!r} is no value of {name} that is known; it was kept as it is",
        )
    return given[0]


def in_range(moment: datetime) -> datetime | None:
    """A moment in UTC; None outside of 1970 to 2199, which is a mistake."""
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return moment if FIRST <= moment < LAST else None


def iso_time(value: object) -> datetime | None:
    """A moment of an ISO 8601 text with an offset, or of milliseconds since 1970; else None.

    Examples
    --------
    >>> iso_time("2026-11-24T23:00:00.000+0100").isoformat()
    '2026-11-24T22:00:00+00:00'
    """
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return in_range(datetime.fromtimestamp(value / 1000, UTC))
        moment = datetime.fromisoformat(str(value).strip())
    except (ValueError, OverflowError, OSError):
        return None
    return None if moment.tzinfo is None else in_range(moment)


def local_time(value: str, formats: Sequence[str], zone: ZoneInfo) -> datetime | None:
    """A moment written in a zone's own time; the hour that comes twice is its first coming."""
    for time_format in formats:
        try:
            naive = datetime.strptime(value, time_format)  # noqa: DTZ007 - the zone is set next
        except ValueError:
            continue
        return in_range(naive.replace(tzinfo=zone))
    return None


def flag(name: str, value: str | None, odd: Oddities) -> bool | None:
    """Yes or no; None where it is neither."""
    if value is None:
        return None
    known = {"true": True, "yes": True, "1": True, "y": True}
    known |= {"false": False, "no": False, "0": False, "n": False}
    found = known.get(word(value))
    if found is None:
        odd.note("unreadable_value", name, f"{value[:60]!r} is neither yes nor no")
    return found


def level(name: str, value: str | None, odd: Oddities) -> int | None:
    """A priority or criticality as a number; None where there is none."""
    if value is None:
        return None
    match = re.match(r"\s*[Pp]?(\d{1,2})(?!\d)", value)
    if match is None:
        odd.note("unreadable_value", name, f"{value[:60]!r} has no level")
        return None
    return int(match.group(1))
