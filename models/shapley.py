"""Exact Shapley values of a forest by table lookup, for any grouping of its columns into players.

What a leaf adds to a row depends only on which of the leaf's players the row satisfies, so its
Shapley values against a whole background are a table of ``2**players`` rows, made once from how
often the background shows each pattern [1]_. With ``z`` the players a row satisfies and ``b`` those
a background row does, ``A = z & ~b`` and ``B = b & ~z``, a leaf of value ``v`` gives nothing where
a player satisfies neither, else ``v (|A|-1)! |B|! / (|A|+|B|)!`` to every player in ``A`` and
``-v |A|! (|B|-1)! / (|A|+|B|)!`` to every player in ``B``.

Path-dependent values [2]_ are the same sum over a background in which each player satisfies a leaf
independently, with the share of the training rows that went its way.

.. [1] Lundberg et al. (2020), "From local explanations to global understanding with explainable AI
   for trees", Nature Machine Intelligence 2, 56-67 (interventional values of a tree).
.. [2] Lundberg, Erion, Lee (2018), "Consistent individualized feature attribution for tree
   ensembles", arXiv:1802.03888.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from models.lookups import add_up
from models.paths import Leaf, Piece, Tests, take_apart
from models.trees import Forest

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

COUNTED = 16_384
"""Background rows counted at once."""


@dataclass(frozen=True)
class Lookup:
    """Tables of one grouping of the columns.

    Entry ``e`` is one player's table in one piece: ``2**bits`` values from ``start[e]`` on, one for
    every word. Entries are sorted by player.

    Parameters
    ----------
    players : int
        Number of players, those without an entry included.
    player, piece, start : ndarray of int64, shape (entries,)
    values : ndarray of float64
        Shapley values, log-odds before calibration.
    """

    players: int
    player: Ints
    piece: Ints
    start: Ints
    values: Floats
    _ends: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        ends = np.searchsorted(self.player, np.arange(self.players), side="right")
        object.__setattr__(self, "_ends", ends.astype(np.int64))

    def of(self, tests: Tests, X: Floats) -> Floats:  # noqa: N803 - scikit-learn's name
        """Shapley values of rows, shape (n, players)."""
        rows, found = tests.rows(X), np.empty((len(X), self.players))
        add_up(
            rows,
            tests.feature,
            tests.threshold,
            tests.missing,
            tests.bits,
            self._ends,
            self.piece,
            self.start,
            self.values,
            found,
        )
        return found


@dataclass(frozen=True)
class Tables:
    """A forest's Shapley values, ready to look up.

    Parameters
    ----------
    tests : Tests
    names : tuple of str
        The factor groups, in the order of their values.
    groups, columns : Lookup
        With factor groups as players, and with every column on its own.
    base : float
        Mean margin of the background; base and a row's values add up to its margin.
    kind : str
        ``interventional`` against a background, or ``path_dependent``.
    rows : int
        Rows of the background.
    """

    tests: Tests
    names: tuple[str, ...]
    groups: Lookup
    columns: Lookup
    base: float
    kind: str
    rows: int

    @classmethod
    def build(
        cls, forest: Forest, groups: Sequence[str], background: Floats | None = None
    ) -> Tables:
        """The tables of a forest.

        Parameters
        ----------
        groups : sequence of str
            Factor group of every column.
        background : ndarray, shape (n, columns), optional
            Rows a score is explained against; without it the values are path-dependent.

        Raises
        ------
        DepthError
            If a tree is too deep.
        ValueError
            If the background has no rows or other columns than there are groups for.
        """
        if background is not None and background.shape[1:] != (len(groups),):
            raise ValueError(
                f"expected a background of {len(groups)} columns, got shape {background.shape}"
            )
        if background is not None and len(background) == 0:
            raise ValueError("expected a background of at least one row, got none")
        tests, pieces = take_apart(forest, len(groups))
        seen = None if background is None else word_shares(tests, background)
        names = tuple(dict.fromkeys(groups))
        base, columns = _lookup(pieces, forest, range(len(groups)), seen)
        _, grouped = _lookup(pieces, forest, [names.index(group) for group in groups], seen)
        return cls(
            tests=tests,
            names=names,
            groups=grouped,
            columns=columns,
            base=forest.baseline + base,
            kind="path_dependent" if background is None else "interventional",
            rows=int(forest.cover[forest.roots[0]]) if background is None else len(background),
        )

    def by_group(self, X: Floats) -> Floats:  # noqa: N803 - scikit-learn's name
        """Shapley values of the factor groups, shape (n, groups)."""
        return self.groups.of(self.tests, X)

    def by_column(self, X: Floats) -> Floats:  # noqa: N803
        """Shapley values of the columns, shape (n, columns)."""
        return self.columns.of(self.tests, X)

    def both(self, X: Floats) -> tuple[Floats, Floats]:  # noqa: N803
        """Shapley values of the groups and of the columns."""
        return self.by_group(X), self.by_column(X)


def word_shares(tests: Tests, background: Floats) -> Floats:
    """Share of the background with each word of each piece, shape (pieces, words)."""
    pieces, bits = tests.feature.shape
    counts = np.zeros((pieces, 2**bits), np.int64)
    for at in range(0, len(background), COUNTED):
        words = tests.words(background[at : at + COUNTED])
        for piece, seen in enumerate(np.ascontiguousarray(words.T)):
            counts[piece] += np.bincount(seen, minlength=2**bits)
    return counts / len(background)


@cache
def weights(players: int) -> Floats:
    """Shapley values of a leaf of value 1, shape (patterns of a row, of a background row, players).

    Examples
    --------
    >>> weights(1)[:, :, 0]
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    patterns = np.arange(2**players)
    bits = (patterns[:, None] >> np.arange(players) & 1).astype(bool)
    row, other = bits[:, None], bits[None]
    gains, losses = row & ~other, other & ~row
    a, b = gains.sum(-1), losses.sum(-1)
    possible = (row | other).all(-1)
    value = np.array([float(factorial(n)) for n in range(players + 1)])
    gain = value[np.maximum(a - 1, 0)] * value[b] / value[a + b]
    loss = -value[a] * value[np.maximum(b - 1, 0)] / value[a + b]
    found = np.where(gains, gain[..., None], np.where(losses, loss[..., None], 0.0))
    return np.where(possible[..., None], found, 0.0)


