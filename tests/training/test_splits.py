"""Splits in time: worked dates, and that no outcome reaches over a gap."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features import instants
from features.history import History
from features.instants import DAY
from features.policy import LabelPolicy
from training.config import TrainingConfig, TrainingError
from training.fit import _split
from training.rows import observed_until, training_rows
from training.splits import RollingOrigin, TemporalSplit

WEEK = TemporalSplit(test_share=0.2, calibration_share=0.15, gap=7 * DAY)


def test_worked_dates() -> None:
    """A change a day from day 0 to day 99, outcomes known after a week."""
    days = np.arange(100)
    split = WEEK.split(days * DAY)
    assert split.test_from == 80 * DAY  # the newest 20 of 100
    assert split.calibrate_from == 62 * DAY  # the newest 15 % of days 0 to 72
    assert days[split.test].tolist() == list(range(80, 100))
    assert days[split.calibrate].tolist() == list(range(62, 73))
    assert days[split.train].tolist() == list(range(55))
    assert days[split.learnt].tolist() == list(range(73))


def test_order_of_the_rows_does_not_matter() -> None:
    times = np.arange(100) * DAY
    shuffled = np.random.default_rng(0).permutation(100)
    straight, mixed = WEEK.split(times), WEEK.split(times[shuffled])
    for part in ("train", "calibrate", "learnt", "test"):
        assert np.array_equal(getattr(mixed, part), getattr(straight, part)[shuffled])


def test_changes_of_one_moment_stay_together() -> None:
    times = np.array([0] * 50 + [20] * 30 + [40] * 45) * DAY
    split = WEEK.split(times)
    assert split.test_from == 40 * DAY
    assert split.test.sum() == 45
    assert split.calibrate.sum() == 30
    assert split.train.sum() == 50


@given(
    times=st.lists(st.integers(0, 400), min_size=1, max_size=80),
    test_share=st.floats(0.05, 0.95),
    calibration_share=st.floats(0.05, 0.95),
    gap=st.integers(0, 60),
)
def test_no_outcome_reaches_into_the_next_part(
    times: list[int], test_share: float, calibration_share: float, gap: int
) -> None:
    at = np.array(times) * DAY
    splitter = TemporalSplit(
        test_share=test_share, calibration_share=calibration_share, gap=gap * DAY
    )
    try:
        split = splitter.split(at)
    except TrainingError:
        return
    assert (at[split.train] < split.calibrate_from - gap * DAY).all()
    assert (at[split.calibrate] >= split.calibrate_from).all()
    assert (at[split.calibrate] < split.test_from - gap * DAY).all()
    assert (at[split.test] >= split.test_from).all()
    together = split.train.astype(int) + split.calibrate + split.test
    assert together.max() == 1
    assert np.array_equal(split.learnt, at < split.test_from - gap * DAY)
    assert not (split.learnt & split.test).any()
    assert (split.learnt | ~(split.train | split.calibrate)).all()
    for part in (split.train, split.calibrate, split.test):
        assert part.any()


def test_rows_teach_only_what_had_ripened(history: History, policy: LabelPolicy) -> None:
    """The same again on a whole history, where changes are planned days after they are scored."""
    end = observed_until(history, policy)
    assert end is not None
    rows = training_rows(history, policy, as_of=end)
    usable = rows.taught & rows.decided(instants.to_micros(end))
    split = _split(rows, usable, policy, TrainingConfig())
    gap = policy.embargo // timedelta(microseconds=1)
    times = rows.table.as_of
    for part, following in (
        (split.train, split.calibrate_from),
        (split.calibrate, split.test_from),
        (split.learnt, split.test_from),
    ):
        assert part.any()
        assert (times[part] < following - gap).all()
        assert (rows.decided_at[part] <= following).all()
        assert (rows.start[part] + policy.window < following).all()
    assert (rows.decided_at[split.test] <= instants.to_micros(end)).all()
    later = rows.start > times + 14 * DAY
    assert (usable & later).any(), "no change of this history is planned far ahead"


@pytest.mark.parametrize("days", [[0, 1, 2, 3], [0, 1, 100], [0, 100, 101]])
def test_too_short(days: list[int]) -> None:
    """Nothing lies before the first gap, or the calibration takes what does."""
    splitter = TemporalSplit(test_share=0.3, calibration_share=0.5, gap=60 * DAY)
    message = "no changes are left for the train part: the history is too short for a gap of 60 day"
    with pytest.raises(TrainingError, match=message):
        splitter.split(np.array(days) * DAY)


def test_no_rows() -> None:
    with pytest.raises(TrainingError, match="there are no mature changes to train on"):
        WEEK.split(np.zeros(0, np.int64))


# several origins ---------------------------------------------------------------------------------

ROLLING = RollingOrigin(folds=4, tested_share=0.4, calibration_share=0.15, gap=7 * DAY)


def test_rolling_worked_dates() -> None:
    """A change a day from day 0 to day 199; the newest 80 in four tests of 20."""
    days = np.arange(200)
    splits = ROLLING.split(days * DAY)
    assert [split.test_from // DAY for split in splits] == [120, 140, 160, 180]
    assert [split.test_to and split.test_to // DAY for split in splits] == [140, 160, 180, None]
    assert [days[split.test].tolist() for split in splits] == [
        list(range(start, start + 20)) for start in (120, 140, 160, 180)
    ]
    assert [int(days[split.learnt].max()) for split in splits] == [112, 132, 152, 172]


@given(
    times=st.lists(st.integers(0, 600), min_size=12, max_size=80, unique=True),
    folds=st.integers(2, 6),
    gap=st.integers(0, 30),
)
def test_every_tested_row_is_tested_once_by_a_model_of_its_past(
    times: list[int], folds: int, gap: int
) -> None:
    at = np.array(times) * DAY
    splitter = RollingOrigin(folds=folds, tested_share=0.4, calibration_share=0.2, gap=gap * DAY)
    try:
        splits = splitter.split(at)
    except TrainingError:
        return
    assert len(splits) == folds
    tested = sum(split.test.astype(int) for split in splits)
    assert tested.max() == 1
    assert tested.sum() == len(at) - int(len(at) * 0.6)
    assert at[tested == 1].min() > at[tested == 0].max()
    for split in splits:
        assert (at[split.learnt] < split.test_from - gap * DAY).all()
        assert (at[split.test] >= split.test_from).all()


def test_too_few_for_so_many_folds() -> None:
    with pytest.raises(TrainingError, match="4 changes are too few for 6 tests one after another"):
        RollingOrigin(folds=6, tested_share=0.4, calibration_share=0.2, gap=0).split(
            np.arange(10) * DAY
        )
    with pytest.raises(TrainingError, match="there are no mature changes"):
        ROLLING.split(np.zeros(0, np.int64))
