"""Windows on the board's clock, in weeks in which that clock is changed too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.pages.plans import Axis
from serving.pages.words import Times

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize("day", [(3, 5), (10, 29)])
@given(hours=st.integers(0, 7 * 24))
def test_a_plan_has_one_scale_whatever_the_clock_does(day: tuple[int, int], hours: int) -> None:
    start = datetime(2026, *day, 12, tzinfo=UTC)
    end = start + timedelta(days=7)
    axis = Axis(start.astimezone(NEW_YORK), end.astimezone(NEW_YORK), names=0)
    moment = start + timedelta(hours=hours)
    expected = pytest.approx(100 * hours / (7 * 24))
    assert axis(moment) == expected
    assert axis(moment.astimezone(NEW_YORK)) == expected


def test_an_hour_that_comes_twice_is_told_apart() -> None:
    start = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)  # 01:30 in summer time
    times = Times(NEW_YORK, start)
    assert times.window(start, start + timedelta(hours=1)) == "Sun 1 Nov 01:30 EDT–01:30 EST"
    assert times.window(start, start + timedelta(minutes=15)) == "Sun 1 Nov 01:30–01:45"


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Pacific/Kiritimati", "Tue 2 Jun 12:00–14:00"),
        ("Pacific/Pago_Pago", "Mon 1 Jun 11:00–13:00"),
        ("Asia/Kathmandu", "Tue 2 Jun 03:45–05:45"),
        ("UTC", "Mon 1 Jun 22:00 – Tue 00:00"),
    ],
)
def test_a_window_stands_on_the_boards_clock(zone: str, said: str) -> None:
    start = datetime(2026, 6, 1, 22, tzinfo=UTC)
    assert Times(ZoneInfo(zone), start).window(start, start + timedelta(hours=2)) == said
