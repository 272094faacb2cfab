"""Counting in sorted events, compiled: a search for each of millions of questions.

NumPy answers the same with one array operation a step, each over all questions and through memory.
Here a question is answered at once, close to where the one before it was found.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.instants import MISSING
from features.ordering import compiled, in_order, place_between, place_near
from features.owned import OWNER_BITS
from features.segment import NAME_BITS, Directory, Ints, span_of

Ranks = NDArray[np.int32]

Own = tuple[Ints, Ranks, Ints]
"""Where the owners' own events are found, as :class:`features.segment.Segment` holds it."""


@compiled
def weight_between(cumulated: Ints, low: int, high: int) -> int:
    """Sum of the weights of the events in ``[low, high)``; all 1 where nothing is cumulated."""
    return cumulated[high] - cumulated[low] if len(cumulated) else high - low


@compiled
def last_moment(
    ranks: Ranks, axis: Ints, events_of: Ranks, span: tuple[int, int], owner: int
) -> int:
    """Time of the last event in a span that is not of the owner; ``MISSING`` for none."""
    place = span[1] - 1
    while place >= span[0] and events_of[place] == owner:
        place -= 1
    return int(axis[ranks[place]]) if place >= span[0] else MISSING


@compiled
def own_weight(
    ranks: Ranks, events_of: Ranks, cumulated: Ints, span: tuple[int, int], rank: int, owner: int
) -> tuple[int, int]:
    """Place and weight of an owner's events of one moment in a span of one entity's."""
    low = place_near(ranks, rank, span[0], span[1], span[1])
    high = place_near(ranks, rank + 1, low, span[1], low)
    begin = low + int(np.searchsorted(events_of[low:high], owner))
    end = begin
    while end < high and events_of[end] == owner:
        end += 1
    return begin, weight_between(cumulated, begin, end)


@compiled
def leave_out(
    total: Ints,
    question: int,
    answers: tuple[int, int],
    begins: Ints,
    events: tuple[Ranks, Ranks, Ints],
    span: tuple[int, int],
    owner: int,
    own: Ranks,
) -> None:
    """Take an owner's own events of an entity off the answers of one slot.

    Parameters
    ----------
    begins : ndarray of int64
        Where the window of each answer begins.
    events : tuple
        Ranks, owners and sums of the weights.
    span : (int, int)
        The places of the entity's events before the windows' end.
    own : ndarray of int32
        Ranks of the owner's events in the stream, all before the windows' end.
    """
    ranks, events_of, cumulated = events
    for rank in own:
        place, weight = own_weight(ranks, events_of, cumulated, span, rank, owner)
        for answer in range(answers[0], answers[1]):
            if weight and begins[answer] <= place:
                total[answer, question] -= weight


@compiled
def own_ranks(own: Own, slot: int, owner: int, until: int) -> NDArray[np.int32]:
    """Ranks below one of the moments of an owner's events in the stream of a slot."""
    owned, owned_at, stream_of = own
    pair = stream_of[slot] << OWNER_BITS | owner
    if stream_of[slot] < 0:
        return owned_at[:0]
    low = np.searchsorted(owned, pair)
    high = low
    while high < len(owned) and owned[high] == pair and owned_at[high] < until:
        high += 1
    return owned_at[low:high]


@compiled
def own_events(
    directory: Directory,
    axis: Ints,
    ranks: Ranks,
    events_of: Ranks,
    cumulated: Ints,
    own: Own,
    entity: int,
    owners: Ints,
) -> list[tuple[int, int, int]]:
    """Some owners' events of one entity, as (place among the owners, moment, weight)."""
    found, span = [(0, 0, 0) for _ in range(0)], span_of(directory, entity)
    for number, owner in enumerate(owners):
        for rank in own_ranks(own, entity >> NAME_BITS, owner, len(axis)):
            _, weight = own_weight(ranks, events_of, cumulated, span, rank, owner)
            if weight:
                found.append((number, axis[rank], weight))
    return found


