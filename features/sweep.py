"""Counting while time goes by, compiled: events pass once, and who asks reads where they have got.

Every edge of a window passes the events of its stream in the order of time, and for the name that
an event is of, the edge's place among that name's events moves on. So nothing is searched for: the
places of one name lie side by side, and a count is the difference of two of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.ordering import compiled
from features.search import last_moment, leave_out
from features.segment import NAME_BITS, Ints

Places = NDArray[np.int32]


@compiled
def begin(
    keys: Ints,
    owners: Places,
    stride: int,
    entity: int,
    low: int,
    passing: Places,
    held: Places,
    columns: tuple[int, int, int],
) -> None:
    """Lay out the events of one slot in the order of time, and set all its edges before them.

    Parameters
    ----------
    keys, owners : ndarray
        Of the slot's events in a segment.
    entity, low : int
        The entity of code 0, and the place in the segment of the first event.
    passing : ndarray of int32, shape (n, 3)
        Filled with rank, code and owner of each event.
    held : ndarray of int32
        By code the places of all edges.
    columns : tuple of int
        The first of the slot's edges, the one after the last, and the number of all edges.
    """
    before = np.zeros(stride + 1, np.int32)
    first = entity * stride
    for key in keys:
        while key >= first + stride:
            first += stride
        before[key - first + 1] += 1
    for rank in range(1, len(before)):
        before[rank] += before[rank - 1]
    code, first, seen = 0, entity * stride, -1
    for place in range(len(keys)):
        while keys[place] >= first + stride:
            code, first = code + 1, first + stride
        if code != seen:
            held[code * columns[2] + columns[0] : code * columns[2] + columns[1]] = low + place
            seen = code
        rank = keys[place] - first
        event = passing[before[rank]]
        event[0], event[1], event[2] = rank, code, owners[place]
        before[rank] += 1


@compiled
def _pass(
    passing: Places,
    at: int,
    end: int,
    rank: int,
    held: Places,
    column: int,
    width: int,
    seen: NDArray[np.uint16],
    bit: int,
) -> int:
    """Let an edge pass all events before a rank; whose they are is noted under a bit."""
    while at < end and passing[at, 0] < rank:
        held[passing[at, 1] * width + column] += 1
        if bit:
            seen[passing[at, 2]] |= bit
        at += 1
    return at


@compiled
def _advance(
    row: int,
    ranks: Ints,
    first: Ints,
    window: Ints,
    pairs: Ints,
    passing: Places,
    ends: Ints,
    passed: Ints,
    held: Places,
    seen: NDArray[np.uint16],
) -> None:
    """Let all edges of all slots pass what lies before a row's moments."""
    width, column = len(passed), 0
    for slot in range(len(pairs)):
        bit = 1 << slot if pairs[slot] >= 0 else 0
        for answer in range(first[slot] - 1, first[slot + 1]):
            now = answer < first[slot]
            rank = ranks[0 if now else 1 + window[answer], row]
            passed[column] = _pass(
                passing,
                passed[column],
                ends[slot],
                rank,
                held,
                column,
                width,
                seen,
                bit if now else 0,
            )
            column += 1


@compiled
def counts_by_then(
    total: Ints,
    last: Ints,
    segment: tuple[Ints, int, Ints, Places, Ints, Places],
    counted: tuple[Ints, Ints, Ints, Ints, Ints],
    events: tuple[Places, Ints, Ints, Places, NDArray[np.uint16]],
    rows: Ints,
    codes: Ints,
    owners: Ints,
    ranks: Ints,
) -> None:
    """Find what :func:`features.search.add_counts` adds, for questions in the order of time.

    Parameters
    ----------
    segment : tuple
        Keys, stride, axis, owners, and by owner the pairs and places of the events.
    counted : tuple
        ``entities, pairs, first, window, last_of``, as there.
    events : tuple
        What :func:`begin` laid out, where the events of each slot end there, how many each edge has
        passed, the places of all edges by code, and whose events were passed, a bit a slot.
    rows : ndarray of int64, shape (n,)
        Ascending, and the moments of one not before those of the row before.
    """
    keys, stride, axis, events_of, owned, owned_at = segment
    entities, pairs, first, window, last_of = counted
    passing, ends, passed, held, seen = events
    begins, weights = np.empty(len(window), np.int64), np.empty(0, np.int64)
    width, now = len(passed), -1
    for question in range(len(codes)):
        row, code = rows[question], codes[question]
        if row != now:
            _advance(row, ranks, first, window, pairs, passing, ends, passed, held, seen)
            now = row
        if code < 0 or (code + 1) * width > len(held):
            continue
        at = code * width
        for slot in range(len(entities)):
            until, owner = int(held[at]), owners[row] if pairs[slot] >= 0 else -1
            if owner >= len(seen) or (owner >= 0 and not seen[owner] >> slot & 1):
                owner = -1  # nothing of its own was passed
            if last_of[slot] >= 0:
                base = (entities[slot] + code) * stride
                moment = last_moment(keys, base, axis, events_of, until, owner)
                last[last_of[slot], question] = moment
            for answer in range(first[slot], first[slot + 1]):
                at += 1
                begins[answer] = held[at]
                total[answer, question] = until - begins[answer]
            at += 1
            if owner >= 0:
                pair = pairs[slot] + (owner << NAME_BITS) + code
                answers = first[slot], first[slot + 1]
                leave_out(total, question, answers, begins, until, weights, owned, owned_at, pair)
