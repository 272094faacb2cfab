"""The records behind a score: those that were counted, as known then, and nothing later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import BY_NAME, CATALOGUE, NAMES
from features.evidence import SHOWN, Collision, Question, collisions, records_behind
from features.records import CalendarEntry, Change, Incident, Record, Relation
from features.table import build
from tests.features.asked import caused, opened, planned, question

Day = Callable[[float], datetime]
LEVELS = ("criticality", "dependent_criticality", "dependent_services")
SLOW_DRAWS = [HealthCheck.too_slow, HealthCheck.data_too_large]


def behind(asked: Question, name: str) -> list[str]:
    return records_behind(asked, BY_NAME[name])


# records behind a factor -------------------------------------------------------------------------


def test_newest_first_and_only_what_was_known(day: Day) -> None:
    facts = [opened(f"INC-{n}", day(n), ci="web-01") for n in (3, 9, 1, 8, 10)]
    asked = question(facts, planned("CHG-1", day(12), ci="web-01"), day(10))
    assert behind(asked, "affected_incidents_30d") == ["INC-9", "INC-8", "INC-3", "INC-1"]
    assert behind(asked, "affected_incidents_7d") == ["INC-9", "INC-8", "INC-3"]


def test_newest_first_over_several_items(day: Day) -> None:
    """And an incident is told once; of a count on one item, that item's alone."""
    facts: list[Record] = [
        opened("INC-1", day(1), ci="a"),
        opened("INC-2", day(2), ci="b"),
        opened("INC-3", day(3), ci="a"),
        opened("INC-4", day(4), ci="b"),
        planned("CHG-5", day(5), ci="a", affected_cis=("b",)),
        planned("CHG-6", day(6), ci="b"),
        planned("CHG-7", day(7), ci="a"),
    ]
    asked = question(facts, planned("CHG-1", day(12), ci="a", affected_cis=("b",)), day(10))
    expected = ["INC-4", "INC-3", "INC-2", "INC-1"]
    assert behind(asked, "affected_incidents_30d") == expected
    assert behind(asked, "affected_changes_30d") == ["CHG-7", "CHG-5"]
    assert behind(asked, "affected_days_since_change") == ["CHG-7", "CHG-6", "CHG-5"]


def test_no_more_than_people_read(day: Day) -> None:
    facts = [opened(f"INC-{n:02}", day(n), ci="ab"[n % 2]) for n in range(20)]
    asked = question(facts, planned("CHG-1", day(30), affected_cis=("a", "b")), day(25))
    newest = [f"INC-{n:02}" for n in range(19, 19 - SHOWN, -1)]
    assert behind(asked, "affected_incidents_365d") == newest


def test_open_incidents_are_those_not_resolved_then(day: Day) -> None:
    facts: list[Record] = [
        opened("INC-1", day(1), ci="web-01"),
        opened("INC-2", day(2), ci="web-01"),
        opened("INC-3", day(3), ci="web-01"),
        Incident(
            incident_id="INC-2",
            occurred_at=day(2),
            known_at=day(5),
            resolved_at=day(5),
            ci="web-01",
        ),
    ]
    change = planned("CHG-1", day(12), ci="web-01")
    name = "affected_open_incidents"
    assert behind(question(facts, change, day(4)), name) == ["INC-3", "INC-2", "INC-1"]
    assert behind(question(facts, change, day(6)), name) == ["INC-3", "INC-1"]


def test_of_open_incidents_on_several_items_all_can_be_had(day: Day) -> None:
    facts = [opened(f"INC-{n}", day(n), ci="aba"[n - 1]) for n in (1, 2, 3)]
    asked = question(facts, planned("CHG-1", day(12), affected_cis=("b", "a")), day(10))
    feature = BY_NAME["affected_open_incidents"]
    assert records_behind(asked, feature) == ["INC-3", "INC-1"]
    assert records_behind(asked, feature, of_all=True) == ["INC-3", "INC-2", "INC-1"]


