"""What is new among facts read again and again, and names of ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Record,
    Relation,
)
from features.store import Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def change(hours: float, title: str = "a", **fields: Any) -> Change:
    usual = {"revision": str(hours), "short_description": title}
    return Change(change_id="CHG1", known_at=at(hours), **usual | fields)


def incident(hours: float, priority: int = 3) -> Incident:
    return Incident(
        incident_id="INC1", occurred_at=NOW, known_at=at(hours), priority=priority, ci="x"
    )


def link(hours: float, kind: str = "caused_by") -> Link:
    return Link(incident_id="INC1", change_id="CHG1", kind=kind, source="explicit",
                confidence=1.0, occurred_at=at(hours), known_at=at(hours))  # fmt: skip


def event(hours: float, kind: str, known: float | None = None) -> ChangeEvent:
    return ChangeEvent(change_id="CHG1", kind=kind, occurred_at=at(hours),
                       known_at=at(hours if known is None else known))  # fmt: skip


@pytest.fixture
def add(store: Store) -> Callable[..., int]:
    """Stores what is new and counts it."""

    def add(*records: Record) -> int:
        with store.write("test", now=NOW) as writer:
            return sum(writer.add_news(records).values())

    return add


@pytest.mark.parametrize(
    ("first", "second", "new"),
    [
        (change(0), change(5), 0),  # counted on by a comment
        (change(0), change(5, revision="0"), 0),
        (change(0), change(5, "b"), 1),
        (change(5), change(0), 1),  # an earlier one, told later
        (change(0), change(0, "b"), 1),  # within one second
        (change(0, attributes={"lines_added": 1.0}), change(5), 1),
        (incident(0), incident(5), 0),
        (incident(0), incident(5, 1), 1),
        (incident(0), incident(0, 1), 0),  # that moment has its word
        (
            Item(ci="x", known_at=at(0), criticality=2),
            Item(ci="x", known_at=at(9), criticality=2),
            0,
        ),
        (Item(ci="x", known_at=at(0)), Item(ci="x", known_at=at(9), criticality=2), 1),
        (link(0), link(5), 0),
        (link(0), link(5, "fixed_by"), 1),
        (event(0, "closed"), event(5, "closed"), 0),
        (event(0, "started"), event(0, "started", 7), 0),
        (event(0, "started"), event(5, "started"), 1),
    ],
)
def test_only_what_says_something_new_is_stored(
    add: Any, first: Record, second: Record, new: int
) -> None:
    assert add(first) == 1
    assert add(second) == new
    assert add(first, second) == 0


def test_within_one_reading_the_same_holds(add: Any) -> None:
    assert add(change(0), change(1), change(2, "b"), change(3, "a"), link(0), link(1)) == 4


def test_a_row_that_is_not_kept_hides_no_later_one(add: Any) -> None:
    """A correction read together with the opening it is no part of."""
    add(incident(0))
    assert add(incident(0, 1), incident(5, 1)) == 1


def test_relations_are_told_apart_by_both_ends(add: Any) -> None:
    one = Relation(parent="a", child="b", kind="runs_on", occurred_at=NOW, known_at=NOW)
    assert add(one) == 1
    assert add(one, replace(one, child="c"), replace(one, known_at=at(3))) == 1


def relation(hours: float, *, ended: bool = False) -> Relation:
    return Relation(parent="a", child="b", kind="runs_on", occurred_at=at(hours),
                    known_at=at(hours), ended_at=at(hours) if ended else None)  # fmt: skip


def entry(hours: float, length: float = 2) -> CalendarEntry:
    return CalendarEntry(entry_id="x", kind="blackout", scope="*", starts_at=at(50),
                         ends_at=at(50 + length), known_at=at(hours))  # fmt: skip


@pytest.mark.parametrize(
    ("open_", "over"),
    [(relation, lambda hours: relation(hours, ended=True)), (entry, lambda hours: entry(hours, 0))],
)
def test_what_is_over_may_begin_again(add: Any, open_: Any, over: Any) -> None:
    assert add(over(0)) == 0, "an end of what never was"
    assert add(open_(1)) == 1
    assert add(over(2)) == 1
    assert add(over(3), open_(1)) == 0, "told again"
    assert add(open_(4)) == 1
    assert add(over(5), over(6)) == 1


def test_an_entry_that_is_moved_back_stands_as_it_did(add: Any) -> None:
    assert [add(entry(1)), add(entry(2, 5)), add(entry(3))] == [1, 1, 1]


def test_a_later_word_of_the_same_second_stands(add: Any) -> None:
    """An item is often updated in the second it was made in."""
    made, updated = Item(ci="x", known_at=at(0)), Item(ci="x", known_at=at(0), criticality=2)
    assert [add(made), add(updated), add(made), add(updated)] == [1, 1, 0, 0]


@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab")), min_size=1, max_size=8))
def test_read_in_any_portions_the_story_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, str]]
) -> None:
    """What stood at each moment does not depend on how often it was read."""
    story = dict(sorted(told))
    records = [change(hours, title) for hours, title in story.items()]

    def standing(*portions: list[Change]) -> list[str | None]:
        store = Store(f"sqlite:///{tmp_path_factory.mktemp('news')}/history.db")
        for portion in portions:
            with store.write("test", now=NOW) as writer:
                writer.add_news(portion)
        table = store.load()[Change]
        store.close()
        rows = sorted((table.record(row) for row in range(len(table))), key=lambda r: r.known_at)
        return [
            ([r.short_description for r in rows if r.known_at <= at(hours)] or [None])[-1]
            for hours in range(8)
        ]

    assert standing(records) == standing(records[:2], records, records[1:])


def test_names_are_kept_renamed_and_looked_up_both_ways(store: Store) -> None:
    many = [("cmdb_ci", f"{n:032x}", f"ci-{n}") for n in range(1_200)]
    with store.write("test", now=NOW) as writer:
        assert writer.references.learn("servicenow", many) == 1_200
        assert writer.references.learn("servicenow", many) == 0
        assert writer.references.learn("servicenow", [("cmdb_ci", f"{7:032x}", "renamed")]) == 1
        writer.references.learn("jira", [("cmdb_ci", f"{7:032x}", "other")])
    with store.references() as references:
        ids = [f"{n:032x}" for n in range(1_200)]
        names = references.names("servicenow", [*ids, "unknown"])
        assert (len(names), names[f"{7:032x}"]) == (1_200, "renamed")
        assert references.ids("servicenow", "cmdb_ci", ["renamed", "ci-8", "ci-7"]) == {
            "renamed": f"{7:032x}",
            "ci-8": f"{8:032x}",
        }
        assert len(references.of_kind("servicenow", "cmdb_ci")) == 1_200
    assert store.watermark() == 0
