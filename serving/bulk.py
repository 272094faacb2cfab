"""Many changes at once: one table, one walk through the trees, one transaction.

For lists of changes where the number is wanted and the reasons are not: the same probabilities, bit
for bit, as one at a time, recorded in the same journal, without factors, evidence or levers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from features import instants
from features.columns import Columns
from features.language import say
from features.records import Change
from features.store import StoreError
from features.table import FeatureTable, build
from models.bands import BOARD
from models.registry import Registered
from serving.answers import (
    Asked,
    unknown_factor,
    unrecorded,
    waited_in_vain,
    with_number,
    without_model,
    without_score,
)
from serving.contract import Answer, ChangeIn, Warned
from serving.scorer import Scorer, revised_all

_log = logging.getLogger(__name__)

CHUNK = 500
"""Changes scored in one transaction."""


def chunks(changes: Iterable[ChangeIn], size: int = CHUNK) -> Iterator[list[ChangeIn]]:
    """Changes in parts that can be scored at once: not too many, and none of them twice."""
    part: dict[str, ChangeIn] = {}
    for change in changes:
        if len(part) == size or change.change_id in part:
            yield list(part.values())
            part = {}
        part[change.change_id] = change
    if part:
        yield list(part.values())


def score_many(scorer: Scorer, changes: Sequence[ChangeIn], *, now: datetime) -> list[Answer]:
    """The answers to changes, without reasons; as of one moment, so none knows of the others.

    Parameters
    ----------
    changes : sequence of ChangeIn
        One of :func:`chunks`.

    Raises
    ------
    InputError
        If a change cannot be scored as it stands; nothing is recorded then.
    """
    if not changes:
        return []
    came = [Asked.of(change, now) for change in changes]
    try:
        unmarked = {change.change_id for change in changes if change.revision is None}
        known = scorer.store.known_changes(unmarked)
        records = revised_all(scorer.store, changes, now, known)
        pairs = zip(came, records, strict=True)
        asked = [replace(one, record=record) for one, record in pairs]
        with scorer.reading() as state:
            registered = scorer.registered
            if registered is None:
                answers = [without_score(one, None, without_model()) for one in asked]
                return scorer.record(changes, asked, [None] * len(asked), answers, explain="none")
            if state is None:
                return [without_score(one, registered, waited_in_vain()) for one in asked]
            table = build(
                Columns.from_records(Change, records),
                np.array([instants.to_micros(one.as_of) for one in asked], np.int64),
                state,
                support=False,
            )
            answers = _answers(asked, table, registered)
            return scorer.record(changes, asked, table.values.tolist(), answers, explain="none")
    except StoreError as error:
        _log.error("the store could not be used: %s", error)
        return [without_score(one, scorer.registered, unrecorded()) for one in came]


def consider_many(scorer: Scorer, change: ChangeIn, *, now: datetime) -> None:
    """Score a change as many times as are scored at once, for nobody; nothing of it is kept."""
    one = Asked.of(change, now, revision="1")
    with scorer.reading() as state:
        if scorer.registered is not None and state is not None:
            changes = Columns.from_records(Change, [one.record] * CHUNK)
            moments = np.full(CHUNK, instants.to_micros(one.as_of))
            table = build(changes, moments, state, support=False)
            _answers([one], table.rows(0, 1), scorer.registered)


def _answers(asked: Sequence[Asked], table: FeatureTable, registered: Registered) -> list[Answer]:
    model = registered.model
    probabilities = model.probability(table.values).tolist()
    unknown = model.unknown_by_group(table.values)
    answers = []
    for row, (one, probability) in enumerate(zip(asked, probabilities, strict=True)):
        missing = [unknown_factor(group) for group, rows in unknown.items() if rows[row]]
        telling = _without_reasons() if model.bands.of(probability) in BOARD else []
        answers.append(
            with_number(one, probability, table.values[row], missing, registered, telling)
        )
    return answers


def _without_reasons() -> list[Warned]:
    """What a high answer says of the reasons that were not asked for."""
    text = say("Scored without reasons: asked for alone, it says what can be changed and compared")
    return [Warned(code="without_reasons", text=text)]