@compiled
def add_counts(
    total: Ints,
    last: Ints,
    directory: Directory,
    axis: Ints,
    ranks: Ranks,
    events_of: Ranks,
    cumulated: Ints,
    own: Own,
    entities: Ints,
    without: Ints,
    first: Ints,
    window: Ints,
    last_of: Ints,
    order: Ints,
    rows: Ints,
    codes: Ints,
    owners: Ints,
    edges: Ints,
) -> None:
    """Add what a segment counts; see :meth:`features.index.EventIndex.ask`.

    Parameters
    ----------
    total, last : ndarray of int64, shape (c, n) and (l, n)
        Counts, added to, and moments of last events, raised.
    entities, without : ndarray of int64, shape (s,)
        By slot: the entity of code 0, and the slot, -1 where an owner's own events count like
        others'.
    first, window : ndarray of int64, shape (s + 1,) and (c,)
        The first answer of each slot, and the window of each answer.
    last_of : ndarray of int64, shape (s,)
        The row of ``last`` for each slot; -1 where it is not asked for.
    order : ndarray of int64
        The questions to answer, in the order of their codes.
    rows : ndarray of int64, shape (n,)
        The moment of each question, by its column of ``edges``.
    owners : ndarray of int64, shape (moments,)
        Whose own events are left out; -1 for nobody.
    edges : ndarray of int64, shape (1 + windows, moments)
        Ranks of the moments, and of the windows' beginnings.
    """
    begins, events = np.empty(len(window), np.int64), (ranks, events_of, cumulated)
    spans, before = np.zeros((len(entities), 3), np.int64), -1
    for question in order:
        row, code = rows[question], codes[question]
        for slot in range(len(entities)):
            if code == before:
                low, high, near = spans[slot]
                until = place_near(ranks, edges[0, row], low, high, near)
            else:
                low, high = span_of(directory, entities[slot] + code)
                until = place_between(ranks, edges[0, row], low, high)
                spans[slot, 0], spans[slot, 1] = low, high
            spans[slot, 2] = until
            owner = owners[row] if without[slot] >= 0 else -1
            at = last_of[slot]
            if at >= 0:
                moment = last_moment(ranks, axis, events_of, (low, until), owner)
                last[at, question] = max(last[at, question], moment)
            counted = 0
            for answer in range(first[slot], first[slot + 1]):
                since = place_near(ranks, edges[1 + window[answer], row], low, until, until)
                begins[answer] = since
                counted = max(counted, until - since)
                total[answer, question] += weight_between(cumulated, since, until)
            if counted and owner >= 0:
                mine = own_ranks(own, without[slot], owner, edges[0, row])
                answers = first[slot], first[slot + 1]
                leave_out(total, question, answers, begins, events, (low, until), owner, mine)
        before = code


@compiled
def _asked_before(order: Ints, codes: Ints, rows: Ints, owners: Ints, times: Ints) -> Ints:
    """For each question in the order of codes the first one that asks the same."""
    same = order.copy()
    for number in range(1, len(order)):
        before, question = same[number - 1], order[number]
        row, other = rows[question], rows[before]
        alike = times[row] == times[other] and owners[row] == owners[other]
        if alike and codes[question] == codes[before]:
            same[number] = before
    return same


@compiled
def add_several(
    total: Ints,
    last: Ints,
    directory: Directory,
    axis: Ints,
    ranks: Ranks,
    events_of: Ranks,
    cumulated: Ints,
    own: Own,
    entities: Ints,
    without: Ints,
    first: Ints,
    window: Ints,
    last_of: Ints,
    bounds: Ints,
    ends: Ints,
    rows: Ints,
    codes: Ints,
    owners: Ints,
    times: Ints,
    edges: Ints,
) -> None:
    """Add what a segment counts for several kinds of questions; see :func:`add_counts`.

    Versions of one change ask mostly the same: what was asked already is not looked for again.

    Parameters
    ----------
    total, last : ndarray of int64
        Those of each kind, flat, one kind after another.
    bounds : ndarray of int64, shape (kinds + 1, 3)
        Where the slots, counts and last events of each kind begin.
    ends : ndarray of int64, shape (kinds + 1,)
        Where the questions of each kind begin.
    times : ndarray of int64, shape (moments,)
        The moments.
    """
    counts, lasts = 0, 0
    for kind in range(len(bounds) - 1):
        low, high = ends[kind], ends[kind + 1]
        slot, answer, _ = bounds[kind]
        size, wide, deep = bounds[kind + 1] - bounds[kind]
        until, after = counts + wide * (high - low), lasts + deep * (high - low)
        if high > low and size:
            own_total = total[counts:until].reshape((wide, high - low))
            own_last = last[lasts:after].reshape((deep, high - low))
            order = in_order(codes[low:high])
            same = _asked_before(order, codes[low:high], rows[low:high], owners, times)
            add_counts(
                own_total,
                own_last,
                directory,
                axis,
                ranks,
                events_of,
                cumulated,
                own,
                entities[slot : slot + size],
                without[slot : slot + size],
                first[slot + kind : slot + kind + size + 1],
                window[answer : answer + wide],
                last_of[slot : slot + size],
                order[same == order],
                rows[low:high],
                codes[low:high],
                owners,
                edges,
            )
            for number, question in enumerate(order):
                if same[number] != question:
                    own_total[:, question] = own_total[:, same[number]]
                    own_last[:, question] = own_last[:, same[number]]
        counts, lasts = until, after


@compiled
def newest_of(
    directory: Directory,
    axis: Ints,
    ranks: Ranks,
    owners: Ranks,
    entity: int,
    since: int,
    until: int,
    most: int,
) -> tuple[Ints, Ints]:
    """Moments and owners of the last events of an entity in ``[since, until)``, newest first, those
    of one moment by owner from the highest on: so many, and more of the last one's moment.
    """
    begin, end = span_of(directory, entity)
    high = place_between(ranks, int(np.searchsorted(axis, until)), begin, end)
    low = place_near(ranks, int(np.searchsorted(axis, since)), begin, high, high)
    start = max(low, high - most)
    while start > low and ranks[start - 1] == ranks[start]:
        start -= 1
    times, found = np.empty(high - start, np.int64), np.empty(high - start, np.int64)
    for number in range(high - start):
        place = high - 1 - number
        times[number] = axis[ranks[place]]
        at, owner = number, owners[place]
        while at > 0 and times[at - 1] == times[number] and found[at - 1] < owner:
            found[at] = found[at - 1]
            at -= 1
        found[at] = owner
    return times, found
