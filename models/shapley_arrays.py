"""Explanation tables as plain arrays, and back from a file that is not trusted."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.paths import DEEPEST, Tests
from models.shapley import Lookup, Tables

LAYOUT = 1
"""Version of the arrays; readers of older ones are kept."""

KINDS = ("interventional", "path_dependent")

_ENTRIES = {"player": np.int64, "piece": np.int64, "start": np.int64, "values": np.float64}
_TESTS = {"feature": np.int64, "threshold": np.float64, "missing": np.bool_}


class TablesError(ValueError):
    """The arrays are no explanation tables."""


def to_bytes(tables: Tables) -> bytes:
    """The content of an ``.npz`` file."""
    arrays: dict[str, Any] = {
        "layout": LAYOUT,
        "columns": tables.tests.columns,
        "names": np.array(tables.names, dtype=np.str_),
        "base": tables.base,
        "kind": tables.kind,
        "rows": tables.rows,
        **{name: getattr(tables.tests, name) for name in _TESTS},
    }
    for prefix in ("groups", "columns"):
        lookup = getattr(tables, prefix)
        arrays.update({f"{prefix}_{name}": getattr(lookup, name) for name in _ENTRIES})
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> Tables:
    """Tables from the content of an ``.npz`` file, every index of them inside its array.

    Raises
    ------
    TablesError
        If the file is damaged, of another layout, or points outside itself.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if int(arrays["layout"]) != LAYOUT:
            raise TablesError(f"expected explanation tables of layout {LAYOUT}")
        return _tables(arrays)
    except TablesError:
        raise
    except Exception as error:  # a damaged file makes numpy and zipfile raise anything
        raise TablesError(f"the explanation tables cannot be read: {error!r}") from error


def _tables(arrays: Mapping[str, NDArray[Any]]) -> Tables:
    columns, names = int(arrays["columns"]), tuple(arrays["names"].tolist())
    tests = {name: _typed(arrays, name, kind, 2) for name, kind in _TESTS.items()}
    shapes = {array.shape for array in tests.values()}
    asked = ~np.isnan(tests["threshold"])
    bits = asked.sum(axis=1)
    base, kind, rows = float(arrays["base"]), str(arrays["kind"]), int(arrays["rows"])
    if (
        len(shapes) != 1
        or not 1 <= asked.shape[1] <= DEEPEST
        or _outside(tests["feature"], columns)
        or (np.diff(asked.astype(np.int8), axis=1) > 0).any()  # a word's bits leave no gap
        or not np.isfinite(base)
        or kind not in KINDS
        or len(set(names)) != len(names)
    ):
        raise TablesError("the explanation tables point outside themselves")
    return Tables(
        tests=Tests(columns=columns, **tests),
        names=names,
        groups=_entries(arrays, "groups", len(names), bits),
        columns=_entries(arrays, "columns", columns, bits),
        base=base,
        kind=kind,
        rows=rows,
    )


def _entries(
    arrays: Mapping[str, NDArray[Any]], prefix: str, players: int, bits: NDArray[np.int64]
) -> Lookup:
    found = {n: _typed(arrays, f"{prefix}_{n}", kind, 1) for n, kind in _ENTRIES.items()}
    player, piece, start, values = found.values()
    if (
        len({len(player), len(piece), len(start)}) != 1
        or _outside(player, players)
        or _outside(piece, len(bits))
        or (np.diff(player) < 0).any()
        or (start < 0).any()
        or (start > len(values) - 2 ** bits[piece]).any()  # the sum of the two could overflow
        or not np.isfinite(values).all()
    ):
        raise TablesError("the explanation tables point outside themselves")
    return Lookup(players=players, player=player, piece=piece, start=start, values=values)


def _outside(numbers: NDArray[np.int64], size: int) -> bool:
    return bool(((numbers < 0) | (numbers >= size)).any())


def _typed(
    arrays: Mapping[str, NDArray[Any]], name: str, kind: type, dimensions: int
) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype != kind or array.ndim != dimensions:
        raise TablesError(f"{name} of the explanation tables is not what it should be")
    return array
