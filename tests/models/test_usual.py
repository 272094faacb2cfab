"""What is taken where nothing is known."""

from __future__ import annotations

import numpy as np

from models.usual import USUALLY_KNOWN, Usual

COLUMNS = ("ci_changes_7d", "ci_failure_rate_7d", "lead_time_hours", "affected_incidents_7d")
NAN = np.nan
USUAL = Usual(
    columns=COLUMNS,
    reference={
        "ci_changes_7d": 2.0,
        "ci_failure_rate_7d": 0.05,
        "lead_time_hours": 72.0,
        "affected_incidents_7d": 1.0,
    },
    coverage={
        "ci_changes_7d": 0.99,
        "ci_failure_rate_7d": 0.95,
        "lead_time_hours": 1.0,
        "affected_incidents_7d": 0.5,
    },
)


def test_a_group_of_which_nothing_is_known_is_taken_as_usual() -> None:
    selected = np.array([[NAN, NAN, 5.0, 3.0]])
    assert np.array_equal(USUAL.filled(selected), [[2.0, 0.05, 5.0, 3.0]])
    assert {g: r.tolist() for g, r in USUAL.unknown(selected).items()} == {
        "ci_track_record": [True],
        "schedule": [False],
    }


def test_what_is_partly_known_stays_as_it_is() -> None:
    selected = np.array([[4.0, NAN, NAN, NAN], [NAN, 0.2, 1.0, NAN]])
    filled = USUAL.filled(selected)
    assert np.array_equal(filled[:, :2], selected[:, :2], equal_nan=True)
    assert filled[0, 2] == 72.0


def test_what_is_often_missing_stays_missing() -> None:
    filled = USUAL.filled(np.array([[1.0, 0.1, 1.0, NAN]]))
    assert np.isnan(filled[0, 3])
    assert "incidents" not in USUAL.unknown(np.full((1, 4), NAN))


def test_rows_are_taken_one_by_one() -> None:
    selected = np.array([[NAN, NAN, NAN, 3.0], [1.0, 0.1, 2.0, 3.0]])
    assert np.array_equal(USUAL.filled(selected), [[2.0, 0.05, 72.0, 3.0], [1.0, 0.1, 2.0, 3.0]])


def test_the_input_is_left_alone() -> None:
    selected = np.array([[NAN, NAN, NAN, NAN]])
    before = selected.copy()
    filled = USUAL.filled(selected)
    assert np.array_equal(selected, before, equal_nan=True)
    assert filled is not selected


def test_nothing_to_fill_copies_nothing() -> None:
    selected = np.array([[1.0, 0.1, 2.0, NAN]])
    assert USUAL.filled(selected) is selected


def test_a_column_without_a_median_is_never_filled() -> None:
    usual = Usual(columns=COLUMNS, reference={}, coverage=dict.fromkeys(COLUMNS, 1.0))
    selected = np.full((2, 4), NAN)
    assert usual.filled(selected) is selected
    assert usual.unknown(selected) == {}


def test_the_limit_counts_as_usually_known() -> None:
    usual = Usual(
        columns=COLUMNS[:1], reference={COLUMNS[0]: 2.0}, coverage={COLUMNS[0]: USUALLY_KNOWN}
    )
    assert usual.filled(np.array([[NAN]]))[0, 0] == 2.0


def test_no_rows() -> None:
    assert USUAL.filled(np.zeros((0, 4))).shape == (0, 4)


def test_what_never_happened_is_not_unknown() -> None:
    days, count = "attempt_days_since_change", "reference_changes_90d"
    rare = Usual(columns=(days, count), reference={days: 9.0}, coverage={days: 1.0, count: 0.2})
    assert rare.unknown(np.full((1, 2), NAN)) == {}
    both = {days: 9.0, count: 1.0}
    usual = Usual(columns=(days, count), reference=both, coverage=dict.fromkeys(both, 1.0))
    assert usual.unknown(np.array([[NAN, NAN], [NAN, 0.0]]))["retry"].tolist() == [True, False]
