"""The history and its door to the past."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.columns import RECORD_TYPES
from features.history import History
from features.records import Change, Incident, Item


def records_of(history: History) -> list[object]:
    return [table.record(row) for table in history.tables.values() for row in range(len(table))]


@settings(max_examples=40)
@given(data=st.data())
def test_the_past_holds_what_was_known_by_then_in_its_order(data, histories, moments):
    facts, moment = data.draw(histories), data.draw(moments)
    history = History.from_records(facts)
    known = [fact for fact in facts if fact.known_at <= moment]
    assert records_of(history.as_of(moment)) == records_of(History.from_records(known))
    earlier = data.draw(moments)
    both = records_of(history.as_of(moment).as_of(earlier))
    assert both == records_of(history.as_of(min(moment, earlier)))


@settings(max_examples=40)
@given(data=st.data())
def test_a_history_and_a_later_write_hold_all_facts_in_their_order(data, histories):
    facts = data.draw(histories)
    cut = data.draw(st.integers(0, len(facts)))
    history = History.from_records(facts[:cut]).plus(History.from_records(facts[cut:]))
    assert records_of(history) == records_of(History.from_records(facts))
    assert len(history) == len(facts)
    assert history.until == max(fact.known_at for fact in facts)


def test_a_fact_is_known_at_its_moment_and_not_a_microsecond_sooner(day):
    history = History.from_records([Change(change_id="C1", known_at=day(3))])
    assert len(history.as_of(day(3))) == 1
    assert len(history.as_of(day(3) - timedelta(microseconds=1))) == 0


def test_what_happened_long_ago_is_unknown_until_it_is_told(day):
    told_late = Incident(incident_id="I1", occurred_at=day(0), known_at=day(9))
    assert len(History.from_records([told_late]).as_of(day(8))) == 0


def test_the_past_needs_a_time_zone():
    with pytest.raises(ValueError, match="expected a moment with a time zone"):
        History.from_records([]).as_of(datetime(2024, 1, 1))  # noqa: DTZ001


def test_a_history_keeps_the_last_write_it_holds(day):
    first = History(History.from_records([]).tables, 3)
    second = History(History.from_records([Item(ci="a", known_at=day(0))]).tables, 5)
    assert first.plus(second).watermark == second.plus(first).watermark == 5
    assert second.as_of(day(0)).watermark == 5


def test_an_empty_history_has_a_table_of_every_kind_and_no_end():
    history = History.from_records([])
    assert (len(history), history.until) == (0, None)
    assert set(history.tables) == set(RECORD_TYPES)


def test_one_kind_of_facts_as_a_frame(day):
    history = History.from_records([Item(ci="a", known_at=day(0), criticality=2)])
    frame = history.frame(Item)
    assert frame.loc[0, ["ci", "criticality"]].tolist() == ["a", 2.0]
    assert history.frame(Change).empty


def test_only_records_make_a_history():
    with pytest.raises(KeyError):
        History.from_records(["a text"])  # type: ignore[list-item]