def test_behind_a_rate_stand_its_failures(day: Day) -> None:
    """CHG-1 failed; CHG-2 failed, but its neighbours of the week are still undecided."""
    facts: list[Record] = [
        planned("CHG-1", day(10), ci="web-01"),
        planned("CHG-2", day(29), ci="web-01"),
        opened("INC-1", day(11), ci="web-01"),
        caused("INC-1", "CHG-1", day(12)),
        opened("INC-2", day(30), ci="web-01"),
        caused("INC-2", "CHG-2", day(30)),
    ]
    asked = question(facts, planned("CHG-9", day(33), ci="web-01"), day(32))
    assert behind(asked, "ci_failure_rate_90d") == ["CHG-1"]
    assert behind(asked, "ci_days_since_failure") == ["CHG-2", "CHG-1"]
    later = question(facts, planned("CHG-9", day(33), ci="web-01"), day(60))
    assert behind(later, "ci_failure_rate_90d") == ["CHG-2", "CHG-1"]


def test_behind_the_rate_of_the_worst_item_stand_its_failures_alone(day: Day) -> None:
    """And none where that item is one whose changes nobody knows the outcome of."""
    facts: list[Record] = [
        *(planned(f"CHG-{n}", day(n), ci="a") for n in range(1, 31)),
        planned("CHG-31", day(2), ci="b"),
        planned("CHG-32", day(3), ci="b"),
        opened("INC-1", day(4.1)),
        *(caused("INC-1", change, day(4.2)) for change in ("CHG-4", "CHG-31", "CHG-32")),
    ]

    def asked(*items: str) -> Question:
        return question(facts, planned("CHG-40", day(61), affected_cis=items), day(60))

    name = "affected_failure_rate_365d"
    assert behind(asked("a"), name) == ["CHG-4"]
    assert behind(asked("a", "b"), name) == ["CHG-32", "CHG-31"]
    assert behind(asked("a", "new"), name) == []


def test_behind_an_evidence_stand_the_failures_of_its_word_alone(day: Day) -> None:
    facts: list[Record] = [
        planned("CHG-1", day(1), short_description="Restart mail"),
        planned("CHG-2", day(2), short_description="Replace disk"),
        planned("CHG-3", day(3), short_description="Add disk"),
        opened("INC-1", day(1.1)),
        caused("INC-1", "CHG-1", day(1.2)),
        opened("INC-2", day(2.1)),
        caused("INC-2", "CHG-2", day(2.2)),
    ]
    asked = question(facts, planned("CHG-9", day(40), short_description="Restart disk"), day(39))
    assert behind(asked, "title_word_evidence_max") == ["CHG-1"]
    assert behind(asked, "title_word_evidence_min") == ["CHG-2"]
    assert behind(asked, "title_word_evidence_sum") == ["CHG-1"]


def test_never_the_change_itself(day: Day) -> None:
    change = planned("CHG-1", day(10), ci="web-01", assignment_group="dba")
    asked = question([change, planned("CHG-2", day(5), ci="web-01")], change, day(9.5))
    for feature in CATALOGUE:
        assert "CHG-1" not in records_behind(asked, feature)
    assert behind(asked, "ci_changes_30d") == ["CHG-2"]


def test_the_request_has_no_records(day: Day) -> None:
    asked = question([], planned("CHG-1", day(10), ci="web-01"), day(9.5))
    assert behind(asked, "lead_time_hours") == []
    assert behind(asked, "ci_changes_30d") == []


