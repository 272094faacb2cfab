"""Looks at a history and its label, before any model: what is on record, and what it decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from numpy.typing import NDArray

from features import instants
from features.catalogue import BY_NAME, GROUPS, NAMES
from features.columns import RECORD_TYPES
from features.history import History
from features.instants import DAY
from features.records import Change, Incident, Link
from models.palette import BLUE, COLOURS, DASHES, PALE, VERMILION
from training.plots import barred, tall
from training.views import View

Ints = NDArray[np.int64]

OUTCOMES = ("caused", "clean", "undecided")
"""Outcomes of a change, in the order they are shown."""


def quality(history: History) -> View:
    """Records on hand, the days they span, and how many incidents name a change."""
    rows, spans = {}, {}
    for kind in RECORD_TYPES:
        table = history[kind]
        if len(table):
            known = table.times("known_at")
            ends = [instants.from_micros(int(f(known))) for f in (np.min, np.max)]
            rows[kind.__name__] = (len(table), *(end and end.date() for end in ends))
            spans[kind.__name__] = known
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["rows", "first", "last"])

    def draw(axes: Axes) -> None:
        for (name, known), colour, dash in zip(spans.items(), COLOURS, DASHES * 2, strict=False):
            months, counts = np.unique(
                known.astype("datetime64[us]").astype("datetime64[M]"), return_counts=True
            )
            axes.plot(months.astype("datetime64[D]"), counts, dash, color=colour, label=name)
        dates = AutoDateLocator(maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(dates)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(dates))  # type: ignore[no-untyped-call]
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylabel("records a month")
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))

    incidents = len(set(history[Incident]["incident_id"]))
    linked = len(set(history[Link]["incident_id"]))
    note = f"{linked:,} of {incidents:,} incidents name a change."
    return View(title="What is on record", frame=frame, note=note, draw=draw)


def coverage(history: History) -> View:
    """Share of the changes in which each field is filled, 0 to 1."""
    frame = history.frame(Change)
    filled = frame.map(_filled).mean().astype(float).sort_values().rename("share filled")
    note = "A field that is hardly ever filled cannot explain anything; the emptiest are on top."
    table = filled.to_frame()
    return View(
        title="Fields of a change", frame=table, note=note, draw=barred(filled), size=tall(table)
    )


def _filled(cell: Any) -> bool:
    """Whether a cell holds anything: empty lists and maps do not."""
    return bool(len(cell)) if isinstance(cell, (str, tuple, list, dict)) else bool(pd.notna(cell))


def labels(found: Mapping[str, Any], name: str) -> View:
    """Outcomes as of a moment, by whose word.

    Parameters
    ----------
    found : mapping
        As :func:`features.labels.summary` gives it.
    name : str
        Name of the label.
    """
    rows = {outcome: found[outcome] for outcome in ("changes", *OUTCOMES)}
    rows |= {f"by {source}": one["changes"] for source, one in found["by_source"].items()}
    frame = pd.DataFrame({"changes": rows})
    rate = found["base_rate"]
    note = "No outcome is known yet." if rate is None else f"Base rate {rate:.2%}."
    return View(
        title=f"Label {name!r}", frame=frame, note=note, draw=barred(frame["changes"]),
        size=tall(frame),
    )  # fmt: skip


def outcomes(frame: pd.DataFrame) -> View:
    """Outcome of every change, with source, confidence and the moment it became known.

    Parameters
    ----------
    frame : DataFrame
        As :func:`features.labels.label` gives it.
    """

    def draw(axes: Axes) -> None:
        counts = frame["outcome"].value_counts()
        shown = [int(counts.get(name, 0)) for name in OUTCOMES]
        axes.bar(OUTCOMES, shown, color=[VERMILION, BLUE, PALE])
        axes.set_ylabel("changes")

    return View(title="Outcomes", frame=frame, note="One row a change.", draw=draw)


def arrival(delays: Ints, within: tuple[int, ...] = (1, 3, 7, 14, 30)) -> View:
    """Share of the links that had arrived some days after their incident.

    Parameters
    ----------
    delays : ndarray of int64, shape (n,)
        From the incident to the moment its link became known, microseconds.
    within : tuple of int
        Days told in the table; the last one ends the picture.
    """
    days = np.sort(delays) / DAY
    share = [float((days <= limit).mean()) if len(days) else np.nan for limit in within]
    frame = pd.DataFrame({"share arrived": share}, index=pd.Index(within, name="within days"))

    def draw(axes: Axes) -> None:
        if len(days):
            axes.step(
                np.concatenate([[0.0], days, [max(within[-1], days[-1])]]),
                np.minimum(np.arange(len(days) + 2) / len(days), 1.0),
                where="post",
                color=BLUE,
            )
        else:
            axes.annotate("no link on record", (0.5, 0.5), xycoords="axes fraction", ha="center")
        axes.set_xlim(0, within[-1])
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("days after the incident opened")
        axes.set_ylabel("share of the links known")

    note = "The settling time of the label must leave room for most of them."
    if not len(days):
        note = "No incident names a change: the label rests on other sources."
    return View(title="Arrival of links", frame=frame, note=note, draw=draw)


def table(frame: pd.DataFrame) -> View:
    """The feature table, one row a change; drawn is how much of each factor group is known.

    Parameters
    ----------
    frame : DataFrame
        A column a feature, ``as_of``, and ``failed``, which is missing where undecided.
    """
    known = pd.Series({name: float(frame[name].notna().mean()) for name in NAMES})
    groups = [GROUPS[BY_NAME[name].group] for name in NAMES]
    shares = known.groupby(groups).mean().sort_values().rename("share known")
    note = (
        f"{len(frame):,} changes, {len(NAMES)} features; each row holds only what was known before "
        "its as_of. Drawn: mean share of known values of each factor group, the emptiest on top."
    )
    size = tall(shares.to_frame())
    return View(title="Feature table", frame=frame, note=note, draw=barred(shares), size=size)
