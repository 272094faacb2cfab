"""Numbers of records in texts: whatever in an incident's words looks like ``CHG0031234``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.arrow import Bytes, bytes_of
from features.chosen import Array, numbered_in
from features.columns import Columns
from features.ordering import compiled
from features.segment import NONE, Ints, spread

AT_ONCE = 50_000
"""Incidents read together."""

LETTERS = 10
"""Letters that a number may begin with at most."""

_NUMBERED = re.compile(rf"[A-Za-z]{{1,{LETTERS}}}-?\d{{2,}}")

_FOREIGN = re.compile(r"(?![0-9])\d")
"""A digit of another script; it is none to the compiled reading."""

_FIELDS = ("short_description", "description")


def mentioned_numbers(incidents: Columns) -> Iterator[tuple[Ints, list[str]]]:
    """Everything in the incidents' texts that looks like the number of a record.

    Yields
    ------
    rows, numbers
        Of some thousand incidents at a time, by row.
    """
    for rows, numbers in _read(incidents):
        yield rows, numbers.to_pylist()


def numbers_among(incidents: Columns, wanted: Iterable[str]) -> tuple[Ints, list[str]]:
    """The same of certain numbers only, of all incidents together, by row.

    Of millions of titles many are equal: where the table tells which, each is read once.
    """
    among = pa.array(list(wanted), pa.large_string())
    rows, numbers = [NONE], []
    for field in _FIELDS:
        held = numbered_in(incidents.data, field)
        place, texts = (None, incidents[field]) if held is None else held
        row, found = _wanted(texts, among)
        if place is not None:
            row, which = _with_each(row, place, len(texts))
            found = [found[one] for one in which.tolist()]
        rows.append(row)
        numbers += found
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")
    return row[order], [numbers[at] for at in order.tolist()]


def _wanted(texts: Sequence[str | None] | Array, among: Any) -> tuple[Ints, list[str]]:
    """Row and number of whatever in the texts is among some numbers."""
    rows, parts = [NONE], [pa.array([], pa.large_string())]
    for low in range(0, len(texts), AT_ONCE):
        part = pa.array(texts[low : low + AT_ONCE], pa.large_string())
        if part.null_count < len(part):
            row, found = _numbers_in([part, pa.nulls(len(part), pa.large_string())])
            rows.append(low + row)
            parts.append(found)
    numbers = pa.chunked_array(parts)
    kept = pc.is_in(numbers, among)  # of all at once: each call hashes a million wanted ones anew
    return np.concatenate(rows)[kept.to_numpy()], numbers.filter(kept).to_pylist()


def _with_each(value: Ints, place: NDArray[np.int32], values: int) -> tuple[Ints, Ints]:
    """Rows that have any of some values, which are ascending, and the place of that among these."""
    count = np.bincount(value, minlength=values + 1)  # the last for rows that have none at all
    first = np.cumsum(count) - count
    rows = np.flatnonzero(count[place])
    which, at = spread(first[place[rows]], count[place[rows]])
    return rows[which], at


def _read(incidents: Columns) -> Iterator[tuple[Ints, Any]]:
    """Rows and an Arrow array of numbers: of millions few are ever wanted as text."""
    for low in range(0, len(incidents), AT_ONCE):
        part = incidents.take(np.arange(low, min(low + AT_ONCE, len(incidents))))
        rows, numbers = _numbers_in([pa.array(part[field], pa.large_string()) for field in _FIELDS])
        yield low + rows, numbers


def _numbers_in(texts: list[Any]) -> tuple[Ints, Any]:
    return _by_pattern(texts) if any(map(_foreign, texts)) else _by_bytes(texts)


def _foreign(texts: Any) -> bool:
    """Whether any digit of another script stands in the texts."""
    data = bytes_of(texts)[1]
    return bool((data & 0x80).any()) and any(_FOREIGN.search(t.as_py() or "") for t in texts)


def _by_pattern(texts: list[Any]) -> tuple[Ints, Any]:
    """Rows and numbers by the pattern, text by text."""
    each = zip(*(text.to_pylist() for text in texts), strict=True)
    found = [
        (row, number)
        for row, fields in enumerate(each)
        for text in fields
        for number in _NUMBERED.findall(text or "")
    ]
    rows = np.array([row for row, _ in found], np.int64)
    return rows, pa.array([number for _, number in found], pa.large_string())


def _by_bytes(texts: list[Any]) -> tuple[Ints, Any]:
    """The same from the bytes of the texts, which takes a tenth of the time."""
    (first, title), (second, text) = map(bytes_of, texts)
    rows, ends, data = _numbers(first, title, second, text)
    offsets = pa.py_buffer(np.concatenate([np.zeros(1, np.int64), ends]))
    return rows, pa.LargeStringArray.from_buffers(len(rows), offsets, pa.py_buffer(data))


@compiled
def _is_letter(char: int) -> bool:
    return 97 <= char | 0x20 <= 122


@compiled
def _is_digit(char: int) -> bool:
    return 48 <= char <= 57


@compiled
def _next_number(text: Bytes, low: int, high: int) -> tuple[int, int]:
    """Where the next number of a text begins and ends; both at its end for none."""
    at = low
    while at < high:
        if not _is_digit(text[at]):
            at += 1
            continue
        end = at
        while end < high and _is_digit(text[end]):
            end += 1
        begin = at - 1 if at > low and text[at - 1] == 45 else at  # a hyphen may stand between
        letters = begin
        while letters > low and begin - letters < LETTERS and _is_letter(text[letters - 1]):
            letters -= 1
        if letters < begin and end - at > 1:
            return letters, end
        at = end
    return high, high


@compiled
def _numbers(first: Ints, title: Bytes, second: Ints, text: Bytes) -> tuple[Ints, Ints, Bytes]:
    """Row, end and bytes of every number in titles and texts."""
    rows, ends = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    data, filled = np.empty(len(title) + len(text), np.uint8), 0
    for row in range(len(first) - 1):
        for which in range(2):
            held, bounds = (title, first) if which == 0 else (text, second)
            begin, end = _next_number(held, bounds[row], bounds[row + 1])
            while begin < end:
                rows.append(np.int64(row))
                data[filled : filled + end - begin] = held[begin:end]
                filled += end - begin
                ends.append(np.int64(filled))
                begin, end = _next_number(held, end, bounds[row + 1])
    return np.array(rows, np.int64), np.array(ends, np.int64), data[:filled]
