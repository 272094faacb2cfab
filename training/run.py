"""What a training left, to look at, to compare, to register."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from features import instants
from features.columns import Columns
from features.evidence import Question
from features.records import Change
from features.similar import similar_changes
from features.table import build
from models import global_view
from models.explanation import Explainer, heading
from models.palette import BLUE, GREY, VERMILION
from models.registry import Registered, Registry, reached
from training import plots
from training.bar import Bar
from training.card import Card, make_card
from training.config import TrainingConfig
from training.evaluation_report import NAMES
from training.fit import Trained
from training.promotion import Comparison, compare
from training.record import figures, register
from training.views import Shown, View

if TYPE_CHECKING:
    from training.lab import Lab

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Compared(Shown):
    """A challenger beside the champion on changes neither has seen, and what the rule says.

    Parameters
    ----------
    comparison : Comparison
        What :func:`training.promotion.compare` found.
    """

    comparison: Comparison

    @property
    def promotes(self) -> bool:
        """Whether the rule lets the challenger take the champion's place."""
        return self.comparison.promotes

    @property
    def view(self) -> View:
        """The conditions of the rule; drawn is the gain over the champion."""
        one = self.comparison
        frame = pd.DataFrame(
            [(c.code, c.outcome.replace("_", " "), c.sentence) for c in one.conditions],
            columns=["condition", "outcome", "found"],
        ).set_index("condition")

        def draw(axes: Axes) -> None:
            names = list(one.gain)[::-1]
            for place, name in enumerate(names):
                found = one.gain[name]
                value, low, high = (found[end] for end in ("value", "low", "high"))
                if value is not None and low is not None and high is not None:
                    gaps = [[value - low], [high - value]]
                    axes.errorbar([value], [place], xerr=gaps, fmt="o", color=BLUE, capsize=2)
            axes.axvline(0, color=GREY, linewidth=1)
            axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
            axes.set_xlabel("challenger less champion, with 95 % interval (Brier: lower is better)")

        window = one.window
        word = "The rule would promote it." if self.promotes else "The champion stays."
        note = f"{window['changes']:,} changes, {window['failures']:,} failures. {word}"
        title = f"Version {one.challenger} beside version {one.champion}"
        return View(title=title, frame=frame, note=note, draw=draw)


