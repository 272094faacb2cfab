"""The lab: from a history to a promoted model, one object a step, made for notebooks.

Every step gives a small object that shows itself (``_repr_html_``), holds its numbers (``.frame``),
draws its picture (``.plot()``) and can be kept (``.save(path)``). Nothing here computes anything
the command line does not: it calls the same functions.
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
from numpy.typing import NDArray
from tqdm.auto import tqdm

from features import instants
from features.catalogue import BY_NAME, GROUPS, NAMES
from features.columns import RECORD_TYPES
from features.history import History
from features.labels import label, summary
from features.policy import POLICIES, LabelPolicy, policy_from
from features.records import Change, Incident, Link
from features.settings import Settings
from features.sources import SOURCES, Reading
from features.store import Store
from features.synthetic import organisation
from training import plots
from training.config import TrainingConfig, TrainingError
from training.evaluate import evaluate
from training.fit import train
from training.judging import CHAMPION, Subject, judge
from training.metrics import metrics
from training.rows import TrainingRows, observed_until, training_rows
from training.run import Bar, Judged, Run
from training.views import View

Floats = NDArray[np.float64]


EXAMPLE_UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
"""Last day of the synthetic history, so that every run of a notebook tells the same."""


class Lab:
    """A history under a label, and the models made of it.

    Parameters
    ----------
    history : History
    policy : LabelPolicy
        What counts as caused.
    as_of : datetime, optional
        Use only what was known then; by default the last moment at which outcomes were recorded.
    history_from : datetime, optional
        Learn only from changes submitted since.
    settings : Settings, optional
        Where registry and store are; needed to register and to compare.

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
    ) -> None:
        end = as_of or observed_until(history, policy)
        if end is None:
            raise TrainingError(f"the history holds nothing that decides {policy.name!r}")
        self.history = history
        self.policy = policy
        self.as_of = end
        self.history_from = history_from
        self.settings = settings

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
            history = store.load()
        finally:
            store.close()
        return cls(
            history,
            policy,
            as_of=moments["observed_until"],
            history_from=moments["history_from"],
            settings=settings,
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
            )
        size = int(os.environ.get("NOTEBOOK_CHANGES", "20000"))
        made = organisation(seed=7, until=EXAMPLE_UNTIL, changes=size)
        return cls(History.from_records(made.records), POLICIES["incident"], settings=settings)

    def quality(self) -> View:
        """Records on hand, the span they cover, and how many incidents name a change."""
        rows = {}
        for kind in RECORD_TYPES:
            table = self.history[kind]
            if len(table):
                known = table.times("known_at")
                ends = [instants.from_micros(int(f(known))) for f in (np.min, np.max)]
                rows[kind.__name__] = (len(table), *(e and e.date() for e in ends))
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["rows", "first", "last"])
        incidents = len(set(self.history[Incident]["incident_id"]))
        linked = len(set(self.history[Link]["incident_id"]))
        share = f"{linked:,} of {incidents:,} incidents name a change."
        return View(title="What is on record", frame=frame, note=share)

    def coverage(self) -> View:
        """Share of the changes in which each field is filled."""
        frame = self.history.frame(Change)
        filled = frame.notna().mean().sort_values()
        return View(
            title="Fields of a change",
            frame=filled.rename("share filled").to_frame(),
            note="A field that is hardly ever filled cannot explain anything.",
        )

    def labels(self) -> View:
        """Outcomes as of now, by whose word."""
        found = summary(self.history, self.policy, as_of=self.as_of)
        rows = {name: found[name] for name in ("changes", "caused", "clean", "undecided")}
        rows |= {f"by {name}": one["changes"] for name, one in found["by_source"].items()}
        frame = pd.DataFrame({"changes": rows})
        rate = found["base_rate"]
        note = "No outcome is known yet." if rate is None else f"Base rate {rate:.2%}."
        return View(title=f"Label {self.policy.name!r}", frame=frame, note=note)

    def outcomes(self) -> pd.DataFrame:
        """Outcome of every change, with source, confidence and the moment it became known."""
        return label(self.history, self.policy, as_of=self.as_of)

    def arrival(self) -> View:
        """How long after their incidents links became known."""
        links = self.history[Link]
        delays = links.times("known_at") - links.times("occurred_at")
        return plots.arrival(delays[np.array([k == "caused_by" for k in links["kind"]], bool)])

    @cached_property
    def rows(self) -> TrainingRows:
        """Features of every change at its own score time, and when its outcome became known."""
        return training_rows(
            self.history, self.policy, as_of=self.as_of, history_from=self.history_from
        )

    def table(self) -> pd.DataFrame:
        """The feature table, with ``failed`` (missing where undecided) as its last column."""
        limit = instants.to_micros(self.as_of)
        frame = self.rows.table.to_frame()
        failed = pd.Series(self.rows.failed(limit), index=frame.index, dtype="boolean")
        return frame.assign(failed=failed.mask(~self.rows.decided(limit)))

    def evaluate(self, *, folds: int = 4, config: TrainingConfig | None = None) -> Judged:
        """Fit and judge on several windows one after another, beside the baselines."""
        bar = Bar()
        try:
            found = evaluate(
                self.history,
                self.policy,
                config=config,
                as_of=self.as_of,
                history_from=self.history_from,
                folds=folds,
                progress=bar,
            )
        finally:
            bar.close()
        return Judged(found)

    def ablate(
        self, groups: Iterable[str] | None = None, *, config: TrainingConfig | None = None
    ) -> View:
        """What the newest window loses when a factor group is left out.

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
        whole = self._newest(self.rows, config)
        for group in tqdm(chosen, desc="leave out", leave=False):
            columns = [at for at, name in enumerate(NAMES) if BY_NAME[name].group == group]
            values = self.rows.table.values.copy()
            values[:, columns] = np.nan
            table = replace(self.rows.table, values=values)
            losses[GROUPS[group]] = whole - self._newest(replace(self.rows, table=table), config)
        note = (
            f"ROC AUC of the newest window with everything: {whole:.3f}. Differences below some "
            "hundredths are noise on a few hundred failures."
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
        )
        (fold,) = judge(subject, folds=1)
        return float(metrics(fold.said[CHAMPION], fold.window.failed)["roc_auc"] or np.nan)

    def train(self, config: TrainingConfig | None = None) -> Run:
        """Fit, judge on the newest window, fit again to the end."""
        bar = Bar()
        try:
            trained = train(
                self.history,
                self.policy,
                now=datetime.now(UTC),
                config=config,
                as_of=self.as_of,
                history_from=self.history_from,
                progress=bar,
            )
        finally:
            bar.close()
        return Run(lab=self, trained=trained, config=config or TrainingConfig())


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
