"""A state that grew answers like one built at once, and never disturbs who reads the old one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import index, streams
from features import state as state_module
from features.history import History
from features.policy import POLICIES
from features.records import Change, ChangeEvent, Incident, Link, Record
from features.state import FeatureState
from features.streams import SLOTS


def parts_of(data: st.DataObject, facts: list[Record]) -> list[list[Record]]:
    """The facts, in their order, cut into several writes."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(facts)), max_size=6)))
    bounds = [0, *cuts, len(facts)]
    return [facts[low:high] for low, high in pairwise(bounds)]


def grown(writes: list[list[Record]], policy: object) -> FeatureState:
    state = FeatureState(History.from_records([]), policy)
    for facts in writes:
        state = state.extended(History.from_records(facts))
    return state


def ask_recent(state: FeatureState, as_of: int) -> Iterator[object]:
    """The newest owners by name, for every stream and every name."""
    owners = {"planned_starts": "planned_start"}
    for stream, kind in SLOTS:
        events = state.events(stream, kind)
        told = "incidents" in stream or "resolved" in stream
        owner = "incident" if told else owners.get(stream, "change")
        for name in sorted(state.vocabulary(kind).names):
            [code] = state.vocabulary(kind).find([name])
            found = events.recent(int(code), as_of, None, -1, 9)
            if found:
                yield stream, kind, name, [state.vocabulary(owner).names[one] for one in found]


def all_of(facts: list[Record]) -> list[Record]:
    return facts


def none_that_links(facts: list[Record]) -> list[Record]:
    """Without links, events and texts: revisions of changes are laid over in place."""
    kept = [fact for fact in facts if not isinstance(fact, Link | ChangeEvent)]
    silent = {"description": None, "short_description": None}
    return [replace(fact, **silent) if isinstance(fact, Incident) else fact for fact in kept]


def none_that_turns(facts: list[Record]) -> list[Record]:
    """And without further rows of an incident: every write is laid over in place."""
    return list({getattr(f, "incident_id", id(f)): f for f in none_that_links(facts)}.values())


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("kept", [all_of, none_that_links, none_that_turns])
@settings(max_examples=15)
@given(data=st.data())
def test_a_state_that_grew_equals_one_built_at_once(
    data, one_by_one, kept, histories, moments, policies, state_of, rows, differences
):
    facts, policy = kept(data.draw(histories)), data.draw(policies)
    if data.draw(st.booleans()):
        facts = sorted(facts, key=lambda fact: fact.known_at)
    writes = [[fact] for fact in facts] if one_by_one else parts_of(data, facts)
    merge_at = data.draw(st.sampled_from([4096, 3]))
    with (
        mock.patch.object(index, "MERGE_AT", merge_at),
        mock.patch.object(state_module, "MERGE_AT", merge_at),
        mock.patch.object(streams, "MANY", data.draw(st.sampled_from([streams.MANY, 1]))),
    ):
        state, at_once = grown(writes, policy), state_of(facts, policy)
    scored = [fact for fact in facts if isinstance(fact, Change)]
    for as_of in data.draw(st.lists(moments, min_size=3, max_size=3)):
        assert differences(rows(at_once, scored, as_of), rows(state, scored, as_of)) == {}
    everything = 2**62
    assert list(ask_recent(state, everything)) == list(ask_recent(at_once, everything))
    assert len(state.history) == len(facts)


@settings(max_examples=30)
@given(data=st.data())
def test_a_fact_told_twice_counts_once(
    data, histories, moments, policies, state_of, rows, differences
):
    facts, policy = data.draw(histories), data.draw(policies)
    as_of = data.draw(moments)
    again = data.draw(st.lists(st.sampled_from(facts), max_size=4))
    # Of two revisions of one moment the later told stands, so a change is told again at once.
    twice = [copy for fact in facts for copy in [fact] * (1 + (fact in again))]
    scored = [fact for fact in facts if isinstance(fact, Change)]
    once = rows(state_of(facts, policy), scored, as_of)
    assert differences(once, rows(state_of(twice, policy), scored, as_of)) == {}


# facts that arrive before the record they speak of -----------------------------------------------


def change(known_at: datetime, name: str = "CHG-10") -> Change:
    return Change(change_id=name, known_at=known_at, planned_start=known_at, ci="web-01")


def incident(known_at: datetime, text: str | None = None) -> Incident:
    return Incident(
        incident_id="INC-30", occurred_at=known_at, known_at=known_at, ci="x", description=text
    )