def patterns(width: int, ways: tuple[tuple[int, bool, int], ...], players: int) -> Ints:
    """Which players of a leaf each word satisfies, as a number, shape (words,).

    Parameters
    ----------
    ways : tuple of (int, bool, int)
        For every step to the leaf: its bit, whether it goes left, and the player it belongs to.
    """
    words = np.arange(2**width)
    satisfied = np.ones((players, len(words)), bool)
    for bit, left, player in ways:
        satisfied[player] &= (words >> bit & 1).astype(bool) == left
    return np.asarray((satisfied << np.arange(players)[:, None]).sum(axis=0), np.int64)


def _ways(
    piece: Piece, leaf: Leaf, forest: Forest, group_of: Sequence[int]
) -> tuple[list[int], tuple[tuple[int, bool, int], ...]]:
    """The players of a leaf, and its steps with the players' places among them."""
    asked = [group_of[int(forest.feature[piece.tests[bit]])] for bit, _, _ in leaf.steps]
    players = sorted(set(asked))
    ways = [
        (bit, left, players.index(player))
        for (bit, left, _), player in zip(leaf.steps, asked, strict=True)
    ]
    return players, tuple(ways)


def _lookup(
    pieces: Sequence[Piece], forest: Forest, group_of: Sequence[int], seen: Floats | None
) -> tuple[float, Lookup]:
    """The mean of the trees over the background, and the tables of one grouping."""
    base = 0.0
    entries: list[tuple[int, int, Floats]] = []
    for number, piece in enumerate(pieces):
        width = len(piece.tests)
        tables: dict[int, Floats] = {}
        for leaf in piece.leaves:
            players, ways = _ways(piece, leaf, forest, group_of)
            pattern = patterns(width, ways, len(players))
            if seen is None:
                share = _independent(leaf, ways, len(players))
            else:
                share = np.zeros(2 ** len(players))
                np.add.at(share, pattern, seen[number, : 2**width])
            base += leaf.value * float(share[-1])
            of_pattern = leaf.value * np.einsum("b,zbk->zk", share, weights(len(players)))
            for place, player in enumerate(players):
                table = tables.setdefault(player, np.zeros(2**width))
                table += of_pattern[pattern, place]
        entries += [(player, number, table) for player, table in tables.items()]
    return base, _packed(entries, max(group_of, default=-1) + 1)


def _independent(leaf: Leaf, ways: Sequence[tuple[int, bool, int]], players: int) -> Floats:
    """Share of each pattern if every player satisfied the leaf independently."""
    shares = np.ones(players)
    for (_, _, share), (_, _, player) in zip(leaf.steps, ways, strict=True):
        shares[player] *= share
    satisfied = (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool)
    return np.asarray(np.where(satisfied, shares, 1 - shares).prod(axis=1), np.float64)


def _packed(entries: list[tuple[int, int, Floats]], players: int) -> Lookup:
    entries = sorted(entries, key=lambda entry: entry[:2])
    sizes = np.array([len(table) for _, _, table in entries], np.int64)
    return Lookup(
        players=players,
        player=np.array([player for player, _, _ in entries], np.int64),
        piece=np.array([piece for _, piece, _ in entries], np.int64),
        start=np.cumsum(sizes) - sizes,
        values=np.concatenate([table for _, _, table in entries]) if entries else np.zeros(0),
    )
