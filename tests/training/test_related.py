"""Related changes: what is left out of what is learnt, and that the test stays whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from features.columns import Columns
from features.instants import DAY
from features.records import Change
from training.related import Related, apart
from training.splits import TemporalSplit

Day = Callable[[float], datetime]

SPLIT = TemporalSplit(test_share=0.2, calibration_share=0.2, gap=0)


def related(day: Day, changes: dict[float, dict[str, object]]) -> Related:
    """Changes by their day."""
    table = Columns.from_records(
        Change,
        [
            Change(change_id=f"CHG-{at}", known_at=day(at), **values)  # type: ignore[arg-type]
            for at, values in changes.items()
        ],
    )
    return Related.of(table, np.array([round(at * DAY) for at in changes]))


def later(count: int) -> np.ndarray:
    return np.arange(count) == count - 1


def test_one_ticket_however_long_ago(day: Day) -> None:
    found = related(
        day,
        {
            0: {"references": ("T1", "T2")},
            1: {"references": ("T3",)},
            900: {"references": ("T2", "T4")},
        },
    )
    assert found.to(later(3)).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("title", "ci", "at", "expected"),
    [
        ("Patch web-01 to 2.4", "web", 10, True),  # numbers and names are masked
        ("Patch web-01 to 2.4", "db", 10, False),
        ("Repair web-01 to 2.4", "web", 10, False),
        ("Patch web-01 to 2.4", "web", 60, False),  # a repetition, not a copy
    ],
)
def test_copies(day: Day, title: str, ci: str, at: float, expected: bool) -> None:
    found = related(
        day,
        {
            0: {"short_description": title, "ci": ci},
            at: {"short_description": "Patch web-17 to 3.0", "ci": "web"},
        },
    )
    assert found.to(later(2)).tolist()[0] is expected


def test_nothing_named_is_no_relation(day: Day) -> None:
    found = related(day, {0: {}, 1: {"short_description": "2024-01-01", "ci": "x"}, 2: {"ci": "x"}})
    assert found.to(later(3)).tolist() == [False, False, False]


def test_what_is_learnt_gives_way(day: Day) -> None:
    """Day 5 shares a ticket with the test, day 10 with the calibration; the test stays whole."""
    changes: dict[float, dict[str, object]] = {float(n): {} for n in range(100)}
    changes[5] = {"references": ("T1",)}
    changes[90] = {"references": ("T1",)}
    changes[10] = {"references": ("T2",)}
    changes[70] = {"references": ("T2",)}
    found = related(day, changes)
    split = SPLIT.split(found.times)
    assert split.calibrate[70]
    assert split.test[90]
    kept = apart(split, found)
    assert np.flatnonzero(split.learnt & ~kept.learnt).tolist() == [5]
    assert np.flatnonzero(split.train & ~kept.train).tolist() == [5, 10]
    assert np.array_equal(kept.calibrate, split.calibrate)
    assert np.array_equal(kept.test, split.test)
    assert kept.left_out == 1
    assert not (found.to(kept.test) & kept.learnt).any()
