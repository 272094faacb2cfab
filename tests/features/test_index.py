"""The sorted index against loops over its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features import index, sweep
from features.counting import Counted, Moments
from features.index import EventIndex, StreamIndex, numbered
from features.instants import MISSING
from features.overlap import OverlapIndex, Windows
from features.segment import NO_EVENTS, Events, Segment
from features.sweep import Cursors

CODES = st.integers(0, 3)
TIMES = st.one_of(st.integers(-3, 12), st.sampled_from([-(2**40), 2**40]))
OWNERS = st.integers(0, 4)
Event = tuple[int, int, int, int]
EVENTS = st.lists(st.tuples(CODES, TIMES, OWNERS, st.sampled_from([1, 1, 1, -1])), max_size=14)
ADDED = st.lists(st.tuples(CODES, TIMES, OWNERS, st.just(1)), max_size=14)
# An entity or owner may be unknown (-1) or newer than a segment (9).
ASKED = st.lists(
    st.tuples(st.integers(-1, 4) | st.just(9), TIMES, st.integers(-1, 5) | st.just(9)),
    min_size=1,
    max_size=6,
)
WINDOWS = (None, 0, 1, 5, 2**41)


def ints(values: Any) -> index.Ints:
    return np.array(list(values), np.int64)


def events_of(rows: list[Event]) -> Events:
    return Events(*(ints(row[place] for row in rows) for place in range(4)))


def columns_of(asked: list[tuple[int, int, int]]) -> tuple[index.Ints, ...]:
    return tuple(ints(one[place] for one in asked) for place in range(3))


def inside(event: Event, code: int, since: int | None, until: int) -> bool:
    return event[0] == code and event[1] < until and (since is None or event[1] >= since)


OTHER = events_of([(0, 1, 0, 1), (3, 5, 1, 1)])
"""Events of another stream, which must never be seen."""


def index_of(rows: list[Event]) -> EventIndex:
    return EventIndex.of(
        {("before", "x"): OTHER, ("asked", "x"): events_of(rows), ("z", "x"): OTHER}
    )


def add(built: EventIndex, asked: Events, others: Events = NO_EVENTS) -> None:
    events = {("asked", "x"): asked, ("z", "x"): others}
    built.append(numbered(events.items(), built.slots))


def index_in_parts(parts: list[list[Event]], merge_at: int) -> StreamIndex:
    """The first part as the base, which holds no event taken back; the others laid over it."""
    with mock.patch.object(index, "MERGE_AT", merge_at):
        built = index_of([event for event in parts[0] if event[3] > 0])
        first = [event for event in parts[0] if event[3] < 0]
        for part in (first, *parts[1:]):
            add(built, events_of(part), OTHER)
    return built.stream("asked", "x")


PARTS = st.lists(EVENTS, min_size=1, max_size=4)
MERGES = st.sampled_from([1, 3, 4096])


@settings(max_examples=200)
@given(parts=PARTS, asked=ASKED, merge_at=MERGES)
def test_counts_are_sums_of_weights_in_half_open_windows(parts, asked, merge_at):
    codes, times, owners = columns_of(asked)
    found = index_in_parts(parts, merge_at).counts(codes, times, WINDOWS, owners)
    every = [event for part in parts for event in part]
    for row, (code, time, owner) in enumerate(asked):
        for window in WINDOWS:
            since = None if window is None else time - window
            expected = sum(
                event[3]
                for event in every
                if inside(event, code, since, time) and (owner < 0 or event[2] != owner)
            )
            assert found[window][row] == expected, (code, time, owner, window)


@settings(max_examples=100)
@given(parts=PARTS, asked=ASKED, merge_at=MERGES)
def test_owned_counts_only_the_owner(parts, asked, merge_at):
    codes, until, owners = columns_of(asked)
    built = index_in_parts(parts, merge_at)
    found = built.owned(codes, owners, until)
    every = [event for part in parts for event in part]
    for row, (code, time, owner) in enumerate(asked):
        own = [e[3] for e in every if inside(e, code, None, time) and e[2] == owner]
        assert found[row] == sum(own)


@settings(max_examples=200)
@given(parts=st.lists(ADDED, min_size=1, max_size=4), asked=ASKED, merge_at=MERGES)
def test_last_before_is_the_latest_time_of_another_owner(parts, asked, merge_at):
    codes, times, owners = columns_of(asked)
    found = index_in_parts(parts, merge_at).last_before(codes, times, owners)
    every = [event for part in parts for event in part]
    for row, (code, time, owner) in enumerate(asked):
        earlier = [e[1] for e in every if inside(e, code, None, time) and e[2] != owner]
        assert found[row] == max(earlier, default=MISSING)


@settings(max_examples=200)
@given(
    parts=st.lists(ADDED, min_size=1, max_size=4),
    taken_back=st.lists(st.integers(0, 50), max_size=3),
    asked=ASKED,
    window=st.sampled_from(WINDOWS),
    limit=st.integers(0, 4),
    merge_at=MERGES,
)
def test_recent_owners_come_newest_first(parts, taken_back, asked, window, limit, merge_at):
    every = [event for part in parts for event in part]
    gone = [every[at] for at in taken_back if at < len(every)]
    corrections = [(*event[:3], -1) for event in gone]
    built = index_in_parts([*parts, corrections], merge_at)
    for code, time, owner in asked:
        since = None if window is None else time - window
        wanted = [
            (event[1], event[2])
            for event in Counter(every) - Counter(gone)
            if inside(event, code, since, time) and event[2] != owner
        ]
        newest = [who for _, who in sorted(wanted, reverse=True)][:limit]
        assert built.recent(code, time, window, owner, limit) == newest


def test_an_event_at_the_very_moment_is_not_known_yet():
    built = index_of([(0, 10, 0, 1)]).stream("asked", "x")
    codes, nobody = ints([0, 0, 0, 0]), ints([-1] * 4)
    found = built.counts(codes, ints([10, 11, 15, 16]), [5], nobody)[5]
    assert found.tolist() == [0, 1, 1, 0]  # the window [t - 5, t) begins with its first moment
    assert built.last_before(codes, ints([10, 11, 15, 16]), nobody).tolist() == [
        MISSING,
        10,
        10,
        10,
    ]


def test_an_index_without_events_counts_nothing_and_takes_none():
    whole = EventIndex.of({("asked", "x"): events_of([])})
    built = whole.stream("asked", "x")
    asked = ints([0, -1]), ints([5, 5]), ints([-1, 3])
    for _ in range(2):
        assert built.counts(asked[0], asked[1], [None, 3], asked[2])[None].tolist() == [0, 0]
        assert built.last_before(*asked).tolist() == [MISSING, MISSING]
        assert built.recent(0, 5, None, -1, 3) == []
        add(whole, events_of([]))
    nothing = ints([])
    assert len(built.counts(nothing, nothing, [None], nothing)[None]) == 0
    assert len(built.last_before(nothing, nothing, nothing)) == 0


def test_segments_grow_in_steps_and_the_base_stays(monkeypatch):
    monkeypatch.setattr(index, "MERGE_AT", 4)
    built = index_of([(0, 0, 0, 1)])
    base, most = built.base, 0
    for number in range(200):
        add(built, events_of([(0, number, number + 1, 1)]))
        most = max(most, len(built.segments))
    assert built.base is base
    assert sum(map(len, built.segments)) == len(base) + 200
    assert most <= 5, "a logarithm of what came since"


def test_what_is_taken_back_goes_when_segments_are_merged():
    built = index_of([])
    add(built, events_of([(0, 1, 1, 1), (0, 2, 2, 1)]))
    add(built, events_of([(0, 1, 1, -1)]))
    assert [len(tail) for tail in built.segments[1:]] == [1]


def test_a_segment_is_sorted_by_entity_and_time():
    segment = Segment.of(events_of([(1, 5, 0, 1), (0, 9, 1, 1), (1, 2, 2, 1)]))
    assert segment.owners.tolist() == [1, 2, 0]
    assert segment.ranks_of(ints([2, 5, 6, 9, 99])).tolist() == [0, 1, 2, 2, 3]


def test_many_questions_are_answered_like_each_alone():
    chance = np.random.default_rng(1)
    rows = [(int(c), int(t), n, 1) for n, (c, t) in enumerate(chance.integers(0, 50, (3000, 2)))]
    built = index_of(rows).stream("asked", "x")
    codes, times, owners = chance.integers(-1, 50, (3, 2_000))
    together = built.counts(codes, times, [None, 7], owners)
    for low in range(0, len(codes), 500):
        part = slice(low, low + 500)
        alone = built.counts(codes[part], times[part], [None, 7], owners[part])
        assert all(np.array_equal(together[w][part], alone[w]) for w in (None, 7))


STREAMS = Counted(ints([1, 1, 2]), np.array([True, False, True]), ints([0, 0, 1]), ints([0, 1, 1]),
                  ints([0, 2]))  # fmt: skip
"""Two windows without an owner's own events, one with them, and the last events of two streams."""


