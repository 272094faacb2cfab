"""A scored change against an average one, of all or of its team, its earlier revision, or a similar
one that went well.

All are scored by the model that scores now, each with what was known at its own moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from features.columns import Columns
from features.entities import ENTITIES
from features.evidence import Question
from features.language import say, say_count
from features.records import Change
from features.sentences import number, within
from features.similar import similar_changes
from features.state import FeatureState
from features.store import Store
from features.store.chain import JournalEntry
from features.table import build
from models.bundle import RiskModel
from models.contrast import Contrast, Row, contrast, contrast_average
from models.explanation import Explainer, heading
from serving.contract import ChangeIn
from serving.late import in_force
from serving.problems import RefusedError
from serving.scorer import Scorer

Floats = NDArray[np.float64]

Against = Literal["average", "team", "revision", "similar"]

SEARCHED = 50
"""Similar changes that went well among which the most alike is looked for."""

MOST_OF_TEAM = 500
"""Newest changes of a team that are looked at."""

FEWEST_OF_TEAM = 10
"""Fewer normal changes tell nothing of what is normal for a team."""


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
    """What the change is compared with; an average one, of so many ``changes``, has no id."""

    change_id: str | None
    revision: str | None
    similarity: float | None
    changes: int
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


@dataclass(frozen=True, kw_only=True)
class _Other:
    """What a change is compared with, in words and by name; an average one of many has no row.

    Parameters
    ----------
    values : ndarray, shape (n, columns of the catalogue), optional
        The feature table's rows of the many; none for the training changes.
    """

    who: str
    change_id: str | None = None
    revision: str | None = None
    similarity: float | None = None
    row: Row | None = None
    values: Floats | None = None


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
        model, version = scorer.registered.model, scorer.registered.version
        this = _row(entries[-1], state)
        other = _asked(against, entries, this, state)
    # The history is free for others again: tables of another background take their time.
    found, changes = _compared(model, this, other)
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
            changes=changes,
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
        model_version=version,
    )


def _asked(against: Against, entries: list[JournalEntry], this: Row, state: FeatureState) -> _Other:
    if against == "average":
        return _Other(who=say("an average change"))
    if against == "team":
        return _team(this, entries[-1], state)
    if against == "similar":
        return _similar(this, entries[-1], state)
    earlier = _earlier(entries)
    revision = _revision(earlier)
    return _Other(
        who=say("its revision {revision}", revision=revision),
        change_id=earlier.change_id,
        revision=revision,
        row=_row(earlier, state),
    )


def _compared(model: RiskModel, this: Row, other: _Other) -> tuple[Contrast, int]:
    """The contrast, and how many changes the other one stands for."""
    if other.row is not None:
        return contrast(model, this, other.row), 1
    if other.values is not None:
        explainer = Explainer.against(model, other.values)
        return contrast_average(model, explainer, this), len(other.values)
    return contrast_average(model, Explainer(model), this), model.tables.rows


def _scored(store: Store, change_id: str) -> list[JournalEntry]:
    scores = [
        entry
        for entry in store.journal_entries(change_id=change_id)
        if entry.kind == "score" and entry.body["answer"]["status"] != "not_scored"
    ]
    return in_force(scores)


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


def _similar(this: Row, entry: JournalEntry, state: FeatureState) -> _Other:
    question = Question(this.changes, 0, entry.body["as_of"], state)
    for similar in similar_changes(question, SEARCHED, outcome="clean"):
        record = state.change(similar.change_id)
        if record is not None:
            changes = record[0].take(np.array([record[1]]))
            table = build(changes, changes.times("known_at"), state)
            return _Other(
                who=say("{change}, which went well", change=similar.change_id),
                change_id=similar.change_id,
                revision=changes["revision"][0],
                similarity=similar.similarity,
                row=Row(table, changes),
            )
    raise RefusedError("not-found", "no earlier change like this one is known to have gone well")


def _team(this: Row, entry: JournalEntry, state: FeatureState) -> _Other:
    """The team's newest normal changes whose outcome was known, each with what was known of it."""
    if not this.changes["assignment_group"][0]:
        raise RefusedError("not-found", "this change names no team")
    question = Question(this.changes, 0, entry.body["as_of"], state)
    index, names = (
        state.events("decided", ENTITIES["team"].vocabulary),
        state.vocabulary("change").names,
    )
    found: list[int] = []
    for code in question.codes("team"):
        found += index.recent(code, question.as_of, None, int(question.owner()[0]), MOST_OF_TEAM)
    records = state.changes([names[one] for one in found])
    normal = [
        table.take(np.array([row]))
        for table, row in records.values()
        if (table["change_type"][row] or "normal").strip().lower() == "normal"
    ]
    if len(normal) < FEWEST_OF_TEAM:
        raise RefusedError(
            "not-found",
            f"fewer than {FEWEST_OF_TEAM} earlier normal changes of its team are known to have "
            "ended well or badly",
        )
    changes = Columns.concatenate(normal)
    who = say_count(
        "an average one of {number} normal change by team {team}",
        "an average one of {number} normal changes by team {team}",
        len(changes),
        number=number(len(changes)),
        team=this.changes["assignment_group"][0],
    )
    return _Other(who=who, values=build(changes, changes.times("known_at"), state).values)
