"""Putting in order and finding places, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

Keys = NDArray[np.signedinteger[Any]]
"""Whole numbers in order."""

Function = TypeVar("Function", bound=Callable[..., Any])

SPARSE = 64
"""Codes to a question from which on questions are put in order by comparing."""


def compiled(function: Function) -> Function:
    """The function as machine code; kept on disk where there is a place to write it."""
    try:
        return cast("Function", numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # no directory for the cache can be written
        return cast("Function", numba.njit(nogil=True)(function))


@compiled
def place_between(keys: Keys, key: int, low: int, high: int) -> int:
    """First place in ``[low, high)`` whose key is not below ``key``; ``high`` if there is none."""
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def place_near(keys: Keys, key: int, low: int, high: int, near: int) -> int:
    """The same, searched for from a place near it."""
    begin, end, step = near, near, 1
    while begin > low and keys[begin - 1] >= key:
        end = begin - 1
        begin = max(begin - step, low)
        step *= 2
    step = 1
    while end < high and keys[end] < key:
        begin = end + 1
        end = min(end + step, high)
        step *= 2
    return place_between(keys, key, begin, end)


@compiled
def place_of(keys: Keys, key: int, near: int) -> int:
    """First place among all keys whose key is not below ``key``, searched for from one near it."""
    return place_near(keys, key, 0, len(keys), near)


APART = 64
"""How far apart the keys stand that are searched first."""


@compiled
def place_among(keys: Ints, coarse: Ints, key: int) -> int:
    """First place whose key is not below ``key``, by way of every ``APART``-th key: these stay in
    the processor's cache, where a search among millions waits for memory at every step.
    """
    block = int(np.searchsorted(coarse, key))
    low, high = max(block - 1, 0) * APART, min(block * APART, len(keys))
    return place_between(keys, key, low, high)


@compiled
def in_order(codes: Ints) -> Ints:
    """Places of codes from the lowest on, those of one code in their order; -1 left out."""
    highest = max(codes.max() if len(codes) else 0, 0)
    if highest > SPARSE * len(codes):  # counting would cost more than comparing
        ordered = np.argsort(codes, kind="mergesort")
        return ordered[np.searchsorted(codes[ordered], 0) :]
    first = np.zeros(highest + 2, np.int64)
    for code in codes:
        if code >= 0:
            first[code + 1] += 1
    for code in range(1, len(first)):
        first[code] += first[code - 1]
    order = np.empty(first[-1], np.int64)
    for place, code in enumerate(codes):
        if code >= 0:
            order[first[code]] = place
            first[code] += 1
    return order


@compiled
def ranks_in(axis: Ints, times: Ints) -> Ints:
    """First places whose moments are not below some, which are best given in order."""
    ranks, near = np.empty(len(times), np.int64), 0
    for at in range(len(times)):
        ranks[at] = near = place_of(axis, times[at], near)
    return ranks


@compiled
def laid_out(
    order: Ints,
    names: Ints,
    ranks: Ints,
    whose: Ints,
    before: int,
    begins: NDArray[np.int32],
    held_ranks: NDArray[np.int32],
    held_owners: NDArray[np.int32],
) -> bool:
    """Fill in ranks and owners of events in their order, and where those of each name begin; tells
    whether the owners of equal ranks of a name are in order.

    Parameters
    ----------
    order, names, ranks, whose : ndarray of int64
        The events in order, and of each its name, rank and owner.
    before : int
        Where the first of them lies.
    begins : ndarray of int32
        One for each name.
    """
    seen, alike = -1, True
    for place, event in enumerate(order):
        held_ranks[place] = ranks[event]
        held_owners[place] = whose[event]
        if names[event] == seen:
            same = held_ranks[place] == held_ranks[place - 1]
            alike &= not same or held_owners[place] >= held_owners[place - 1]
        while seen < names[event]:
            seen += 1
            begins[seen] = before + place
    return alike


@compiled
def noted(owner: Ints, ranks: Ints, held: NDArray[np.int32]) -> Ints:
    """Note by owner the rank of its event where none is held, -1; gives the places of the events
    whose owner has another.
    """
    others = [np.int64(0) for _ in range(0)]
    for place, whose in enumerate(owner):
        if held[whose] < 0:
            held[whose] = ranks[place]
        elif held[whose] != ranks[place]:
            others.append(np.int64(place))
    return np.array(others, np.int64)


@compiled
def first_in_row(row: Ints, what: Ints) -> Ints:
    """Places of what stands in a row for the first time; rows are ascending."""
    kept, found, begin = np.empty(len(row), np.int64), 0, 0
    for at in range(len(row)):
        if at and row[at] != row[at - 1]:
            begin = found
        seen = begin
        while seen < found and what[kept[seen]] != what[at]:
            seen += 1
        if seen == found:
            kept[found] = at
            found += 1
    return kept[:found]
