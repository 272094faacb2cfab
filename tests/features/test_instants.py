"""Moments as whole microseconds, there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import instants
from features.instants import MISSING, from_micros, micros_to_series, series_to_micros, to_micros

AWARE = st.datetimes(
    min_value=datetime(1700, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
    max_value=datetime(2260, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from(
        [
            UTC,
            ZoneInfo("Europe/Amsterdam"),
            ZoneInfo("Asia/Kathmandu"),
            timezone(timedelta(hours=-9)),
        ]
    ),
)


@given(moment=st.none() | AWARE)
def test_a_moment_survives_the_way_there_and_back(moment):
    micros = to_micros(moment)
    assert isinstance(micros, int)
    # In UTC, for Python calls no two moments equal across zones where a clock is put back.
    assert from_micros(micros) == (moment and moment.astimezone(UTC))
    assert to_micros(from_micros(micros)) == micros


@given(first=AWARE, second=AWARE)
def test_microseconds_keep_the_order_and_the_distance(first, second):
    distance = timedelta(microseconds=to_micros(second) - to_micros(first))
    assert distance == second.astimezone(UTC) - first.astimezone(UTC)
    assert (to_micros(first) > MISSING) is True


@given(moments=st.lists(st.none() | AWARE, max_size=5))
def test_a_column_of_moments_survives_the_way_there_and_back(moments):
    micros = np.array([to_micros(moment) for moment in moments], np.int64)
    series = micros_to_series(micros)
    assert isinstance(series.dtype, pd.DatetimeTZDtype)
    assert series.isna().tolist() == [moment is None for moment in moments]
    assert series_to_micros(series).tolist() == micros.tolist()
    local = series.dt.tz_convert("Asia/Kathmandu")
    assert series_to_micros(local).tolist() == micros.tolist()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_column_of_any_resolution_is_read_in_microseconds(unit):
    series = pd.Series(pd.to_datetime(["1970-01-01T00:00:01Z", None], utc=True)).dt.as_unit(unit)
    assert series_to_micros(series).tolist() == [instants.SECOND, MISSING]


def test_the_hour_that_comes_twice_has_two_moments():
    zone = ZoneInfo("Europe/Amsterdam")
    first = datetime(2024, 10, 27, 2, 30, tzinfo=zone)
    assert to_micros(first.replace(fold=1)) - to_micros(first) == instants.HOUR


def test_a_microsecond_is_not_lost_far_from_1970():
    moment = datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert from_micros(to_micros(moment)) == moment


@pytest.mark.parametrize("micros", [None, MISSING])
def test_no_moment_stays_none(micros):
    assert from_micros(micros) is None
    assert to_micros(None) == MISSING == pd.NaT.value


def test_a_moment_without_a_time_zone_is_refused():
    naive = datetime(2024, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="expected a moment with a time zone, got datetime"):
        to_micros(naive)
    with pytest.raises(ValueError, match="expected moments with a time zone, got a column of date"):
        series_to_micros(pd.Series([naive]))
    with pytest.raises(ValueError, match="got a column of int64"):
        series_to_micros(pd.Series([1]))
