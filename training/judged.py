"""An evaluation to look at: model and baselines over several windows one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from models.bands import rehearsed_sentence
from models.palette import BLUE, GREY, VERMILION
from training import plots
from training.evaluate import Evaluation, rehearsed
from training.evaluation_report import NAMES
from training.judging import CHAMPION, pooled
from training.record import RANKINGS
from training.views import Shown, View


@dataclass(frozen=True)
class Judged(Shown):
    """An evaluation: several windows, each scored by a model that knew only what was before it.

    Parameters
    ----------
    evaluation : Evaluation
        What :func:`training.evaluate.evaluate` gave.
    review_budget : float
        Share of the changes the board can read, 0 to 1.
    """

    evaluation: Evaluation
    review_budget: float

    @property
    def report(self) -> Mapping[str, Any]:
        """The whole report, as ``changerisk evaluate --json`` prints it."""
        return self.evaluation.report

    @property
    def view(self) -> View:
        """Model and baselines with 95 % intervals, over all windows."""
        overall = self.report["overall"]
        rows = {NAMES[name]: _row(one) for name, one in overall["models"].items()}
        areas = {NAMES[name]: one["roc_auc"] for name, one in overall["models"].items()}
        note = (
            f"{overall['rows']:,} changes, {overall['positives']:,} failures"
            f"{', directional' if overall['directional'] else ''}; {overall['gain']['verdict']}. "
            "In brackets 95 % intervals, by resampling weeks."
        )
        frame = pd.DataFrame.from_dict(rows, orient="index")
        size = plots.tall(frame)
        return View(
            title="Model and baselines", frame=frame, note=note, draw=plots.spans(areas), size=size
        )

    def table(self) -> View:
        """The same as the evaluation shows of itself."""
        return self.view

    def reliability(self) -> View:
        """Said against seen, all windows together."""
        said, window = pooled(self.evaluation.folds)
        return plots.reliability(said[CHAMPION], window.failed)

    def gain(self) -> View:
        """Share of the failures among the riskiest share of the changes, beside the baselines."""
        said, window = pooled(self.evaluation.folds)
        shown = {NAMES[name]: said[name] for name in RANKINGS if name in said}
        return plots.gain(shown, window.failed, self.review_budget)

    def windows(self) -> View:
        """ROC AUC of every window, of the model and the best baseline: performance over time."""
        best = self.report["overall"]["gain"]["over"]
        names = {CHAMPION: NAMES[CHAMPION], best: NAMES[best]}
        return plots.windows(self.report["splits"], names)

    def over_time(self) -> View:
        """Failures expected and seen, by month."""
        said, window = pooled(self.evaluation.folds)
        return plots.over_time(window.times, said[CHAMPION], window.failed)

    def audits(self) -> View:
        """What would make the figures worthless, each looked for by itself."""
        found = self.report["audits"]
        frame = pd.DataFrame(
            [(one["code"], one["outcome"].replace("_", " "), one["sentence"]) for one in found],
            columns=["audit", "outcome", "found"],
        ).set_index("audit")

        def draw(axes: Axes) -> None:
            counts = frame["outcome"].value_counts()
            names = ["passed", "failed", "not applicable"]
            axes.bar(
                names, [int(counts.get(name, 0)) for name in names], color=[BLUE, VERMILION, GREY]
            )
            axes.set_ylabel("audits")

        return View(title="Audits", frame=frame, note="Not applicable is no pass.", draw=draw)

    def rehearse(self, review_budget: float | None = None) -> View:
        """What bands of a review budget would have asked of the board, quarter by quarter.

        Parameters
        ----------
        review_budget : float, optional
            Share of the changes the board can read, 0 to 1; by default the configuration's.

        Raises
        ------
        ValueError
            If the budget is not between 0 and 1.
        """
        budget = self.review_budget if review_budget is None else review_budget
        quarters = rehearsed(self.evaluation.folds, budget)
        frame = pd.DataFrame(quarters).set_index("quarter")

        def draw(axes: Axes) -> None:
            at = np.arange(len(frame))
            board = frame["to_board"] / frame["changes"]
            caught = frame["failures_to_board"] / frame["failures"].clip(lower=1)
            axes.bar(at - 0.2, board, width=0.4, color=GREY, label="of the changes")
            axes.bar(at + 0.2, caught, width=0.4, color=BLUE, label="of the failures")
            axes.set_xticks(at, frame.index)
            axes.set_ylabel("share that goes to the board")
            axes.legend(frameon=False)

        sentence = rehearsed_sentence(quarters)
        note = f"Review budget {budget:.0%}: {sentence}."
        return View(title="Rehearsal of the bands", frame=frame, note=note, draw=draw)


def _row(one: Mapping[str, Any]) -> dict[str, str]:
    shares = {f"riskiest {float(share):.0%}": found for share, found in one["recall_at"].items()}
    figures = {
        "ROC AUC": one.get("roc_auc"),
        "average precision": one.get("average_precision"),
        **shares,
        "ECE": one.get("ece"),
    }
    return {name: _interval(found) for name, found in figures.items()}


def _interval(found: Mapping[str, float | None] | None) -> str:
    if not found or found["value"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
