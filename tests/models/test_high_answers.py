"""What every high answer carries, on the synthetic organisation and on real histories."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.sources import import_source
from features.store import Store
from models.bundle import RiskModel
from models.registry import Registered
from tests.benchmarks.real_explanations import (
    Trained,
    carried,
    high_answers,
    largest_gap,
    trained,
    wrong_words,
)
from training.rows import TrainingRows

FAULTS = ("silent or wrong about it", "too many factors", "factors that do not add up")


def check(made: Trained, least: int) -> None:
    """Every high answer of the newest changes; nothing of the records is shown where it fails."""
    assert largest_gap(made) <= 1e-9
    seen: Counter[str] = Counter()
    for record, answer in high_answers(made):
        seen.update(("answers", *carried(answer)))
        seen["wrong sentences"] += wrong_words(record, answer)
    assert seen["answers"] >= least
    assert {fault: seen[fault] for fault in (*FAULTS, "wrong sentences") if seen[fault]} == {}


def test_of_the_synthetic_organisation(model: RiskModel, rows: TrainingRows) -> None:
    check(Trained(Registered(model=model, name="test", version="1"), rows), least=10)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("source", ["bpic14", "wikimedia-config", "wikimedia-puppet"])
def test_of_a_real_history(source: str, tmp_path: Path) -> None:
    chosen = os.environ.get("CHANGERISK_REAL_DATA")
    root = Path(chosen) if chosen else Path(__file__).parents[3] / "shared" / "data"
    folder = root / source.partition("-")[0]
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; name its folder in CHANGERISK_REAL_DATA")
    store = Store(f"sqlite:///{tmp_path / 'history.db'}")
    now = datetime(2026, 11, 22, tzinfo=UTC)
    import_source(store, source, folder, now=now, rejects=tmp_path / "rejected")
    check(trained(store), least=100)
