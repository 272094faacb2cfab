"""Outcomes of changes in worked dates: day 0 is the first of January 2024."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.history import History
from features.labels import label, summary, summary_lines
from features.policy import POLICIES, LabelPolicy, policy_from
from features.records import Change, ChangeEvent, Incident, Link, Record

INCIDENT = POLICIES["incident"]  # a week for the incident, another week for the link
FAILED = POLICIES["failed"]
RISE = POLICIES["incident_rise"]

Day = Callable[[float], datetime]


@pytest.fixture
def a(day: Day) -> Any:
    """Short ways to write down facts; every moment is a day."""

    class Facts:
        def change(self, start: float | None = 10, known: float = 2, **more: Any) -> Change:
            planned = None if start is None else day(start)
            more = {"submitted_at": day(known), "ci": "web-01"} | more
            return Change(change_id="CHG-10", known_at=day(known), planned_start=planned, **more)

        def incident(self, on: float, known: float | None = None, **more: Any) -> Incident:
            more = {"incident_id": "INC-1", "priority": 3} | more
            known_at = day(on if known is None else known)
            return Incident(occurred_at=day(on), known_at=known_at, **more)

        def link(self, known: float, **more: Any) -> Link:
            more = {"incident_id": "INC-1", "change_id": "CHG-10", "kind": "caused_by"} | more
            more = {"source": "explicit", "confidence": 1.0} | more
            return Link(occurred_at=day(known), known_at=day(known), **more)

        def back_out(self, on: float, planned: bool = False) -> ChangeEvent:
            return ChangeEvent(
                change_id="CHG-10",
                kind="backed_out",
                occurred_at=day(on),
                known_at=day(on),
                planned=planned,
            )

    return Facts()


@pytest.fixture
def outcome(day: Day) -> Callable[..., str]:
    """The outcome of CHG-10 as of a day, with the source where it was caused."""

    def outcome(facts: list[Record], policy: LabelPolicy, as_of: float) -> str:
        found = label(History.from_records(facts), policy, as_of=day(as_of))
        row = found.set_index("change_id").loc["CHG-10"]
        return f"{row.outcome} ({row.source})" if row.outcome == "caused" else row.outcome

    return outcome


# the week of the incident and the week of the link ------------------------------------------------


def test_a_change_is_undecided_until_window_and_settling_time_are_over(a, outcome):
    facts = [a.change(start=10)]
    assert outcome(facts, INCIDENT, 2) == "undecided"
    assert outcome(facts, INCIDENT, 23.9) == "undecided"
    assert outcome(facts, INCIDENT, 24) == "clean"


def test_a_link_decides_from_the_moment_it_is_known(a, outcome):
    facts = [a.change(start=10), a.incident(on=11), a.link(known=15)]
    assert outcome(facts, INCIDENT, 14.9) == "undecided"
    assert outcome(facts, INCIDENT, 15) == "caused (explicit)"


def test_a_link_that_comes_late_turns_a_clean_change(a, outcome):
    facts = [a.change(start=10), a.incident(on=11), a.link(known=40)]
    assert outcome(facts, INCIDENT, 39) == "clean"
    assert outcome(facts, INCIDENT, 40) == "caused (explicit)"


def test_a_link_waits_for_the_incident_it_names(a, outcome):
    facts = [a.change(start=10), a.incident(on=11, known=16), a.link(known=12)]
    assert outcome(facts, INCIDENT, 15) == "undecided"
    assert outcome(facts, INCIDENT, 16) == "caused (explicit)"


def test_a_label_says_what_decided_and_when(a, day):
    facts = [a.change(start=10), a.incident(on=11), a.link(known=15, confidence=0.8)]
    caused = label(History.from_records(facts), INCIDENT, as_of=day(90)).iloc[0]
    assert (caused.confidence, caused.known_at, caused.start) == (0.8, day(15), day(10))
    clean = label(History.from_records(facts[:1]), INCIDENT, as_of=day(90)).iloc[0]
    assert np.isnan(clean.confidence)
    assert (clean.source, clean.known_at) == (None, day(24))
    undecided = label(History.from_records(facts[:1]), INCIDENT, as_of=day(3)).iloc[0]
    assert undecided.known_at is pd.NaT


@pytest.mark.parametrize(
    ("days", "on", "expected"),
    [
        (7, 17, "caused (explicit)"),
        (7, 17.1, "clean"),
        (2, 12.1, "clean"),
        (30, 39, "caused (explicit)"),
    ],
)
def test_the_window_is_a_setting_and_closed_at_its_end(a, outcome, days, on, expected):
    facts = [a.change(start=10), a.incident(on=on), a.link(known=on)]
    assert outcome(facts, replace(INCIDENT, window_days=days), 90) == expected


@pytest.mark.parametrize(
    ("on", "expected"), [(1.9, "clean"), (2, "caused (explicit)"), (9, "caused (explicit)")]
)
def test_an_incident_counts_from_the_submission_on(a, outcome, on, expected):
    """Work often starts before its plan; before the submission it cannot have."""
    facts = [a.change(start=10, known=2), a.incident(on=on), a.link(known=11)]
    assert outcome(facts, INCIDENT, 90) == expected


def test_without_a_submission_it_counts_from_the_first_record_on(a, outcome):
    for on, expected in ((2.9, "clean"), (3, "caused (explicit)")):
        facts = [a.change(known=3, submitted_at=None), a.incident(on=on), a.link(known=11)]
        assert outcome(facts, INCIDENT, 90) == expected


@pytest.mark.parametrize(
    ("start", "submitted", "decided"), [(10, 2, 24), (None, 4, 18), (None, None, 17)]
)
def test_without_a_plan_the_window_starts_at_submission_or_first_record(
    a, day, outcome, start, submitted, decided
):
    moment = None if submitted is None else day(submitted)
    facts = [a.change(start=start, known=3, submitted_at=moment)]
    assert outcome(facts, INCIDENT, decided - 0.1) == "undecided"
    assert outcome(facts, INCIDENT, decided) == "clean"


def test_a_change_recorded_after_its_window_is_decided_when_it_is_recorded(a, outcome):
    assert outcome([a.change(start=10, known=50)], INCIDENT, 50) == "clean"
    facts = [a.incident(on=11), a.link(known=12), a.change(start=10, known=50, submitted_at=None)]
    assert outcome(facts, INCIDENT, 50) == "caused (explicit)"


# reschedules --------------------------------------------------------------------------------------


def test_a_change_put_off_before_its_window_closed_is_decided_later(a, outcome):
    facts = [a.change(start=10), a.change(start=30, known=20)]
    assert outcome(facts, INCIDENT, 43) == "undecided"
    assert outcome(facts, INCIDENT, 44) == "clean"
    facts += [a.incident(on=36), a.link(known=36)]
    assert outcome(facts, INCIDENT, 36) == "caused (explicit)"


def test_a_change_put_off_after_its_window_closed_stays_decided(a, outcome):
    facts = [a.change(start=10), a.change(start=60, known=25)]
    assert outcome(facts, INCIDENT, 26) == "clean"


def test_a_change_put_off_in_the_very_moment_its_window_closes_is_not_decided(a, outcome):
    assert outcome([a.change(start=10), a.change(start=60, known=24)], INCIDENT, 25) == "undecided"


def test_a_change_brought_forward_is_decided_sooner(a, outcome):
    facts = [a.change(start=30), a.change(start=10, known=20)]
    assert outcome(facts, INCIDENT, 23) == "undecided"
    assert outcome(facts, INCIDENT, 24) == "clean"


# what is a cause, and for whom --------------------------------------------------------------------


def test_the_change_that_fixes_an_incident_is_never_its_cause(a, outcome):
    facts = [a.change(), a.incident(on=11), a.link(known=11, kind="fixed_by")]
    assert outcome(facts, INCIDENT, 90) == "clean"


@pytest.mark.parametrize(
    "more", [{"incident_id": "INC-9"}, {"change_id": "CHG-9"}, {"confidence": 0.2}]
)
def test_a_link_to_something_unknown_or_too_unsure_decides_nothing(a, outcome, more):
    facts = [a.change(), a.incident(on=11), a.link(known=11, **more)]
    assert outcome(facts, replace(INCIDENT, min_confidence=0.5), 90) == "clean"


@pytest.mark.parametrize("source", ["explicit", "text", "same_item"])
def test_a_link_decides_only_where_its_source_does(a, outcome, source):
    facts = [a.change(), a.incident(on=11), a.link(known=11, source=source)]
    assert outcome(facts, replace(INCIDENT, sources=(source,)), 90) == f"caused ({source})"
    others = {"explicit", "text", "same_item", "back_out"} - {source}
    assert outcome(facts, replace(INCIDENT, sources=tuple(others)), 90) == "clean"


@pytest.mark.parametrize(
    ("priority", "limit", "expected"),
    [(2, 2, True), (3, 2, False), (None, 2, False), (None, None, True), (5, None, True)],
)
def test_incidents_of_the_limit_and_more_urgent_count(a, outcome, priority, limit, expected):
    facts = [a.change(), a.incident(on=11, priority=priority), a.link(known=11)]
    found = outcome(facts, replace(INCIDENT, max_priority=limit), 90)
    assert found == ("caused (explicit)" if expected else "clean")


def test_the_first_word_on_an_incident_gives_its_priority(a, outcome):
    facts = [
        a.change(),
        a.incident(on=11),
        a.incident(on=11, known=12, priority=1),
        a.link(known=13),
    ]
    assert outcome(facts, replace(INCIDENT, max_priority=1), 90) == "clean"


# the incident's text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Down since CHG-10 went in", "caused (text)"),
        ("Down since (CHG-10).", "caused (text)"),
        ("Down since CHG-101 went in", "clean"),
        ("Down since XCHG-10 went in", "clean"),
        (None, "clean"),
    ],
)
@pytest.mark.parametrize("field", ["description", "short_description"])
def test_a_text_that_names_the_change_is_a_claim(a, outcome, text, expected, field):
    facts = [a.change(), a.incident(on=11, known=12, **{field: text})]
    assert outcome(facts, INCIDENT, 90) == expected
    assert outcome(facts, INCIDENT, 11.9) == "undecided"
    assert outcome(facts, replace(INCIDENT, sources=("explicit",)), 90) == "clean"
    assert outcome(facts, replace(INCIDENT, min_confidence=0.95), 90) == "clean"


def test_a_text_counts_from_the_revision_that_names_the_change(a, outcome):
    facts = [a.change(), a.incident(on=11), a.incident(on=11, known=20, description="see CHG-10")]
    assert outcome(facts, INCIDENT, 19.9) == "undecided"
    assert outcome(facts, INCIDENT, 20) == "caused (text)"


@pytest.mark.parametrize(("fixed", "expected"), [(12, "clean"), (13, "caused (text)")])
def test_a_text_that_names_the_repairing_change_is_no_claim(a, outcome, fixed, expected):
    text = a.incident(on=11, known=12, description="CHG-10 will repair it")
    assert (
        outcome([a.change(), text, a.link(known=fixed, kind="fixed_by")], INCIDENT, 90) == expected
    )


def test_what_became_known_first_decides(a, outcome):
    facts = [a.change(), a.incident(on=11, known=12, description="CHG-10"), a.link(known=13)]
    assert outcome(facts, INCIDENT, 90) == "caused (text)"
    assert outcome([*facts, a.link(known=12)], INCIDENT, 90) == "caused (explicit)"


# back-outs ----------------------------------------------------------------------------------------


def test_an_unplanned_back_out_is_a_failure_and_a_planned_one_is_not(a, outcome):
    assert outcome([a.change(), a.back_out(on=12)], FAILED, 12) == "caused (back_out)"
    assert outcome([a.change(), a.back_out(on=12, planned=True)], FAILED, 17) == "clean"
    assert outcome([a.change(), a.back_out(on=17.1)], FAILED, 90) == "clean"
    assert outcome([a.change(), a.back_out(on=12)], INCIDENT, 90) == "clean"


# more incidents on the items than before ----------------------------------------------------------


def opened(a: Any, *days: float, **more: Any) -> list[Incident]:
    more = {"ci": "web-01"} | more
    return [a.incident(on=d, incident_id=f"INC-{d}", **more) for d in days]


def test_a_rise_is_known_when_the_window_has_closed(a, outcome):
    facts = [a.change(start=10), *opened(a, 11, 12)]
    assert outcome(facts, RISE, 16.9) == "undecided"
    assert outcome(facts, RISE, 17) == "caused (same_item)"


@pytest.mark.parametrize(
    ("before", "after", "confidence"),
    [((), (10,), 1.0), ((5,), (11, 12, 16.9), 2 / 3), ((5,), (11,), None), ((3,), (17,), None)],
)
def test_confidence_of_a_rise_is_the_attributable_fraction(a, day, before, after, confidence):
    facts = [a.change(start=10), *opened(a, *before, *after)]
    row = label(History.from_records(facts), RISE, as_of=day(90)).iloc[0]
    assert row.outcome == ("clean" if confidence is None else "caused")
    assert (None if np.isnan(row.confidence) else row.confidence) == confidence


def test_a_rise_counts_every_item_of_the_change_and_each_incident_once(a, outcome):
    facts = [a.change(affected_cis=("db-01", "web-01", "db-01")), *opened(a, 11, ci="db-01")]
    policy = replace(RISE, min_confidence=0.5)
    facts += opened(a, 4, ci="web-01")
    assert outcome(facts, policy, 90) == "clean"  # one before, one after
    facts += opened(a, 12, ci="web-01")
    assert outcome(facts, policy, 90) == "caused (same_item)"
    assert outcome(facts, replace(RISE, max_priority=2), 90) == "clean"
    facts += [a.incident(on=6, known=6, incident_id="INC-11", ci="db-01")]  # INC-11 opened sooner
    assert outcome(facts, RISE, 90) == "clean"


# the table and its summary ------------------------------------------------------------------------


@settings(max_examples=60)
@given(data=st.data())
def test_every_label_is_what_the_definitions_say(data, histories, moments, policies, definitions):
    facts, policy, as_of = data.draw(histories), data.draw(policies), data.draw(moments)
    found = label(History.from_records(facts), policy, as_of=as_of)
    rows = {row.change_id: row for row in found.itertuples()}
    known = definitions([fact for fact in facts if fact.known_at <= as_of], policy)
    assert set(rows) == set(known.verdicts)
    for change_id, verdict in known.verdicts.items():
        row = rows[change_id]
        if verdict.failed_at is not None and verdict.failed_at <= as_of:
            expected = ("caused", verdict.claim.source, verdict.failed_at)
            assert row.confidence == verdict.claim.confidence
        elif verdict.decided_at <= as_of:
            expected = ("clean", None, verdict.decided_at)
        else:
            expected = ("undecided", None, None)
        known_at = None if row.known_at is pd.NaT else row.known_at
        assert (row.outcome, row.source, known_at) == expected


def test_a_summary_counts_outcomes_and_what_each_source_would_say(a, day):
    other = replace(a.change(), change_id="CHG-11")
    young = replace(a.change(start=80), change_id="CHG-12")
    facts = [a.change(), other, young, a.incident(on=11), a.link(known=11), a.back_out(on=12)]
    facts += [a.link(known=12, kind="fixed_by"), a.link(known=99, kind="fixed_by")]
    found = summary(History.from_records(facts), INCIDENT, as_of=day(40))
    counts = [found[name] for name in ("changes", "caused", "clean", "undecided", "base_rate")]
    assert counts == [3, 1, 1, 1, 0.5]
    assert found["by_source"]["back_out"] == {"changes": 1, "decides": False}
    assert found["by_source"]["explicit"] == {"changes": 1, "decides": True}
    assert found["fixed_by_links_ignored"] == 1
    assert found["label"]["window_days"] == 7.0
    assert summary_lines(found)[:2] == [
        "label incident, as of 2024-02-10T00:00:00+00:00: base rate 50.00%",
        "caused 1, clean 1, undecided 1",
    ]


def test_nothing_decided_has_no_base_rate(day):
    found = summary(History.from_records([]), INCIDENT, as_of=day(0))
    assert (found["changes"], found["base_rate"]) == (0, None)
    assert "base rate unknown" in summary_lines(found)[0]


def test_a_label_needs_a_time_zone(a):
    with pytest.raises(ValueError, match="expected a moment with a time zone"):
        label(History.from_records([a.change()]), INCIDENT, as_of=datetime(2024, 1, 1))  # noqa: DTZ001


def test_policies_are_known_by_name_and_changed_by_setting():
    assert policy_from("failed", window_days=3.0, max_priority=None) == replace(
        FAILED, window_days=3.0
    )
    assert policy_from("incident").embargo.days == 14
    with pytest.raises(
        ValueError,
        match=r"no label 'rise'; known are burst, failed, incident, incident_24h, incident_rise,",
    ):
        policy_from("rise")
