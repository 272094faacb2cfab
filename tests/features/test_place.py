"""Where the organisation is: local time over the change of clocks, and holidays."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from features import instants
from features.catalogue import NAMES
from features.columns import Columns
from features.history import History
from features.place import NOWHERE, Place
from features.policy import POLICIES
from features.records import Change
from features.state import FeatureState
from features.store import Store
from features.table import build

LOCAL = ("local_start_hour", "local_start_weekday", "start_on_holiday", "holiday_next_day")
BAVARIA = Place(country="DE", subdivision="BY", timezone="Europe/Berlin")


def read(place: Place, start: datetime | None) -> list[float]:
    """The features that depend on the place, of a change with this planned start."""
    change = Change(change_id="C1", known_at=datetime(2026, 1, 1, tzinfo=UTC), planned_start=start)
    state = FeatureState(History.from_records([change]).placed(place), POLICIES["failed"])
    now = instants.to_micros(datetime(2026, 1, 2, tzinfo=UTC))
    table = build(Columns.from_records(Change, [change]), np.array([now]), state)
    return [float(table.values[0, NAMES.index(name)]) for name in LOCAL]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # An hour before local midnight in winter, and after it in summer time.
        (datetime(2026, 1, 5, 22, 30, tzinfo=UTC), [23, 0, 0, 1]),  # Epiphany follows
        (datetime(2026, 1, 5, 23, 30, tzinfo=UTC), [0, 1, 1, 0]),
        (datetime(2026, 7, 6, 22, 30, tzinfo=UTC), [0, 1, 0, 0]),
        (datetime(2026, 12, 31, 12, 0, tzinfo=UTC), [13, 3, 0, 1]),
    ],
)
def test_hours_and_holidays_are_those_of_the_place(start, expected):
    assert read(BAVARIA, start) == expected


def test_a_holiday_of_one_state_is_none_of_another():
    epiphany = datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert read(Place(country="DE", subdivision="BE"), epiphany)[2] == 0
    assert read(Place(country="DE", subdivision="BY"), epiphany)[2] == 1


def test_what_is_not_set_is_not_guessed():
    start = datetime(2026, 1, 6, 12, tzinfo=UTC)
    assert np.isnan(read(NOWHERE, start)).all()
    assert np.isnan(read(Place(country="DE"), start)).tolist() == [True, True, False, False]
    zone = Place(timezone="Asia/Tokyo")
    assert np.isnan(read(zone, start)).tolist() == [False, False, True, True]


def test_without_a_start_there_is_no_local_time():
    assert np.isnan(read(BAVARIA, None)).all()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"timezone": "Berlin"}, "unknown time zone 'Berlin'"),
        ({"country": "Germany"}, "no holidays are known of country 'Germany'"),
        ({"country": "DE", "subdivision": "XX"}, "DE has no subdivision 'XX'; known are .*BY"),
        ({"subdivision": "BY"}, "subdivision 'BY' is given without its country"),
    ],
)
def test_an_unknown_place_is_refused(said, message):
    with pytest.raises(ValueError, match=message):
        Place(**said)


def test_the_store_says_where_its_history_is(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/history.db")
    assert store.load().place == NOWHERE
    store.set_setting("place", {"country": "DE", "subdivision": "BY", "timezone": "Europe/Berlin"})
    history = store.load()
    store.close()
    assert history.place == BAVARIA
    assert history.as_of(datetime(2026, 1, 1, tzinfo=UTC)).plus(history).place == BAVARIA
    assert FeatureState(history, POLICIES["failed"]).extended(history).place == BAVARIA
