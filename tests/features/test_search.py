"""The compiled searches against NumPy's own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.ordering import APART, in_order, place_among, place_of

small = st.integers(-9, 9)


@given(st.lists(small), small, st.integers(0, 99))
def test_a_place_is_the_same_from_wherever_it_is_searched_for(keys, key, near):
    held = np.sort(np.array(keys, np.int64))
    assert place_of(held, key, min(near, len(held))) == np.searchsorted(held, key)


@given(st.lists(st.integers(1, 9), max_size=3 * APART), st.integers(0, 9 * 3 * APART))
def test_a_place_is_the_same_by_way_of_few_keys(steps, key):
    held = np.cumsum(np.array(steps, np.int64))
    assert place_among(held, held[::APART], key) == np.searchsorted(held, key)


@given(st.lists(st.integers(-1, 9)))
def test_codes_come_in_order_and_unknown_ones_not_at_all(codes):
    held = np.array(codes, np.int64)
    expected = [n for n in np.argsort(held, kind="stable").tolist() if held[n] >= 0]
    assert in_order(held).tolist() == expected
