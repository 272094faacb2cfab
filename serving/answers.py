"""Answers put together: a score with its reasons, evidence and advice, or why there is none."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.catalogue import BY_NAME
from features.columns import Columns
from features.evidence import Question, collisions, records_behind
from features.language import say, say_count
from features.records import Change
from features.sentences import per_hundred, within
from features.similar import similar_changes
from features.state import FeatureState
from features.table import FeatureTable
from models.bands import BOARD
from models.bundle import RiskModel
from models.explanation import Factor, heading
from models.registry import Registered
from models.routing import Case
from serving.contract import (
    Answer,
    ChangeIn,
    CollisionOut,
    FactorOut,
    LeverOut,
    ModelOut,
    SimilarOut,
    Warned,
)
from serving.journal import digest
from serving.late import Place
from serving.levers import Lever
from serving.moment import moment_of
from serving.policy import UNREADABLE, recommend

Floats = NDArray[np.float64]

FEWEST_PRECEDENTS = 3
"""Similar changes an answer names; a high one says so where there are fewer."""

MOST_COLLISIONS = 20
"""Collisions an answer names."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A number and all that belongs to it.

    Parameters
    ----------
    changes : Columns
        The change, in one row.
    table : FeatureTable
        Its features.
    levers : sequence of Lever
        What would lower it, where somebody wants to know.
    """

    changes: Columns
    table: FeatureTable
    probability: float
    base_log_odds: float
    factors: list[Factor]
    levers: Sequence[Lever] = ()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was asked: a change as it stands, the moment it is scored for, and what was odd."""

    record: Change
    as_of: datetime
    now: datetime
    warnings: Sequence[Warned]

    @classmethod
    def of(cls, change: ChangeIn, now: datetime, revision: str | None = None) -> Asked:
        """What is asked of a change whose place among its revisions is not looked up.

        Raises
        ------
        InputError
            If ``as_of`` lies in the future.
        """
        as_of, odd = moment_of(change, now)
        record = change.to_record(revision=revision or change.revision or "1", known_at=now)
        return cls(record=record, as_of=as_of, now=now, warnings=[*change.warnings(), *odd])

    @property
    def begun(self) -> bool:
        """Whether the planned start has passed, so that nothing can be changed any more."""
        return any(warning.code == "retrospective" for warning in self.warnings)


def with_score(asked: Asked, scored: Scored, registered: Registered, state: FeatureState) -> Answer:
    """The answer that gives a number, and what goes with it."""
    model, probability = registered.model, scored.probability
    micros = instants.to_micros(asked.as_of)
    question = Question(scored.changes, 0, micros, state, scored.table)
    similar = similar_changes(question, FEWEST_PRECEDENTS)
    levers = [_lever_out(lever) for lever in scored.levers]
    changeable = any(factor.changeable for factor in scored.factors)
    return with_number(
        asked,
        probability,
        scored.table.values[0],
        _degrading(scored.table, model),
        registered,
        _telling(model.bands.of(probability), changeable, bool(levers), len(similar)),
        factors=[_factor_out(factor, question) for factor in scored.factors],
        base_log_odds=scored.base_log_odds,
        levers=levers,
        similar_changes=[
            SimilarOut.model_validate(change, from_attributes=True) for change in similar
        ],
        collisions=[
            CollisionOut.model_validate(collision, from_attributes=True)
            for collision in collisions(question)[:MOST_COLLISIONS]
        ],
    )


def with_number(
    asked: Asked,
    probability: float,
    row: Floats,
    missing: Sequence[Warned],
    registered: Registered,
    telling: Sequence[Warned] = (),
    **reasons: object,
) -> Answer:
    """The answer that gives a number, with whatever reasons there are.

    Parameters
    ----------
    row : ndarray, shape (features,)
        The change's row of the feature table.
    missing : sequence of Warned
        Factor groups of which nothing is known, though most changes have them.
    telling : sequence of Warned, optional
        What else its reader should know.
    """
    model, policy = registered.model, registered.routing
    band = model.bands.of(probability)
    told, tried = None, None
    if policy is not None:
        case = Case(
            change=asked.record,
            band=band,
            probability=probability,
            degraded=bool(missing),
            row=row,
        )
        told, tried = recommend(policy, case, model.bands)
    unreadable = [UNREADABLE] if policy is None else []
    return _answer(
        asked,
        registered,
        status="degraded" if missing else "scored",
        incident_probability=probability,
        base_rate=model.base_rate,
        times_base_rate=probability / model.base_rate,
        risk_band=band,
        percentile=model.percentile(probability),
        summary=say(
            "About {share} in 100 changes like this one {means}; usual: {usual} in 100.",
            share=within(probability, model.bands.cuts),
            means=say(model.policy.means),
            usual=per_hundred(model.base_rate),
        ),
        recommendation=told,
        warnings=[*asked.warnings, *missing, *telling, *unreadable],
        **reasons,
    ).beside(tried)


