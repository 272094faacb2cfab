"""What hangs together and when it is closed, in worked examples."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from features import topology
from features.catalogue import NAMES
from features.policy import POLICIES
from features.records import CalendarEntry, Change, Incident, Item, Relation


@pytest.fixture(scope="session")
def read(rows, state_of):
    """Some features of a change at a moment."""

    def read(names, change, facts, as_of):
        table = rows(state_of(facts, POLICIES["incident"]), [change], as_of)
        return [float(table.values[0, NAMES.index(name)]) for name in names]

    return read


@pytest.fixture(scope="session")
def needs(day):
    """``parent`` needs ``child`` from a day on, known on another, until a third."""

    def needs(parent, child, since=0, known=None, until=None):
        return Relation(
            parent=parent,
            child=child,
            kind="depends_on",
            occurred_at=day(since),
            known_at=day(since if known is None else known),
            ended_at=None if until is None else day(until),
        )

    return needs


BESIDE = ("neighbour_incidents_30d", "second_neighbour_incidents_30d")
ABOVE = ("dependent_items", "dependent_services", "dependent_criticality")


def on(*items: str) -> Change:
    """A change of these items."""
    known = datetime(2024, 1, 1, tzinfo=UTC)
    return Change(change_id="C1", known_at=known, ci=items[0], affected_cis=items[1:])


def chain(needs):
    return [
        needs("portal", "app"),
        needs("app", "db"),
        needs("db", "san"),
        needs("other", "san"),
        needs("san", "power"),
    ]


@pytest.mark.parametrize(
    ("where", "beside"),
    [
        ("db", [0, 0]),
        ("app", [1, 0]),
        ("san", [1, 0]),
        ("portal", [0, 1]),
        ("power", [0, 1]),
        ("other", [0, 0]),  # on the same storage, and no neighbour for that
    ],
)
def test_incidents_one_and_two_relations_away(day, needs, read, where, beside):
    incident = Incident(incident_id="I1", occurred_at=day(5), known_at=day(5), ci=where)
    assert read(BESIDE, on("db"), [*chain(needs), incident], day(6)) == beside
    assert read(BESIDE, on("db"), [*chain(needs), incident], day(5)) == [0, 0]


def test_an_item_the_change_names_is_no_neighbour(day, needs, read):
    incident = Incident(incident_id="I1", occurred_at=day(5), known_at=day(5), ci="app")
    facts = [*chain(needs), incident]
    assert read(BESIDE, on("db", "san"), facts, day(6)) == [1, 1]  # beside db, two from san
    assert read(BESIDE, on("db", "app"), facts, day(6)) == [0, 0]


@pytest.mark.parametrize(("at", "expected"), [(2, 0), (2.1, 1), (8, 1), (8.1, 0)])
def test_a_relation_counts_while_it_held_as_far_as_was_known(day, needs, read, at, expected):
    facts = [needs("app", "db", since=1, known=2), needs("app", "db", since=1, known=5, until=8)]
    assert read(ABOVE[:1], on("db"), facts, day(at)) == [expected]


def test_a_correction_known_later_changes_nothing_before(day, needs, read):
    facts = [needs("app", "db"), needs("app", "db", known=6, until=3)]
    assert [read(ABOVE[:1], on("db"), facts, day(at)) for at in (4, 6, 6.1)] == [[1], [1], [0]]


def test_dependents_with_their_services_and_the_most_critical(day, needs, read):
    facts = [
        *chain(needs),
        Item(ci="app", known_at=day(1), service="Shop", criticality=3),
        Item(ci="portal", known_at=day(1), service="Shop", criticality=2),
        Item(ci="portal", known_at=day(4), service="Portal", criticality=1),
        Item(ci="db", known_at=day(1), service="Platform", criticality=4),
    ]
    own = "affected_criticality"
    assert read([*ABOVE, own], on("db"), facts, day(1)) == [2, 0, 0, 0]
    assert read([*ABOVE, own], on("db"), facts, day(3)) == [2, 1, 4, 2]
    assert read([*ABOVE, own], on("db"), facts, day(5)) == [2, 2, 5, 2]
    assert read([*ABOVE, own], on("san"), facts, day(5)) == [3, 2, 3, 0]
    assert read(["affected_days_on_record"], on("db"), facts, day(5)) == [4]


def test_of_many_neighbours_those_known_first_count(day, needs, read, monkeypatch):
    monkeypatch.setattr(topology, "MOST_RELATED", 2)
    facts = [needs(name, "switch", since=n) for n, name in enumerate(("c", "a", "b"))]
    facts += [
        Incident(incident_id=f"I{name}", occurred_at=day(9), known_at=day(9), ci=name)
        for name in "abc"
    ]
    assert read([BESIDE[0], ABOVE[0]], on("switch"), facts, day(10)) == [2, 3]


def test_an_item_nobody_knows_stands_alone(day, needs, read):
    assert read([*BESIDE, *ABOVE], on("new"), chain(needs), day(6)) == [0, 0, 0, 0, 0]
    nameless = Change(change_id="C1", known_at=day(0))
    assert all(map(math.isnan, read([*BESIDE, *ABOVE], nameless, chain(needs), day(6))))


# the calendar ------------------------------------------------------------------------------------

CLOSED = ("in_freeze", "in_maintenance_window", "days_to_freeze")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (10, 11, [0, 0, 2]),
        (11, 12, [0, 0, 1]),  # ends as the freeze begins
        (11, 12.5, [1, 0, 1]),
        (13, 14, [1, 1, 0]),
        (12.5, 13.5, [1, 0, 0]),  # begins before the window
        (14, 15, [0, 1, math.nan]),
    ],
)
def test_a_window_in_a_freeze_and_in_a_maintenance_window(day, read, start, end, expected):
    facts = [
        entry("F", "freeze", "*", day(12), day(14), day(1)),
        entry("M", "maintenance", "db", day(13), day(15), day(1)),
        entry("X", "freeze", "elsewhere", day(0), day(30), day(1)),
    ]
    change = Change(
        change_id="C", known_at=day(0), ci="db", planned_start=day(start), planned_end=day(end)
    )
    found = read(CLOSED, change, facts, day(2))
    assert np.array_equal(found, expected, equal_nan=True)
    assert read(CLOSED[:2], change, facts, day(1)) == [0, 0]  # not announced yet


def test_a_freeze_that_moved_or_was_cancelled(day, read):
    facts = [
        entry("F", "freeze", "*", day(10), day(12), day(1)),
        entry("F", "freeze", "*", day(20), day(22), day(3)),
        entry("F", "freeze", "*", day(20), day(20), day(5)),
    ]
    change = Change(change_id="C", known_at=day(0), planned_start=day(11))
    found = [read(CLOSED[::2], change, facts, day(at)) for at in (2, 4, 6)]
    assert found[:2] == [[1, 0], [0, 9]]
    assert np.array_equal(found[2], [0, math.nan], equal_nan=True)


def entry(name, kind, scope, starts_at, ends_at, known_at):
    return CalendarEntry(
        entry_id=name,
        kind=kind,
        scope=scope,
        starts_at=starts_at,
        ends_at=ends_at,
        known_at=known_at,
    )


def test_planned_starts_a_change_had_before(day, read):
    starts = (5, 7, 5, 9)
    facts = [
        Change(change_id="C", revision=str(n), known_at=day(n), planned_start=day(start))
        for n, start in enumerate(starts)
    ]
    found = [read(["reschedule_count"], facts[n], facts, day(n)) for n in range(4)]
    assert found == [[0], [1], [1], [2]]
    assert read(["reschedule_count"], facts[3], facts, day(4)) == [2]
