"""The moments of every owner's own events, which its own questions leave out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.ordering import noted

Ints = NDArray[np.int64]

OWNER_BITS = 31
"""Bits of an owner where it stands below its stream."""

_NONE: Ints = np.zeros(0, np.int64)


class Owners:
    """The moments of every owner's events, by stream, while slot after slot tells of them."""

    def __init__(self) -> None:
        self._ranks: dict[int, NDArray[np.int32]] = {}
        self._others = [(_NONE, _NONE)]

    def note(self, stream: int, owner: Ints, ranks: Ints) -> None:
        """Take in the events of one slot; mostly those of its stream had the same before."""
        held = self._ranks.setdefault(stream, np.empty(0, np.int32))
        if (more := int(owner.max(initial=-1)) + 1 - len(held)) > 0:
            held = self._ranks[stream] = np.concatenate([held, np.full(more, -1, np.int32)])
        other = noted(owner, ranks, held)
        if len(other):
            self._others.append((stream << OWNER_BITS | owner[other], ranks[other]))

    def found(self) -> tuple[Ints, NDArray[np.int32]]:
        """Stream and owner as one integer, in order, and the rank of each of their moments."""
        parts = []
        for stream, held in sorted(self._ranks.items()):
            owners = np.flatnonzero(held >= 0)
            parts.append((stream << OWNER_BITS | owners, held[owners]))
        if len(self._others) > 1:
            pairs, ranks = zip(*parts, *self._others, strict=True)
            return once(np.concatenate(pairs), np.concatenate(ranks))
        pairs, ranks = zip((_NONE, np.empty(0, np.int32)), *parts, strict=True)
        return np.concatenate(pairs), np.concatenate(ranks)


def once(pairs: Ints, ranks: Ints) -> tuple[Ints, NDArray[np.int32]]:
    """Streams with owners as one integer, and ranks, in order, each once."""
    order = np.lexsort((ranks, pairs))
    pairs, ranks = pairs[order], ranks[order]
    new = np.ones(len(pairs), bool)
    new[1:] = (pairs[1:] != pairs[:-1]) | (ranks[1:] != ranks[:-1])
    return pairs[new], ranks[new].astype(np.int32)