@settings(max_examples=200)
@given(
    parts=st.lists(ADDED, min_size=1, max_size=3),
    asked=st.lists(ASKED, min_size=1, max_size=4),
    window=st.integers(0, 5),
)
def test_questions_in_order_of_time_are_answered_from_where_the_last_were(parts, asked, window):
    built = index_of(parts[0])
    for part in parts[1:]:
        add(built, events_of(part))
    cursors = Cursors(built.base, STREAMS)
    rows = sorted((row for one in asked for row in one), key=lambda row: row[1])
    for low in range(0, len(rows), 3):
        codes, times, owners = columns_of(rows[low : low + 3])
        codes, row = np.repeat(codes, 2)[::-1], np.repeat(np.arange(len(codes)), 2)
        moments = Moments(times, [None, window])
        found = built.ask(STREAMS, codes, moments, owners, row, cursors)
        expected = built.ask(STREAMS, codes, moments, owners, row)
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("sparse", [0, 2**40])
def test_events_pass_in_order_however_they_were_put_in_it(monkeypatch, sparse):
    monkeypatch.setattr(sweep, "SPARSE", sparse)
    chance = np.random.default_rng(1)
    rows = [(int(c), int(t), n, 1) for n, (c, t) in enumerate(chance.integers(0, 9, (200, 2)))]
    built, times = index_of(rows), np.arange(12)
    codes, row = np.tile(np.arange(10), 12), np.repeat(times, 10)
    asked = STREAMS, codes, Moments(times, [None, 3]), times, row
    found = built.ask(*asked, Cursors(built.base, STREAMS))
    assert all(np.array_equal(*pair) for pair in zip(found, built.ask(*asked), strict=True))


