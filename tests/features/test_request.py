"""What the ticket itself says: sizes, levels, plans and the calendar."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import instants, request
from features.catalogue import CATALOGUE
from features.columns import Columns
from features.records import FORBIDDEN_FIELDS, PERSON_FIELDS, Change, ChangeEvent, Link

FULL = {
    "ci": "web-01",
    "service": "Payments",
    "assignment_group": "dba",
    "category": "network",
    "description": "Replace the switch",
    "justification": "It fails often",
    "implementation_plan": "Swap the cables",
    "backout_plan": "Swap them back",
    "test_plan": "Ping all hosts",
    "planned_start": datetime(2024, 1, 31, 22, 15, tzinfo=UTC),
    "planned_end": datetime(2024, 2, 1, 1, 45, tzinfo=UTC),
}


def change(**fields: Any) -> Change:
    return Change(change_id="CHG-10", known_at=datetime(2024, 1, 1, tzinfo=UTC), **fields)


def value(name: str, **fields: Any) -> float:
    """One feature of one change, and the same beside another change."""
    alone = request.VALUES[name](Columns.from_records(Change, [change(**fields)]))
    beside = Columns.from_records(Change, [change(**FULL), change(**fields)])
    assert np.array_equal(request.VALUES[name](beside)[1:], alone, equal_nan=True)
    return float(alone[0])


def same(found: float, expected: float) -> bool:
    return found == expected or (math.isnan(found) and math.isnan(expected))


# texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (None, 0),
        ("", 0),
        ("   \n", 0),
        ("Stop the service", 3),
        ("fail-over, then\ntest", 4),
        ("Größe ändern", 2),
        ("---", 0),
    ],
)
def test_words_are_counted(text, count):
    assert request.words(text) == count


@pytest.mark.parametrize(
    "text", ["N/A", " n/a. ", "TBD", "none", "See attached", "roll back", "Not applicable...", "-"]
)
def test_a_plan_that_says_nothing_counts_as_missing(text):
    assert request.words(text) == 0
    assert value("backout_plan_words", backout_plan=text) == 0


@pytest.mark.parametrize(
    "text", ["none of the hosts", "Roll back the package", "see above, then wait"]
)
def test_a_plan_that_only_begins_like_boilerplate_counts(text):
    assert request.words(text) > 0


@pytest.mark.parametrize(
    ("feature", "field"),
    [
        ("title_words", "short_description"),
        *((f"{name}_words", name) for name in ("description", "justification", "test_plan")),
        ("implementation_plan_words", "implementation_plan"),
    ],
)
def test_each_text_is_counted_by_its_own_feature(feature, field):
    assert value(feature, **{field: "one two three"}) == 3
    assert value(feature) == 0


# levels ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("3 - Moderate", 3),
        (" 2", 2),
        ("1.5", 1.5),
        ("Moderate", 2),
        (" HIGH ", 3),
        ("very_high", 4),
        ("Very High", 4),
        ("Minor Change", 1),
        ("purple", math.nan),
        ("", math.nan),
        (None, math.nan),
    ],
)
def test_a_declared_level_is_a_number_or_not_known(text, level):
    assert same(request.level(text), level)
    for name in ("declared_risk", "impact", "urgency", "priority"):
        assert same(value(f"{name}_level", **{name: text}), level)


def test_the_words_for_levels_are_in_order():
    ordered = [request.level(word) for word in ("low", "moderate", "high", "very high")]
    assert ordered == sorted(set(ordered))


@given(text=st.text(max_size=30))
def test_any_text_has_a_level_and_a_length(text):
    assert request.words(text) >= 0
    assert request.level(text) >= 0 or math.isnan(request.level(text))


# kinds and sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "emergency", "standard"),
    [(" Emergency ", 1, 0), ("standard", 0, 1), ("normal", 0, 0), ("", math.nan, math.nan)],
)
def test_the_change_type_is_read_in_any_case(text, emergency, standard):
    assert same(value("is_emergency", change_type=text), emergency)
    assert same(value("is_standard", change_type=text), standard)


@pytest.mark.parametrize(("needed", "expected"), [(True, 1), (False, 0), (None, math.nan)])
def test_whether_the_board_is_needed_may_be_unsaid(needed, expected):
    assert same(value("cab_required", cab_required=needed), expected)


def test_items_services_and_references_are_counted_once():
    assert value("affected_ci_count", ci="a", affected_cis=("b", "a", "b")) == 2
    assert value("affected_ci_count") == 0
    assert value("impacted_service_count", impacted_services=("s", "t", "s")) == 2
    assert value("reference_count", references=("T1", "T1")) == 1


@pytest.mark.parametrize("field", request.DESCRIBED_BY)
def test_a_field_left_empty_is_missing(field):
    assert value("missing_field_count", **FULL) == 0
    assert value("missing_field_count", **{**FULL, field: None}) == 1


def test_an_empty_form_lacks_every_field():
    assert value("missing_field_count") == len(request.DESCRIBED_BY)
    assert value("missing_field_count", **{**FULL, "ci": ""}) == 1


@pytest.mark.parametrize("name", request.ATTRIBUTES)
def test_an_attribute_is_read_by_its_name(name):
    assert value(name, attributes={name: 7.5, "other": 1.0}) == 7.5
    assert math.isnan(value(name, attributes={"other": 1.0}))


# times -------------------------------------------------------------------------------------------


def test_lead_time_and_duration_are_in_hours():
    early = datetime(2024, 1, 31, 20, 15, tzinfo=UTC)
    assert value("lead_time_hours", **FULL, submitted_at=early) == 2
    assert value("duration_hours", **FULL) == 3.5
    assert math.isnan(value("lead_time_hours", **FULL))
    assert math.isnan(value("duration_hours", planned_end=early))


@pytest.mark.parametrize(
    ("moment", "hour", "weekday", "weekend", "to_month_end"),
    [
        (datetime(2024, 1, 31, 22, 15, tzinfo=UTC), 22, 2, 0, 0),
        (datetime(2024, 2, 3, 0, 0, tzinfo=UTC), 0, 5, 1, 26),
        (datetime(2024, 2, 4, 23, 59, tzinfo=UTC), 23, 6, 1, 25),
        (datetime(2023, 2, 27, 7, 0, tzinfo=UTC), 7, 0, 0, 1),
        (None, math.nan, math.nan, math.nan, math.nan),
    ],
)
@pytest.mark.parametrize("field", ["planned_start", "submitted_at"])
def test_the_calendar_is_read_off_the_start(field, moment, hour, weekday, weekend, to_month_end):
    fields = {field: moment}
    assert same(value("start_hour", **fields), hour)
    assert same(value("start_weekday", **fields), weekday)
    assert same(value("start_on_weekend", **fields), weekend)
    assert same(value("days_to_month_end", **fields), to_month_end)


def test_a_window_ends_where_planned_or_where_it_starts(day):
    rows = [
        change(planned_start=day(1), planned_end=day(2)),
        change(planned_start=day(1), planned_end=day(0)),
        change(planned_start=day(1)),
        change(submitted_at=day(3)),
        change(),
    ]
    table = Columns.from_records(Change, rows)
    starts = [instants.from_micros(micros) for micros in request.start(table).tolist()]
    ends = [instants.from_micros(micros) for micros in request.end(table).tolist()]
    assert starts == [day(1), day(1), day(1), day(3), None]
    assert ends == [day(2), day(1), day(1), day(3), None]


# what no feature may read ------------------------------------------------------------------------


@settings(max_examples=40)
@given(data=st.data())
def test_no_feature_reads_a_person(data, histories, moments, policies, state_of, rows, differences):
    facts, policy, as_of = data.draw(histories), data.draw(policies), data.draw(moments)
    people = st.sampled_from([None, "", "jane.doe", "dba", "web-01", "CHG-10", "INC-30"])
    named = [
        replace(fact, **{name: data.draw(people) for name in PERSON_FIELDS})
        if isinstance(fact, Change)
        else fact
        for fact in facts
    ]
    left, right = ([f for f in part if isinstance(f, Change)] for part in (facts, named))
    old, new = (
        rows(state_of(facts, policy), left, as_of),
        rows(state_of(named, policy), right, as_of),
    )
    assert differences(old, new) == {}


@settings(max_examples=40)
@given(data=st.data())
def test_no_feature_reads_what_became_of_the_change_itself(
    data, histories, moments, policies, state_of, rows, differences
):
    """A change's own start, end, back-out and links, known or not, say nothing of its own risk."""
    facts, policy, as_of = data.draw(histories), data.draw(policies), data.draw(moments)
    scored = next(fact for fact in facts if isinstance(fact, Change))
    own = [
        fact
        for fact in facts
        if isinstance(fact, ChangeEvent | Link) and fact.change_id == scored.change_id
    ]
    rest = [fact for fact in facts if fact not in own]
    old = rows(state_of(facts, policy), [scored], as_of)
    assert differences(old, rows(state_of(rest, policy), [scored], as_of)) == {}


def test_every_request_feature_has_one_way_to_be_read():
    assert set(request.VALUES) == {f.name for f in CATALOGUE if f.stream == "request"}
    assert not set(request.VALUES) & (FORBIDDEN_FIELDS | set(PERSON_FIELDS))
