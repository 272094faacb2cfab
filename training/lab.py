"""The lab: from a history to a promoted model, one object a step, made for notebooks.

Every step gives a small object that shows itself (``_repr_html_``), holds its numbers (``.frame``),
draws its picture (``.plot()``) and can be kept (``.save(path)``). Nothing here computes anything
the command line does not: it calls the same functions. Evaluations and ablations keep every
finished window under the home, so that one that was interrupted goes on from there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features import instants
from features.catalogue import BY_NAME, GROUPS, NAMES
from features.history import History
from features.labels import label, summary
from features.policy import POLICIES, LabelPolicy, policy_from
from features.records import Link
from features.settings import Settings
from features.sources import SOURCES, Reading
from features.store import Store
from features.synthetic import organisation
from training import history_views, plots
from training.bar import Bar
from training.config import TrainingConfig, TrainingError
from training.evaluate import evaluate
from training.fit import train
from training.judged import Judged
from training.judging import CHAMPION, Subject, judge
from training.kept import Kept
from training.metrics import metrics
from training.rows import TrainingRows, observed_until, training_rows
from training.run import Run
from training.served import Served
from training.views import Shown, View

EXAMPLE_UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
"""Last day of the synthetic history, so that every run of a notebook tells the same."""

KEPT = "lab"
"""Folder of the home where finished windows are kept."""


class Lab(Served, Shown):
    """A history under a label, and the models made of it.

    Parameters
    ----------
    history : History
        What is on record.
    policy : LabelPolicy
        What counts as caused.
    as_of : datetime, optional
        Use only what was known then; by default the last moment at which outcomes were recorded.
    history_from : datetime, optional
        Learn only from changes submitted since.
    settings : Settings, optional
        Where registry, journal and finished windows are; needed to register and to promote.
    source : str
        Where the history came from, for the card.

    Raises
    ------
    TrainingError
        If nothing in the history decides the label.
    """

    def __init__(
        self,
        history: History,
        policy: LabelPolicy,
        *,
        as_of: datetime | None = None,
        history_from: datetime | None = None,
        settings: Settings | None = None,
        source: str = "notebook",
    ) -> None:
        end = as_of or observed_until(history, policy)
        if end is None:
            raise TrainingError(f"the history holds nothing that decides {policy.name!r}")
        self.history = history
        self.policy = policy
        self.as_of = end
        self.history_from = history_from
        self.settings = settings
        self.source = source

    @classmethod
    def open(cls, label: str | None = None, **changed: Any) -> Lab:
        """The history in the store of ``CHANGERISK_HOME``.

        Parameters
        ----------
        label : str, optional
            A label known by name; by default the store's own.
        **changed
            Settings of the label to replace, such as ``window_days=3``.

        Raises
        ------
        StoreUnavailableError
            If the store cannot be opened.
        ValueError
            If there is no such label.
        """
        settings = Settings.from_environment(os.environ)
        store = Store(settings.store_url)
        try:
            stored = store.setting("label") or {"name": "incident"}
            policy = policy_from(**{**({"name": label} if label else stored), **changed})
            moments = {
                name: _moment(store.setting(name)) for name in ("observed_until", "history_from")
            }
            history, source = store.load(), str(store.setting("source"))
        finally:
            store.close()
        return cls(
            history,
            policy,
            as_of=moments["observed_until"],
            history_from=moments["history_from"],
            settings=settings,
            source=source,
        )

    @classmethod
    def example(cls, home: Path | None = None) -> Lab:
        """A history to try things on: BPIC14 where its folder is named, else a synthetic one.

        Reads ``NOTEBOOK_BPIC14`` (folder of the BPI Challenge 2014 files), ``NOTEBOOK_CHANGES``
        (size of the synthetic organisation, default 20,000).

        Parameters
        ----------
        home : Path, optional
            Where a registry may be kept; without it nothing can be registered.
        """
        settings = None
        if home is not None:
            settings = Settings.from_environment({"CHANGERISK_HOME": str(home)})
        if folder := os.environ.get("NOTEBOOK_BPIC14"):
            source = SOURCES["bpic14"]
            history = History.from_records(source.read(Path(folder), Reading()))
            return cls(
                history,
                policy_from(source.label),
                as_of=_moment(source.observed_until),
                history_from=_moment(source.history_from),
                settings=settings,
                source="bpic14",
            )
        size = int(os.environ.get("NOTEBOOK_CHANGES", "20000"))
        made = organisation(seed=7, until=EXAMPLE_UNTIL, changes=size)
        history = History.from_records(made.records)
        return cls(history, POLICIES["incident"], settings=settings, source="demo")

    def at(self, moment: datetime) -> Lab:
        """The same lab as it would have been at an earlier moment.

        Parameters
        ----------
        moment : datetime
            What was known then, aware.
        """
        return Lab(
            self.history,
            self.policy,
            as_of=moment,
            history_from=self.history_from,
            settings=self.settings,
            source=self.source,
        )

    @property
    def view(self) -> View:
        """What is on record."""
        return history_views.quality(self.history)

    def quality(self) -> View:
        """Records on hand, the days they span, and how many incidents name a change."""
        return self.view

    def coverage(self) -> View:
        """Share of the changes in which each field is filled."""
        return history_views.coverage(self.history)

    def labels(self, as_of: datetime | None = None) -> View:
        """Outcomes, by whose word.

        Parameters
        ----------
        as_of : datetime, optional
            As far as was known then; by default the lab's own moment.
        """
        found = summary(self.history, self.policy, as_of=as_of or self.as_of)
        return history_views.labels(found, self.policy.name)

    def outcomes(self) -> View:
        """Outcome of every change, with source, confidence and the moment it became known."""
        return history_views.outcomes(label(self.history, self.policy, as_of=self.as_of))

    def arrival(self) -> View:
        """How long after their incidents links became known."""
        links = self.history[Link]
        delays = links.times("known_at") - links.times("occurred_at")
        named = np.array([kind == "caused_by" for kind in links["kind"]], bool)
        return history_views.arrival(delays[named])

    @cached_property
    def rows(self) -> TrainingRows:
        """Features of every change at its own score time, and when its outcome became known."""
        return training_rows(
            self.history, self.policy, as_of=self.as_of, history_from=self.history_from
        )

    def table(self) -> View:
        """The feature table, with ``failed`` (missing where undecided) as its last column."""
        limit = instants.to_micros(self.as_of)
        frame = self.rows.table.to_frame()
        failed = pd.Series(self.rows.failed(limit), index=frame.index, dtype="boolean")
        return history_views.table(frame.assign(failed=failed.mask(~self.rows.decided(limit))))

    def evaluate(self, *, folds: int = 4, config: TrainingConfig | None = None) -> Judged:
        """Fit and judge on several windows one after another, beside the baselines.

        Parameters
        ----------
        folds : int
            Number of windows.

        Raises
        ------
        TrainingError
            If the history holds too little.
        """
        config = config or TrainingConfig()
        with Bar() as bar:
            found = evaluate(
                self.history,
                self.policy,
                config=config,
                as_of=self.as_of,
                history_from=self.history_from,
                folds=folds,
                kept=self._kept(),
                progress=bar,
            )
        return Judged(found, config.review_budget)

    def ablate(
        self, groups: Iterable[str] | None = None, *, config: TrainingConfig | None = None
    ) -> View:
        """What the newest window loses when a factor group is left out.

        Parameters
        ----------
        groups : iterable of str, optional
            Factor groups to leave out one after another; by default all.

        Raises
        ------
        ValueError
            If there is no such group.
        """
        chosen = list(GROUPS if groups is None else groups)
        if unknown := sorted(set(chosen) - set(GROUPS)):
            raise ValueError(f"no such factor group: {', '.join(unknown)}")
        config = config or TrainingConfig()
        losses = {}
        with Bar() as bar:
            bar("leave out", 0, len(chosen))
            whole = self._newest(self.rows, config)
            for number, group in enumerate(chosen, 1):
                columns = [at for at, name in enumerate(NAMES) if BY_NAME[name].group == group]
                values = self.rows.table.values.copy()
                values[:, columns] = np.nan
                without = replace(self.rows, table=replace(self.rows.table, values=values))
                losses[GROUPS[group]] = whole - self._newest(without, config)
                bar("leave out", number, len(chosen))
        note = (
            f"ROC AUC of the newest window with everything: {whole:.3f}. Differences below some "
            "hundredths are noise on a few hundred failures; below zero it ranked better without."
        )
        return plots.bars("What each factor group is worth", losses, unit="ROC AUC lost", note=note)

    def _newest(self, rows: TrainingRows, config: TrainingConfig) -> float:
        limit = instants.to_micros(self.as_of)
        usable = rows.taught & rows.decided(limit)
        subject = Subject(
            rows=rows,
            policy=self.policy,
            config=config,
            limit=limit,
            end=self.as_of,
            usable=usable,
            kept=self._kept(),
        )
        (fold,) = judge(subject, folds=1, champion_only=True)
        return float(metrics(fold.said[CHAMPION], fold.window.failed)["roc_auc"] or np.nan)

    def train(self, config: TrainingConfig | None = None) -> Run:
        """Fit, judge on the newest window, fit again to the end.

        Raises
        ------
        TrainingError
            If the history holds too little to learn from.
        """
        config = config or TrainingConfig()
        with Bar() as bar:
            trained = train(
                self.history,
                self.policy,
                now=datetime.now(UTC),
                config=config,
                as_of=self.as_of,
                history_from=self.history_from,
                progress=bar,
            )
        return Run(lab=self, trained=trained, config=config)

    def _kept(self) -> Kept | None:
        return None if self.settings is None else Kept(self.settings.home / KEPT)


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