def test_what_takes_events_back_is_not_passed_in_order():
    segment = Segment.of(events_of([(0, 1, 1, 1), (0, 2, 1, -1)]))
    with pytest.raises(ValueError, match="all count 1"):
        Cursors(segment, STREAMS)


# overlapping windows ------------------------------------------------------------------------------

NEVER = np.iinfo(np.int64).max
SPANS = st.one_of(st.integers(0, 6), st.sampled_from([2**49 + 1, 2**51 + 3, 2**57 + 1, 2**58 - 5]))
WINDOW = st.builds(
    lambda code, start, span, known, held, owner: (
        code,
        start,
        start + span,
        known,
        NEVER if held is None else known + held,
        owner,
    ),
    CODES,
    TIMES,
    SPANS,
    st.integers(0, 6),
    st.none() | st.integers(0, 4),
    OWNERS,
)
Window = tuple[int, int, int, int, int, int]


def windows_of(rows: list[Window]) -> Windows:
    return Windows(*(ints(row[place] for row in rows) for place in range(6)))


def overlaps(rows: list[Window], query: tuple[int, int, int, int, int]) -> list[tuple[int, int]]:
    """(owner, length of the overlap) of the windows that stood at the query's moment."""
    code, start, end, moment, owner = query
    end, found = max(end, start + 1), []
    for row in rows:
        last = max(row[2], row[1] + 1)
        shared = min(end, last) - max(start, row[1])
        if row[0] == code and shared > 0 and row[3] < moment <= row[4] and row[5] != owner:
            found.append((row[5], shared))
    return sorted(found)


@settings(max_examples=300)
@given(
    rows=st.lists(WINDOW, max_size=12),
    more=st.lists(WINDOW, max_size=4),
    asked=st.lists(
        st.tuples(st.integers(-1, 4), TIMES, SPANS, st.integers(0, 12), st.integers(-1, 5)),
        min_size=1,
        max_size=5,
    ),
)
@example(  # a power of two found by a logarithm is too short for this one
    rows=[(0, 0, 2**51 + 3, 0, NEVER, 0)], more=[], asked=[(0, 2**51 + 2, 1, 5, -1)]
)
def test_overlaps_are_those_of_the_schedule_as_it_stood(rows, more, asked):
    queries = [(code, start, start + span, at, owner) for code, start, span, at, owner in asked]
    built = OverlapIndex.of(OverlapIndex.of(windows_of(rows)).windows_with(windows_of(more)))
    codes, *arguments = (ints(query[place] for query in queries) for place in range(5))
    query, owner, shared = built.pairs(codes, np.arange(len(queries)), *arguments)
    for row, one in enumerate(queries):
        found = sorted(
            zip(owner[query == row].tolist(), shared[query == row].tolist(), strict=True)
        )
        assert found == overlaps([*rows, *more], one)


@pytest.mark.parametrize(
    ("window", "query", "expected"),
    [
        ((10, 20), (20, 30), 0),
        ((10, 20), (19, 30), 1),
        ((10, 20), (0, 10), 0),
        ((10, 10), (10, 10), 1),
        ((10, 10), (10, 20), 1),
        ((10, 20), (10, 10), 1),
        ((10, 20), (20, 20), 0),
        ((10, 10), (5, 10), 0),
    ],
)
def test_windows_are_half_open_and_one_without_length_is_an_instant(window, query, expected):
    built = OverlapIndex.of(windows_of([(0, *window, 0, NEVER, 7)]))
    found = built.pairs(
        ints([0]), ints([0]), ints(query[:1]), ints(query[1:]), ints([5]), ints([-1])
    )
    assert len(found[0]) == expected


@pytest.fixture
def one_window() -> Callable[[int, int], int]:
    """Number of overlaps seen at a moment by an owner, of one window known at 10, held until 20."""
    built = OverlapIndex.of(windows_of([(0, 0, 100, 10, 20, 7)]))

    def seen(moment: int, owner: int) -> int:
        asked = ints([0]), ints([0]), ints([50]), ints([60]), ints([moment]), ints([owner])
        return len(built.pairs(*asked)[0])

    return seen


@pytest.mark.parametrize(("moment", "seen"), [(10, 0), (11, 1), (20, 1), (21, 0)])
def test_a_window_holds_from_after_it_was_known_until_it_was_put_off(one_window, moment, seen):
    assert one_window(moment, -1) == seen
    assert one_window(moment, 7) == 0