def link(known_at: datetime) -> Link:
    return Link(
        incident_id="INC-30",
        change_id="CHG-10",
        kind="caused_by",
        source="explicit",
        confidence=1.0,
        occurred_at=known_at,
        known_at=known_at,
    )


def back_out(known_at: datetime) -> ChangeEvent:
    return ChangeEvent(
        change_id="CHG-10", kind="backed_out", occurred_at=known_at, known_at=known_at
    )


@pytest.mark.parametrize(
    ("label", "writes"),
    [
        ("incident", [[link, incident], [change]]),
        ("incident", [[link, change], [incident]]),
        ("incident", [[lambda at: incident(at, "after CHG-10")], [change]]),
        ("incident", [[], [lambda at: incident(at, "after CHG-10")], [change]]),
        ("incident", [[], [change, lambda at: incident(at, "after CHG-10")]]),
        ("failed", [[back_out], [change]]),
        ("incident_rise", [[change], [lambda at: incident(at)]]),
    ],
    ids=[
        "link before the change",
        "link before the incident",
        "text before the change",
        "text that was itself laid over",
        "text and change together",
        "back-out before the change",
        "rise",
    ],
)
def test_a_fact_that_came_before_the_record_it_names_counts_from_then_on(
    label, writes, day, rows, differences, state_of
):
    policy = POLICIES[label]
    made = [[make(day(1)) for make in write] for write in writes]
    state = grown(made, policy)
    at_once = state_of([fact for write in made for fact in write], policy)
    other = change(day(40), "CHG-11")
    assert differences(rows(at_once, [other], day(40)), rows(state, [other], day(40))) == {}


# every fact is laid over in place --------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        change,
        lambda at: change(at, "CHG-11"),
        link,
        back_out,
        lambda at: incident(at),
        lambda at: incident(at, "CHG-10 broke it"),
    ],
)
def test_no_fact_makes_a_new_index(make, day, state_of):
    state = state_of([change(day(0)), incident(day(0)), link(day(0))], POLICIES["incident"])
    base = state.index.base
    assert state.extended(History.from_records([make(day(1))])) is state
    assert state.index.base is base
    assert len(state.history) == 4


def test_the_watermark_is_the_last_write_taken_in(day):
    first = History.from_records([change(day(0))])
    second = History.from_records([change(day(1))])
    state = FeatureState(History(first.tables, 4), POLICIES["failed"])
    state = state.extended(History(second.tables, 7))
    assert state.watermark == 7
    assert state.extended(History(History.from_records([]).tables, 9)).watermark == 9


def test_a_change_is_found_in_its_last_revision(day, state_of):
    early, late = change(day(0)), change(day(5))
    state = state_of([late, early], POLICIES["failed"])
    table, row = state.changes(["CHG-10"])["CHG-10"]
    assert table.record(row) == late
    state = state.extended(History.from_records([change(day(1), "CHG-11")]))
    table, row = state.changes(["CHG-11"])["CHG-11"]
    assert table.record(row).known_at == day(1)
    told_late = History.from_records([change(day(3))])
    assert state.extended(told_late) is state
    table, row = state.changes(["CHG-10"])["CHG-10"]
    assert table.record(row) == late
    assert len(state.history) == 4
    table, row = state.changes(["CHG-10"])["CHG-10"]
    assert table.record(row) == late
    assert state.changes(["CHG-99"]) == {}


def test_links_of_all_writes_are_at_hand(day):
    state = grown([[change(day(0))], [link(day(1))], [incident(day(2))]], POLICIES["incident"])
    assert state.links(["CHG-10"])["incident_id"].tolist() == ["INC-30"]
    assert len(state.links(["CHG-11"])) == 0


def test_a_state_of_nothing_answers(day, state_of, rows):
    table = rows(state_of([], POLICIES["incident"]), [change(day(0))], day(0) + timedelta(hours=1))
    failed, decided = table.support["ci_failure_rate_7d"]
    assert (failed[0], decided[0]) == (0.0, 0.0)
    frame = table.to_frame()
    assert np.isnan(frame.loc["CHG-10", "ci_failure_rate_7d"])
    assert frame.loc["CHG-10", "ci_changes_7d"] == 0.0


def test_a_large_state_gives_back_what_making_it_took(monkeypatch):
    monkeypatch.setattr(state_module, "LARGE", -1)
    given = mock.Mock(wraps=state_module.give_back)
    monkeypatch.setattr(state_module, "give_back", given)
    FeatureState(History.from_records([]), POLICIES["incident"])
    assert given.call_count == 2
