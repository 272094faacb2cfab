"""The training table against a service that lived through it: ten thousand rows, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest

from features import instants
from features.history import History
from features.policy import POLICIES
from features.records import Record
from features.saved import load, save
from features.state import FeatureState
from features.synthetic import organisation
from features.table import build
from training.rows import training_rows

UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
POLICY = POLICIES["incident"]
RESTARTS = 8


class Lived:
    """A state that hears of each fact when it became known, and is started anew now and then."""

    def __init__(self, records: Sequence[Record], folder: Path) -> None:
        self._times = [instants.to_micros(one.known_at) for one in records]
        self._records, self._folder, self._heard = records, folder, 0
        self.state = FeatureState(History.from_records([]), POLICY)

    def hear(self, moment: int) -> None:
        """Take in what became known before a moment."""
        first = self._heard
        self._heard += sum(1 for _ in takewhile(lambda at: at < moment, self._times[first:]))
        if self._heard > first:
            self.state.extended(History.from_records(self._records[first : self._heard]))

    def restart(self) -> None:
        """Go on from an index on disk, as a worker does."""
        heard = History.from_records(self._records[: self._heard])
        state = FeatureState(heard, POLICY).prepare()
        place = save(state, self._folder / str(self._heard), "test")
        self.state = load(place, POLICY, lambda _: "test")


@pytest.mark.slow
def test_ten_thousand_rows_alone_as_facts_come_in_are_those_of_the_table(tmp_path: Path) -> None:
    records = organisation(seed=11, until=UNTIL, changes=12_000, days=700).records
    table = training_rows(History.from_records(records), POLICY, as_of=UNTIL)
    as_of, values = table.table.as_of, table.table.values
    chosen = np.random.default_rng(11).choice(len(as_of), 10_000, replace=False)
    chosen = chosen[np.argsort(as_of[chosen], kind="stable")]
    lived = Lived(records, tmp_path)
    for part in np.array_split(chosen, RESTARTS):
        for row in part.tolist():
            lived.hear(int(as_of[row]))
            alone = build(table.changes.take(np.array([row])), as_of[row : row + 1], lived.state)
            assert alone.values.tobytes() == values[row : row + 1].tobytes(), row
        lived.restart()
