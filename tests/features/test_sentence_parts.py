"""Numbers, shares and counts as sentences have them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import BY_NAME
from features.sentences import counted, number, per_hundred, reference_words, within


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("ci_changes_30d", 3, "3 changes"),
        ("ci_changes_30d", 1, "1 change"),
        ("ci_failure_rate_30d", 0.024, "2.4 in 100"),
        ("lead_time_hours", 72, "3 days"),
        ("affected_open_incidents", 2, "2 open incidents"),
        ("missing_field_count", 2, "2 fields"),
        ("team_ci_changes_365d", 4, "4 changes"),
        ("declared_risk_level", 2, "2"),
    ],
)
def test_reference_words(name: str, value: float, expected: str) -> None:
    assert reference_words(BY_NAME[name], value) == expected


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0, "fewer than 0.1"),
        (0.0004, "fewer than 0.1"),
        (0.0005, "0.1"),
        (0.004, "0.4"),
        (0.024, "2.4"),
        (0.07, "7"),
        (0.0949, "9.5"),
        (0.0951, "10"),
        (0.5, "50"),
        (1, "100"),
    ],
)
def test_per_hundred(share: float, expected: str) -> None:
    assert per_hundred(share) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.floats(0, 1),
    st.lists(st.sampled_from([0.0004, 0.02, 0.0496, 0.05, 0.0949, 0.1, 0.3333]), max_size=3),
    st.sampled_from([0.0, 1e-9, -1e-9, 1e-5]),
)
def test_never_rounded_across_an_edge(share: float, edges: list[float], off: float) -> None:
    if edges:
        share = min(max(edges[0] + off, 0.0), 1.0)
    text = within(share, edges)
    shown = float(text.removeprefix("fewer than ")) / 100
    assert all((shown >= edge) == (share >= edge) for edge in edges)
    if not edges:
        assert text == per_hundred(share)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (-0.0, "0"), (3.0, "3"), (1234567.0, "1,234,567"), (2.25, "2.2"), (0.046, "0.046")],
)
def test_number(value: float, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "noun", "expected"),
    [
        (0, "change", "0 changes"),
        (1, "change", "1 change"),
        (1.5, "day", "1.5 days"),
        (2, "business", "2 businesses"),
        (2, "open incident", "2 open incidents"),
    ],
)
def test_counted(value: float, noun: str, expected: str) -> None:
    assert counted(value, noun) == expected