def test_names_nobody_knows(day: Day) -> None:
    facts = [opened("INC-1", day(1), ci="web-01")]
    asked = question(facts, planned("CHG-1", day(10), ci="elsewhere"), day(9.5))
    assert [records_behind(asked, feature) for feature in CATALOGUE] == [[]] * len(CATALOGUE)


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_DRAWS)
@given(data=st.data())
def test_as_many_records_as_were_counted(
    data: st.DataObject,
    histories: st.SearchStrategy[list[Record]],
    moments: st.SearchStrategy[datetime],
) -> None:
    facts, as_of = data.draw(histories), data.draw(moments)
    change = next(fact for fact in facts if isinstance(fact, Change))
    asked = question(facts, change, as_of)
    table = build(asked.changes, np.array([asked.as_of]), asked.state)
    for column, feature in enumerate(CATALOGUE):
        found, value = records_behind(asked, feature), table.values[0, column]
        assert len(found) == len(set(found)) <= SHOWN
        if np.isnan(value) and feature.stream != "request":
            assert found == []
        elif feature.stream in LEVELS:
            assert bool(found) <= (table.values[0, NAMES.index("dependent_items")] > 0)
        elif feature.aggregate in ("count", "open"):
            assert len(found) == min(SHOWN, value), feature.name
        elif feature.aggregate == "rate":
            assert len(found) == min(SHOWN, table.support[feature.name][0][0]), feature.name


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_DRAWS)
@given(data=st.data())
def test_later_facts_change_nothing(
    data: st.DataObject,
    histories: st.SearchStrategy[list[Record]],
    moments: st.SearchStrategy[datetime],
) -> None:
    facts, as_of = data.draw(histories), data.draw(moments)
    change = next(fact for fact in facts if isinstance(fact, Change))
    known = [fact for fact in facts if fact.known_at < as_of]
    whole, then = question(facts, change, as_of), question(known, change, as_of)
    for feature in CATALOGUE:
        both = [sorted(records_behind(asked, feature)) for asked in (whole, then)]
        if len(both[0]) < SHOWN:  # beyond that, which of equally new ones are shown is open
            assert both[0] == both[1], feature.name
    assert collisions(whole) == collisions(then)


# collisions --------------------------------------------------------------------------------------


def test_kinds_and_minutes(day: Day) -> None:
    facts = [
        planned("ITEM", day(10), 2, ci="b", service="s", assignment_group="t"),
        planned("SERVICE", day(10) + timedelta(minutes=30), 9, service="s", assignment_group="t"),
        planned("TEAM", day(10) - timedelta(hours=1), 1.25, assignment_group="t"),
        planned("BEFORE", day(10) - timedelta(hours=1), 1, ci="a", service="s"),
        planned("AFTER", day(10) + timedelta(hours=4), 1, ci="a", service="s"),
        planned("ELSEWHERE", day(10), 4, ci="x", service="y", assignment_group="z"),
        planned("UNKNOWN", day(10), 4, ci="a", known_at=day(9.75)),
    ]
    change = planned(
        "CHG-1", day(10), 4, ci="a", affected_cis=("b",), service="s", assignment_group="t"
    )
    asked = question([*facts, change], change, day(9.5))
    assert collisions(asked) == [
        Collision(change_id="SERVICE", kind="same_service", overlap_minutes=210.0),
        Collision(change_id="ITEM", kind="same_ci", overlap_minutes=120.0),
        Collision(change_id="TEAM", kind="same_team", overlap_minutes=15.0),
    ]
    assert behind(asked, "affected_overlapping_changes") == ["ITEM"]
    assert behind(asked, "service_overlapping_changes") == ["SERVICE", "ITEM"]
    assert behind(asked, "team_overlapping_changes") == ["SERVICE", "ITEM", "TEAM"]


def test_what_depends_on_the_item_collides_within_two_relations(day: Day) -> None:
    facts = [
        *(
            Relation(parent=parent, child=child, kind="runs_on", occurred_at=day(1), known_at=at)
            for parent, child, at in (("shop", "db", day(1)), ("db", "disk", day(1)),
                                      ("db", "late", day(11)))
        ),
        planned("ABOVE", day(10), 2, ci="shop"),
        planned("BELOW", day(10), 1, ci="db"),
        planned("UNKNOWN", day(10), 2, ci="late"),
    ]  # fmt: skip
    change = planned("CHG-1", day(10), 2, ci="disk")
    assert collisions(question([*facts, change], change, day(9.5))) == [
        Collision(change_id="ABOVE", kind="indirect_dependency", overlap_minutes=120.0),
        Collision(change_id="BELOW", kind="dependency", overlap_minutes=60.0),
    ]


