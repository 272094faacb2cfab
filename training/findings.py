"""What an auditor is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.figures import Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not_applicable"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What an audit found.

    Parameters
    ----------
    code : str
    outcome : str
        ``passed``, ``failed`` or ``not_applicable``.
    figure : float or None
        The number the outcome rests on.
    sentence : str
    details : mapping
        What to look at, for those who want to.
    """

    code: str
    outcome: str
    figure: float | None
    sentence: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Changes of one part of a split, as they were used.

    Parameters
    ----------
    ids : sequence of str
    times : ndarray of int64
        Score times, microseconds.
    windows_end : ndarray of int64
        When each change's label window closed.
    tickets : sequence of sequence of str
        References each change names.
    """

    ids: Sequence[str]
    times: Ints
    windows_end: Ints
    tickets: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything an evaluation hands down to its auditors; None for what it does not have.

    Parameters
    ----------
    learnt, tested : sequence of Part
        One each a test window.
    gap : int
        The embargo claimed, microseconds.
    columns : sequence of str
        Features the model sees.
    values : ndarray, shape (n, len(columns)) and failed : ndarray of bool, shape (n,)
        What the last model learnt from.
    gain : mapping
        Gain over the best baseline, as :func:`training.evaluate.best_gain` gives it.
    said : ndarray and window : Window
        Probabilities of all test changes, and what followed.
    calibrated, latest : ndarray
        Probabilities of the last model in its calibration window and in its test window.
    groups : mapping of str to ndarray of str
        Names of the groups of every test change, by kind of group.
    coverage : mapping of str to (incidents, linked incidents)
        By team.
    stability : mapping
        ``top_overlap`` and ``factor_jaccard`` over retrains.
    """

    learnt: Sequence[Part] = ()
    tested: Sequence[Part] = ()
    gap: int = 0
    columns: Sequence[str] = ()
    values: Floats | None = None
    failed: Mask | None = None
    gain: Mapping[str, Any] | None = None
    said: Floats | None = None
    window: Window | None = None
    calibrated: Floats | None = None
    latest: Floats | None = None
    groups: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    coverage: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    stability: Mapping[str, float] | None = None
