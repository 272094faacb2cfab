"""Tables of equal-length arrays, seeded streams of chance, and moments on a grid."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features import instants

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

QUARTER = instants.HOUR // 4
"""Planned moments lie on quarters of an hour."""


@dataclass(frozen=True)
class Arrays:
    """Rows as arrays, one a field, all of one length along their first axis."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, rows: Ints | Mask) -> Self:
        """The chosen rows, by mask or position."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """The rows of several tables, one after another."""
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The chance of one purpose; drawing more for one never changes another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def hours(values: Floats) -> Ints:
    """Hours as microseconds, whole seconds."""
    return np.rint(values * 3600).astype(np.int64) * instants.SECOND


def on_quarter(moments: Ints) -> Ints:
    """Moments moved back to a full quarter of an hour."""
    return moments - moments % QUARTER


def shares(weights: Floats) -> Floats:
    """Weights that add up to one."""
    return np.asarray(weights / weights.sum(), np.float64)
