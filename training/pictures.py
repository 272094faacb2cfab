"""The splits of an evaluation as text and as a picture, and the pictures kept with its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from features import instants
from models.palette import BLUE, COLOURS, VERMILION
from training import plots
from training.splits import Split
from training.views import View

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

WIDTH = 72
"""Characters of a split's line."""

MARKS = {"train": "=", "calibrate": "c", "test": "t"}
SHADES, HATCHES = (BLUE, COLOURS[4], VERMILION), ("", "//", "..")
"""Of the parts, in their order."""


def text_picture(splits: Sequence[Split], times: Ints, width: int = WIDTH) -> list[str]:
    """The splits as lines of characters, one a test window.

    ``=`` learnt, ``c`` calibrated on (and then learnt), ``t`` tested, ``.`` left out: the gaps, and
    what lies after the test.

    Examples
    --------
    >>> day = 86_400_000_000
    >>> times = np.arange(100) * day
    >>> split = Split(
    ...     train=times < 50 * day,
    ...     calibrate=(times >= 60 * day) & (times < 70 * day),
    ...     learnt=times < 70 * day,
    ...     test=times >= 80 * day,
    ...     calibrate_from=60 * day,
    ...     test_from=80 * day,
    ... )
    >>> text_picture([split], times, width=10)[0]
    '1  =====.c.tt'
    """
    used = np.concatenate([times[split.learnt | split.test] for split in splits])
    first, last = int(used.min()), int(used.max())
    cell = (width * (times - first) // max(last - first + 1, 1)).astype(np.int64)
    found = []
    for number, split in enumerate(splits, 1):
        line = np.full(width, ".")
        for name, mark in MARKS.items():
            line[np.unique(cell[getattr(split, name)])] = mark
        found.append(f"{number}  {''.join(line.tolist())}")
    begin, end = (_day(moment) for moment in (first, last))
    return [*found, f"   {begin}{end:>{width - len(begin)}}"]


def _day(micros: int) -> str:
    moment = instants.from_micros(micros)
    return "" if moment is None else f"{moment:%Y-%m-%d}"


def save_pictures(
    folder: Path,
    splits: Sequence[Split],
    times: Ints,
    said: Floats,
    failed: Mask,
    months: Sequence[Mapping[str, Any]],
) -> list[Path]:
    """Draw the splits, the reliability of the probabilities and the months into a folder.

    Returns
    -------
    list of Path
        The files written: ``splits.svg``, ``reliability.svg`` and ``months.svg``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    views = {
        "splits.svg": parts(splits, times),
        "reliability.svg": plots.reliability(said, failed),
        "months.svg": plots.months(months),
    }
    return [view.save(folder / name) for name, view in views.items()]


def parts(splits: Sequence[Split], times: Ints) -> View:
    """What each model learnt from, was calibrated on and tested on.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Score times of all rows, microseconds.
    """
    rows = []
    for number, split in enumerate(splits, 1):
        for name in MARKS:
            inside = times[getattr(split, name)]
            if len(inside):
                ends = np.array([inside.min(), inside.max()]).astype("datetime64[us]")
                rows.append((number, name, *ends, len(inside)))
    frame = pd.DataFrame(rows, columns=["window", "part", "from", "to", "changes"])

    def draw(axes: Axes) -> None:
        for (name, part), colour, hatch in zip(
            frame.groupby("part", sort=False), SHADES, HATCHES, strict=False
        ):
            begin, end = (mdates.date2num(part[end].to_numpy()) for end in ("from", "to"))  # type: ignore[no-untyped-call]
            axes.barh(
                part["window"], end - begin, left=begin, height=0.6,
                color=colour, hatch=hatch, edgecolor="white", label=name,
            )  # fmt: skip
        axes.xaxis_date()
        axes.invert_yaxis()
        axes.set_yticks(range(1, len(splits) + 1))
        axes.set_ylabel("test window")
        axes.legend(loc="lower left", fontsize=8)

    title = "What each model learnt from, was calibrated on and tested on"
    return View(title=title, frame=frame, draw=draw, size=(8, 3.4))
