"""Splits in time: what could have been known when, and a gap wide enough for outcomes to ripen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.instants import NEVER
from training.config import TrainingError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of one fit, calibration and test.

    Parameters
    ----------
    train, calibrate, test : ndarray of bool, shape (n,)
        Rows of each part; nothing is in two.
    learnt : ndarray of bool, shape (n,)
        Everything before the gap before the test: what the calibrated estimator is fitted on again.
    calibrate_from, test_from : int
        First score time of each later part, microseconds. Labels used before it are those known by
        then.
    test_to : int or None
        Score time before which the test ends; None where it goes on to the end.
    left_out : int
        Earlier rows left out of what is learnt because they are related to a later part's.
    """

    train: Mask
    calibrate: Mask
    learnt: Mask
    test: Mask
    calibrate_from: int
    test_from: int
    test_to: int | None = None
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class TemporalSplit:
    """Train, then a gap, then calibrate, then a gap, then test, all in order of score time.

    ::

        train ............ | gap | calibrate ... | gap | test ...........
                                  ^calibrate_from       ^test_from

    Parameters
    ----------
    test_share, calibration_share : float
        Newest share of all rows, and newest share of what lies before the test.
    gap : int
        Microseconds between the parts: the label window and its settling time.
    """

    test_share: float
    calibration_share: float
    gap: int

    def split(self, times: Ints) -> Split:
        """Split rows by their score times.

        Raises
        ------
        TrainingError
            If a part would be empty.
        """
        return self.at(times, self._newest(np.sort(times), self.test_share))

    def at(self, times: Ints, test_from: int, test_to: int | None = None) -> Split:
        """Split rows at a given start of the test, which may end before the rows do.

        Raises
        ------
        TrainingError
            If a part would be empty.
        """
        ordered = np.sort(times)
        before = ordered[ordered < test_from - self.gap]
        calibrate_from = self._newest(before, self.calibration_share) if len(before) else test_from
        split = Split(
            train=times < calibrate_from - self.gap,
            calibrate=(times >= calibrate_from) & (times < test_from - self.gap),
            learnt=times < test_from - self.gap,
            test=(times >= test_from) & (times < (NEVER if test_to is None else test_to)),
            calibrate_from=calibrate_from,
            test_from=test_from,
            test_to=test_to,
        )
        for name in ("train", "calibrate", "test"):
            if not getattr(split, name).any():
                raise TrainingError(
                    f"no changes are left for the {name} part: the history is too short for a gap "
                    f"of {self.gap / 86_400e6:.0f} days between training, calibration and test"
                )
        return split

    @staticmethod
    def _newest(ordered: Ints, share: float) -> int:
        """The score time at which the newest share of the rows begins."""
        if len(ordered) == 0:
            raise TrainingError("there are no mature changes to train on")
        return int(ordered[min(int(len(ordered) * (1 - share)), len(ordered) - 1)])


@dataclass(frozen=True, kw_only=True)
class RollingOrigin:
    """Several tests one after another, each by a model that knew only what came before it [1]_.

    ::

        1  train ...... | gap | calibrate | gap | test ....
        2  train ................ | gap | calibrate | gap | test ....
        3  train .......................... | gap | calibrate | gap | test ....

    Parameters
    ----------
    folds : int
        Number of tests; they hold equally many changes.
    tested_share : float
        Newest share of all rows that the tests hold together.
    calibration_share : float
        Newest share of what lies before a test.
    gap : int
        Microseconds between the parts.

    References
    ----------
    .. [1] Tashman (2000), "Out-of-sample tests of forecasting accuracy", International Journal of
       Forecasting 16(4).
    """

    folds: int
    tested_share: float
    calibration_share: float
    gap: int

    def split(self, times: Ints) -> list[Split]:
        """One split a test, the earliest first.

        Raises
        ------
        TrainingError
            If a part of any of them would be empty.
        """
        if len(times) == 0:
            raise TrainingError("there are no mature changes to train on")
        ordered = np.sort(times)
        tested = ordered[int(len(ordered) * (1 - self.tested_share)) :]
        starts = [int(part[0]) for part in np.array_split(tested, self.folds) if len(part)]
        if len(set(starts)) < self.folds:
            raise TrainingError(
                f"{len(tested)} changes are too few for {self.folds} tests one after another; "
                "ask for fewer folds"
            )
        single = TemporalSplit(
            test_share=self.tested_share,
            calibration_share=self.calibration_share,
            gap=self.gap,
        )
        ends = [*starts[1:], None]
        return [single.at(times, start, end) for start, end in zip(starts, ends, strict=True)]
