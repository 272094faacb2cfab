"""Facts in words: right in number, honest about what is missing, never a template's leftovers."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from features.catalogue import BY_NAME, CATALOGUE, Feature
from features.columns import Columns
from features.records import Change
from features.sentences import (
    LONGEST_NAME,
    ZERO_IS_NONE,
    counted,
    reference_words,
    sentence,
)

NAN = math.nan
NOUN = re.compile(r"\{value:([a-z ]+)\}")


def change(**fields: Any) -> Columns:
    known = datetime(2025, 1, 1, tzinfo=UTC)
    return Columns.from_records(Change, [Change(change_id="CHG-1", known_at=known, **fields)])


NAMED = {
    "ci": "web-01",
    "affected_cis": ("web-02",),
    "service": "Payments",
    "assignment_group": "dba",
    "category": "network",
    "short_description": "Patch web-01",
    "declared_risk": "High",
    "impact": "2 - Medium",
    "urgency": "low",
    "priority": "P3",
    "references": ("T-1",),
    "change_model": "patching",
}

WORDS = st.text("abc XYZ-01\t\näß", min_size=0, max_size=90)
CHANGES = st.one_of(
    st.just(change()),
    st.just(change(**NAMED)),
    st.just(change(ci="", service="", assignment_group="", category="", short_description="")),
    st.builds(
        change,
        **dict.fromkeys(("ci", "service", "assignment_group", "short_description"), WORDS),
        category=st.none() | WORDS,
        affected_cis=st.lists(WORDS, max_size=2).map(tuple),
    ),
)
WHOLE = (0.0, 1.0, 2.0, 3.0, 23.0, 48.0, 1e4, 1e12, 1e300)
FRACTIONS = (0.04, 0.4, 0.5, 0.96, 1.04, 1.5, 9.96, 47.99)
VALUES = st.sampled_from([*WHOLE, *FRACTIONS, -1.0, -0.5, -3.0, -0.0, NAN])
SUPPORT = st.sampled_from([None, (0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (2.0, 9.0), (NAN, NAN)])


def plural(noun: str) -> str:
    return counted(2, noun).removeprefix("2 ")


# whatever the value and the change ---------------------------------------------------------------


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(CATALOGUE), VALUES, CHANGES, SUPPORT)
@example(BY_NAME["ci_failure_rate_7d"], 0.02, change(**NAMED), None)
def test_always_a_sentence(
    feature: Feature, value: float, about: Columns, support: tuple[float, float] | None
) -> None:
    text = sentence(feature, value, change=about, support=support, means="led to an incident")
    assert not re.search(r"\bnan\b|None|[{}]|  |\n|\t", text)
    assert text == text.strip()
    assert text[0] == text[0].upper()
    assert text[-1] not in ".,;:!? "
    for noun in [*NOUN.findall(feature.sentence), "change", "hour", "minute", "day"]:
        assert not re.search(rf"(?<![\d,.-])1 {re.escape(plural(noun))}\b", text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CATALOGUE), VALUES.filter(lambda value: not math.isnan(value)))
def test_always_a_comparison(feature: Feature, value: float) -> None:
    text = reference_words(feature, value)
    assert text
    assert not re.search(r"\bnan\b|None|[{}]|  ", text)


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_what_is_not_known_is_said_without_a_number(feature: Feature) -> None:
    """And without standing in for a name the change does not have."""
    text = sentence(feature, NAN, change=change())
    assert not re.search(r"\d|\bit\b(?! depends| takes| was)", text.removeprefix("It "))


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_a_named_entity_is_named(feature: Feature) -> None:
    name = {"ci": "web-01", "service": "Payments", "team": "dba", "category": "network"}
    text = sentence(feature, 3.0, change=change(**NAMED), support=(1.0, 3.0))
    if feature.entity in name:
        assert name[feature.entity] in text


@pytest.mark.parametrize("name", sorted(ZERO_IS_NONE))
def test_none_is_said_as_none(name: str) -> None:
    feature, about = BY_NAME[name], change(**NAMED)
    assert sentence(feature, 0.0, change=about) == sentence(feature, NAN, change=about)
    assert sentence(feature, 1.0, change=about) != sentence(feature, 0.0, change=about)


# worked examples ---------------------------------------------------------------------------------

EXAMPLES: list[tuple[str, float, str]] = [
    ("affected_ci_count", 1, "It affects 1 item"),
    ("affected_ci_count", 12, "It affects 12 items"),
    ("affected_ci_count", 0, "No item is named"),
    ("impacted_service_count", 2, "It names 2 further impacted services"),
    (
        "dependent_items",
        1,
        "1 item depends on the affected item that has most, directly or over one other",
    ),
    (
        "dependent_services",
        3,
        "3 services depend on the affected item that has most, directly or over one other",
    ),
    (
        "dependent_criticality",
        5,
        "The most critical item that depends on the affected ones has criticality 1",
    ),
    ("affected_criticality", 0, "No criticality of the affected items is on record"),
    ("neighbour_incidents_30d", 1, "1 incident on neighbouring items in the last 30 days"),
    ("neighbour_open_incidents", NAN, "No neighbouring item is on record"),
    ("in_freeze", 1, "Its planned window meets a change freeze"),
    ("in_freeze", 0, "Its planned window meets no change freeze"),
    ("in_maintenance_window", 0, "It does not lie within a maintenance window"),
    ("days_to_freeze", 2.5, "The next change freeze begins 2.5 days after its planned start"),
    ("days_to_freeze", 0, "It starts within a change freeze"),
    ("days_to_blackout", 0, "It starts within a blackout"),
    ("start_on_holiday", 1, "It starts on a public holiday"),
    ("local_start_hour", 7, "It starts in the hour from 07:00 local time"),
    ("reschedule_count", 0, "It was not rescheduled"),
    ("reschedule_count", 2, "It had 2 other planned starts before"),
    ("text_fields_share", 0.6, "60 % of its texts and plans are written"),
    (
        "backout_copies_implementation",
        1,
        "Its backout plan only repeats the implementation plan",
    ),
    ("source_failures_60d", 1, "1 change of this kind in the last 60 days led to an incident"),
    ("is_emergency", 1, "It is an emergency change"),
    ("is_emergency", 0, "It is not an emergency change"),
    ("is_emergency", NAN, "The form does not say its change type"),
    ("is_standard", 0, "It is not a standard change"),
    ("declared_risk_level", 3, "The form declares risk High"),
    ("impact_level", 2, "The form declares impact 2 - Medium"),
    ("cab_required", 0, "The form says the board's approval is not needed"),
    ("backout_plan_words", 0, "No backout plan"),
    ("backout_plan_words", 1, "Its backout plan has 1 word"),
    ("missing_field_count", 1, "1 field of the form is empty"),
    ("missing_field_count", 2, "2 fields of the form are empty"),
    ("missing_field_count", 0, "The form is complete"),
    ("lead_time_hours", 0.5, "It was submitted 30 minutes before its planned start"),
    ("lead_time_hours", 1, "It was submitted 1 hour before its planned start"),
    ("lead_time_hours", 47.96, "It was submitted 48 hours before its planned start"),
    ("lead_time_hours", 60, "It was submitted 2.5 days before its planned start"),
    ("duration_hours", 0, "It is planned to take 0 minutes"),
    ("start_hour", 7, "It starts in the hour from 07:00 UTC"),
    ("start_weekday", 6, "It starts on a Sunday"),
    ("start_on_weekend", 1, "It starts on a weekend"),
    ("start_on_weekend", 0, "It starts on a working day"),
    ("days_to_month_end", 1, "It starts 1 day before the end of the month"),
    ("days_to_month_end", 0, "It starts on the last day of the month"),
    ("review_hours", 0, "It was submitted as soon as it was prepared"),
    ("review_hours", 38.8, "It was prepared 39 hours before submission"),
    ("lines_added", 12_345, "It adds 12,345 lines"),
    ("is_revert", 0, "It does not take an earlier change back"),
    ("lines_added", NAN, "Lines added not given"),
    ("ci_changes_30d", 1, "1 change on web-01 in the last 30 days"),
    ("ci_changes_365d", 0, "0 changes on web-01 in the last year"),
    ("ci_failure_rate_90d", 0.1, "2 of 9 changes on web-01 in the last 90 days led to an incident"),
    (
        "affected_failure_rate_365d",
        0.1,
        "2 of 9 changes on the affected item that has most in the last year led to an incident",
    ),
    ("team_changes_7d", 4, "4 changes by team dba in the last 7 days"),
    ("change_model_changes_90d", 2, "2 changes of this kind in the last 90 days"),
    (
        "action_changes_90d",
        1,
        "1 change whose title starts with “patch” in the last 90 days",
    ),
    ("ci_days_since_change", 0.3, "The last change on web-01 was 7.2 hours ago"),
    ("ci_days_since_change", 1e-6, "The last change on web-01 was 1 minute ago"),
    ("ci_days_since_change", 12.6, "The last change on web-01 was 13 days ago"),
    ("ci_days_since_failure", 1, "The last failed change on web-01 was 24 hours ago"),
    ("ci_days_since_failure", NAN, "No earlier failed change on web-01 on record"),
    ("reference_changes_90d", 1, "1 earlier change under the same ticket in the last 90 days"),
    ("further_changes_30d", 2, "2 changes on the further item that has most in the last 30 days"),
    ("further_changes", 2, "2 changes on the further item that has most in all the time on record"),
    (
        "further_days_since_failure",
        2,
        "The last failed change on the further items was 2 days ago",
    ),
    ("reference_changes_1d", 2, "2 earlier changes under the same ticket in the last day"),
    (
        "attempt_days_since_change",
        0.1,
        "The last change with this title, done or taken back, was 2.4 hours ago",
    ),
    (
        "action_ci_evidence",
        0.4,
        "2 of 9 changes on web-01 whose title starts with “patch” in all the time on record led to"
        " an incident",
    ),
    ("team_ci_changes_365d", 3, "3 changes by team dba on web-01 in the last year"),
    ("affected_incidents_7d", 1, "1 incident on the affected items in the last 7 days"),
    ("service_open_incidents", 2, "2 open incidents on service Payments now"),
    (
        "affected_overlapping_changes",
        1,
        "1 other change planned on the same items at the same time",
    ),
]


@pytest.mark.parametrize(("name", "value", "expected"), EXAMPLES)
def test_example(name: str, value: float, expected: str) -> None:
    found = sentence(
        BY_NAME[name],
        value,
        change=change(**NAMED),
        support=(2.0, 9.0),
        means="led to an incident",
    )
    assert found == expected


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("ci_changes_30d", {}, "No item is named"),
        ("affected_changes_30d", {}, "No item is named"),
        ("affected_days_since_failure", {"affected_cis": ("a",)}, "on the affected item"),
        ("service_incidents_30d", {}, "No service is named"),
        ("team_changes_30d", {}, "No team is named"),
        ("team_ci_changes_365d", {"ci": "web-01"}, "No team or no item is named"),
        ("category_changes_30d", {}, "No category is given"),
        ("action_changes_30d", {}, "No title is given"),
        ("action_changes_30d", {"short_description": " "}, "No title is given"),
        (
            "action_changes_30d",
            {"short_description": "42!"},
            "No word of its title can be compared",
        ),
        (
            "title_word_evidence_max",
            {"short_description": "42!"},
            "No word of its title can be com",
        ),
        ("further_changes_30d", {"ci": "a", "affected_cis": ("a",)}, "No further item is named"),
        ("further_changes_30d", {"ci": "a", "affected_cis": ("b",)}, "No change on a further item"),
        ("attempt_days_since_change", {}, "No title is given"),
        ("attempt_days_since_change", {"short_description": "Patch"}, "No earlier change with th"),
        ("action_ci_evidence", {"ci": "web-01"}, "No title or no item is named"),
        ("action_ci_evidence", {"short_description": "Patch"}, "No title or no item is named"),
        (
            "action_ci_evidence",
            {"short_description": "Patch", "ci": "web-01"},
            "No outcome of a change on web-01 whose title starts with “patch” is known yet",
        ),
        ("change_model_changes_30d", {}, "No change of this kind on record"),
        ("reference_changes_90d", {}, "No ticket is named"),
        ("affected_overlapping_changes", {"ci": "web-01"}, "No planned window"),
        ("ci_changes_30d", {"ci": "web-01"}, "No change on web-01 on record"),
    ],
)
def test_what_is_missing(name: str, fields: dict[str, Any], expected: str) -> None:
    assert expected in sentence(BY_NAME[name], NAN, change=change(**fields))


@pytest.mark.parametrize("support", [None, (0.0, 0.0), (NAN, NAN)])
def test_a_rate_behind_which_nothing_stands_is_no_share(
    support: tuple[float, float] | None,
) -> None:
    """A smoothed rate is a number even where no outcome is known; it must not be told as one."""
    text = sentence(BY_NAME["ci_failure_rate_90d"], 0.03, change=change(ci="x"), support=support)
    assert text.startswith("No outcome of a change on x ")


def test_an_evidence_names_its_word() -> None:
    feature, titled = BY_NAME["title_word_evidence_sum"], change(short_description="Restart Apache")
    text = sentence(feature, 0.7, change=titled, support=(8.0, 40.0), word="restart apache")
    assert (
        text
        == "8 of 40 changes with “restart apache” in the title in all the time on record failed"
    )
    unseen = sentence(feature, 0.0, change=titled, support=(0.0, 0.0), word="restart")
    assert unseen == feature.missing
    assert sentence(feature, NAN, change=titled) == feature.missing
    assert sentence(feature, NAN, change=change()) == "No title is given"


def test_names_are_shown_on_one_line_and_shortened() -> None:
    feature = BY_NAME["ci_changes_30d"]
    assert sentence(feature, 2, change=change(ci=" web \n 01\t")).startswith("2 changes on web 01 ")
    long = sentence(feature, 2, change=change(ci="x" * (LONGEST_NAME + 1)))
    assert f" {'x' * (LONGEST_NAME - 1)}… " in long
    whole = sentence(feature, 2, change=change(ci="x" * LONGEST_NAME))
    assert f" {'x' * LONGEST_NAME} " in whole


def test_a_name_is_no_template() -> None:
    text = sentence(BY_NAME["ci_changes_30d"], 2, change=change(ci="{value:change}{means}"))
    assert text == "2 changes on {value:change}{means} in the last 30 days"


def test_the_right_row() -> None:
    first, second = change(ci="one").record(0), change(ci="two").record(0)
    both = Columns.from_records(Change, [first, second])
    feature = BY_NAME["ci_changes_30d"]
    assert "on one " in sentence(feature, 2, change=both, row=0)
    assert "on two " in sentence(feature, 2, change=both, row=1)
