"""The table on disk: the rows of the training, whole or not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from features import instants
from features.catalogue import NAMES
from features.history import History
from features.labels import label
from features.policy import POLICIES
from features.state import FeatureState
from features.synthetic import organisation
from training import build
from training.build import TABLE, Questions, build_here
from training.rows import Spine, spine, training_rows

UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
POLICY = POLICIES["incident"]


@pytest.fixture(scope="module")
def facts() -> History:
    made = organisation(seed=5, until=UNTIL, changes=300, days=200)
    return History.from_records(made.records)


@pytest.fixture(scope="module")
def asked(facts: History) -> Spine:
    return spine(facts, POLICY, as_of=UNTIL)


@pytest.fixture(scope="module")
def state(asked: Spine) -> FeatureState:
    return FeatureState(asked.known, POLICY)


def test_the_file_holds_the_rows_of_the_training_and_what_was_known_of_them(
    facts: History, asked: Spine, state: FeatureState, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "table.parquet"
    build_here(Questions.of(asked, UNTIL), state, out)
    table = pq.read_table(out)
    assert table.schema.equals(TABLE)
    rows = training_rows(facts, POLICY, as_of=UNTIL)
    change_ids = rows.changes["change_id"]
    order = np.lexsort((change_ids.astype(str), rows.table.as_of))
    assert table["change_id"].to_pylist() == change_ids[order].tolist()
    times = [instants.to_micros(moment) for moment in table["as_of"].to_pylist()]
    assert times == rows.table.as_of[order].tolist()
    values = np.column_stack([table[name].to_numpy() for name in NAMES])
    assert np.array_equal(values, rows.table.values[order], equal_nan=True)
    assert table["taught"].to_pylist() == rows.taught[order].tolist()
    known = label(facts, POLICY, as_of=UNTIL).iloc[order]
    assert table["outcome"].to_pylist() == known["outcome"].tolist()
    assert table["outcome_source"].to_pylist() == known["source"].tolist()
    assert set(known["outcome"]) == {"caused", "clean", "undecided"}
    undecided = np.array(table["outcome"].to_pylist()) == "undecided"
    assert table["outcome_known_at"].is_null().to_numpy().tolist() == undecided.tolist()


@pytest.mark.parametrize("at_once", [37, 300])
def test_how_many_are_asked_at_once_does_not_matter(
    asked: Spine,
    state: FeatureState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_once: int,
) -> None:
    told: list[tuple[str, int, int | None]] = []
    questions = Questions.of(asked, UNTIL)
    build_here(questions, state, tmp_path / "whole.parquet")
    monkeypatch.setattr(build, "AT_ONCE", at_once)
    build_here(questions, state, tmp_path / "parts.parquet", lambda *said: told.append(said))
    whole, parts = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("whole", "parts"))
    assert whole.equals(parts)
    assert told[0] == ("build", 0, len(questions))
    assert told[-1] == ("build", len(questions), len(questions))


def test_nothing_half_written_stays(
    asked: Spine, state: FeatureState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "AT_ONCE", 100)
    once = iter([True])

    def full(*part: Any) -> object:
        if next(once, False):
            return build_answer(*part)
        raise OSError("no space left")

    build_answer = build.answered
    monkeypatch.setattr(build, "answered", full)
    with pytest.raises(OSError, match="no space left"):
        build_here(Questions.of(asked, UNTIL), state, tmp_path / "table.parquet")
    assert list(tmp_path.iterdir()) == []


def test_a_history_without_changes_gives_a_table_without_rows(tmp_path: Path) -> None:
    nothing = spine(History.from_records([]), POLICY, as_of=UNTIL)
    questions = Questions.of(nothing, UNTIL)
    build_here(questions, FeatureState(nothing.known, POLICY), tmp_path / "table.parquet")
    assert pq.read_table(tmp_path / "table.parquet").shape == (0, len(TABLE))
    assert questions.counts() == {"caused": 0, "clean": 0, "undecided": 0}


def test_the_place_counts(asked: Spine, tmp_path: Path) -> None:
    from features.place import Place

    somewhere = asked.known.placed(Place(country="DE", timezone="Europe/Berlin"))
    there = replace(asked, known=somewhere)
    out = tmp_path / "table.parquet"
    build_here(Questions.of(there, UNTIL), FeatureState(somewhere, POLICY), out)
    assert pq.read_table(out)["local_start_hour"].null_count < len(there.changes)
