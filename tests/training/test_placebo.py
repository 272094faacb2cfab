"""The placebo: noisy items have as much trouble without a change; risky changes do not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest

from features.history import History
from features.policy import POLICIES, LabelPolicy
from features.records import Change, Incident, Link, Record
from training.placebo import placebo
from training.rows import TrainingRows, training_rows

Day = Callable[[float], datetime]

CHANGES, ITEMS, DAYS = 1_500, 40, 400


def world(day: Day, *, seed: int, noise: float, harm: float) -> list[Record]:
    """Changes on items; incidents come to items by themselves, and from changes.

    Parameters
    ----------
    noise : float
        Incidents a day on the noisiest item; the others have less.
    harm : float
        Share of changes that cause an incident within three days.
    """
    rng = np.random.default_rng(seed)
    at, on = rng.uniform(60, DAYS, CHANGES), rng.integers(0, ITEMS, CHANGES)
    harmful = rng.random(CHANGES) < harm
    opened = [
        (t + rng.uniform(0, 3), item) for t, item in zip(at[harmful], on[harmful], strict=True)
    ]
    for item in range(ITEMS):
        count = rng.poisson(noise * DAYS * item / ITEMS)
        opened += [(t, item) for t in rng.uniform(0, DAYS + 20, count)]
    records: list[Record] = [
        Change(
            change_id=f"CHG-{n:05}",
            known_at=day(t - 1),
            submitted_at=day(t - 1),
            planned_start=day(t),
            ci=f"item-{item}",
        )
        for n, (t, item) in enumerate(zip(at, on, strict=True))
    ]
    return records + [
        Incident(incident_id=f"INC-{n:05}", occurred_at=day(t), known_at=day(t), ci=f"item-{item}")
        for n, (t, item) in enumerate(opened)
    ]


def asked(
    rows: TrainingRows, policy: LabelPolicy, score: np.ndarray | None = None
) -> dict[str, float]:
    chosen = np.ones(len(rows.start), bool)
    probability = np.linspace(0, 1, len(rows.start)) if score is None else score
    return placebo(rows, chosen, probability, policy, 14)


@pytest.fixture(scope="module")
def rise() -> LabelPolicy:
    return POLICIES["incident_rise"]


@pytest.mark.parametrize("seed", range(3))
def test_where_changes_do_nothing_the_placebo_sees_as_much(
    day: Day, rise: LabelPolicy, seed: int
) -> None:
    records = world(day, seed=seed, noise=0.3, harm=0.0)
    rows = training_rows(History.from_records(records), rise, as_of=day(DAYS + 30))
    found = asked(rows, rise)
    assert found["rate"] > 0.2
    assert found["placebo_rate"] == pytest.approx(found["rate"], abs=0.06)


def test_where_changes_do_harm_the_placebo_sees_little(day: Day, rise: LabelPolicy) -> None:
    records = world(day, seed=1, noise=0.01, harm=0.4)
    rows = training_rows(History.from_records(records), rise, as_of=day(DAYS + 30))
    found = asked(rows, rise)
    assert found["rate"] > 0.4
    assert found["rate"] > 1.3 * found["placebo_rate"]


def test_a_score_that_finds_noisy_items_finds_them_at_any_time(day: Day, rise: LabelPolicy) -> None:
    """The item's noise predicts trouble after changes that do nothing, and before them."""
    records = world(day, seed=2, noise=0.3, harm=0.0)
    rows = training_rows(History.from_records(records), rise, as_of=day(DAYS + 30))
    noise = np.array([float(ci.removeprefix("item-")) for ci in rows.changes["ci"]])
    found = asked(rows, rise, noise)
    assert found["roc_auc"] > 0.6
    assert found["placebo_roc_auc"] == pytest.approx(found["roc_auc"], abs=0.05)


def test_by_hand(day: Day, rise: LabelPolicy) -> None:
    """Day 100: one incident in the week after, none in the week before. Day 86: none after."""
    records: list[Record] = [
        Change(change_id="A", known_at=day(99), planned_start=day(100), ci="x"),
        Change(change_id="B", known_at=day(99), planned_start=day(100), ci="y"),
        Incident(incident_id="I", occurred_at=day(103), known_at=day(103), ci="x"),
        Incident(incident_id="J", occurred_at=day(88), known_at=day(88), ci="y"),
    ]
    rows = training_rows(History.from_records(records), rise, as_of=day(200))
    found = asked(rows, rise, np.array([0.9, 0.1]))
    assert found == {
        "shift_days": 14,
        "question": "incidents_rose",
        "rate": 0.5,
        "placebo_rate": 0.5,
        "roc_auc": 1.0,
        "placebo_roc_auc": 0.0,
    }


def test_links_ask_for_failed_changes_on_the_same_items(day: Day, policy: LabelPolicy) -> None:
    """A failed on day 102, and before it B on day 88; C is on another item."""
    records: list[Record] = [
        Change(change_id=name, known_at=day(start - 1), planned_start=day(start), ci=item)
        for name, start, item in (("A", 100, "x"), ("B", 87, "x"), ("C", 100, "y"))
    ]
    for change_id, broken in (("A", 102), ("B", 88)):
        moment = day(broken)
        records += [
            Incident(incident_id=f"I-{change_id}", occurred_at=moment, known_at=moment),
            Link(
                incident_id=f"I-{change_id}",
                change_id=change_id,
                kind="caused_by",
                source="explicit",
                confidence=1.0,
                occurred_at=moment,
                known_at=moment,
            ),
        ]
    rows = training_rows(History.from_records(records), policy, as_of=day(200))
    names = rows.changes["change_id"].tolist()
    chosen = np.array([name != "B" for name in names])
    score = np.array([0.9 if name == "A" else 0.1 for name in names])[chosen]
    found = placebo(rows, chosen, score, policy, 14)
    assert found["question"] == "item_had_a_failure"
    assert (found["rate"], found["placebo_rate"]) == (0.5, 0.5)
    assert (found["roc_auc"], found["placebo_roc_auc"]) == (1.0, 1.0)


def test_no_trouble_has_no_ranking(day: Day, policy: LabelPolicy) -> None:
    records: list[Record] = [
        Change(change_id=name, known_at=day(1), planned_start=day(2), ci="x") for name in "AB"
    ]
    rows = training_rows(History.from_records(records), policy, as_of=day(50))
    found = asked(rows, policy)
    assert (found["rate"], found["placebo_rate"]) == (0.0, 0.0)
    assert found["roc_auc"] is None
    assert found["placebo_roc_auc"] is None
