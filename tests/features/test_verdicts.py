"""Which revision decides, which one fails, and when either became known."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import instants
from features.columns import Columns
from features.history import History
from features.names import Vocabulary
from features.policy import POLICIES, LabelPolicy
from features.records import Change, Incident, Link
from features.verdicts import (
    NEVER,
    Revisions,
    Verdicts,
    counts_around,
    first_rows,
    incident_index,
    verdicts,
)

Day = Callable[[float], datetime]


@pytest.fixture
def change(day: Day) -> Callable[..., Change]:
    def change(known: float, start: float | None = None, ci: str = "web-01", **more: Any) -> Change:
        planned = None if start is None else day(start)
        more = {"change_id": "CHG-10"} | more
        return Change(known_at=day(known), planned_start=planned, ci=ci, **more)

    return change


def of(changes: list[Change]) -> Revisions:
    return Revisions.of(Columns.from_records(Change, changes))


def standing(revisions: Revisions, change: int, moment: datetime) -> int:
    """Row of the revision of one change that stood at a moment."""
    found = revisions.standing(np.array([change]), np.array([instants.to_micros(moment)]))
    return int(found[0])


# revisions ----------------------------------------------------------------------------------------


def test_revisions_of_a_change_stand_together_in_the_order_they_became_known(change, day):
    later, other, first = change(5, ci="b"), change(1, change_id="CHG-11"), change(2, ci="a")
    revisions = of([later, other, first])
    assert revisions.table["change_id"].tolist() == ["CHG-10", "CHG-10", "CHG-11"]
    assert revisions.table["ci"].tolist() == ["a", "b", "web-01"]
    assert revisions.superseded.tolist() == [instants.to_micros(day(5)), NEVER, NEVER]
    assert revisions.first.tolist() == [0, 2]


def test_of_two_revisions_of_one_moment_the_later_told_stands(change, day):
    revisions = of([change(1, ci="a"), change(1, ci="b")])
    assert revisions.table["ci"][standing(revisions, 0, day(1))] == "b"


@pytest.mark.parametrize(
    ("moment", "stands"), [(0, "a"), (2, "a"), (4.9, "a"), (5, "b"), (99, "b")]
)
def test_the_revision_that_stands_is_the_last_known_or_else_the_first(change, day, moment, stands):
    revisions = of([change(1, change_id="CHG-09"), change(2, ci="a"), change(5, ci="b")])
    assert revisions.table["ci"][standing(revisions, 1, day(moment))] == stands


def test_no_changes_have_no_revisions():
    revisions = of([])
    assert (len(revisions.code), len(revisions.first)) == (0, 0)
    found = verdicts(History.from_records([]), POLICIES["incident_rise"])
    assert len(found.decided_at) == 0


# verdicts -----------------------------------------------------------------------------------------


@pytest.fixture
def link(day: Day) -> Callable[[float, float], list[Any]]:
    """An incident of one day, linked on another."""

    def link(on: float, known: float) -> list[Any]:
        incident = Incident(incident_id="INC-1", occurred_at=day(on), known_at=day(on))
        cause = {"kind": "caused_by", "source": "explicit", "confidence": 1.0}
        moment = {"occurred_at": day(known), "known_at": day(known)}
        return [incident, Link(incident_id="INC-1", change_id="CHG-10", **cause, **moment)]

    return link


def item_of(found: Verdicts, row: int) -> str | None:
    return None if row < 0 else found.revisions.table["ci"][row]


@pytest.mark.parametrize(
    ("linked", "failing", "failed"),
    [
        ((3, 4), "first item", 4),
        ((12, 13), "second item", 13),
        ((12, 50), "third item", 50),
        ((40, 41), None, None),
    ],
)
def test_a_failure_falls_on_the_revision_that_stood_when_it_became_known(
    change, link, day, linked, failing, failed
):
    facts = [
        change(0, start=2, ci="first item"),
        change(5, start=10, ci="second item"),
        change(30, start=10, ci="third item"),
        *link(*linked),
    ]
    found = verdicts(History.from_records(facts), POLICIES["incident"])
    assert item_of(found, found.deciding[0]) == "second item"
    assert found.decided_at[0] == instants.to_micros(day(24))
    assert item_of(found, found.failing[0]) == failing
    assert found.failed_at[0] == (NEVER if failed is None else instants.to_micros(day(failed)))


def test_a_link_known_before_the_change_falls_on_the_revision_that_stood_first(change, link, day):
    facts = [*link(1, 1), change(3, start=1, ci="a"), change(3, start=1, ci="b"), change(4, ci="c")]
    found = verdicts(History.from_records(facts), POLICIES["incident"])
    assert found.failed_at[0] == instants.to_micros(day(3))
    assert item_of(found, found.failing[0]) == "b"


@settings(max_examples=40)
@given(data=st.data())
def test_verdicts_are_what_the_definitions_say(data, histories, policies, definitions):
    facts, policy = data.draw(histories), data.draw(policies)
    found, known = verdicts(History.from_records(facts), policy), definitions(facts, policy)
    revisions = found.revisions
    for row, change_id in enumerate(revisions.table["change_id"][revisions.first]):
        verdict = known.verdicts[change_id]
        assert revisions.table.record(found.deciding[row]) == verdict.deciding
        assert instants.from_micros(found.decided_at[row]) == verdict.decided_at
        failed = found.failed_at[row] != NEVER
        assert failed == (verdict.failed_at is not None)
        if failed:
            assert revisions.table.record(found.failing[row]) == verdict.failing
            assert instants.from_micros(found.failed_at[row]) == verdict.failed_at


# incidents ----------------------------------------------------------------------------------------


@pytest.fixture
def incidents(day: Day) -> Columns:
    def row(name: str, known: float, **more: Any) -> Incident:
        return Incident(incident_id=name, occurred_at=day(0), known_at=day(known), **more)

    return Columns.from_records(
        Incident,
        [
            row("INC-1", 5, ci="db-01", priority=1),
            row("INC-2", 3, ci="web-01", priority=2),
            row("INC-1", 2, ci="web-01", priority=4),
            row("INC-3", 4, ci=None, priority=1),
            row("INC-4", 4, ci="web-01"),
        ],
    )


def test_the_first_word_on_an_incident_is_the_first_known(incidents):
    assert first_rows(incidents) == {"INC-1": 2, "INC-2": 1, "INC-3": 3, "INC-4": 4}


@pytest.mark.parametrize(("limit", "expected"), [(None, 3), (2, 1), (4, 2)])
def test_incidents_are_indexed_on_the_item_of_their_first_word(incidents, day, limit, expected):
    items = Vocabulary()
    built = incident_index(incidents, items, LabelPolicy(name="x", sources=(), max_priority=limit))
    code, moment = items.find(["web-01"]), np.array([instants.to_micros(day(9))])
    assert built.counts(code, moment, [None], np.array([-1]))[None].tolist() == [expected]
    assert items.find(["db-01"]).tolist() == [-1]


def test_counts_around_a_start_lie_in_equal_half_open_windows(incidents, change, day):
    items = Vocabulary()
    built = incident_index(incidents, items, LabelPolicy(name="x", sources=()))
    changes = Columns.from_records(Change, [change(0), change(0, ci="db-01"), change(0, ci="new")])
    start = np.array([instants.to_micros(day(3))] * 3)
    after, before = counts_around(built, items, changes, start, instants.DAY)
    assert (after.tolist(), before.tolist()) == ([1, 0, 0], [1, 0, 0])
    after, before = counts_around(built, items, changes, start, 2 * instants.DAY)
    assert (after.tolist(), before.tolist()) == ([2, 0, 0], [1, 0, 0])
