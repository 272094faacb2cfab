"""The population stability index, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.distributions import LEAST_SHARE, stability_index


def test_by_hand() -> None:
    before = np.arange(1_000.0)
    assert stability_index(before, before.copy()) == 0.0
    emptied = 9 * (LEAST_SHARE - 0.1) * np.log(LEAST_SHARE / 0.1)
    expected = emptied + (1 - 0.1) * np.log(1 / 0.1)
    assert stability_index(before, before + 5_000) == pytest.approx(expected)


def test_missing_values_are_a_bin_of_their_own() -> None:
    full = np.arange(1_000.0)
    half = np.where(np.arange(1_000) % 2 == 0, np.nan, full)
    assert stability_index(full, half) > 0.25
    assert stability_index(half, half) == 0.0


def test_nothing_known_and_nothing_recent() -> None:
    nothing = np.full(50, np.nan)
    assert stability_index(nothing, nothing) == 0.0
    assert stability_index(np.arange(100.0), nothing) > 0.25
