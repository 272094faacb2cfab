"""A forest as plain arrays, and back from a file that is not trusted."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.paths import DEEPEST
from models.trees import Forest

_NODES = {
    "feature": np.int64,
    "threshold": np.float64,
    "left": np.int64,
    "right": np.int64,
    "missing_left": np.bool_,
    "value": np.float64,
    "cover": np.float64,
}


class ForestError(ValueError):
    """The arrays are no forest."""


def to_bytes(forest: Forest) -> bytes:
    """The content of an ``.npz`` file."""
    file = io.BytesIO()
    nodes: dict[str, Any] = {name: getattr(forest, name) for name in _NODES}
    np.savez_compressed(
        file, roots=forest.roots, baseline=forest.baseline, depth=forest.depth, **nodes
    )
    return file.getvalue()


def from_bytes(content: bytes, columns: int) -> Forest:
    """A forest over so many columns from the content of an ``.npz`` file.

    Raises
    ------
    ForestError
        If the file is damaged, or a tree points outside itself or asks for no such column.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _forest(arrays, columns)
    except ForestError:
        raise
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ForestError(f"the trees cannot be read: {error!r}") from error


def _forest(arrays: Mapping[str, NDArray[Any]], columns: int) -> Forest:
    nodes = {name: arrays[name] for name in _NODES}
    roots, baseline, depth = arrays["roots"], float(arrays["baseline"]), int(arrays["depth"])
    count = len(nodes["feature"])
    if (
        any(nodes[name].dtype != kind or nodes[name].ndim != 1 for name, kind in _NODES.items())
        or len({len(array) for array in nodes.values()}) != 1
        or roots.dtype != np.int64
        or roots.ndim != 1
        or not 0 <= depth <= DEEPEST
        or not np.isfinite(baseline)
        or not np.isfinite(nodes["value"]).all()
        or not (nodes["cover"] > 0).all()
        or np.isnan(nodes["threshold"]).any()
        or ((nodes["feature"] < 0) | (nodes["feature"] >= columns)).any()
        or ((roots < 0) | (roots >= count)).any()
    ):
        raise ForestError("the trees are not what they should be")
    left, right, itself = nodes["left"], nodes["right"], np.arange(count)
    leaf = left == itself
    # Children come after their parent: no loops.
    inner = (left > itself) & (right > itself) & (left < count) & (right < count)
    if not np.where(leaf, right == itself, inner).all():
        raise ForestError("a tree points outside itself")
    return Forest(roots=roots, baseline=baseline, depth=depth, **nodes)
