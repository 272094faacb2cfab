"""Explanation tables as a file: the same bits back, and nothing that points outside itself."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from models.bundle import RiskModel
from models.shapley_arrays import TablesError, from_bytes, to_bytes


def broken(model: RiskModel, **changed: Any) -> bytes:
    """The file of a model's tables with some arrays replaced; None leaves one out."""
    with np.load(io.BytesIO(to_bytes(model.tables)), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    arrays.update(changed)
    out = io.BytesIO()
    np.savez(out, **{name: array for name, array in arrays.items() if array is not None})
    return out.getvalue()


def test_the_same_bits_come_back(bundle: RiskModel) -> None:
    again = from_bytes(to_bytes(bundle.tables))
    rows = np.random.default_rng(0).normal(size=(50, len(bundle.columns)))
    for one, other in zip(again.both(rows), bundle.tables.both(rows), strict=True):
        assert one.tobytes() == other.tobytes()
    assert (again.base, again.kind, again.rows) == (
        bundle.tables.base,
        bundle.tables.kind,
        bundle.tables.rows,
    )
    assert again.names == bundle.tables.names


def edited(array: np.ndarray[Any, Any], place: tuple[int, ...], value: float) -> Any:
    array = array.copy()
    array[place] = value
    return array


def test_refuses_indices_outside_their_arrays(bundle: RiskModel) -> None:
    tables = bundle.tables
    for prefix in ("groups", "columns"):
        lookup = getattr(tables, prefix)
        for name, bad in (
            ("player", -1),
            ("player", lookup.players),
            ("piece", -1),
            ("piece", len(tables.tests.feature)),
            ("start", -1),
            ("start", len(lookup.values)),
            ("start", np.iinfo(np.int64).max),
            ("values", np.nan),
            ("values", np.inf),
        ):
            array = edited(getattr(lookup, name), (-1,), bad)
            with pytest.raises(TablesError, match="point outside themselves"):
                from_bytes(broken(bundle, **{f"{prefix}_{name}": array}))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("feature", lambda tests: edited(tests.feature, (0, 0), -1)),
        ("feature", lambda tests: edited(tests.feature, (0, 0), tests.columns)),
        ("threshold", lambda tests: edited(tests.threshold, (0, 0), np.nan)),
        ("threshold", lambda tests: tests.threshold[:-1]),
        ("base", lambda _tests: np.nan),
        ("kind", lambda _tests: "guessed"),
        ("groups_player", lambda _tests: np.zeros(1, np.int64)),
    ],
)
def test_refuses_arrays_that_do_not_fit(bundle: RiskModel, name: str, change: Any) -> None:
    with pytest.raises(TablesError, match="point outside themselves"):
        from_bytes(broken(bundle, **{name: change(bundle.tables.tests)}))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"layout": 99}, "of layout 1"),
        ({"groups_values": None}, "cannot be read"),
        ({"groups_start": np.zeros(3)}, "groups_start .* not what it should be"),
        ({"feature": np.zeros(3, np.int64)}, "feature .* not what it should be"),
        ({"names": np.array(["a", None], dtype=object)}, "cannot be read"),
    ],
)
def test_refuses_other_files(bundle: RiskModel, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TablesError, match=message):
        from_bytes(broken(bundle, **changed))


def test_refuses_whatever_damage(bundle: RiskModel) -> None:
    """Bits turned over, bytes lost, parts cut out: a clear error, or the same tables."""
    whole, draw = to_bytes(bundle.tables), np.random.default_rng(0)
    rows = draw.normal(size=(5, len(bundle.columns)))
    refused = 0
    for turn in range(600):
        content = bytearray(whole)
        if turn % 3:
            for place in draw.integers(len(whole), size=1 + turn % 5):
                content[place] ^= 1 << int(draw.integers(8))
        else:
            start, end = sorted(draw.integers(len(whole), size=2))
            del content[start:end]
        try:
            again = from_bytes(bytes(content))
        except TablesError:
            refused += 1
        else:
            assert again.by_group(rows).tobytes() == bundle.tables.by_group(rows).tobytes()
    assert refused > 500


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"\x93NUMPY"])
def test_refuses_what_is_no_archive(content: bytes) -> None:
    with pytest.raises(TablesError, match="cannot be read"):
        from_bytes(content)
