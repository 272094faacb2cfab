"""Planned windows that overlap others, compiled: a search for each of millions of questions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.ordering import compiled, in_order, place_among, place_of
from features.segment import ENTITY_BITS, NAME_BITS, Ints


@compiled
def classes_of(lengths: Ints, doublings: int) -> tuple[Ints, Ints]:
    """Classes of lengths, and the longest of each.

    Parameters
    ----------
    lengths : ndarray of int64
        Above 0.
    doublings : int
        By how many powers of two the lengths of a class may differ.
    """
    longest, number = np.zeros(64, np.int64), np.empty(len(lengths), np.int64)
    for at, length in enumerate(lengths):
        doubled, left = 0, length - 1
        while left:
            doubled, left = doubled + 1, left >> 1
        number[at] = (doubled + doublings - 1) // doublings
        longest[number[at]] = max(longest[number[at]], length)
    there = np.flatnonzero(longest)
    renumbered = np.zeros(64, np.int64)
    for at, level in enumerate(there):
        renumbered[level] = at
    return renumbered[number], longest[there]


@compiled
def begins_of(keys: Ints, stride: int, classes: int) -> tuple[NDArray[np.int32], Ints]:
    """Where the planned windows of every name begin.

    Parameters
    ----------
    keys : ndarray of int64
        As of :class:`features.overlap.OverlapIndex`.
    classes : int
        How many classes of length there are.

    Returns
    -------
    begins : ndarray of int32
        By name the place of its first window, one kind of name and class after another.
    first : ndarray of int64
        Where the names of each kind and class begin, and those of the last end.
    """
    first = np.zeros((classes << ENTITY_BITS - NAME_BITS) + 1, np.int64)
    for group in range(len(first) - 1):
        low = np.searchsorted(keys, (group << NAME_BITS) * stride)
        high = np.searchsorted(keys, (group + 1 << NAME_BITS) * stride)
        names = keys[high - 1] // stride - (group << NAME_BITS) + 1 if low < high else 0
        first[group + 1] = first[group] + names
    begins, place = np.empty(first[-1], np.int32), 0
    for group in range(len(first) - 1):
        for at in range(first[group], first[group + 1]):
            key = ((group << NAME_BITS) + at - first[group]) * stride
            while keys[place] < key:
                place += 1
            begins[at] = place
    return begins, first


@compiled
def meeting(
    keys: Ints,
    stride: int,
    coarse: Ints,
    near: tuple[NDArray[np.int32], Ints],
    held: tuple[Ints, Ints, Ints, NDArray[np.int32]],
    ranks: tuple[Ints, Ints],
    asked: tuple[Ints, Ints, Ints, Ints, Ints],
) -> tuple[Ints, Ints, Ints]:
    """Windows that overlap others; see :meth:`features.overlap.OverlapIndex.pairs`.

    Parameters
    ----------
    coarse : ndarray of int64
        Every so many-th key, for few questions.
    near : tuple
        What :func:`begins_of` finds, moved on by each question: the next one about a name is mostly
        of a moment not far away. Nothing for few questions, which are put in the order of names.
    held : tuple
        Ends, moments of becoming known and of being superseded, and owners of the windows.
    ranks : tuple
        Rank of the earliest start that may still overlap, shape (classes of length, given windows),
        and of the first that comes too late, shape (given windows,).
    asked : tuple
        Codes, rows, starts, moments and owners, as there.

    Returns
    -------
    query, place, whose : ndarray of int64
        Of the questions and of the windows that overlap theirs, and the owners of these.
    """
    ends, known, superseded, owner = held
    since, until = ranks
    codes, rows, asked_starts, times, owners = asked
    last, first = near
    queries, places = [np.int64(0) for _ in range(0)], [np.int64(0) for _ in range(0)]
    whose = [np.int64(0) for _ in range(0)]
    for length in range(len(since)):
        before = 0
        for query in np.arange(len(codes)) if len(first) else in_order(codes):
            row, code = rows[query], codes[query]
            base, held_at = ((length << ENTITY_BITS) + code) * stride, -1
            if len(first):
                group = length << ENTITY_BITS - NAME_BITS | code >> NAME_BITS
                held_at = first[group] + (code & (1 << NAME_BITS) - 1)
                if code < 0 or held_at >= first[group + 1]:
                    continue
                before = last[held_at]
            if len(coarse):
                at = place_among(keys, coarse, base + since[length, row])
            else:
                at = before = place_of(keys, base + since[length, row], before)
            if held_at >= 0:
                last[held_at] = at
            while at < len(keys) and keys[at] < base + until[row]:
                if (
                    ends[at] > asked_starts[row]
                    and known[at] < times[query] <= superseded[at]
                    and owner[at] != owners[query]
                ):
                    queries.append(np.int64(query))
                    places.append(np.int64(at))
                    whose.append(np.int64(owner[at]))
                at += 1
    return np.array(queries, np.int64), np.array(places, np.int64), np.array(whose, np.int64)
