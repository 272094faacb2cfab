"""Pictures of a model and what it was worth; readable in grey print and by the colour-blind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy.stats import beta

from models.palette import BLUE, COLOURS, DASHES, GREY, PALE, VERMILION
from training.distributions import CHANGED, SHIFTED
from training.metrics import recall_at
from training.views import View

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

BUDGETS = np.linspace(0, 1, 101)
"""Shares of the changes read, for the curve of what is caught."""


MOST_BARS = 15
"""Bars shown of a longer list."""

DOTS = 400
"""Changes drawn of each factor group."""


def reliability(probability: Floats, failed: Mask, bins: int = 10) -> View:
    """Said against seen, in bins of equal size, with exact 95 % intervals (Clopper-Pearson).

    Parameters
    ----------
    probability : ndarray, shape (n,)
        What was said of each change, 0 to 1.
    failed : ndarray of bool, shape (n,)
        What happened.
    bins : int
        Number of bins.
    """
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
        axes.errorbar(frame["said"], frame["seen"], yerr=gaps, fmt="o", color=BLUE, capsize=2)
        axes.set_xlabel("probability said (mean of a bin)")
        axes.set_ylabel("share that failed")
        axes.legend(frameon=False)

    note = "Points on the line: the numbers can be taken at their word."
    return View(title="Reliability", frame=frame, note=note, draw=draw)


def gain(said: Mapping[str, Floats], failed: Mask, budget: float | None = None) -> View:
    """Share of the failures among the riskiest share of the changes, for each way of ranking.

    Parameters
    ----------
    said : mapping of str to ndarray, shape (n,)
        Scores by the name of who gave them, the model's first.
    failed : ndarray of bool, shape (n,)
        What happened.
    budget : float, optional
        Share of the changes a board reads, 0 to 1; marked in the picture.
    """
    frame = pd.DataFrame(
        {
            name: [recall_at(score, failed, float(share)) or 0.0 for share in BUDGETS]
            for name, score in said.items()
        },
        index=pd.Index(BUDGETS, name="share read"),
    )
    first = next(iter(said))
    note = "How many failures a board sees that reads the riskiest share; grey: chance."
    if budget is not None:
        caught = float(np.interp(budget, BUDGETS, frame[first]))
        note += f" With a budget of {budget:.0%} it sees {caught:.0%} of them."

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
        for name, colour, dash in zip(frame, cycle(COLOURS), cycle(DASHES), strict=False):
            axes.plot(frame.index, frame[name], dash, color=colour, label=str(name))
        if budget is not None:
            axes.axvline(budget, color=GREY, linewidth=1, linestyle=":")
            axes.annotate(" review budget", (budget, 0.0), color=GREY, fontsize=8)
        axes.set_xlabel("share of the changes somebody reads")
        axes.set_ylabel("share of the failures among them")
        axes.legend(frameon=False, fontsize=8)

    return View(title="Gain at review budget", frame=frame, note=note, draw=draw)


def windows(splits: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> View:
    """ROC AUC of every test window with its 95 % interval: the performance over time.

    Parameters
    ----------
    splits : sequence of mapping
        ``splits`` of an evaluation's report.
    names : mapping of str to str
        The rankings to show and how they are called, the model's first.
    """
    rows = []
    for split in splits:
        row: dict[str, Any] = {"from": split["test_from"][:10], "to": split["test_to"][:10]}
        row |= {"changes": split["rows"], "failures": split["positives"]}
        for name, words in names.items():
            found = split["models"][name]["roc_auc"]
            row |= {words: found["value"], f"{words} low": found["low"]}
            row[f"{words} high"] = found["high"]
        rows.append(row)
    frame = pd.DataFrame(rows)

    def draw(axes: Axes) -> None:
        places = np.arange(len(frame))
        apart = 0.12 * (np.arange(len(names)) - (len(names) - 1) / 2)
        for words, shift, colour, mark in zip(
            names.values(), apart, COLOURS, "os^Dv", strict=False
        ):
            middle = frame[words].to_numpy(np.float64)
            gaps = [
                middle - frame[f"{words} low"].to_numpy(np.float64),
                frame[f"{words} high"].to_numpy(np.float64) - middle,
            ]
            axes.errorbar(
                places + shift, middle, yerr=gaps, fmt=mark, color=colour, capsize=2, label=words
            )
        axes.axhline(0.5, color=GREY, linewidth=1)
        axes.set_xticks(places, frame["from"] + "\nto " + frame["to"], fontsize=8)
        axes.set_ylabel("ROC AUC")
        axes.legend(frameon=False, fontsize=8)

    note = (
        "Each window was scored by a model that learnt only from what was known before it. A model "
        "that falls from window to window is wearing out; grey: chance."
    )
    return View(title="Performance over time", frame=frame, note=note, draw=draw)


def over_time(times: Ints, probability: Floats, failed: Mask) -> View:
    """Failures expected and seen by month of the score.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Score times, microseconds.
    probability : ndarray, shape (n,)
        What was said, 0 to 1.
    failed : ndarray of bool, shape (n,)
        What happened.
    """
    months = times.astype("datetime64[us]").astype("datetime64[M]")
    frame = (
        pd.DataFrame({"month": months.astype(str), "expected": probability, "seen": failed})
        .groupby("month")
        .agg(changes=("seen", "size"), expected=("expected", "sum"), seen=("seen", "sum"))
    )

    def draw(axes: Axes) -> None:
        places = np.arange(len(frame))
        axes.bar(places, frame["seen"], color=PALE, label="seen")
        axes.plot(places, frame["expected"], "o-", color=BLUE, label="expected")
        step = max(1, len(frame) // 8)
        axes.set_xticks(places[::step], frame.index[::step], rotation=30, ha="right")
        axes.set_ylabel("failures")
        axes.legend(frameon=False)

    note = "Where the line leaves the bars for months on end, the level has drifted."
    return View(title="Expected and seen, by month", frame=frame, note=note, draw=draw)


def months(found: Sequence[Mapping[str, Any]]) -> View:
    """Failures seen for each one expected, by month, with exact 95 % intervals.

    Parameters
    ----------
    found : sequence of mapping
        As :func:`training.figures.by_month` gives them: ``month`` and ``ratio`` with its interval.
    """
    shown = [month for month in found if month["ratio"]["value"] is not None]
    frame = pd.DataFrame([month["ratio"] for month in shown], columns=["value", "low", "high"])
    frame.index = pd.Index([month["month"] for month in shown], name="month")

    def draw(axes: Axes) -> None:
        at = np.arange(len(frame))
        gaps = [frame["value"] - frame["low"], frame["high"] - frame["value"]]
        axes.errorbar(at, frame["value"], yerr=gaps, fmt="o", color=BLUE, capsize=2)
        axes.axhline(1.0, color=GREY, linewidth=1)
        axes.set_ylim(0, float(min(max(frame["high"].max() if len(frame) else 2.0, 2.0), 4.0)))
        step = max(1, len(frame) // 12)
        axes.set_xticks(at[::step], frame.index[::step], rotation=45)
        axes.set_ylabel("observed / expected")

    note = "On the line as many came as were expected."
    return View(title="Failures by month, exact 95 % intervals", frame=frame, note=note, draw=draw)


def summary(names: Sequence[str], parts: Floats, order: Sequence[str]) -> View:
    """What each factor group adds to the scores of many changes: a dot a change.

    Parameters
    ----------
    names : sequence of str, length g
        The groups in words.
    parts : ndarray, shape (n, g)
        Shapley values of the groups, log-odds.
    order : sequence of str
        The groups in words, strongest first.
    """
    columns = {name: parts[:, list(names).index(name)] for name in order}
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    frame = pd.DataFrame(
        {name: [np.abs(one).mean(), *np.quantile(one, shares)] for name, one in columns.items()},
        index=["mean absolute", *(f"{share:.0%}" for share in shares)],
    ).T

    def draw(axes: Axes) -> None:
        shown = list(order)[:MOST_BARS][::-1]
        rng = np.random.default_rng(0)
        chosen = rng.permutation(len(parts))[:DOTS]
        axes.axvline(0, color=GREY, linewidth=1)
        for place, name in enumerate(shown):
            dots = columns[name][chosen]
            height = place + rng.uniform(-0.3, 0.3, len(dots))
            colour = np.where(dots > 0, VERMILION, BLUE)
            axes.scatter(dots, height, s=4, c=colour, alpha=0.35, linewidths=0, rasterized=True)
        axes.set_yticks(range(len(shown)), shown)
        axes.set_xlabel("part in the score, log-odds")

    note = (
        f"A dot is a change ({DOTS} are drawn); groups that move scores most are on top. What the "
        "model saw, not what causes incidents. Columns: quantiles over all changes, log-odds."
    )
    size = (9.0, 0.32 * min(len(order), MOST_BARS) + 1.2)
    return View(title="What moves the score", frame=frame, note=note, draw=draw, size=size)


def drift(features: Sequence[Mapping[str, Any]], score_psi: float | None) -> View:
    """How far the changes and their scores have moved from those learnt from.

    Parameters
    ----------
    features : sequence of mapping
        ``feature`` and ``psi``, as :class:`training.monitoring.Monitored` has them.
    score_psi : float or None
        The same of the probabilities.
    """
    values = {} if score_psi is None else {"the score itself": score_psi}
    values |= {one["feature"]: one["psi"] for one in features}
    frame = pd.DataFrame(
        {"stability index": list(values.values())}, index=pd.Index(list(values), name="of")
    )

    def draw(axes: Axes) -> None:
        shown = frame.iloc[:MOST_BARS][::-1]
        axes.barh(shown.index, shown["stability index"], color=BLUE)
        for limit, word, dash in ((SHIFTED, "shifted", ":"), (CHANGED, "changed", "--")):
            axes.axvline(limit, color=GREY, linewidth=1, linestyle=dash, label=f"{word}: {limit:g}")
        axes.set_xlabel("population stability index against the changes learnt from")
        axes.legend(frameon=False, fontsize=8)

    note = (
        f"Below {SHIFTED:g} nothing to speak of, from {CHANGED:g} on another kind of changes. Too "
        "few recent changes give no figure."
    )
    size = (7.4, 0.3 * max(min(len(frame), MOST_BARS), 2) + 1.2)
    return View(title="Drift", frame=frame, note=note, draw=draw, size=size)


def bars(title: str, values: Mapping[str, float], *, unit: str, note: str = "") -> View:
    """A bar for each name, the largest on top.

    Parameters
    ----------
    values : mapping of str to float
        Length of each bar.
    unit : str
        What the lengths are; names the axis and the column.
    """
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    frame = pd.DataFrame({unit: [v for _, v in ordered]}, index=[name for name, _ in ordered])
    return View(title=title, frame=frame, note=note, draw=barred(frame[unit]), size=tall(frame))


def spans(found: Mapping[str, Mapping[str, float | None]]) -> Callable[[Axes], None]:
    """Draws a figure with its 95 % interval for each name."""
    shown = {name: one for name, one in found.items() if one["value"] is not None}

    def draw(axes: Axes) -> None:
        names = list(shown)[::-1]
        at = np.arange(len(names))
        value, low, high = (
            np.array([shown[name][end] for name in names], np.float64)
            for end in ("value", "low", "high")
        )
        gaps = np.nan_to_num([value - low, high - value])
        axes.errorbar(value, at, xerr=gaps, fmt="o", color=BLUE, capsize=2)
        axes.axvline(0.5, color=GREY, linewidth=1)
        axes.set_yticks(at, names)
        axes.set_xlabel("ROC AUC; grey: chance")

    return draw


def barred(
    lengths: pd.Series[float], above: str = BLUE, below: str = VERMILION
) -> Callable[[Axes], None]:
    """Draws a bar for each entry, the first on top.

    Parameters
    ----------
    lengths : Series
        Length by name; its own name is written at the axis.
    above, below : str
        Colours of the bars above and below zero.
    """

    def draw(axes: Axes) -> None:
        shown = lengths.iloc[:MOST_BARS][::-1].astype(float)
        colours = [below if one < 0 else above for one in shown]
        axes.barh([str(name) for name in shown.index], shown, color=colours)
        if (shown < 0).any():
            axes.axvline(0, color=GREY, linewidth=1)
        axes.set_xlabel(str(lengths.name))

    return draw


def tall(frame: pd.DataFrame) -> tuple[float, float]:
    """Size of a picture with a bar for each row, inches."""
    return 7.4, 0.3 * max(min(len(frame), MOST_BARS), 2) + 1.1