def test_as_many_collisions_as_the_features_count(day: Day) -> None:
    facts = [planned(f"C-{n}", day(10 + n / 24), 2, ci="a") for n in range(4)]
    change = planned("CHG-1", day(10), 2.5, ci="a")
    asked = question(facts, change, day(9.02))
    table = build(asked.changes, np.array([asked.as_of]), asked.state)
    counted = table.values[0, NAMES.index("affected_overlapping_changes")]
    assert counted == len(collisions(asked)) == 1  # the others were not submitted yet
    asked = question(facts, change, day(12))
    assert [c.change_id for c in collisions(asked)] == ["C-0", "C-1", "C-2"]


def test_a_plan_that_was_given_up_collides_no_more(day: Day) -> None:
    moved = planned("CHG-2", day(20), ci="a", known_at=day(9.2))
    facts = [planned("CHG-2", day(10), ci="a", known_at=day(8)), moved]
    change = planned("CHG-1", day(10), ci="a")
    assert [c.change_id for c in collisions(question(facts, change, day(9.1)))] == ["CHG-2"]
    assert collisions(question(facts, change, day(9.5))) == []


@pytest.mark.parametrize("fields", [{}, {"ci": "a"}], ids=["names nothing", "no plan"])
def test_nothing_to_collide_with(day: Day, fields: dict[str, Any]) -> None:
    facts = [planned("CHG-2", day(10), ci="a", service="s")]
    change = Change(change_id="CHG-1", known_at=day(9), **fields)
    if not fields:
        change = planned("CHG-1", day(10))
    assert collisions(question(facts, change, day(9.5))) == []


# behind what the estate and the calendar say ------------------------------------------------------


def test_behind_dependents_stand_their_names(day: Day) -> None:
    needs = {"kind": "runs_on", "occurred_at": day(1), "known_at": day(1)}
    facts: list[Record] = [
        Relation(parent="app-01", child="db-01", **needs),
        Relation(parent="portal", child="app-01", **needs),
        Relation(parent="gone", child="db-01", ended_at=day(5), **needs),
        Relation(parent="db-01", child="san-01", **needs),
        opened("INC-1", day(8), ci="app-01"),
        opened("INC-2", day(9), ci="san-01"),
        opened("INC-3", day(9), ci="portal"),
    ]
    asked = question(facts, planned("CHG-1", day(12), ci="db-01"), day(10))
    assert behind(asked, "dependent_items") == ["app-01", "portal"]
    assert behind(asked, "neighbour_incidents_30d") == ["INC-2", "INC-1"]
    assert behind(asked, "second_neighbour_incidents_30d") == ["INC-3"]


def test_dependents_are_those_of_the_item_that_has_most(day: Day) -> None:
    needs = {"db-01": ["web-01", "web-02"], "san-01": ["disk-01"]}
    facts = [
        Relation(parent=parent, child=child, kind="runs_on", occurred_at=day(0), known_at=day(0))
        for child, parents in needs.items()
        for parent in parents
    ]
    items = tuple(needs)
    asked = question(facts, planned("CHG-1", day(10), affected_cis=items[::-1]), day(9.5))
    assert behind(asked, "dependent_items") == ["web-01", "web-02"]


def test_behind_a_closed_time_stands_its_entry(day: Day) -> None:
    def freeze(entry_id: str, starts: float, ends: float, known: float = 0) -> CalendarEntry:
        return CalendarEntry(
            entry_id=entry_id,
            kind="freeze",
            scope="*",
            starts_at=day(starts),
            ends_at=day(ends),
            known_at=day(known),
        )

    facts: list[Record] = [
        freeze("NOW", 11, 13),
        freeze("SOON", 20, 21),
        freeze("LATE", 12, 13, 11),
    ]
    asked = question(facts, planned("CHG-1", day(12), ci="db-01"), day(10))
    assert behind(asked, "in_freeze") == ["NOW"]
    assert behind(asked, "days_to_freeze") == ["NOW", "SOON"]
    assert behind(asked, "in_blackout") == []
    (met,) = collisions(asked)
    assert (met.kind, met.overlap_minutes, met.change_id) == ("freeze", 60.0, None)
    assert met.closed is not None
    assert (met.closed.entry_id, met.closed.scope) == ("NOW", "*")
    assert (met.closed.starts_at, met.closed.ends_at) == (day(11), day(13))
