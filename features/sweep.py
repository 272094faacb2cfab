"""Counting while time goes by: all events pass once, and who asks reads where they have got to.

Every edge of a window passes the events of its stream in the order of time, and for the name that
an event is of, the edge's place among that name's events moves on. So nothing is searched for: a
count is the difference of two such places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from features.instants import MISSING
from features.ordering import compiled
from features.search import last_moment, leave_out
from features.segment import Ints, Segment

if TYPE_CHECKING:
    from features.counting import Counted
    from features.state import FeatureState

SPARSE = 16
"""Moments to an event from which on events are put in the order of time by comparing."""

Places = NDArray[np.int32]

_NONE = np.zeros(0, np.int32)


class Cursors:
    """Where the events of every code were found, for questions whose moments never go back.

    Parameters
    ----------
    segment : Segment
        In which every event counts 1.
    counted : Counted
    once : Once, optional
        Where others of the segment keep what they have in common.

    Raises
    ------
    ValueError
        If the segment takes events back.
    """

    def __init__(self, segment: Segment, counted: Counted, once: Once | None = None) -> None:
        if segment.cumulated is not None:
            raise ValueError("expected a segment of events that all count 1")
        self._counted, once = counted, once or Once()
        every = range(len(counted.slots))
        self._slots = [_Slot(segment, counted, number, once) for number in every]

    def counts(
        self, total: Ints, last: Ints, rows: Ints, codes: Ints, owners: Ints, ranks: Ints
    ) -> None:
        """Fill in what :meth:`features.index.EventIndex.ask` asks of the segment.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Ascending, and the moments of one not before those of the row before.
        """
        first, lasts = self._counted.first.tolist(), self._counted.last_of.tolist()
        for number, slot in enumerate(self._slots):
            part = total[first[number] : first[number + 1]]
            at = lasts[number]
            slot.counts(part, last[at : at + (at >= 0)], rows, codes, owners, ranks)


class Once:
    """Ranks in order, equal ones held once: under every name that each change has one of, the
    events of a stream have the same.
    """

    def __init__(self) -> None:
        self._held: WeakValueDictionary[tuple[int, int], Places] = WeakValueDictionary()

    def of(self, ranks: Places) -> Places:
        """The given ranks, or others that are equal."""
        held = self._held.setdefault((len(ranks), int(ranks.sum())), ranks)
        return held if np.array_equal(held, ranks) else ranks


class _Slot:
    """The events of one slot in the order of time, and what has passed of them."""

    def __init__(self, segment: Segment, counted: Counted, number: int, once: Once) -> None:
        slot = int(counted.slots[number])
        self._segment = segment
        self._window = counted.window[counted.first[number] : counted.first[number + 1]]
        self._begins = begins = segment.names_in(slot)
        low, high = begins[[0, -1]].tolist()
        self._passed = np.zeros(1 + len(self._window), np.int64)
        self._held = np.tile(begins[:-1], (len(self._passed), 1))
        asked = counted.last_of[number] >= 0  # for the last event, too
        self._newest = np.full(len(begins) - 1 if asked else 0, MISSING)
        self._own = segment.owners_in(slot) if counted.own[number] else (_NONE, _NONE)
        held = segment.ranks[low:high]
        if len(held) * SPARSE > len(segment.axis):
            ranks, self._codes = _in_time(held, begins, len(segment.axis))
        else:  # counting would cost more than comparing
            order = np.argsort(held, kind="stable")
            codes = np.repeat(np.arange(len(begins) - 1, dtype=np.int32), np.diff(begins))
            ranks, self._codes = held[order], codes[order]
        self._ranks = once.of(ranks)

    def counts(
        self, total: Ints, last: Ints, rows: Ints, codes: Ints, owners: Ints, ranks: Ints
    ) -> None:
        one = self._segment
        _counts(
            total,
            last,
            (self._begins, one.axis, one.ranks, one.owners),
            self._window,
            (self._ranks, self._codes),
            (self._passed, self._held, self._newest),
            self._own,
            (rows, codes, owners, ranks),
        )


class AllCursors:
    """Where the events of all entities were found, while a large table is made in order of time.

    Parameters
    ----------
    kept : bool
        Whether it is kept at all; for few questions it would cost more than it saves.
    """

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self._by_name: dict[str, Cursors] = {}
        self._once = Once()

    def of(self, name: str, counted: Counted, state: FeatureState) -> Cursors | None:
        """Where the events were found of what is asked under a name."""
        if not self.kept:
            return None
        if name not in self._by_name:
            self._by_name[name] = Cursors(state.index.base, counted, self._once)
        return self._by_name[name]

    def forget(self, name: str) -> None:
        """Let go of what is asked no more."""
        self._by_name.pop(name, None)


@compiled
def _in_time(ranks: Places, begins: Places, moments: int) -> tuple[Places, Places]:
    """Rank and code of the events of one slot in the order of time.

    Parameters
    ----------
    ranks : ndarray of int32
        Of the slot's events, by code.
    begins : ndarray of int32
        Where the events of every code begin, and where those of the last end.
    moments : int
        How many ranks there are.
    """
    before = np.zeros(moments + 1, np.int32)
    for rank in ranks:
        before[rank + 1] += 1
    for rank in range(1, len(before)):
        before[rank] += before[rank - 1]
    ordered, codes = np.empty(len(ranks), np.int32), np.empty(len(ranks), np.int32)
    for code in range(len(begins) - 1):
        for place in range(begins[code] - begins[0], begins[code + 1] - begins[0]):
            rank = ranks[place]
            ordered[before[rank]], codes[before[rank]] = rank, code
            before[rank] += 1
    return ordered, codes


@compiled
def _pass(
    events: tuple[Places, Places],
    at: int,
    held: Places,
    asked: tuple[Ints, Ints, Ints],
    found: Ints,
) -> int:
    """Let an edge pass the events before the moment of one question after another.

    Parameters
    ----------
    events : tuple
        Ranks and codes as of :func:`_in_time`.
    at : int
        How many of them the edge has passed.
    held : ndarray of int32
        By code, the edge's place among its events.
    asked : tuple
        Rows, codes and, by row, the edge's rank.
    found : ndarray of int64, shape (n,)
        Takes the place for each question; that of an unknown code is 0.

    Returns
    -------
    int
        How many the edge has passed then.
    """
    ranks, names = events
    rows, codes, edges = asked
    for question in range(len(codes)):
        rank, code = edges[rows[question]], codes[question]
        while at < len(ranks) and ranks[at] < rank:
            held[names[at]] += 1
            at += 1
        found[question] = held[code] if 0 <= code < len(held) else 0
    return at


@compiled
def _pass_noting(
    events: tuple[Places, Places],
    at: int,
    newest: Ints,
    axis: Ints,
    asked: tuple[Ints, Ints, Ints],
    found: Ints,
) -> None:
    """The same for the moment of the last event of each code, which ``newest`` holds."""
    ranks, names = events
    rows, codes, edges = asked
    for question in range(len(codes)):
        rank, code = edges[rows[question]], codes[question]
        while at < len(ranks) and ranks[at] < rank:
            newest[names[at]] = axis[ranks[at]]
            at += 1
        if 0 <= code < len(newest):
            found[question] = newest[code]


@compiled
def _own_before(own: tuple[Places, Places], owner: int, until: int) -> tuple[int, int]:
    """Where the ranks below one of an owner's own events begin, and where they end."""
    begins, ranks = own
    if not 0 <= owner < len(begins) - 1:
        return 0, 0
    low = high = np.int64(begins[owner])
    while high < begins[owner + 1] and ranks[high] < until:
        high += 1
    return int(low), int(high)


