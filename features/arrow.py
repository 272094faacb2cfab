"""Texts as Arrow holds them: all bytes in one row, and where each text ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.segment import Ints

Bytes = NDArray[np.uint8]


def bytes_of(texts: Any) -> tuple[Ints, Bytes]:
    """Where each text of an Arrow array ends, from the beginning on, and their bytes."""
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    held = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return ends, held
