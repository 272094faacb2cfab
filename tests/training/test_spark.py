"""On Apache Spark in local mode: the same table, or a sentence and nothing."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.history import History
from features.place import Place
from features.policy import POLICIES
from features.state import FeatureState
from features.synthetic import organisation
from training import spark
from training.build import Questions, build_here
from training.rows import spine

UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
POLICY = POLICIES["incident"]

pytestmark = pytest.mark.spark

Asked = tuple[Questions, FeatureState]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    try:
        spark.ready()
    except spark.SparkMissingError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def asked() -> Asked:
    made = organisation(seed=3, until=UNTIL, changes=300, days=200)
    facts = History.from_records(made.records)
    facts = facts.placed(Place(country="DE", timezone="Europe/Berlin"))
    rows = spine(facts, POLICY, as_of=UNTIL)
    return Questions.of(rows, UNTIL), FeatureState(rows.known, POLICY)


def test_both_engines_write_the_same_table(asked: Asked, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    here, there = tmp_path / "here.parquet", tmp_path / "there with a space.parquet"
    build_here(*asked, here)
    spark.build_there(
        *asked, there, master="local[2]", partitions=3, progress=lambda *said: told.append(said)
    )
    parts = sorted(there.glob("part-*.parquet"))
    assert len(parts) == 3
    assert all(pq.read_metadata(part).num_rows > 30 for part in parts), "each task has had its part"
    left, right = pq.read_table(here), pq.read_table(there)
    assert left.schema.equals(right.schema)
    assert left.num_rows == len(asked[0])
    assert left.equals(right), "rows, their order, every bit of every value, and what is null"
    assert told[-1] == ("build", 3, 3)
    assert {path.name for path in tmp_path.iterdir()} == {here.name, there.name}


def test_an_error_in_a_task_is_said_and_leaves_nothing(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tasks, in processes of their own, expect the index of a build.
    monkeypatch.setattr(spark, "_MADE_FOR", "something else")
    with pytest.raises(spark.SparkFailedError) as failed:
        spark.build_there(*asked, tmp_path / "table.parquet", master="local[2]", partitions=2)
    said = str(failed.value)
    assert "SavedStateError: it was made from another history" in said
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == []
