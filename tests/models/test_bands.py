"""Bands: where they begin, what falls into them, what was seen in them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bands import BANDS, Bands, make_bands

PROBABILITIES = st.lists(st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0]), min_size=1)


def test_worked_example() -> None:
    """A hundred changes scored 0.01 to 1.00: the riskiest 10 and of those the riskiest 2."""
    probability = np.arange(1, 101) / 100
    bands = make_bands(probability, base_rate=0.4, review_budget=0.1)
    names = [bands.of(p) for p in probability.tolist()]
    assert [names.count(band) for band in BANDS] == [39, 51, 8, 2]
    assert names == sorted(names, key=BANDS.index)
    assert bands.moderate == 0.4
    assert bands.review_budget == 0.1


def test_a_cut_belongs_to_the_band_above() -> None:
    bands = Bands(moderate=0.1, high=0.2, very_high=0.3, review_budget=0.1, observed={})
    asked = (0.0, 0.0999, 0.1, 0.1999, 0.2, 0.2999, 0.3, 1.0)
    expected = ["low", "low", "moderate", "moderate", "high", "high", "very_high", "very_high"]
    assert [bands.of(p) for p in asked] == expected


@given(PROBABILITIES, st.floats(0, 1), st.floats(0.01, 0.99))
def test_cuts_ascend_and_bands_follow(scores: list[float], base: float, budget: float) -> None:
    bands = make_bands(np.array(scores), base, budget)
    assert bands.moderate <= bands.high <= bands.very_high
    ranks = [BANDS.index(bands.of(p)) for p in sorted(scores)]
    assert ranks == sorted(ranks)
    assert bands.of(max(scores)) == "very_high"


@given(st.integers(20, 300), st.floats(0.02, 0.5), st.integers(0, 99))
def test_without_ties_the_budget_is_kept(count: int, budget: float, seed: int) -> None:
    scores = np.random.default_rng(seed).permutation(count) / count
    bands = make_bands(scores, 0.0, budget)
    read = sum(bands.of(p) in ("high", "very_high") for p in scores.tolist())
    assert read <= budget * count + 1


def test_all_equal_scores_share_one_band() -> None:
    probability = np.full(50, 0.04)
    bands = make_bands(probability, base_rate=0.04)
    measured = bands.measured(probability, np.arange(50) < 2)
    assert [measured.observed[band]["changes"] for band in BANDS] == [0, 0, 0, 50]
    assert {bands.of(p) for p in probability.tolist()} == {"very_high"}


def test_most_scores_tied_leave_bands_empty() -> None:
    probability = np.array([0.02] * 95 + [0.5] * 5)
    bands = make_bands(probability, base_rate=0.03, review_budget=0.02)
    counts = bands.measured(probability, np.zeros(100, bool)).observed
    assert [counts[band]["changes"] for band in BANDS] == [95, 0, 0, 5]


def test_a_base_rate_above_the_riskiest_tenth_leaves_no_moderate() -> None:
    bands = make_bands(np.linspace(0, 0.1, 101), base_rate=0.2)
    assert bands.moderate == bands.high
    assert bands.of(bands.high) == "high"


def test_measured() -> None:
    bands = Bands(moderate=0.1, high=0.2, very_high=0.3, review_budget=0.1, observed={})
    probability = np.array([0.05, 0.05, 0.15, 0.25, 0.25, 0.25])
    failed = np.array([False, True, False, True, True, False])
    measured = bands.measured(probability, failed)
    assert measured.observed == {
        "low": {"changes": 2, "failures": 1, "rate": 0.5},
        "moderate": {"changes": 1, "failures": 0, "rate": 0.0},
        "high": {"changes": 3, "failures": 2, "rate": pytest.approx(2 / 3)},
        "very_high": {"changes": 0, "failures": 0, "rate": None},
    }
    assert (measured.moderate, measured.high, measured.very_high) == (0.1, 0.2, 0.3)
    assert bands.observed == {}


@pytest.mark.parametrize("budget", [0.0, 1.0, -0.1, 1.5])
def test_refuses_a_budget_that_is_no_share(budget: float) -> None:
    message = re.escape(f"expected a review budget between 0 and 1, got {budget}")
    with pytest.raises(ValueError, match=message):
        make_bands(np.array([0.1]), 0.1, budget)


def test_refuses_an_empty_window() -> None:
    with pytest.raises(ValueError, match="expected the probabilities of a window, got none"):
        make_bands(np.array([]), 0.1)
