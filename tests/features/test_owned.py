"""Owners' own moments, told slot by slot, against a plain set of pairs."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.owned import OWNER_BITS, Owners, once

SLOTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.dictionaries(st.integers(0, 6), st.integers(0, 4), max_size=6),
    ),
    max_size=6,
)


@given(SLOTS)
def test_every_moment_of_every_owner_is_kept_once(slots: list[tuple[int, dict[int, int]]]) -> None:
    owners, expected = Owners(), set()
    for stream, told in slots:
        owner = np.fromiter(told, np.int64, len(told))
        owners.note(stream, owner, np.fromiter(told.values(), np.int64, len(told)))
        expected |= {(stream << OWNER_BITS | one, rank) for one, rank in told.items()}
    pairs, ranks = owners.found()
    assert [*zip(pairs.tolist(), ranks.tolist(), strict=True)] == sorted(expected)


def test_streams_of_one_owner_stay_apart() -> None:
    owners = Owners()
    for stream in (2, 1):
        owners.note(stream, np.array([5]), np.array([stream]))
    pairs, ranks = owners.found()
    assert pairs.tolist() == [1 << OWNER_BITS | 5, 2 << OWNER_BITS | 5]
    assert ranks.tolist() == [1, 2]


def test_equal_moments_are_held_once() -> None:
    pairs, ranks = once(np.array([7, 3, 7, 7]), np.array([2, 9, 1, 2]))
    assert pairs.tolist() == [3, 7, 7]
    assert ranks.tolist() == [9, 1, 2]
