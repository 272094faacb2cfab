"""The placebo of an evaluation: what moves and what stays, and what it says of two worlds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest

from features import instants
from features.history import History
from features.policy import POLICIES
from features.records import Change, ChangeEvent, Incident, Record
from training.figures import Window
from training.moved import (
    SHIFTS,
    above_one,
    label_effects,
    moved_back,
    moved_moment,
    shift_figures,
    verdict,
)
from training.rows import training_rows

Day = Callable[[float], datetime]
DAYS, CHANGES, ITEMS = 400, 1_500, 30


def world(day: Day, *, harm: float, noise: float, code: str = "Software") -> History:
    """Changes on items, incidents by themselves, and some within hours of a change's start."""
    rng = np.random.default_rng(5)
    at, on = rng.uniform(60, DAYS, CHANGES), rng.integers(0, ITEMS, CHANGES)
    harmful = rng.random(CHANGES) < harm
    opened = [
        (t + rng.uniform(0, 0.9), item) for t, item in zip(at[harmful], on[harmful], strict=True)
    ]
    for item in range(ITEMS):
        opened += [(t, item) for t in rng.uniform(0, DAYS + 30, rng.poisson(noise * DAYS))]
    records: list[Record] = []
    for number, (t, item) in enumerate(zip(at, on, strict=True)):
        name = f"CHG-{number:05}"
        records.append(
            Change(change_id=name, known_at=day(t - 1), planned_start=day(t), ci=f"item-{item}")
        )
        records.append(
            ChangeEvent(change_id=name, kind="started", occurred_at=day(t), known_at=day(t + 1))
        )
    for number, (t, item) in enumerate(opened):
        told = {"incident_id": f"INC-{number:05}", "occurred_at": day(t), "ci": f"item-{item}"}
        records.append(Incident(known_at=day(t), **told))  # type: ignore[arg-type]
        records.append(Incident(known_at=day(t + 1), close_code=code, **told))  # type: ignore[arg-type]
    return History.from_records(records)


def effects(day: Day, history: History) -> dict[tuple[str, str], dict[str, object]]:
    rows = training_rows(history, POLICIES["incident_rise"], as_of=day(DAYS + 20))
    found = label_effects(history, rows, until=day(DAYS + 20), seed=0, progress=lambda *_: None)
    return {(one["label"], one["starts"]): one for one in found}


def test_changes_move_and_incidents_stay(day: Day) -> None:
    history = world(day, harm=0.1, noise=0.01)
    moved = moved_back(history, 14)
    week = 14 * instants.DAY
    for name in ("known_at", "planned_start"):
        assert (history[Change].times(name) - moved[Change].times(name) == week).all()
    assert np.array_equal(moved[Change].times("planned_end"), history[Change].times("planned_end"))
    assert (
        history[ChangeEvent].times("known_at") - moved[ChangeEvent].times("known_at")
    ).min() == week
    assert moved[Incident] is history[Incident]
    assert moved_moment(day(20), 7) == day(13)
    assert moved_moment(None, 7) is None


def test_where_changes_do_harm_the_effect_is_named(day: Day) -> None:
    found = effects(day, world(day, harm=0.15, noise=0.02))
    assert found["incident_24h", "planned"]["effect_remains"]
    assert found["incident_24h", "actual"]["effect_remains"]
    assert found["software_incident", "actual"]["effect_remains"]
    ratio = found["incident_24h", "planned"]["incident_ratio"]
    assert isinstance(ratio, dict)
    assert ratio["low"] > 1.5


def test_of_another_closure_code_nothing_is_found(day: Day) -> None:
    found = effects(day, world(day, harm=0.15, noise=0.02, code="Hardware"))
    assert found["software_incident", "planned"]["yes"] == 0
    assert not found["software_incident", "planned"]["effect_remains"]


def test_where_changes_do_nothing_no_effect_is_named(day: Day) -> None:
    found = effects(day, world(day, harm=0.0, noise=0.2))
    assert not any(one["effect_remains"] for one in found.values())


def test_figures_of_a_shift_are_in_the_order_asked_for(day: Day) -> None:
    history = world(day, harm=0.15, noise=0.02)
    policy = POLICIES["incident_rise"]
    rows = training_rows(history, policy, as_of=day(DAYS + 20))
    tested = np.random.default_rng(0).permutation(np.flatnonzero(rows.start > rows.start.min()))
    known = rows.failed(instants.to_micros(day(DAYS + 20)))[tested]
    window = Window(times=rows.table.as_of[tested], failed=known, base_rate=0.1)
    found = shift_figures(rows, tested, known.astype(float), window, policy, SHIFTS[1])
    assert found["shift_days"] == 14
    assert found["rate"]["value"] == pytest.approx(known.mean())
    assert found["roc_auc"]["value"] == 1.0
    assert found["placebo_roc_auc"]["value"] < 0.7
    assert above_one(found["rate_ratio"])


def shifts(ratio: float, refitted: float) -> list[dict[str, object]]:
    return [
        {
            "rate_ratio": {"value": ratio, "low": ratio - 0.1, "high": ratio + 0.1},
            "refitted": {"roc_auc": {"value": refitted, "low": None, "high": None}},
        }
        for _ in SHIFTS
    ]


@pytest.mark.parametrize(
    ("ratio", "refitted", "noisy"),
    [(1.02, 0.5, True), (1.5, 0.79, True), (1.5, 0.6, False)],
    ids=["as many at other times", "predicted as well at other times", "an effect"],
)
def test_verdict(ratio: float, refitted: float, noisy: bool) -> None:
    real = {"value": 0.8, "low": 0.75, "high": 0.85}
    found = verdict(POLICIES["incident_rise"], real, shifts(ratio, refitted))
    assert found["noise_seeking"] is noisy
    assert ("finds noisy items" in found["verdict"]) is noisy


def test_a_label_that_names_its_change_seeks_no_noise() -> None:
    real = {"value": 0.7, "low": 0.6, "high": 0.8}
    found = verdict(POLICIES["failed"], real, shifts(1.0, 0.9))
    assert found["noise_seeking"] is False
    assert "names its change" in found["verdict"]


def test_a_moved_history_is_as_old_as_it_was_moved(day: Day) -> None:
    history = world(day, harm=0.0, noise=0.05)
    moved = moved_back(history, 7)
    policy, end = POLICIES["incident_rise"], day(DAYS + 20)
    real = training_rows(history, policy, as_of=end)
    placebo = training_rows(moved, policy, as_of=end - timedelta(days=7))
    assert real.changes["change_id"].tolist() == placebo.changes["change_id"].tolist()
    assert (real.start - placebo.start == 7 * instants.DAY).all()