@dataclass(frozen=True)
class Run(Shown):
    """A trained model, not registered yet.

    Parameters
    ----------
    lab : Lab
        The history it was trained on.
    trained : Trained
        The bundle, its report and its test window.
    config : TrainingConfig
        How it was trained.
    """

    lab: Lab
    trained: Trained
    config: TrainingConfig

    @property
    def view(self) -> View:
        """The newest window: model and baselines."""
        rows = {
            NAMES[name]: {
                "ROC AUC": one["roc_auc"],
                "average precision": one["average_precision"],
                **{f"riskiest {float(s):.0%}": v for s, v in one["recall_at"].items()},
                "ECE": one["ece"],
            }
            for name, one in self.trained.report["models"].items()
        }
        test = self.trained.report["test"]
        note = (
            f"{test['changes']:,} changes, {test['failures']:,} failures, {test['from'][:10]} to "
            f"{test['to'][:10]}. Riskiest 5 to 50 %: share of the failures among them."
        )
        frame = pd.DataFrame.from_dict(rows, orient="index").astype(float)
        areas = {
            str(name): {"value": area, "low": None, "high": None}
            for name, area in frame["ROC AUC"].dropna().items()
        }
        draw, size = plots.spans(areas), plots.tall(frame)
        return View(title="On the newest window", frame=frame, note=note, draw=draw, size=size)

    def metrics(self) -> View:
        """The same as the run shows of itself."""
        return self.view

    def reliability(self) -> View:
        """Said against seen in the newest window."""
        return figures(self.trained)["reliability"]

    def gain(self) -> View:
        """Share of the failures among the riskiest share of the newest window's changes."""
        return figures(self.trained)["gain"]

    def over_time(self) -> View:
        """Failures expected and seen in the newest window, by month."""
        return figures(self.trained)["months"]

    def bands(self) -> View:
        """Where the bands begin, and what the newest window saw in each."""
        bands = self.trained.model.bands
        frame = pd.DataFrame(bands.observed).T
        frame.insert(0, "from", [0.0, bands.moderate, bands.high, bands.very_high])
        share = frame["changes"].iloc[2:].sum() / max(frame["changes"].sum(), 1)
        caught = frame["failures"].iloc[2:].sum() / max(frame["failures"].sum(), 1)

        def draw(axes: Axes) -> None:
            names = [str(name).replace("_", " ") for name in frame.index]
            axes.bar(names, frame["rate"].astype(float), color=BLUE)
            axes.axhline(self.trained.model.base_rate, color=GREY, linewidth=1, label="usual")
            axes.set_ylabel("share that failed")
            axes.legend(frameon=False)

        note = (
            f"{share:.0%} of the changes would have gone to the board, with {caught:.0%} of the "
            "failures among them."
        )
        return View(title="Bands", frame=frame, note=note, draw=draw)

    def importance(self) -> View:
        """How far each factor group moves scores, in log-odds; drawn change by change."""
        found = global_view.importance(self.trained.model, self._values())
        explainer = Explainer(self.trained.model)
        parts = explainer.parts(self.trained.model.select(self._values())).groups
        names = [heading(group) for group in explainer.groups]
        shown = plots.summary(names, parts, found.frame["heading"].tolist())
        return replace(shown, frame=found.frame.set_index("heading").join(shown.frame))

    def dependence(self, feature: str) -> View:
        """What one feature does to scores over its values, in the unit its sentence speaks.

        Parameters
        ----------
        feature : str
            Name of a column the model sees (docs/features.md).

        Raises
        ------
        ValueError
            If the model does not see the feature.
        """
        found = global_view.dependence(self.trained.model, self._values(), feature)
        note = (
            "Middle and quartiles of the feature's Shapley values; what is not known stands apart."
        )
        return View(title=feature, frame=found.frame, note=note, draw=found.draw)

    def explain(self, change_id: str) -> View:
        """The factors of one change, as its answer shows them.

        Parameters
        ----------
        change_id : str
            A change of the lab's history.

        Raises
        ------
        KeyError
            If there is no such change.
        """
        rows, row, model = self.lab.rows, self._row(change_id), self.trained.model
        factors = Explainer(model).factors(rows.table, rows.changes, row)
        frame = pd.DataFrame(
            [(one.text, one.log_odds, one.points, one.changeable) for one in factors],
            columns=["fact", "log-odds", "points", "changeable"],
        ).set_index("fact")
        probability = float(model.probability(rows.table.values[row : row + 1])[0])
        lengths = frame["log-odds"].copy()
        lengths.index = pd.Index([_short(str(text)) for text in lengths.index])
        return View(
            title=change_id,
            frame=frame,
            note=f"{probability:.1%}; usual {model.base_rate:.1%}. What the model saw, not causes.",
            draw=plots.barred(
                lengths.rename("log-odds: right raises the score, left lowers it"),
                above=VERMILION,
                below=BLUE,
            ),
            size=(9.0, 0.32 * max(len(frame), 2) + 1.1),
        )

    def similar(self, change_id: str) -> View:
        """The most alike earlier changes whose outcome was known when this one was scored.

        Parameters
        ----------
        change_id : str
            A change of the lab's history.

        Raises
        ------
        KeyError
            If there is no such change.
        """
        rows, row = self.lab.rows, self._row(change_id)
        question = Question(rows.changes, row, int(rows.table.as_of[row]), rows.state)
        found = [
            (
                one.change_id,
                one.similarity,
                one.outcome,
                ", ".join(one.incidents),
                "; ".join(one.reasons),
            )
            for one in similar_changes(question)
        ]
        names = ["change", "similarity", "outcome", "incidents", "in common"]
        frame = pd.DataFrame(found, columns=names).set_index("change")
        draw, size = plots.barred(frame["similarity"]), plots.tall(frame)
        return View(
            title=f"Like {change_id}", frame=frame, note="0 to 1 alike.", draw=draw, size=size
        )

    def what_if(self, change_id: str, **fields: Any) -> View:
        """One change as it was submitted, and with other fields, scored by the same code.

        Parameters
        ----------
        change_id : str
            A change of the lab's history.
        **fields
            Fields of the change and their other values, such as ``backout_plan="…"``.

        Raises
        ------
        KeyError
            If there is no such change.
        TypeError
            If a change has no such field.
        """
        rows, row = self.lab.rows, self._row(change_id)
        change, moment = rows.changes.record(row), rows.table.as_of[row : row + 1]
        said = {}
        for words, variant in (("as submitted", change), ("changed", replace(change, **fields))):
            table = build(Columns.from_records(Change, [variant]), moment, rows.state)
            said[words] = float(self.trained.model.probability(table.values)[0])
        note = "Changes like that had incidents more or less often: an association, not a promise."
        return plots.bars(f"{change_id}, what if", said, unit="probability", note=note)

    def card(self, version: str = "not registered") -> Card:
        """The model card.

        Parameters
        ----------
        version : str
            What the card calls it.
        """
        return make_card(self.trained.model, version=version, tags=self._tags())

    def register(self, alias: str = "challenger") -> str:
        """Log the run with parameters, data snapshot, metrics, figures, card and table schema.

        Parameters
        ----------
        alias : str
            The registry's pointer to move to it.

        Returns
        -------
        str
            Its version.

        Raises
        ------
        TrainingError
            If the lab was made without settings.
        """
        with self._registry() as registry:
            return register(registry, self.trained, self.config, tags=self._tags(), alias=alias)

    def compare(self, alias: str = "champion") -> Compared:
        """The model against a registered one, on changes neither has seen.

        Parameters
        ----------
        alias : str
            The other: a version or an alias.

        Raises
        ------
        TrainingError
            If the lab was made without settings, or the two answer different questions.
        RegistryError
            If there is no such model.
        """
        with self._registry() as registry:
            other = registry.load(alias)
        mine = Registered(model=self.trained.model, name=other.name, version="this run")
        now = datetime.now(UTC)
        with Bar() as bar:
            found = compare(
                self.lab.history, other, mine, as_of=self.lab.as_of, now=now, progress=bar
            )
        return Compared(found)

    def _registry(self) -> AbstractContextManager[Registry]:
        return reached(self.lab.place_of_models())

    def _tags(self) -> dict[str, str]:
        return {"label": self.lab.policy.name, "source": self.lab.source, "made_in": "notebook"}

    def _values(self) -> Floats:
        rows = self.lab.rows
        return rows.table.values[rows.taught & rows.decided(instants.to_micros(self.lab.as_of))]

    def _row(self, change_id: str) -> int:
        found = np.flatnonzero(self.lab.rows.table.change_ids == change_id)
        if not len(found):
            raise KeyError(f"there is no change {change_id!r}")
        return int(found[0])


def _short(text: str, most: int = 60) -> str:
    """A sentence cut to what fits beside a bar."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