def without_score(asked: Asked, registered: Registered | None, *because: Warned) -> Answer:
    """The answer that gives no number; its warnings say why."""
    return _answer(
        asked,
        registered,
        status="not_scored",
        summary=say("This change was not scored; decide without a score."),
        warnings=[*asked.warnings, *because],
    )


def without_model() -> Warned:
    """The warning that there is no model, for those who read answers; why is in the log and told by
    ``/readyz``.
    """
    return Warned(code="model_unavailable", text=say("There was no model to score it with."))


def waited_in_vain() -> Warned:
    """The warning that others were being scored for too long."""
    return Warned(code="busy", text=say("Too many changes were waiting to be scored."))


def at_fault() -> Warned:
    """The warning that a fault of ours is in the way of a score."""
    return Warned(code="internal_error", text=say("The change could not be scored."))


def unrecorded() -> Warned:
    """The warning that the answer could not be written down."""
    return Warned(code="not_recorded", text=say("The answer could not be recorded."))


def _answer(asked: Asked, registered: Registered | None, **said: object) -> Answer:
    record = asked.record
    return Answer(
        score_id=str(uuid.uuid4()),
        change_id=record.change_id,
        revision=record.revision,
        model=None if registered is None else _model_out(registered),
        as_of=asked.as_of,
        scored_at=asked.now,
        input_hash=_input_hash(record, asked.as_of),
        links={"change": f"/v1/changes/{quote(record.change_id, safe='')}"},
        **said,  # type: ignore[arg-type]
    )


def settled(answer: Answer, place: Place) -> Answer:
    """The answer as it is kept: with the revision's mark, and what is odd about its place."""
    record = place.record
    if record.revision != answer.revision:
        said = {"revision": record.revision, "input_hash": _input_hash(record, answer.as_of)}
        answer = answer.model_copy(update=said)
    if place.late is not None:
        answer.warnings.append(place.late)
    return answer


def unknown_factor(group: str) -> Warned:
    """The warning that nothing is known of a factor group."""
    return Warned(
        code="missing_factor",
        field=group,
        text=say(
            "Nothing is known of “{factor}”, which most changes have on record; "
            "it was taken as usual",
            factor=heading(group),
        ),
    )


def _degrading(table: FeatureTable, model: RiskModel) -> list[Warned]:
    """Factor groups of which nothing is known, though most changes have them."""
    return [unknown_factor(group) for group in model.unknown_groups(table.values)]


def _telling(band: str, changeable: bool, lever: bool, precedents: int) -> list[Warned]:
    """What a high answer lacks to act upon: something to change, and changes to compare it with."""
    if band not in BOARD:
        return []
    found = []
    if not changeable:
        text = say("No fact behind this score is one that the requester can change")
        if lever:
            text = say(
                "No fact behind this score is one that the requester can change; another version "
                "of the change scores lower, though: see what would lower it"
            )
        found.append(Warned(code="nothing_changeable", text=text))
    if precedents < FEWEST_PRECEDENTS:
        text = say_count(
            "Only {number} earlier change like this one with a known outcome on record",
            "Only {number} earlier changes like this one with a known outcome on record",
            precedents,
            number=str(precedents),
        )
        if not precedents:
            text = say("No earlier change like this one with a known outcome on record")
        found.append(Warned(code="few_precedents", text=text))
    return found


def _factor_out(factor: Factor, question: Question) -> FactorOut:
    evidence = [] if factor.feature is None else records_behind(question, BY_NAME[factor.feature])
    return FactorOut(
        group=factor.group,
        heading=heading(factor.group),
        text=factor.text,
        feature=factor.feature,
        value=factor.value,
        reference=factor.reference,
        direction=factor.direction,  # type: ignore[arg-type]
        log_odds=factor.log_odds,
        points=factor.points,
        changeable=factor.changeable,
        evidence=evidence,
    )


def _lever_out(lever: Lever) -> LeverOut:
    return LeverOut(
        text=lever.text,
        change=lever.change,
        incident_probability=lever.probability,
        risk_band=lever.band,
    )


def _model_out(registered: Registered) -> ModelOut:
    model = registered.model
    return ModelOut(
        name=registered.name,
        version=registered.version,
        trained_at=model.trained_at,
        history_until=model.history_until,
        label=model.policy.name,
    )


def _input_hash(record: Change, as_of: datetime) -> str:
    """Digest of what was asked: the change's content and the moment."""
    content = {**vars(record), "attributes": dict(record.attributes), "known_at": None}
    return digest({"change": content, "as_of": instants.to_micros(as_of)})
