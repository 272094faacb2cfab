"""What a training or an evaluation left, to look at, to compare, to register."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from features import instants
from features.catalogue import GROUPS
from models.explanation import Explainer
from models.registry import Registered, Registry, reached
from training import plots
from training.card import Card, make_card
from training.config import TrainingConfig, TrainingError
from training.evaluate import Evaluation
from training.fit import Trained
from training.judging import CHAMPION, pooled
from training.metrics import flat
from training.promotion import Comparison, compare
from training.views import View

if TYPE_CHECKING:
    from training.lab import Lab

Floats = NDArray[np.float64]


class Bar:
    """Progress of long steps, as tqdm shows it in notebooks and terminals."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that a stage has come so far."""
        if stage != self._stage or self._bar is None:
            self.close()
            self._bar, self._stage = tqdm(total=total, desc=stage, leave=False), stage
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@dataclass(frozen=True)
class Judged:
    """An evaluation to look at."""

    evaluation: Evaluation

    @property
    def report(self) -> Mapping[str, Any]:
        """The whole report, as ``changerisk evaluate --json`` prints it."""
        return self.evaluation.report

    def table(self) -> View:
        """Model and baselines with 95 % intervals, over all windows."""
        rows = {}
        for name, one in self.report["overall"]["models"].items():
            rows[name] = {key: _interval(one.get(key)) for key in ("roc_auc", "average_precision")}
            rows[name] |= {
                f"riskiest {float(share):.0%}": _interval(found)
                for share, found in one["recall_at"].items()
            }
            rows[name]["ece"] = _interval(one.get("ece"))
        overall = self.report["overall"]
        note = (
            f"{overall['rows']:,} changes, {overall['positives']:,} failures"
            f"{', directional' if overall['directional'] else ''}; {overall['gain']['verdict']}."
        )
        return View(
            title="Model and baselines",
            frame=pd.DataFrame.from_dict(rows, orient="index"),
            note=note,
        )

    def reliability(self) -> View:
        """Said against seen, all windows together."""
        said, window = pooled(self.evaluation.folds)
        return plots.reliability(said[CHAMPION], window.failed)

    def gain(self) -> View:
        """Share of the failures among the riskiest share of the changes, beside the baselines."""
        said, window = pooled(self.evaluation.folds)
        names = (CHAMPION, "item_rate", "declared_risk", "logistic_regression")
        return plots.gain({name: said[name] for name in names if name in said}, window.failed)

    def over_time(self) -> View:
        """Failures expected and seen, by month."""
        said, window = pooled(self.evaluation.folds)
        return plots.over_time(window.times, said[CHAMPION], window.failed)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


@dataclass(frozen=True)
class Run:
    """A trained model, not registered yet."""

    lab: Lab
    trained: Trained
    config: TrainingConfig

    def metrics(self) -> View:
        """The newest window: model and baselines."""
        rows = {
            name: {
                "roc_auc": one["roc_auc"],
                "average_precision": one["average_precision"],
                **{f"riskiest {float(s):.0%}": v for s, v in one["recall_at"].items()},
                "ece": one["ece"],
            }
            for name, one in self.trained.report["models"].items()
        }
        test = self.trained.report["test"]
        note = f"{test['changes']:,} changes, {test['failures']:,} failures, from {test['from']}"
        frame = pd.DataFrame.from_dict(rows, orient="index").astype(float)
        return View(title="On the newest window", frame=frame, note=note)

    def bands(self) -> View:
        """Where the bands begin, and what the newest window saw in each."""
        bands = self.trained.model.bands
        frame = pd.DataFrame(bands.observed).T
        frame.insert(0, "from", [0.0, bands.moderate, bands.high, bands.very_high])
        share = frame["changes"].iloc[2:].sum() / max(frame["changes"].sum(), 1)
        caught = frame["failures"].iloc[2:].sum() / max(frame["failures"].sum(), 1)
        note = f"{share:.0%} of the changes would have gone to the board, with {caught:.0%} of the "
        return View(title="Bands", frame=frame, note=note + "failures among them.")

    def importance(self) -> View:
        """Mean weight of each factor group over the changes, in log-odds."""
        parts = Explainer(self.trained.model).parts(self._selected())
        weights = np.abs(parts.groups).mean(axis=0)
        names = [GROUPS.get(name, name) for name in self.trained.model.tables.names]
        note = "Mean absolute Shapley value of the group, against all training changes."
        values = dict(zip(names, weights.tolist(), strict=True))
        return plots.bars("What moves the score", values, unit="log-odds", note=note)

    def explain(self, change_id: str) -> View:
        """The factors of one change, as its answer shows them.

        Raises
        ------
        KeyError
            If there is no such change.
        """
        rows = self.lab.rows
        found = np.flatnonzero(rows.table.change_ids == change_id)
        if not len(found):
            raise KeyError(f"there is no change {change_id!r}")
        row, model = int(found[0]), self.trained.model
        factors = Explainer(model).factors(rows.table, rows.changes, row)
        frame = pd.DataFrame(
            [(one.text, one.log_odds, one.points, one.changeable) for one in factors],
            columns=["fact", "log-odds", "points", "changeable"],
        )
        probability = float(model.probability(rows.table.values[row : row + 1])[0])
        note = f"{probability:.1%}; usual {model.base_rate:.1%}. What the model saw, not causes."
        return View(title=change_id, frame=frame, note=note)

    def card(self, version: str = "not registered") -> Card:
        """The model card."""
        return make_card(self.trained.model, version=version, tags=self._tags())

    def register(self, alias: str = "challenger") -> str:
        """Log the run with its parameters, metrics, table schema and card; give the version.

        Raises
        ------
        TrainingError
            If the lab was made without settings.
        """
        with self._registry() as registry:
            best = flat(self.trained.report["models"][CHAMPION])
            documents = {
                "report.json": orjson.dumps(self.trained.report, option=orjson.OPT_INDENT_2),
                "card.html": self.card().html().encode(),
                "features.json": orjson.dumps(list(self.trained.model.columns)),
            }
            return registry.save(
                self.trained.model,
                params={**self.config.params(), "label": self.lab.policy.name},
                metrics=best,
                tags=self._tags(),
                alias=alias,
                documents=documents,
            )

    def compare(self, alias: str = "champion") -> Comparison:
        """The model against a registered one, on changes neither has seen."""
        with self._registry() as registry:
            other = registry.load(alias)
        mine = Registered(model=self.trained.model, name=other.name, version="this run")
        bar = Bar()
        try:
            return compare(
                self.lab.history,
                other,
                mine,
                as_of=self.lab.as_of,
                now=datetime.now(UTC),
                progress=bar,
            )
        finally:
            bar.close()

    def _registry(self) -> AbstractContextManager[Registry]:
        if self.lab.settings is None:
            raise TrainingError(
                "the lab has no registry: make it with Lab.open(), or pass settings"
            )
        return reached(self.lab.settings)

    def _tags(self) -> dict[str, str]:
        return {"label": self.lab.policy.name, "source": "notebook"}

    def _selected(self) -> Floats:
        rows = self.lab.rows
        usable = rows.taught & rows.decided(instants.to_micros(self.lab.as_of))
        return self.trained.model.select(rows.table.values[usable])

    def _repr_html_(self) -> str:
        return self.metrics()._repr_html_()


def _interval(found: Mapping[str, float | None] | None) -> str:
    if not found or found["value"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
