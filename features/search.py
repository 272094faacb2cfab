"""Counting in sorted events, compiled: a search for each of millions of questions.

NumPy answers the same with one array operation a step, each over all questions and through memory.
Here a question is answered at once, close to where the one before it was found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from features.segment import NAME_BITS, Ints

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
def place_of(keys: Ints, key: int, near: int) -> int:
    """First place whose key is not below ``key``, searched for from a place near it."""
    end = len(keys)
    low, high, step = near, near, 1
    while low > 0 and keys[low - 1] >= key:
        high = low - 1
        low = max(low - step, 0)
        step *= 2
    step = 1
    while high < end and keys[high] < key:
        low = high + 1
        high = min(high + step, end)
        step *= 2
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


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
def weight_between(cumulated: Ints, low: int, high: int) -> int:
    """Sum of the weights of the events in ``[low, high)``; all 1 where nothing is cumulated."""
    return cumulated[high] - cumulated[low] if len(cumulated) else high - low


@compiled
def add_counts(
    total: Ints,
    keys: Ints,
    stride: int,
    cumulated: Ints,
    owned: Ints,
    owned_at: NDArray[np.int32],
    entities: Ints,
    pairs: Ints,
    of: Ints,
    window: Ints,
    order: Ints,
    rows: Ints,
    codes: Ints,
    owners: Ints,
    ranks: Ints,
) -> None:
    """Add what a segment counts; see :meth:`features.index.EventIndex.counts`.

    Parameters
    ----------
    total : ndarray of int64, shape (c, n)
        Added to.
    entities, pairs : ndarray of int64, shape (s,)
        By slot: the entity of code 0, and the pair of owner 0 and code 0, -1 where an owner's own
        events count like others'.
    of, window : ndarray of int64, shape (c,)
        The slot and the window of each answer.
    order : ndarray of int64
        The questions to answer, in the order of their codes.
    rows : ndarray of int64, shape (n,)
        The moment of each question, by its column of ``ranks``.
    ranks : ndarray of int64, shape (1 + windows, moments)
        Ranks of the moments, and of the windows' beginnings.
    """
    begins = np.empty(len(of), np.int64)
    for slot in range(len(entities)):
        near = 0
        for question in order:
            row, code = rows[question], codes[question]
            base = (entities[slot] + code) * stride
            until = near = place_of(keys, base + ranks[0, row], near)
            counted = 0
            for answer in range(len(of)):
                if of[answer] == slot:
                    since = place_of(keys, base + ranks[1 + window[answer], row], until)
                    begins[answer] = since
                    found = weight_between(cumulated, since, until)
                    counted = max(counted, until - since)
                    total[answer, question] += found
            if not counted or pairs[slot] < 0 or owners[question] < 0:
                continue
            pair = pairs[slot] + (owners[question] << NAME_BITS) + code
            at = np.searchsorted(owned, pair)
            while at < len(owned) and owned[at] == pair:
                place = owned_at[at]
                weight = weight_between(cumulated, place, place + 1)
                for answer in range(len(of)):
                    if of[answer] == slot and begins[answer] <= place < until:
                        total[answer, question] -= weight
                at += 1


@compiled
def add_last(
    last: Ints,
    keys: Ints,
    stride: int,
    axis: Ints,
    events_of: NDArray[np.int32],
    entity: int,
    order: Ints,
    rows: Ints,
    codes: Ints,
    owners: Ints,
    ranks: Ints,
) -> None:
    """Raise ``last`` to the time of each entity's last event of another owner before its moment."""
    near = 0
    for question in order:
        base = (entity + codes[question]) * stride
        near = place_of(keys, base + ranks[0, rows[question]], near)
        place = near - 1
        while place >= 0 and keys[place] >= base and events_of[place] == owners[question]:
            place -= 1
        if place >= 0 and keys[place] >= base:
            last[question] = max(last[question], axis[keys[place] % stride])


@compiled
def meeting(
    keys: Ints,
    stride: int,
    held: tuple[Ints, Ints, Ints, Ints, Ints],
    ranks: tuple[Ints, Ints],
    asked: tuple[Ints, Ints, Ints, Ints, Ints, Ints],
) -> tuple[Ints, Ints]:
    """Windows that overlap others; see :meth:`features.overlap.OverlapIndex.pairs`.

    Parameters
    ----------
    held : tuple
        Starts, ends, moments of becoming known and of being superseded, and owners of the windows.
    ranks : tuple
        Rank of the earliest start that may still overlap, shape (classes of length, given windows),
        and of the first that comes too late, shape (given windows,).
    asked : tuple
        Codes, rows, starts, ends, moments and owners, as there.

    Returns
    -------
    query, place : ndarray of int64
        Of the questions and of the windows that overlap theirs.
    """
    starts, ends, known, superseded, owner = held
    since, until = ranks
    codes, rows, asked_starts, asked_ends, times, owners = asked
    queries, places = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    order = in_order(codes)
    for length in range(len(since)):
        near = 0
        for query in order:
            row = rows[query]
            base = ((length << NAME_BITS) + codes[query]) * stride
            at = near = place_of(keys, base + since[length, row], near)
            while at < len(keys) and keys[at] < base + until[row]:
                if (
                    starts[at] < asked_ends[row]
                    and ends[at] > asked_starts[row]
                    and known[at] < times[query] <= superseded[at]
                    and owner[at] != owners[query]
                ):
                    queries.append(np.int64(query))
                    places.append(np.int64(at))
                at += 1
    return np.array(queries, np.int64), np.array(places, np.int64)
