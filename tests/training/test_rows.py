"""Rows: which revision is scored, which changes teach, and what was known of them when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features import instants
from features.catalogue import NAMES
from features.history import History
from features.labels import summary
from features.policy import POLICIES, LabelPolicy
from features.records import Change, ChangeEvent, Incident, Link, Record
from features.store import ASKED, Store
from training.rows import TrainingRows, observed_until, training_rows

Day = Callable[[float], datetime]


@pytest.fixture(scope="session")
def change(day: Day) -> Callable[..., Change]:
    """A change submitted on day 0 and planned for day 10."""

    def change(known: float = 0, start: float | None = 10, **fields: object) -> Change:
        return Change(
            change_id="CHG-1",
            known_at=day(known),
            revision=str(known),
            submitted_at=day(0),
            planned_start=None if start is None else day(start),
            **fields,  # type: ignore[arg-type]
        )

    return change


def rows_of(
    records: Sequence[Record], as_of: datetime, history_from: datetime | None = None
) -> TrainingRows:
    history = History.from_records(records)
    return training_rows(history, POLICIES["incident"], as_of=as_of, history_from=history_from)


def micros(moment: datetime) -> int:
    return instants.to_micros(moment)


# the revision ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revisions", "scored"),
    [
        ([(0, 10)], 0),
        ([(0, 10), (5, 10)], 5),  # the board reads the last one before the start
        ([(0, 10), (5, 10), (12, 10)], 5),  # what was written afterwards tells too much
        ([(0, 10), (10, 10)], 10),  # at the very start still counts
        ([(0, 10), (12, 20)], 12),  # put off after the first date: in time for the second
        ([(11, 10), (12, 10)], 11),  # all too late: the first word
        ([(0, None), (3, None)], 0),  # without a plan the submission is the start
    ],
)
def test_scored_revision(
    day: Day,
    change: Callable[..., Change],
    revisions: list[tuple[float, float | None]],
    scored: float,
) -> None:
    rows = rows_of([change(known, start) for known, start in revisions], day(90))
    assert rows.changes["revision"].tolist() == [str(scored)]
    assert rows.table.as_of.tolist() == [micros(day(scored))]


def test_features_are_those_of_the_score_time(day: Day, change: Callable[..., Change]) -> None:
    """Two words of a title then, five later; an incident before it, and one after."""
    records: list[Record] = [
        change(0, short_description="Patch it", ci="web-01"),
        change(5, short_description="Patch web now", ci="web-01"),
        change(12, short_description="Patch web which has failed", ci="web-01"),
        Incident(incident_id="INC-1", occurred_at=day(4), known_at=day(4), ci="web-01"),
        Incident(incident_id="INC-2", occurred_at=day(5), known_at=day(5), ci="web-01"),
        Incident(incident_id="INC-3", occurred_at=day(11), known_at=day(11), ci="web-01"),
    ]
    values = rows_of(records, day(90)).table.values[0]
    assert values[NAMES.index("title_words")] == 3
    assert values[NAMES.index("affected_incidents_30d")] == 1


def test_one_row_a_change_in_the_order_of_the_verdicts(day: Day) -> None:
    records: list[Record] = [
        Change(change_id=f"CHG-{n}", known_at=day(n / 10), submitted_at=day(n / 10))
        for n in range(50)
    ]
    rows = rows_of(records[::-1], day(90))
    assert sorted(rows.changes["change_id"]) == sorted(f"CHG-{n}" for n in range(50))
    assert rows.table.change_ids.tolist() == rows.changes["change_id"].tolist()
    for array in (rows.start, rows.decided_at, rows.failed_at, rows.taught):
        assert len(array) == 50


# what teaches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "start", "end", "taught"),
    [
        (0, 10, 11, True),
        (11, 10, 11, True),  # recorded as it ends
        (11.5, 10, 11, False),  # recorded when all was over
        (40, 10, None, True),  # nobody knows when it ended
    ],
)
def test_what_was_recorded_after_the_fact_does_not_teach(
    day: Day,
    change: Callable[..., Change],
    known: float,
    start: float,
    end: float | None,
    taught: bool,
) -> None:
    planned_end = None if end is None else day(end)
    rows = rows_of([change(known, start, planned_end=planned_end)], day(90))
    assert rows.taught.tolist() == [taught]


@pytest.mark.parametrize(
    ("kinds", "known", "taught"),
    [
        (("canceled",), 8, False),
        (("canceled",), 95, True),  # nobody knew yet
        (("canceled", "started"), 8, True),  # carried out all the same
        (("started", "closed"), 8, True),
    ],
)
def test_a_canceled_change_does_not_teach(
    day: Day, change: Callable[..., Change], kinds: tuple[str, ...], known: float, taught: bool
) -> None:
    events = [
        ChangeEvent(change_id="CHG-1", kind=kind, occurred_at=day(known), known_at=day(known))
        for kind in kinds
    ]
    assert rows_of([change(), *events], day(90)).taught.tolist() == [taught]


def test_history_from(day: Day) -> None:
    """Earlier changes do not teach, but they are the record of later ones."""
    records: list[Record] = [
        Change(change_id=f"CHG-{n}", known_at=day(n), submitted_at=day(n), ci="web-01")
        for n in range(10)
    ]
    rows = rows_of(records, day(90), history_from=day(4))
    number = [int(name.removeprefix("CHG-")) for name in rows.changes["change_id"]]
    assert rows.taught.tolist() == [n >= 4 for n in number]
    counted = rows.table.values[:, NAMES.index("ci_changes_30d")]
    assert counted.tolist() == number


def test_only_what_was_known(day: Day, change: Callable[..., Change]) -> None:
    records = [change(), replace(change(), change_id="CHG-2", known_at=day(6))]
    assert rows_of(records, day(5)).changes["change_id"].tolist() == ["CHG-1"]
    assert len(rows_of(records, day(5) - timedelta(days=9)).start) == 0


# what is known when ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def failing(day: Day, change: Callable[..., Change]) -> Callable[[float], TrainingRows]:
    """A change of day 10 that broke something on day 11, which was linked on some later day."""

    def failing(linked: float) -> TrainingRows:
        records: list[Record] = [
            change(ci="web-01"),
            Incident(incident_id="INC-1", occurred_at=day(11), known_at=day(11), ci="web-01"),
            Link(
                incident_id="INC-1",
                change_id="CHG-1",
                kind="caused_by",
                source="explicit",
                confidence=1.0,
                occurred_at=day(11),
                known_at=day(linked),
            ),
        ]
        return rows_of(records, day(200))

    return failing


def test_a_link_counts_from_the_day_it_was_made(
    day: Day, failing: Callable[[float], TrainingRows]
) -> None:
    """Window and settling time end on day 24; a link of day 60 turns clean into failed then."""
    rows = failing(60)
    states = [
        (bool(rows.decided(micros(day(d)))[0]), bool(rows.failed(micros(day(d)))[0]))
        for d in (12, 23.9, 24, 59, 60)
    ]
    assert states == [(False, False), (False, False), (True, False), (True, False), (True, True)]


def test_a_failure_known_early_waits_for_its_clean_neighbours(
    day: Day, failing: Callable[[float], TrainingRows]
) -> None:
    rows = failing(12)
    assert rows.failed(micros(day(12))).tolist() == [True]
    assert rows.decided(micros(day(23))).tolist() == [False]
    assert rows.decided(micros(day(24))).tolist() == [True]


# how far the record reaches ----------------------------------------------------------------------


def test_observed_until(day: Day, change: Callable[..., Change]) -> None:
    """Incidents end a label of incidents; changes and what became of them one of back-outs."""
    records: list[Record] = [
        change(known=50),
        Incident(incident_id="INC-1", occurred_at=day(30), known_at=day(33)),
        Incident(incident_id="INC-2", occurred_at=day(20), known_at=day(40)),
    ]
    history = History.from_records(records)
    assert observed_until(history, POLICIES["incident"]) == day(30)
    assert observed_until(history, POLICIES["incident_rise"]) == day(30)
    assert observed_until(history, POLICIES["failed"]) == day(50)
    closed = ChangeEvent(change_id="CHG-1", kind="closed", occurred_at=day(59), known_at=day(60))
    told = History.from_records([*records, closed])
    assert observed_until(told, POLICIES["incident"]) == day(30)
    assert observed_until(told, POLICIES["failed"]) == day(60)


def test_a_question_for_a_score_watches_nothing(
    tmp_path: Path, day: Day, change: Callable[..., Change]
) -> None:
    """Changes read on day 0, one asked about on day 90: what is between was not watched, until
    somebody tells how a change ended.
    """
    store, label = Store(f"sqlite:///{tmp_path}/history.db"), POLICIES["failed"]

    def write(source: str, at: float, *records: Record) -> datetime | None:
        with store.write(source, now=day(at)) as writer:
            writer.add(records)
        return observed_until(store.load(), label)

    assert observed_until(store.load(), label) is None
    assert write(ASKED, 0, change(known=-5)) is None
    assert write("import csv", 1, change(known=0)) == day(0)
    read = store.load()
    assert write(ASKED, 90, change(known=90)) == day(0)
    later = read.plus(store.load(after=read.watermark))
    assert observed_until(later, label) == day(0)
    assert observed_until(later.as_of(day(-1)), label) == day(-1)
    found = summary(later, label, as_of=day(0))
    assert (found["changes"], found["clean"], found["undecided"]) == (1, 0, 1)
    begun = ChangeEvent(change_id="CHG-1", kind="started", occurred_at=day(91), known_at=day(91))
    assert write("webhook servicenow", 91, begun) == day(91)
    assert write("sync servicenow", 95, change(known=95)) == day(95)
    store.close()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
def test_nothing_observed(policy: LabelPolicy) -> None:
    assert observed_until(History.from_records([]), policy) is None


def test_no_changes(day: Day) -> None:
    rows = rows_of([], day(3))
    assert rows.table.values.shape == (0, len(NAMES))
    assert np.zeros(0).tolist() == rows.start.tolist() == rows.taught.tolist()
