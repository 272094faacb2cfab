"""Counting while time goes by: all events pass once, and who asks reads where they have got to.

Every edge of a window passes the events of its stream in the order of time, and for the name that
an event is of, the edge's place among that name's events moves on. So nothing is searched for: the
places of one name lie side by side, and a count is the difference of two of them.
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
        self._held = np.repeat(begins[:-1], len(self._passed))
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
            (self._ranks, self._codes, self._passed, self._held, self._newest),
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
    events: tuple[Places, Places], at: int, rank: int, held: Places, edge: int, width: int
) -> int:
    """Let an edge pass all events before a rank."""
    ranks, codes = events
    while at < len(ranks) and ranks[at] < rank:
        held[codes[at] * width + edge] += 1
        at += 1
    return at


@compiled
def _pass_all(
    events: tuple[Places, Places, Ints, Places, Ints], edges: Ints, window: Ints, axis: Ints
) -> None:
    """Let all edges pass, and note by code the moment of the last event the first one passed.

    Parameters
    ----------
    events, window
        As for :func:`_counts`.
    edges : ndarray of int64
        Ranks of a moment, and of the windows' beginnings.
    """
    (ranks, codes), passed, held, newest = events[:2], events[2], events[3], events[4]
    width, before = len(passed), passed[0]
    passed[0] = _pass((ranks, codes), before, edges[0], held, 0, width)
    for place in range(before, passed[0]) if len(newest) else range(0):
        newest[codes[place]] = axis[ranks[place]]
    for edge in range(1, width):
        rank = edges[1 + window[edge - 1]]
        passed[edge] = _pass((ranks, codes), passed[edge], rank, held, edge, width)


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
    events: tuple[Places, Places, Ints, Places, Ints],
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
        Ranks and codes as of :func:`_in_time`, how many each edge has passed, and by code the
        places of all edges and the moment of the last event that the first of them passed, if asked
        for.
    own : tuple
        By owner where the ranks of its own events begin, and these; nothing where they count, too.
    asked : tuple
        Rows, codes, owners and ranks, as there.
    """
    first, axis, held_ranks, events_of = segment
    held, newest = events[3], events[4]
    rows, codes, owners, ranks = asked
    begins, weights = np.empty(len(window), np.int64), np.empty(0, np.int64)
    width, now, low, high = len(events[2]), -1, 0, 0
    for question in range(len(codes)):
        row, code = rows[question], codes[question]
        if row != now:
            now = row
            _pass_all(events, ranks[:, row], window, axis)
            low, high = _own_before(own, owners[row], ranks[0, row])
        at = code * width
        if code < 0 or at >= len(held):
            continue
        until = int(held[at])
        for answer in range(len(window)):
            total[answer, question] = until - held[at + 1 + answer]
        owner = owners[row] if low < high else -1
        span = int(first[code]), until
        if len(last) and owner >= 0:
            last[0, question] = last_moment(held_ranks, axis, events_of, span, owner)
        elif len(last):
            last[0, question] = newest[code]
        if owner >= 0:
            for answer in range(len(window)):
                begins[answer] = held[at + 1 + answer]
            answers, places = (0, len(window)), (held_ranks, events_of, weights)
            leave_out(total, question, answers, begins, places, span, owner, own[1][low:high])
