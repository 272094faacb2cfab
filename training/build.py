"""The training table in Parquet: questions are written, answered some at a time, and written.

One function, :func:`answered`, turns questions into rows of the table. Every engine calls it; they
differ in where it runs, and in whether the questions went through a file before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features import instants
from features.catalogue import NAMES
from features.columns import Columns
from features.labels import outcomes
from features.mapped import batch_of, columns_of, schema_of
from features.progress import Progress, silent
from features.records import Change
from features.segment import Ints
from features.state import FeatureState
from features.table import Building
from training.rows import Spine

AT_ONCE = 25_000
"""Changes in a batch of questions."""

_MOMENT = pa.timestamp("us", tz="UTC")

_OUTCOME = [
    ("outcome", pa.string()),
    ("outcome_source", pa.string()),
    ("outcome_confidence", pa.float64()),
    ("outcome_known_at", _MOMENT),
    ("window_from", _MOMENT),
    ("decided_at", _MOMENT),
    ("taught", pa.bool_()),
]
"""What was known of a change in the end; the first four as in :func:`features.labels.label`."""

_OUTCOME_SCHEMA = pa.schema(_OUTCOME)

QUESTIONS = pa.schema([*schema_of(Change), pa.field("as_of", _MOMENT), *_OUTCOME_SCHEMA])
"""Columns of the questions: the record of a change, its moment and its outcome."""

TABLE = pa.schema(
    [
        ("change_id", pa.string()),
        ("as_of", _MOMENT),
        *((name, pa.float64()) for name in NAMES),
        *_OUTCOME,
    ]
)
"""The table's columns: the change, its moment, its features, and its outcome, which is no feature.

What is not known is null. ``taught`` and ``decided_at`` say which rows may be learnt from.
"""


@dataclass(frozen=True)
class Questions:
    """The rows a table is to have, by moment and change."""

    changes: Columns
    as_of: Ints
    outcomes: Any
    order: Any

    @classmethod
    def of(cls, spine: Spine, as_of: datetime) -> Questions:
        """The questions of a spine, with what was known of the outcomes at a moment."""
        found = outcomes(spine.verdicts, as_of)
        arrays = [
            pa.array(found["outcome"], pa.string(), from_pandas=True),
            pa.array(found["source"], pa.string(), from_pandas=True),
            pa.array(found["confidence"], pa.float64(), from_pandas=True),
            _moments(instants.series_to_micros(found["known_at"])),
            _moments(instants.series_to_micros(found["start"])),
            _moments(spine.verdicts.decided_at),
            pa.array(spine.taught),
        ]
        order = np.lexsort((spine.changes["change_id"].astype(str), spine.as_of))
        told = pa.record_batch(arrays, schema=_OUTCOME_SCHEMA)
        return cls(spine.changes, spine.as_of, told, order)

    def __len__(self) -> int:
        return len(self.order)

    def counts(self) -> dict[str, int]:
        """Changes by outcome."""
        known = Counter(self.outcomes.column("outcome").to_pylist())
        return {name: known[name] for name in ("caused", "clean", "undecided")}

    def parts(self) -> Iterator[tuple[Columns, Ints, Any]]:
        """Changes, their moments and their outcomes, some at a time."""
        changes = self.changes.take(self.order)
        for low in range(0, len(self), AT_ONCE):
            rows = self.order[low : low + AT_ONCE]
            told = self.outcomes.take(pa.array(rows))
            yield changes.part(low, low + AT_ONCE), self.as_of[rows], told

    def batches(self) -> Iterator[Any]:
        """The same as batches that can be written: records, each with its moment and outcome."""
        for changes, as_of, told in self.parts():
            arrays = [*batch_of(changes).columns, _moments(as_of), *told.columns]
            yield pa.record_batch(arrays, schema=QUESTIONS)

    def write(self, path: Path) -> None:
        """Write all of them to a new Parquet file."""
        with pq.ParquetWriter(path, QUESTIONS) as writer:
            for batch in self.batches():
                writer.write_batch(batch)


def _moments(micros: Ints) -> Any:
    """Moments as Arrow holds them; a missing one is null."""
    return pa.array(micros.astype("datetime64[us]"), _MOMENT)


def answered(changes: Columns, as_of: Ints, told: Any, building: Building) -> Any:
    """Rows of the table, for changes with their moments and a batch of what was known of each."""
    table = building.add(changes, as_of)
    # The features stand side by side in memory already; NaN becomes null.
    found = {
        name: pa.array(table.values[:, n], from_pandas=True) for n, name in enumerate(table.names)
    }
    found |= {"change_id": pa.array(table.change_ids, pa.string()), "as_of": _moments(as_of)}
    arrays = [
        found[field.name] if field.name in found else told.column(field.name).cast(field.type)
        for field in TABLE
    ]
    return pa.record_batch(arrays, schema=TABLE)


def answered_batch(questions: Any, building: Building) -> Any:
    """The same for a batch of questions as :meth:`Questions.batches` gives them."""
    as_of = questions.column("as_of").cast(pa.int64()).to_numpy()
    return answered(columns_of(Change, [questions]), as_of, questions, building)


def build_here(
    questions: Questions, state: FeatureState, out: Path, progress: Progress = silent
) -> None:
    """Build the table in this process, into one new Parquet file."""
    with drafted(out) as folder, _writer(folder / out.name) as writer:
        done, building = 0, Building(state, len(questions), support=False)
        progress("build", done, len(questions))
        for part in questions.parts():
            writer.write_batch(answered(*part, building))
            done += len(part[0])
            progress("build", done, len(questions))


def _writer(path: Path) -> Any:
    """A new file for the table; numbers without a dictionary, which takes half the time and a
    twentieth more room.
    """
    return pq.ParquetWriter(path, TABLE, use_dictionary=["outcome", "outcome_source"])


@contextmanager
def drafted(out: Path) -> Iterator[Path]:
    """A folder beside ``out``; what is written there under its name takes its place in the end.

    Whatever goes wrong, nothing half-written stays.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        yield folder
        (folder / out.name).rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
