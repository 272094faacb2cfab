"""Weekly queues: worked by hand, and against every order of ties."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import instants
from training.metrics import recall_at
from training.queues import captured, day_of, week_of

ROWS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.2, 0.5]), st.booleans(), st.integers(0, 1)),
    min_size=1,
    max_size=6,
)


def moments(*days: str) -> np.ndarray:
    return np.array(
        [instants.to_micros(datetime.fromisoformat(d).replace(tzinfo=UTC)) for d in days]
    )


def test_weeks_begin_on_monday() -> None:
    times = moments("2024-01-07T23:59:59", "2024-01-08", "2024-01-14T12:00", "2024-01-15")
    assert week_of(times).tolist() == [0, 1, 1, 2]
    assert day_of(times).tolist() == [0, 1, 2, 3]


def test_weeks_without_changes_have_no_number() -> None:
    assert week_of(moments("2024-06-03", "2024-01-01", "2024-06-04")).tolist() == [1, 0, 1]


def test_every_week_has_its_own_budget() -> None:
    """All failures of the bad second week are riskier than anything in the first."""
    score = np.array([0.1, 0.2, 0.9, 0.8])
    failed = np.array([False, True, True, True])
    week = np.array([0, 0, 1, 1])
    found = captured(score, failed, week, 0.5)
    assert found.inside.tolist() == [0.0, 1.0, 1.0, 0.0]
    assert recall_at(score, failed, 0.5) == pytest.approx(2 / 3)
    pooled = captured(score, failed, np.zeros(4, np.int64), 0.5)
    assert pooled.inside.tolist() == [0.0, 0.0, 1.0, 1.0]


def test_ties_best_and_worst() -> None:
    found = captured(np.full(4, 0.3), np.array([True, False, False, False]), np.zeros(4, int), 0.5)
    assert found.inside.tolist() == [0.5] * 4
    assert (found.worst, found.best) == (0.0, 1.0)


def test_a_part_of_a_change() -> None:
    found = captured(
        np.array([3.0, 2.0, 1.0]), np.array([True, True, False]), np.zeros(3, int), 0.5
    )
    assert found.inside.tolist() == [1.0, 0.5, 0.0]


@settings(deadline=None, max_examples=80)
@given(rows=ROWS, share=st.sampled_from([0.05, 0.25, 0.5, 2 / 3, 1.0]))
def test_against_every_order_of_ties(rows: list[tuple[float, bool, int]], share: float) -> None:
    score = np.array([row[0] for row in rows])
    failed = np.array([row[1] for row in rows])
    week = np.unique([row[2] for row in rows], return_inverse=True)[1]
    found = captured(score, failed, week, share)
    inside, worst, best = 0.0, 0.0, 0.0
    for number in range(week.max() + 1):
        s, f = score[week == number], failed[week == number]
        room = np.clip(share * len(s) - np.arange(len(s)), 0, 1)
        caught = [
            float((room * f[sorted(order, key=lambda row: -s[row])]).sum())
            for order in permutations(range(len(s)))
        ]
        inside, worst, best = inside + np.mean(caught), worst + min(caught), best + max(caught)
    assert (found.inside * failed).sum() == pytest.approx(inside)
    assert found.worst == pytest.approx(worst, abs=1e-12)
    assert found.best == pytest.approx(best)
    assert found.inside.sum() == pytest.approx(share * len(score))