@compiled
def _counts(
    total: Ints,
    last: Ints,
    segment: tuple[Places, Ints, Places, Places],
    window: Ints,
    events: tuple[Places, Places],
    reached: tuple[Ints, Places, Ints],
    own: tuple[Places, Places],
    asked: tuple[Ints, Ints, Ints, Ints],
) -> None:
    """Find what :func:`features.search.add_counts` adds for one slot.

    Parameters
    ----------
    total, last : ndarray of int64, shape (c, n) and (0 or 1, n)
        Counts, and moments of the last events.
    segment : tuple
        Where the events of every code begin, the axis, ranks and owners.
    window : ndarray of int64, shape (c,)
        The window of each count.
    events : tuple
        Ranks and codes as of :func:`_in_time`.
    reached : tuple
        How many each edge has passed, its places by code, and by code the moment of the last event
        that the first of them passed, if asked for.
    own : tuple
        By owner where the ranks of its own events begin, and these; nothing where they count, too.
    asked : tuple
        Rows, codes, owners and ranks, as there.
    """
    passed, held, newest = reached
    rows, codes, _, ranks = asked
    until = np.empty(len(codes), np.int64)
    if len(last):
        _pass_noting(events, passed[0], newest, segment[1], (rows, codes, ranks[0]), last[0])
    passed[0] = _pass(events, passed[0], held[0], (rows, codes, ranks[0]), until)
    for answer in range(len(window)):
        edge, found = 1 + answer, total[answer]
        edges = ranks[1 + window[answer]]
        passed[edge] = _pass(events, passed[edge], held[edge], (rows, codes, edges), found)
        for question in range(len(codes)):
            found[question] = until[question] - found[question]
    if len(own[0]):
        _leave_out_own(total, last, segment, until, own, asked)


@compiled
def _leave_out_own(
    total: Ints,
    last: Ints,
    segment: tuple[Places, Ints, Places, Places],
    until: Ints,
    own: tuple[Places, Places],
    asked: tuple[Ints, Ints, Ints, Ints],
) -> None:
    """Take off what the owners did themselves; ``until`` are the places of the windows' ends."""
    first, axis, held_ranks, events_of = segment
    rows, codes, owners, ranks = asked
    begins, weights = np.empty(len(total), np.int64), np.empty(0, np.int64)
    now, low, high = -1, 0, 0
    for question in range(len(codes)):
        row, code = rows[question], codes[question]
        if row != now:
            now = row
            low, high = _own_before(own, owners[row], ranks[0, row])
        if low == high or not 0 <= code < len(first) - 1:
            continue
        span = int(first[code]), until[question]
        if len(last):
            last[0, question] = last_moment(held_ranks, axis, events_of, span, owners[row])
        for answer in range(len(total)):
            begins[answer] = until[question] - total[answer, question]
        answers, places = (0, len(total)), (held_ranks, events_of, weights)
        leave_out(total, question, answers, begins, places, span, owners[row], own[1][low:high])
