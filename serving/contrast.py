"""A scored change against an average one, its earlier revision, or a similar one that went well.

Both are scored by the model that scores now, each with what was known at its own moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel
from scipy.special import expit

from features.columns import Columns
from features.evidence import Question
from features.language import say
from features.records import Change
from features.sentences import within
from features.similar import similar_changes
from features.state import FeatureState
from features.store import Store
from features.store.chain import JournalEntry
from features.table import build
from models.bundle import RiskModel
from models.contrast import Contrast, Difference, Row, contrast
from models.explanation import Explainer, Factor, heading
from serving.contract import ChangeIn
from serving.problems import RefusedError
from serving.scorer import Scorer

Against = Literal["average", "revision", "similar"]

SEARCHED = 50
"""Similar changes that went well among which the most alike is looked for."""


class DifferenceOut(BaseModel):
    """What a factor group makes of the difference; ``log_odds`` and ``points`` add up to it."""

    group: str
    heading: str
    text: str
    other_text: str
    feature: str | None
    log_odds: float
    points: float


class OtherOut(BaseModel):
    """What the change is compared with; an average change has no id."""

    change_id: str | None
    revision: str | None
    similarity: float | None
    incident_probability: float


class ContrastOut(BaseModel):
    """A change against another, factor by factor, strongest first."""

    change_id: str
    revision: str
    against: Against
    incident_probability: float
    other: OtherOut
    text: str
    differences: list[DifferenceOut]
    model_version: str


@dataclass(frozen=True)
class _Other:
    """What a change is compared with, in words and by name."""

    who: str
    change_id: str | None = None
    revision: str | None = None
    similarity: float | None = None


def contrasted(scorer: Scorer, change_id: str, against: Against) -> ContrastOut:
    """The last score of a change against what is asked for.

    Raises
    ------
    RefusedError
        If the change was never scored here, there is nothing of the kind to compare it with, or no
        model is loaded.
    StoreError
        If the store cannot be read.
    """
    entries = _scored(scorer.store, change_id)
    if not entries:
        raise RefusedError("not-found", "this change was never scored here")
    with scorer.reading() as state:
        if state is None or scorer.registered is None:
            raise RefusedError("unavailable", scorer.unavailable)
        model, this = scorer.registered.model, _row(entries[-1], state)
        if against == "average":
            found, other = _average(model, this), _Other(say("an average change"))
        elif against == "revision":
            earlier = _earlier(entries)
            revision = _revision(earlier)
            other = _Other(say("its revision {revision}", revision=revision), change_id, revision)
            found = contrast(model, this, _row(earlier, state))
        else:
            row, other = _similar(this, entries[-1], state)
            found = contrast(model, this, row)
    edges = model.bands.cuts
    return ContrastOut(
        change_id=change_id,
        revision=_revision(entries[-1]),
        against=against,
        incident_probability=found.probability,
        other=OtherOut(
            change_id=other.change_id,
            revision=other.revision,
            similarity=other.similarity,
            incident_probability=found.other_probability,
        ),
        text=say(
            "{this} in 100, against {that} in 100 for {other}",
            this=within(found.probability, edges),
            that=within(found.other_probability, edges),
            other=other.who,
        ),
        differences=[
            DifferenceOut(heading=heading(difference.group), **vars(difference))
            for difference in found.differences
        ],
        model_version=scorer.registered.version,
    )


def _scored(store: Store, change_id: str) -> list[JournalEntry]:
    return [
        entry
        for entry in store.journal_entries(change_id=change_id)
        if entry.kind == "score" and entry.body["answer"]["status"] != "not_scored"
    ]


def _revision(entry: JournalEntry) -> str:
    return str(entry.body["answer"]["revision"])


def _earlier(entries: list[JournalEntry]) -> JournalEntry:
    last = _revision(entries[-1])
    for entry in reversed(entries):
        if _revision(entry) != last:
            return entry
    raise RefusedError("not-found", "no earlier revision of this change was scored here")


def _row(entry: JournalEntry, state: FeatureState) -> Row:
    """The change as it was scored, with what was known then."""
    body = entry.body
    change = ChangeIn.model_validate(body["payload"])
    record = change.to_record(revision=body["revision"], known_at=entry.written_at)
    changes = Columns.from_records(Change, [record])
    return Row(build(changes, np.array([body["as_of"]]), state), changes)


def _similar(this: Row, entry: JournalEntry, state: FeatureState) -> tuple[Row, _Other]:
    question = Question(this.changes, 0, entry.body["as_of"], state)
    for similar in similar_changes(question, SEARCHED, outcome="clean"):
        record = state.change(similar.change_id)
        if record is not None:
            changes = record[0].take(np.array([record[1]]))
            table = build(changes, changes.times("known_at"), state)
            other = _Other(
                say("{change}, which went well", change=similar.change_id),
                similar.change_id,
                changes["revision"][0],
                similar.similarity,
            )
            return Row(table, changes), other
    raise RefusedError("not-found", "no earlier change like this one is known to have gone well")


def _average(model: RiskModel, this: Row) -> Contrast:
    """The explanation every answer gives, as a contrast with the training changes' mean score."""
    explainer = Explainer(model)
    base, factors = explainer.base_log_odds, explainer.factors(this.table, this.changes)
    probability = float(model.probability(this.table.values)[0])
    return Contrast(
        probability=probability,
        other_probability=float(expit(base)),
        differences=[_from_factor(factor) for factor in factors],
    )


def _from_factor(factor: Factor) -> Difference:
    return Difference(
        group=factor.group,
        text=factor.text.removesuffix(factor.compared),
        other_text=factor.compared.removeprefix("; "),
        feature=factor.feature,
        log_odds=factor.log_odds,
        points=factor.points,
    )
