"""Numbers and what goes with them, for several changes at once: one table, one walk of trees."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from features import instants
from features.columns import Columns
from features.records import Change
from features.state import FeatureState
from features.table import build
from models.explanation import Explainer
from models.registry import Registered
from serving.answers import Scored
from serving.levers import Options, Rescored, best


class Case(NamedTuple):
    """A change to be scored.

    Parameters
    ----------
    as_of : datetime
        The moment, aware.
    options : bool
        Whether to look for what could be done instead, too. Its versions of the change are rows of
        the same table: asking once for many costs little more than asking once.
    """

    record: Change
    as_of: datetime
    options: bool = False


def score_all(
    cases: Sequence[Case], registered: Registered, state: FeatureState, explainer: Explainer
) -> list[Scored]:
    """Features, probability, factors and levers of some changes, each at its own moment; none of
    them knows of the others.
    """
    model = registered.model
    moments = [instants.to_micros(case.as_of) for case in cases]
    options = [
        Options.of(case.record, moment, model) if case.options else Options.none(case.record)
        for case, moment in zip(cases, moments, strict=True)
    ]
    sizes = np.array([1 + len(found.versions) for found in options])
    versions = [one for found in options for one in (found.change, *found.versions)]
    changes = Columns.from_records(Change, versions)
    built = build(changes, np.repeat(np.array(moments, np.int64), sizes), state)
    probabilities = model.probability(built.values)
    first = (np.cumsum(sizes) - sizes).tolist()
    rescored = [
        Rescored(
            options=found,
            as_of=moment,
            probability=float(probabilities[row]),
            own=built.values[row],
            values=built.values[row + 1 : row + size],
            probabilities=probabilities[row + 1 : row + size],
        )
        for found, moment, row, size in zip(options, moments, first, sizes.tolist(), strict=True)
    ]
    levers = best(rescored, model, state)
    return [
        Scored(
            changes=changes.take(np.array([row])),
            table=built.rows(row, row + 1),
            probability=one.probability,
            base_log_odds=explainer.base_log_odds,
            factors=explainer.factors(built, changes, row),
            levers=helping,
        )
        for one, row, helping in zip(rescored, first, levers, strict=True)
    ]


def score_one(
    record: Change,
    as_of: datetime,
    registered: Registered,
    state: FeatureState,
    explainer: Explainer,
    *,
    options: bool = False,
) -> Scored:
    """The same for one change."""
    return score_all([Case(record, as_of, options)], registered, state, explainer)[0]
