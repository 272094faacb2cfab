"""Real data: what the model is worth where nobody here wrote the records."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.policy import policy_from
from features.sources import import_source
from features.store import Store
from training.fit import train

pytestmark = [pytest.mark.real, pytest.mark.slow]

NOW = datetime(2025, 6, 1, tzinfo=UTC)
REFERENCE = {"wikimedia-config": 0.649, "wikimedia-puppet": 0.679}
"""ROC AUC of a gradient boosting without text on the same files, from their description."""

LONGEST = 300.0
"""Seconds an import and a training may take together."""


@dataclass(frozen=True)
class Outcome:
    """A report and how long it took to get there."""

    report: dict[str, Any]
    seconds: float


def outcome(source: str, folder: str, tmp_path: Path) -> Outcome:
    """Import and train as `changerisk import` and `changerisk train` do."""
    chosen = os.environ.get("CHANGERISK_REAL_DATA")
    root = Path(chosen) if chosen else Path(__file__).parents[3] / "shared" / "data"
    if not (root / folder).is_dir():
        pytest.skip(f"no real data in {root / folder}; name its folder in CHANGERISK_REAL_DATA")
    began = time.monotonic()
    store = Store(f"sqlite:///{tmp_path / 'changerisk.db'}")
    import_source(store, source, root / folder, now=NOW, rejects=tmp_path / "rejected")
    report = train(
        store.load(),
        policy_from(**store.setting("label")),
        now=NOW,
        as_of=moment(store, "observed_until"),
        history_from=moment(store, "history_from"),
    ).report
    return Outcome(report, time.monotonic() - began)


def moment(store: Store, name: str) -> datetime | None:
    value = store.setting(name)
    return None if value is None else datetime.fromisoformat(value)


@pytest.mark.parametrize("source", REFERENCE)
def test_wikimedia(source: str, tmp_path: Path) -> None:
    found = outcome(source, "wikimedia", tmp_path)
    champion, test = found.report["models"]["champion"], found.report["test"]
    assert test["failures"] >= 200
    assert champion["roc_auc"] >= REFERENCE[source]
    assert champion["ece"] <= 0.02
    assert champion["roc_auc"] > found.report["models"]["item_rate"]["roc_auc"]
    (moved,) = found.report["placebo"]
    assert moved["question"] == "item_had_a_failure"
    assert 0 < moved["placebo_rate"] < 1
    assert 0 < moved["placebo_roc_auc"] < 1
    assert found.seconds <= LONGEST


def test_bpic14(tmp_path: Path) -> None:
    """No claim is made from it: the placebo has nearly the same rate, and is told."""
    found = outcome("bpic14", "bpic14", tmp_path)
    assert found.report["models"]["champion"]["roc_auc"] > 0.6
    (moved,) = found.report["placebo"]
    assert moved["question"] == "incidents_rose"
    assert 0.02 < moved["rate"] < 0.1
    assert moved["placebo_rate"] == pytest.approx(moved["rate"], rel=0.5)
    assert found.seconds <= LONGEST
