"""The way to every leaf: which tests a row must pass, in pieces small enough for a lookup table.

A *piece* is one or more subtrees, each with the nodes above it, that ask few tests between them. A
row's answers to the tests of a piece, one bit each, are its *word* there, a byte; what the piece
contributes depends on that word alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.lookups import ask_all
from models.trees import Forest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Test = tuple[int, float, bool]

MOST_BITS = 6
"""Tests of a piece; a leaf's own may be ``DEEPEST``. Tables double with each, and must stay in the
processor's cache: five to seven take about the same time, eight a fifth more."""

DEEPEST = 8
"""Deepest tree that can be taken apart, so that a word is a byte."""


class DepthError(ValueError):
    """A tree is too deep for lookup tables."""


@dataclass(frozen=True)
class Leaf:
    """A leaf as the steps that lead to it.

    Parameters
    ----------
    value : float
        What it adds, log-odds.
    steps : tuple of (int, bool, float)
        For every node above it: the bit of its test in the piece's word, whether the way goes left,
        and the share of the node's training rows that went the same way.
    """

    value: float
    steps: tuple[tuple[int, bool, float], ...]


@dataclass(frozen=True)
class Piece:
    """Leaves that share one word.

    Parameters
    ----------
    tests : tuple of int
        The nodes asked, in the order of the word's bits, lowest first.
    leaves : tuple of Leaf
    """

    tests: tuple[int, ...]
    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Tests:
    """What every piece of a forest asks.

    Parameters
    ----------
    columns : int
        Columns of the rows.
    feature : ndarray of int64, shape (number of pieces, most bits)
        Column asked for each bit of a piece's word.
    threshold : ndarray of float64
        The bit is set if the value is at most this; NaN where a piece has no such bit.
    missing : ndarray of bool
        Whether the bit is set for NaN.
    """

    columns: int
    feature: Ints
    threshold: Floats
    missing: NDArray[np.bool_]
    bits: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", (~np.isnan(self.threshold)).sum(axis=1))

    def words(self, X: Floats) -> NDArray[np.uint8]:  # noqa: N803 - scikit-learn's name
        """The word of every row in every piece, shape (n, pieces).

        Raises
        ------
        ValueError
            If the rows have other columns than the forest was taken apart for.
        """
        rows, found = self.rows(X), np.empty((len(X), len(self.bits)), np.uint8)
        ask_all(rows, self.feature, self.threshold, self.missing, self.bits, found)
        return found

    def rows(self, X: Floats) -> Floats:  # noqa: N803
        """The rows as the loops take them.

        Raises
        ------
        ValueError
            If they have other columns than the forest was taken apart for.
        """
        if X.shape[1:] != (self.columns,):
            raise ValueError(f"expected rows of {self.columns} columns, got shape {X.shape}")
        return np.ascontiguousarray(X, np.float64)


def take_apart(forest: Forest, columns: int) -> tuple[Tests, list[Piece]]:
    """What a forest asks of rows with so many columns, and its pieces.

    Raises
    ------
    DepthError
        If a tree is deeper than ``DEEPEST``.
    """
    if forest.depth > DEEPEST:
        raise DepthError(
            f"a tree is {forest.depth} levels deep, explanations take at most {DEEPEST}: "
            "set max_depth or max_leaf_nodes of the estimator lower"
        )
    sizes = _sizes(forest)
    apart = (p for root in forest.roots.tolist() for p in _pieces(forest, root, (), sizes))
    pieces = _together(forest, apart)
    return _tests(forest, pieces, columns), pieces


def _sizes(forest: Forest) -> Ints:
    """Number of inner nodes at or below every node."""
    sizes = np.zeros(len(forest.feature), np.int64)
    left, right = forest.left.tolist(), forest.right.tolist()
    for node in range(len(sizes) - 1, -1, -1):  # children come after their parent
        if left[node] != node:
            sizes[node] = 1 + sizes[left[node]] + sizes[right[node]]
    return sizes


def _pieces(
    forest: Forest, node: int, above: tuple[tuple[int, bool], ...], sizes: Ints
) -> Iterator[Piece]:
    """The piece of a node, or those of its children where it would have too many bits."""
    left, right = int(forest.left[node]), int(forest.right[node])
    if left != node and len(above) + int(sizes[node]) > MOST_BITS:
        yield from _pieces(forest, left, (*above, (node, True)), sizes)
        yield from _pieces(forest, right, (*above, (node, False)), sizes)
        return
    tests = {parent: bit for bit, (parent, _) in enumerate(above)}
    leaves = tuple(_leaves(forest, node, above, tests))
    yield Piece(tuple(tests), leaves)


def _leaves(
    forest: Forest, node: int, above: tuple[tuple[int, bool], ...], tests: dict[int, int]
) -> Iterator[Leaf]:
    left, right = int(forest.left[node]), int(forest.right[node])
    if left == node:
        steps = []
        for parent, goes_left in above:
            child = forest.left[parent] if goes_left else forest.right[parent]
            share = float(forest.cover[child] / forest.cover[parent])
            steps.append((tests[parent], goes_left, share))
        yield Leaf(float(forest.value[node]), tuple(steps))
        return
    tests[node] = len(tests)
    yield from _leaves(forest, left, (*above, (node, True)), tests)
    yield from _leaves(forest, right, (*above, (node, False)), tests)


def _together(forest: Forest, pieces: Iterable[Piece]) -> list[Piece]:
    """Pieces joined with those they share most tests with, as long as a word holds them all."""
    found: list[list[Piece]] = []
    open_to_more: list[tuple[set[_Test], list[Piece]]] = []
    for piece in pieces:
        asked = {_test(forest, node) for node in piece.tests}
        fitting = [one for one in open_to_more if len(one[0] | asked) <= MOST_BITS]
        if fitting:
            tests, members = max(fitting, key=lambda one: len(one[0] & asked))
        else:
            tests, members = set(), []
            found.append(members)
            open_to_more.append((tests, members))
        tests |= asked
        members.append(piece)
        open_to_more = [one for one in open_to_more if len(one[0]) < MOST_BITS]
    return [_joined(forest, members) for members in found]


def _joined(forest: Forest, pieces: Sequence[Piece]) -> Piece:
    """One piece of several; a test that two of them ask is asked once."""
    nodes = {_test(forest, node): node for piece in pieces for node in piece.tests}
    bit = {test: number for number, test in enumerate(nodes)}
    leaves = []
    for piece in pieces:
        bits = [bit[_test(forest, node)] for node in piece.tests]
        leaves += [
            replace(leaf, steps=tuple((bits[old], left, share) for old, left, share in leaf.steps))
            for leaf in piece.leaves
        ]
    return Piece(tuple(nodes.values()), tuple(leaves))


def _test(forest: Forest, node: int) -> _Test:
    """What a node asks: column, threshold and where a missing value goes."""
    threshold, missing = float(forest.threshold[node]), bool(forest.missing_left[node])
    return int(forest.feature[node]), threshold, missing


def _tests(forest: Forest, pieces: list[Piece], columns: int) -> Tests:
    shape = len(pieces), max(max((len(piece.tests) for piece in pieces), default=0), 1)
    feature, threshold = np.zeros(shape, np.int64), np.full(shape, np.nan)
    missing = np.zeros(shape, bool)
    for row, piece in enumerate(pieces):
        nodes, bits = list(piece.tests), len(piece.tests)
        feature[row, :bits] = forest.feature[nodes]
        threshold[row, :bits] = forest.threshold[nodes]
        missing[row, :bits] = forest.missing_left[nodes]
    return Tests(columns=columns, feature=feature, threshold=threshold, missing=missing)
