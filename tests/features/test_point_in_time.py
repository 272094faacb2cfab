"""No feature and no label sees the future: not one bit of a row depends on later facts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.history import History
from features.labels import label
from features.policy import LabelPolicy
from features.records import Change, Record
from features.state import FeatureState


def changes_of(facts: list[Record]) -> list[Change]:
    return [fact for fact in facts if isinstance(fact, Change)]


@settings(max_examples=80)
@given(data=st.data())
def test_a_row_needs_only_facts_known_before_its_moment(
    data, histories, moments, policies, state_of, rows, differences
):
    facts, policy = data.draw(histories), data.draw(policies)
    scored, state = changes_of(facts), state_of(facts, policy)
    for as_of in data.draw(st.lists(moments, min_size=3, max_size=3)):
        whole = rows(state, scored, as_of)
        cut = FeatureState(History.from_records(facts).as_of(as_of), policy)
        before = state_of([fact for fact in facts if fact.known_at < as_of], policy)
        assert differences(whole, rows(cut, scored, as_of)) == {}
        assert differences(whole, rows(before, scored, as_of)) == {}


def with_another_future(
    data: Any, facts: list[Record], other: list[Record], known: Any
) -> list[Record]:
    """The known facts in their order, and later facts of another history anywhere between."""
    mixed = [fact for fact in facts if known(fact)]
    for fact in other:
        if not known(fact):
            mixed.insert(data.draw(st.integers(0, len(mixed))), fact)
    return mixed


@settings(max_examples=60)
@given(data=st.data())
def test_later_facts_added_changed_or_deleted_do_not_change_a_row(
    data, histories, moments, policies, state_of, rows, differences
):
    facts, other, policy = data.draw(histories), data.draw(histories), data.draw(policies)
    as_of = data.draw(moments)
    mixed = with_another_future(data, facts, other, lambda fact: fact.known_at < as_of)
    scored = changes_of(facts)
    left = rows(state_of(facts, policy), scored, as_of)
    assert differences(left, rows(state_of(mixed, policy), scored, as_of)) == {}


def outcomes(facts: list[Record] | History, policy: LabelPolicy, as_of: datetime) -> pd.DataFrame:
    history = facts if isinstance(facts, History) else History.from_records(facts)
    found = label(history, policy, as_of=as_of)
    return found.sort_values("change_id", ignore_index=True)


@settings(max_examples=60)
@given(data=st.data())
def test_a_label_needs_only_facts_known_at_its_moment(data, histories, moments, policies):
    facts, other, policy = data.draw(histories), data.draw(histories), data.draw(policies)
    as_of = data.draw(moments)
    known = outcomes(facts, policy, as_of)
    cut = History.from_records(facts).as_of(as_of)
    pd.testing.assert_frame_equal(known, outcomes(cut, policy, as_of), check_exact=True)
    mixed = with_another_future(data, facts, other, lambda fact: fact.known_at <= as_of)
    pd.testing.assert_frame_equal(known, outcomes(mixed, policy, as_of), check_exact=True)
