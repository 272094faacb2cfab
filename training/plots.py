"""Pictures of a model and its data; readable in grey print and by the colour-blind.

Colours are those of Okabe and Ito [1]_; lines differ in their dashes too, never in colour alone.

.. [1] Okabe and Ito (2008), *Color Universal Design*.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.stats import beta

from features.instants import DAY
from training.metrics import recall_at
from training.views import View

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", "-.", ":")
GREY = "#78828a"

BUDGETS = np.linspace(0, 1, 101)
"""Shares of the changes read, for the curve of what is caught."""


def reliability(probability: Floats, failed: Mask, bins: int = 10) -> View:
    """Said against seen, in bins of equal size, with exact 95 % intervals (Clopper-Pearson)."""
    order = np.argsort(probability, kind="stable")
    rows = []
    for part in np.array_split(order, min(bins, len(order))):
        seen, count = int(failed[part].sum()), len(part)
        low = beta.ppf(0.025, seen, count - seen + 1) if seen else 0.0
        high = beta.ppf(0.975, seen + 1, count - seen) if seen < count else 1.0
        rows.append((float(probability[part].mean()), seen / count, low, high, count))
    frame = pd.DataFrame(rows, columns=["said", "seen", "low", "high", "changes"])

    def draw(axes: Axes) -> None:
        top = float(max(frame["high"].max(), frame["said"].max())) * 1.05
        axes.plot([0, top], [0, top], color=GREY, linewidth=1, label="said = seen")
        gaps = [frame["seen"] - frame["low"], frame["high"] - frame["seen"]]
        axes.errorbar(frame["said"], frame["seen"], yerr=gaps, fmt="o", color=COLOURS[0], capsize=2)
        axes.set_xlabel("probability said")
        axes.set_ylabel("share that failed")
        axes.legend(frameon=False)

    note = "Points on the line: the numbers can be taken at their word."
    return View(title="Reliability", frame=frame, note=note, draw=draw)


def gain(said: Mapping[str, Floats], failed: Mask) -> View:
    """Share of the failures among the riskiest share of the changes, for each way of ranking."""
    frame = pd.DataFrame(
        {
            name: [recall_at(score, failed, float(share)) or 0.0 for share in BUDGETS]
            for name, score in said.items()
        },
        index=pd.Index(BUDGETS, name="share read"),
    )

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        for name, colour, dash in zip(frame, cycle(COLOURS), cycle(DASHES), strict=False):
            axes.plot(
                frame.index, frame[name], dash, color=colour, label=str(name).replace("_", " ")
            )
        axes.set_xlabel("share of the changes somebody reads")
        axes.set_ylabel("share of the failures among them")
        axes.legend(frameon=False, fontsize=8)

    note = "How many failures a board sees that reads the riskiest share; grey: chance."
    return View(title="Gain at review budget", frame=frame, note=note, draw=draw)


def over_time(times: Ints, probability: Floats, failed: Mask) -> View:
    """Failures expected and seen by month of the score."""
    months = times.astype("datetime64[us]").astype("datetime64[M]")
    frame = (
        pd.DataFrame({"month": months.astype(str), "expected": probability, "seen": failed})
        .groupby("month")
        .agg(changes=("seen", "size"), expected=("expected", "sum"), seen=("seen", "sum"))
    )

    def draw(axes: Axes) -> None:
        places = np.arange(len(frame))
        axes.bar(places, frame["seen"], color="#c9ced3", label="seen")
        axes.plot(places, frame["expected"], "o-", color=COLOURS[0], label="expected")
        step = max(1, len(frame) // 8)
        axes.set_xticks(places[::step], frame.index[::step], rotation=30, ha="right")
        axes.set_ylabel("failures")
        axes.legend(frameon=False)

    note = "Where the line leaves the bars for months on end, the level has drifted."
    return View(title="Expected and seen, by month", frame=frame, note=note, draw=draw)


def arrival(delays: Ints, within: tuple[int, ...] = (1, 3, 7, 14, 30)) -> View:
    """Share of the links that had arrived some days after their incident.

    Parameters
    ----------
    delays : ndarray of int64
        From the incident to the moment its link became known, microseconds.
    """
    days = np.sort(delays) / DAY
    share = [float((days <= limit).mean()) if len(days) else np.nan for limit in within]
    frame = pd.DataFrame({"share arrived": share}, index=pd.Index(within, name="within days"))

    def draw(axes: Axes) -> None:
        if len(days):
            axes.step(days, np.arange(1, len(days) + 1) / len(days), color=COLOURS[0])
        axes.set_xlim(0, within[-1])
        axes.set_ylim(0, 1)
        axes.set_xlabel("days after the incident opened")
        axes.set_ylabel("share of the links known")

    note = "The settling time of the label must leave room for most of them."
    return View(title="Arrival of links", frame=frame, note=note, draw=draw)


def bars(title: str, values: Mapping[str, float], *, unit: str, note: str) -> View:
    """A bar for each name, the largest on top."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    frame = pd.DataFrame({unit: [v for _, v in ordered]}, index=[name for name, _ in ordered])

    def draw(axes: Axes) -> None:
        shown = frame.iloc[:15][::-1]
        axes.barh(shown.index, shown[unit], color=COLOURS[0])
        axes.set_xlabel(unit)

    return View(title=title, frame=frame, note=note, draw=draw)
