"""Scores and explanations looked up, compiled: what every row answers, and what that adds up to.

NumPy does the same with ten array operations, which for one row cost more than the work. No index
is checked here: :mod:`models.estimator_file` checks those of trees, and
:mod:`models.shapley_arrays` those of tables, when they are loaded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.ordering import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bits = NDArray[np.bool_]
Words = NDArray[np.uint8]


@compiled
def ask(
    row: Floats, feature: Ints, threshold: Floats, missing: Bits, bits: Ints, words: Words
) -> None:
    """Put a row's answers to the tests of every piece into its words.

    Parameters
    ----------
    row : ndarray of float64, shape (columns,)
    feature, threshold, missing : ndarray, shape (pieces, most bits)
        As in :class:`models.paths.Tests`.
    bits : ndarray of int64, shape (pieces,)
        Number of tests of each piece.
    words : ndarray of uint8, shape (pieces,)
        Written to.
    """
    for piece in range(len(bits)):
        word = 0
        for bit in range(bits[piece]):
            value = row[feature[piece, bit]]
            at_most = value <= threshold[piece, bit]
            word |= (at_most | (missing[piece, bit] & np.isnan(value))) << bit
        words[piece] = word


@compiled
def ask_all(
    rows: Floats, feature: Ints, threshold: Floats, missing: Bits, bits: Ints, words: Words
) -> None:
    """:func:`ask` every row, words of shape (rows, pieces)."""
    for row in range(len(rows)):
        ask(rows[row], feature, threshold, missing, bits, words[row])


@compiled
def add_up(
    rows: Floats,
    feature: Ints,
    threshold: Floats,
    missing: Bits,
    bits: Ints,
    ends: Ints,
    piece: Ints,
    start: Ints,
    values: Floats,
    found: Floats,
) -> None:
    """Put the sum of what every row looks up for every player into ``found``.

    Parameters
    ----------
    rows, feature, threshold, missing, bits
        As for :func:`ask_all`.
    ends : ndarray of int64, shape (players,)
        Where each player's entries end.
    piece, start, values : ndarray
        As in :class:`models.shapley.Lookup`.
    found : ndarray of float64, shape (rows, players)
        Written to.
    """
    words = np.empty(len(bits), np.uint8)
    for row in range(len(rows)):
        ask(rows[row], feature, threshold, missing, bits, words)
        entry = 0
        for player in range(len(ends)):
            total = 0.0
            while entry < ends[player]:
                total += values[start[entry] + words[piece[entry]]]
                entry += 1
            found[row, player] = total


@compiled
def margins(
    rows: Floats,
    roots: Ints,
    feature: Ints,
    threshold: Floats,
    missing_left: Bits,
    left: Ints,
    right: Ints,
    value: Floats,
    depth: int,
    found: Floats,
) -> None:
    """Add the leaf that each tree leads a row to, tree after tree as scikit-learn does: another
    order rounds otherwise.

    Parameters
    ----------
    rows : ndarray of float64, shape (n, columns)
    roots, feature, threshold, missing_left, left, right, value
        As in :class:`models.trees.Forest`.
    depth : int
        Steps from a root after which every row is at a leaf.
    found : ndarray of float64, shape (n,)
        Added to.
    """
    for row in range(len(rows)):
        for root in roots:
            node = root
            for _ in range(depth):
                asked = rows[row, feature[node]]
                goes_left = asked <= threshold[node] or (np.isnan(asked) and missing_left[node])
                node = left[node] if goes_left else right[node]
            found[row] += value[node]
