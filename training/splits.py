"""Splits in time: what could have been known when, and a gap wide enough for outcomes to ripen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """

    train: Mask
    calibrate: Mask
    learnt: Mask
    test: Mask
    calibrate_from: int
    test_from: int


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
        ordered = np.sort(times)
        test_from = self._newest(ordered, self.test_share)
        before = ordered[ordered < test_from - self.gap]
        calibrate_from = self._newest(before, self.calibration_share) if len(before) else test_from
        split = Split(
            train=times < calibrate_from - self.gap,
            calibrate=(times >= calibrate_from) & (times < test_from - self.gap),
            learnt=times < test_from - self.gap,
            test=times >= test_from,
            calibrate_from=calibrate_from,
            test_from=test_from,
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
