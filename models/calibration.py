"""Platt calibration: one straight line in log-odds, so that explanations stay additive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]

LEAST_POSITIVES = 20
"""With fewer failures in the calibration window only the level is moved, not the slope."""


@dataclass(frozen=True, kw_only=True)
class Platt:
    """``log-odds = slope * margin + intercept`` [1]_.

    .. [1] Platt (1999), "Probabilistic outputs for support vector machines".

    Parameters
    ----------
    slope, intercept : float
        Calibrated log-odds are ``slope * margin + intercept``.
    """

    slope: float
    intercept: float

    def log_odds(self, margin: Floats) -> Floats:
        """Calibrated log-odds of raw margins.

        Parameters
        ----------
        margin : ndarray, shape (n,)
            Raw margins of the trees, log-odds.
        """
        return self.slope * margin + self.intercept

    def probability(self, margin: Floats) -> Floats:
        """Calibrated probability of raw margins.

        Parameters
        ----------
        margin : ndarray, shape (n,)
            Raw margins of the trees, log-odds.
        """
        return np.asarray(expit(self.log_odds(margin)), np.float64)


def fit_platt(margin: Floats, failed: NDArray[np.bool_]) -> Platt:
    """The line that makes margins log-odds, by maximum likelihood.

    Parameters
    ----------
    margin : ndarray, shape (n,)
        Raw scores of a window the model was not fitted on.
    failed : ndarray of bool, shape (n,)
        What happened.

    Notes
    -----
    With fewer than ``LEAST_POSITIVES`` failures the slope stays 1 and the intercept alone is moved
    so that expected equals observed failures; with none at all nothing is moved. A slope that comes
    out negative would turn the ranking round: it is refused in favour of a moved intercept.
    """
    positives = int(failed.sum())
    if positives == 0 or positives == len(failed):
        return Platt(slope=1.0, intercept=0.0)
    if positives >= LEAST_POSITIVES:
        from sklearn.linear_model import LogisticRegression  # only those who fit pay for it

        line = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1_000)
        line.fit(margin[:, None], failed)
        slope = float(line.coef_[0, 0])
        if slope > 0:
            return Platt(slope=slope, intercept=float(line.intercept_[0]))
    return levelled(Platt(slope=1.0, intercept=0.0), margin, failed)


def levelled(platt: Platt, margin: Floats, failed: NDArray[np.bool_]) -> Platt:
    """The same slope, with the intercept at which a window's expected failures are its observed.

    An estimator fitted again with the calibration window included has learnt that window's level
    already; the intercept of the earlier one would count it twice. A window in which nothing or
    everything failed leaves the line as it is.

    Parameters
    ----------
    platt : Platt
        The line whose slope is kept.
    margin : ndarray, shape (n,)
        Raw margins of a window, log-odds.
    failed : ndarray of bool, shape (n,)
        What happened in it.
    """
    positives = int(failed.sum())
    if positives == 0 or positives == len(failed):
        return platt
    return Platt(slope=platt.slope, intercept=_level(platt.slope * margin, positives))


def _level(margin: Floats, positives: int) -> float:
    """The intercept at which the expected number of failures is the observed one."""
    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (low, middle) if expit(margin + middle).sum() > positives else (middle, high)
    return (low + high) / 2
