"""Judging: every test window scored by a model fitted on its past alone, and by the baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.history import History
from features.policy import LabelPolicy
from features.progress import Progress, silent
from models.baselines import BASELINES
from training.baselines import baselines, without_model
from training.config import TrainingConfig, TrainingError
from training.figures import Window
from training.fit import Fitted, fit_split
from training.folds import make_folds
from training.kept import Kept
from training.rows import TrainingRows, observed_until, training_rows
from training.splits import Split

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CHAMPION = "champion"
"""The model's name among the rankings."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One test window: who was in which part, the fitted model and what everybody said.

    Parameters
    ----------
    said : mapping of str to ndarray
        Probabilities of the test rows by the champion and every baseline.
    idle : tuple of str
        Baselines without anything on record to rank by: they say the same of every change.
    """

    split: Split
    fitted: Fitted
    said: Mapping[str, Floats]
    window: Window
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is evaluated: rows under a label, and what was known of them at the end.

    Parameters
    ----------
    limit : int
        The end, microseconds.
    kept : Kept, optional
        Where folds are kept, to go on from after an interruption.
    """

    rows: TrainingRows
    policy: LabelPolicy
    config: TrainingConfig
    limit: int
    end: datetime
    usable: Mask
    kept: Kept | None = None

    @classmethod
    def of(
        cls,
        history: History,
        policy: LabelPolicy,
        config: TrainingConfig,
        *,
        as_of: datetime | None = None,
        history_from: datetime | None = None,
        kept: Kept | None = None,
    ) -> Subject:
        """The rows of a history.

        Raises
        ------
        TrainingError
            If nothing in the history decides the label.
        """
        end = as_of or observed_until(history, policy)
        if end is None:
            raise TrainingError(
                f"the history holds nothing that decides the label {policy.name!r} "
                f"(sources {', '.join(policy.sources)}); import incidents or back-outs, "
                "or choose another label"
            )
        rows = training_rows(history, policy, as_of=end, history_from=history_from)
        limit = instants.to_micros(end)
        usable = rows.taught & rows.decided(limit)
        return cls(
            rows=rows,
            policy=policy,
            config=config,
            limit=limit,
            end=end,
            usable=usable,
            kept=kept,
        )


def judge(
    subject: Subject,
    *,
    folds: int,
    test_from: datetime | None = None,
    champion_only: bool = False,
    progress: Progress = silent,
) -> list[Fold]:
    """Every window with what the model, and unless it alone is asked for the baselines, said."""
    splits = make_folds(
        subject.rows,
        subject.usable,
        subject.policy,
        subject.config,
        folds=folds,
        test_from=test_from,
    )
    found = []
    for number, split in enumerate(splits):
        progress("fit and judge", number, len(splits))
        found.append(_judged(subject, split, champion_only))
    progress("fit and judge", len(splits), len(splits))
    return found


def _judged(subject: Subject, split: Split, champion_only: bool) -> Fold:
    rows, config = subject.rows, subject.config
    fitted, said = _said(subject, split, champion_only)
    competing = set(said)
    if not champion_only:
        plain = without_model(rows, split, config.seed)
        said = {CHAMPION: said[CHAMPION]} | {
            name: said.get(name, plain["base_rate"]) for name in BASELINES
        }
        said.update(plain)
    window = Window(
        times=rows.table.as_of[split.test],
        failed=rows.failed(subject.limit)[split.test],
        base_rate=float(rows.failed(split.test_from)[split.learnt].mean()),
        seed=config.seed,
    )
    return Fold(
        split=split,
        fitted=fitted,
        said=said,
        window=window,
        idle=tuple(name for name in BASELINES if name not in competing),
    )


def _said(subject: Subject, split: Split, champion_only: bool) -> tuple[Fitted, dict[str, Floats]]:
    """The fitted model, and what it and the baselines that rank say; kept if that is wanted."""
    rows, config, kept = subject.rows, subject.config, subject.kept
    key = "" if kept is None else kept.key(rows, split, config, champion_only)
    found = None if kept is None else kept.get(key)
    if found is not None:
        return found
    fitted = fit_split(rows, split, config)
    said = {CHAMPION: fitted.scored(rows, split.test)}
    if not champion_only:
        said |= baselines(rows, split, fitted.columns)
    if kept is not None:
        kept.put(key, fitted, said)
    return fitted, said


def pooled(folds: Sequence[Fold]) -> tuple[dict[str, Floats], Window]:
    """The test changes of all folds as one window; every change was scored once."""
    names = folds[0].said
    said = {name: np.concatenate([fold.said[name] for fold in folds]) for name in names}
    window = Window(
        times=np.concatenate([fold.window.times for fold in folds]),
        failed=np.concatenate([fold.window.failed for fold in folds]),
        base_rate=float(np.mean([fold.window.base_rate for fold in folds])),
        seed=folds[0].window.seed,
    )
    return said, window
