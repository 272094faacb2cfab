"""Pictures of an evaluation: the splits as text and as a figure, calibration and months."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from features import instants
from training.splits import Split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

WIDTH = 72
"""Characters of a split's line."""

MARKS = {"train": "=", "calibrate": "c", "test": "t"}
COLOURS = {"train": "#4477aa", "calibrate": "#ccbb44", "test": "#ee6677"}
"""Told apart by people who see few colours [1]_.

.. [1] Tol (2021), "Colour schemes", SRON technical note 09-002.
"""


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
    drawn = {
        "splits.svg": lambda axes: _splits(axes, splits, times),
        "reliability.svg": lambda axes: _reliability(axes, said, failed),
        "months.svg": lambda axes: _months(axes, months),
    }
    written = []
    for name, draw in drawn.items():
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        draw(figure.add_subplot())  # type: ignore[no-untyped-call]
        # Without a date and with fixed ids the same evaluation gives the same bytes.
        with rc_context({"svg.hashsalt": "change-risk"}):
            figure.savefig(folder / name, metadata={"Date": None})
        written.append(folder / name)
    return written


def _splits(axes: Axes, splits: Sequence[Split], times: Ints) -> None:
    for number, split in enumerate(splits, 1):
        for name, colour in COLOURS.items():
            inside = times[getattr(split, name)]
            if len(inside) == 0:
                continue
            ends = np.array([inside.min(), inside.max()]).astype("datetime64[us]")
            begin, end = mdates.date2num(ends)  # type: ignore[no-untyped-call]
            axes.barh(number, end - begin, left=begin, height=0.6, color=colour, label=name)
    axes.xaxis_date()
    axes.invert_yaxis()
    axes.set_yticks(range(1, len(splits) + 1))
    axes.set_ylabel("test window")
    axes.set_title("What each model learnt from, was calibrated on and tested on")
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    axes.legend(list(once.values()), list(once), loc="lower left")


def _reliability(axes: Axes, said: Floats, failed: Mask, bins: int = 10) -> None:
    parts = np.array_split(np.argsort(said, kind="stable"), min(bins, len(said)))
    means = np.array([said[part].mean() for part in parts])
    seen = np.array([failed[part].mean() for part in parts])
    spread = np.sqrt(seen * (1 - seen) / [len(part) for part in parts])
    axes.errorbar(means, seen, yerr=1.96 * spread, fmt="o", color=COLOURS["train"])
    top = float(max(means.max(), seen.max())) * 1.1
    axes.plot([0, top], [0, top], color="#888888", linewidth=1)
    axes.set_xlabel("probability said (tenths of the changes)")
    axes.set_ylabel("share that failed")
    axes.set_title("Reliability")


def _months(axes: Axes, months: Sequence[Mapping[str, Any]]) -> None:
    shown = [month for month in months if month["ratio"]["value"] is not None]
    ratio = np.array([month["ratio"]["value"] for month in shown])
    low = ratio - np.array([month["ratio"]["low"] for month in shown])
    high = np.array([month["ratio"]["high"] for month in shown]) - ratio
    at = np.arange(len(shown))
    axes.errorbar(at, ratio, yerr=[low, high], fmt="o", color=COLOURS["train"])
    axes.axhline(1.0, color="#888888", linewidth=1)
    axes.set_ylim(0, float(min(max((ratio + high).max(initial=2.0), 2.0), 4.0)))
    step = max(1, len(shown) // 12)
    axes.set_xticks(at[::step], [month["month"] for month in shown[::step]], rotation=45)
    axes.set_ylabel("observed / expected")
    axes.set_title("Failures by month, with exact 95 % intervals")
