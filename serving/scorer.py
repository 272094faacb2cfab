"""Score, explain, record: the one way from a change to its answer, over HTTP and offline alike."""

from __future__ import annotations

import logging
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import numpy as np
from scipy.special import expit

from features import instants
from features.catalogue import BY_NAME
from features.columns import Columns
from features.evidence import Question, collisions, records_behind, similar_changes
from features.records import Change
from features.sentences import per_hundred
from features.state import FeatureState
from features.store import Store, StoreError
from features.table import FeatureTable, build
from models.explanation import Explainer, Factor, heading
from models.registry import Registered
from serving.contract import (
    Answer,
    ChangeIn,
    CollisionOut,
    FactorOut,
    LeverOut,
    ModelOut,
    SimilarOut,
    Warned,
    plain,
)
from serving.journal import digest
from serving.levers import levers
from serving.policy import recommend

_log = logging.getLogger(__name__)


class InputError(ValueError):
    """A field that cannot be used as it is.

    Parameters
    ----------
    pointer : str
        JSON pointer of the field.
    detail : str
        What was expected.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}")
        self.pointer = pointer
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A number and all that belongs to it."""

    table: FeatureTable
    probability: float
    base_log_odds: float
    factors: list[Factor]


class Scorer:
    """Answers changes from a store and a model.

    Parameters
    ----------
    store : Store
        History and journal.
    registered : Registered or None
        The model; None where none could be loaded.
    unavailable : str
        Why there is none.
    """

    def __init__(
        self, store: Store, registered: Registered | None, unavailable: str = "no model is loaded"
    ) -> None:
        self.store = store
        self.registered = registered
        self.unavailable = unavailable
        self._lock = threading.Lock()
        self._state: FeatureState | None = None
        self._explainer: Explainer | None = None
        if registered is not None:
            self._explainer = Explainer(registered.model)
            self._state = FeatureState(store.load(), registered.model.policy).prepare()

    @property
    def watermark(self) -> int:
        """The last write whose facts count."""
        return 0 if self._state is None else self._state.watermark

    def answer(self, change: ChangeIn, *, now: datetime) -> Answer:
        """Score one change and record the answer.

        Parameters
        ----------
        now : datetime
            The moment of the call, aware.

        Raises
        ------
        InputError
            If ``as_of`` lies in the future.
        """
        as_of, about_time = moment_of(change, now)
        with self._lock:
            return self._answer(change, as_of, about_time, now)

    def _answer(
        self, change: ChangeIn, as_of: datetime, about_time: list[Warned], now: datetime
    ) -> Answer:
        warnings = [*change.warnings(), *about_time]
        try:
            record = self._revision(change, now)
            self._refresh()
        except StoreError as error:
            _log.error("the store could not be read: %s", error)
            warned = Warned(code="store_unavailable", text="The history could not be read.")
            record = change.to_record(revision=change.revision or "1", known_at=now)
            return self._without_score(record, as_of, now, [*warnings, warned])
        scored: Scored | None = None
        try:
            scored = self._score(record, as_of)
        except Exception:  # noqa: BLE001 - the workflow always gets an answer; the log has the fault
            _log.exception("scoring %s failed", _loggable(change.change_id))
            warned = Warned(code="internal_error", text="The change could not be scored.")
            warnings.append(warned)
        else:
            if scored is None:
                warnings.append(Warned(code="model_unavailable", text=self.unavailable))
        answer = (
            self._without_score(record, as_of, now, warnings)
            if scored is None
            else self._with_score(record, as_of, now, warnings, scored)
        )
        return self._recorded(answer, record, change, scored, now)

    def _refresh(self) -> None:
        """Take in what was written since the last answer, by this worker or another."""
        if self._state is not None and self.store.watermark() > self._state.watermark:
            newer = self.store.load(after=self._state.watermark)
            self._state = self._state.extended(newer)

    def _revision(self, change: ChangeIn, now: datetime) -> Change:
        """The change as a record; without a revision mark of its own it gets the next number,
        unless its content is the last one's.
        """
        if change.revision is not None:
            return change.to_record(revision=change.revision, known_at=now)
        latest = self.store.latest_revision(change.change_id)
        if latest is None:
            return change.to_record(revision="1", known_at=now)
        mark, count = latest
        same = change.to_record(revision=mark, known_at=now)
        if self.store.holds(same):
            return same
        return change.to_record(revision=str(count + 1), known_at=now)

    def _score(self, record: Change, as_of: datetime) -> Scored | None:
        if self.registered is None or self._state is None or self._explainer is None:
            return None
        return score_one(record, as_of, self.registered, self._state, self._explainer)

    def _with_score(
        self, record: Change, as_of: datetime, now: datetime, warnings: list[Warned], scored: Scored
    ) -> Answer:
        if self.registered is None or self._state is None:
            raise RuntimeError("a score without a model")
        model, state = self.registered.model, self._state
        micros = instants.to_micros(as_of)
        changes = Columns.from_records(Change, [record])
        question = Question(changes, 0, micros, state)
        probability, band = scored.probability, model.bands.of(scored.probability)
        missing = _degrading(scored.table, self.registered)
        usual = f"{per_hundred(model.base_rate)} in 100"
        return Answer(
            score_id=str(uuid.uuid4()),
            change_id=record.change_id,
            revision=record.revision,
            status="degraded" if missing else "scored",
            incident_probability=probability,
            base_rate=model.base_rate,
            times_base_rate=probability / model.base_rate,
            risk_band=band,  # type: ignore[arg-type]
            percentile=model.percentile(probability),
            summary=f"About {per_hundred(probability)} in 100 changes like this one "
            f"{model.policy.means}; usual: {usual}.",
            factors=[_factor_out(factor, question) for factor in scored.factors],
            base_log_odds=scored.base_log_odds,
            levers=[
                LeverOut(
                    text=lever.text,
                    change=lever.change,
                    incident_probability=lever.probability,
                    risk_band=lever.band,
                )
                for lever in levers(record, micros, probability, model, state)
            ],
            similar_changes=[
                SimilarOut.model_validate(similar, from_attributes=True)
                for similar in similar_changes(question)
            ],
            collisions=[
                CollisionOut.model_validate(collision, from_attributes=True)
                for collision in collisions(question)[:20]
            ],
            recommendation=recommend(record, band, model.bands, missing=bool(missing)),
            warnings=[*warnings, *missing],
            model=self._model_out(),
            as_of=as_of,
            scored_at=now,
            input_hash=_input_hash(record, as_of),
            links=_links(record),
        )

    def _without_score(
        self, record: Change, as_of: datetime, now: datetime, warnings: list[Warned]
    ) -> Answer:
        return unscored(record, as_of, now, warnings, self._model_out())

    def _model_out(self) -> ModelOut | None:
        if self.registered is None:
            return None
        model = self.registered.model
        return ModelOut(
            name=self.registered.name,
            version=self.registered.version,
            trained_at=model.trained_at,
            history_until=model.history_until,
            label=model.policy.name,
        )

    def _recorded(
        self,
        answer: Answer,
        record: Change,
        change: ChangeIn,
        scored: Scored | None,
        now: datetime,
    ) -> Answer:
        """Keep the payload as a revision and the answer in the journal, both or neither.

        An answer that cannot be recorded is not given as a score: nobody could account for it.
        """
        body = {
            "payload": change.model_dump(mode="json"),
            "revision": record.revision,
            "as_of": instants.to_micros(answer.as_of),
            "watermark": self.watermark,
            "features": None if scored is None else scored.table.values[0].tolist(),
            "answer": plain(answer),
        }
        try:
            with self.store.write("score", now=now) as writer:
                writer.add([record])
                writer.append_journal(answer.score_id, "score", answer.change_id, body)
        except StoreError as error:
            _log.error("the answer could not be recorded: %s", error)
            warned = Warned(code="not_recorded", text="The answer could not be recorded.")
            return self._without_score(record, answer.as_of, now, [*answer.warnings, warned])
        return answer


def score_one(
    record: Change,
    as_of: datetime,
    registered: Registered,
    state: FeatureState,
    explainer: Explainer,
) -> Scored:
    """Features, probability and factors of one change at one moment."""
    changes = Columns.from_records(Change, [record])
    table = build(changes, np.array([instants.to_micros(as_of)]), state)
    return Scored(
        table=table,
        probability=float(registered.model.probability(table.values)[0]),
        base_log_odds=explainer.base_log_odds,
        factors=explainer.factors(table, changes),
    )


def unscored(
    record: Change,
    as_of: datetime,
    now: datetime,
    warnings: list[Warned],
    model: ModelOut | None,
) -> Answer:
    """The answer that gives no number; its warnings say why."""
    return Answer(
        score_id=str(uuid.uuid4()),
        change_id=record.change_id,
        revision=record.revision,
        status="not_scored",
        summary="This change was not scored; decide without a score.",
        warnings=warnings,
        model=model,
        as_of=as_of,
        scored_at=now,
        input_hash=_input_hash(record, as_of),
        links=_links(record),
    )


def moment_of(change: ChangeIn, now: datetime) -> tuple[datetime, list[Warned]]:
    """The moment a change is scored for, and what is odd about its times.

    A change still to come is scored with all that is known now. One whose planned start has passed
    is scored with what was known when it was submitted, since what followed is no forecast.

    Raises
    ------
    InputError
        If ``as_of`` lies in the future.
    """
    warnings = []
    start, end, submitted = change.planned_start, change.planned_end, change.submitted_at
    if start is not None and end is not None and end < start:
        text = "The planned end lies before the planned start; the duration was not used"
        warnings.append(Warned(code="impossible_window", field="planned_end", text=text))
    if submitted is not None and submitted > now:
        text = "The submission lies in the future"
        warnings.append(Warned(code="impossible_time", field="submitted_at", text=text))
        submitted = None
    if change.as_of is not None:
        if change.as_of > now:
            raise InputError("/as_of", "expected a moment that has passed")
        return change.as_of, warnings
    begins = start or submitted
    if begins is None or begins >= now:
        return now, warnings
    if start is not None:
        text = "The planned start has passed: scored with what was known when it was submitted"
        warnings.append(Warned(code="retrospective", field="planned_start", text=text))
    return submitted or begins, warnings


def base_probability(answer: Answer) -> float | None:
    """The probability of an average change, from which the factors lead to the score."""
    return None if answer.base_log_odds is None else float(expit(answer.base_log_odds))


def _degrading(table: FeatureTable, registered: Registered) -> list[Warned]:
    """Factor groups of which nothing is known, though most changes have them."""
    return [
        Warned(
            code="missing_factor",
            field=group,
            text=f"Nothing is known of “{heading(group)}”, which most changes have on record; "
            "it was taken as usual",
        )
        for group in registered.model.unknown_groups(table.values)
    ]


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


def _input_hash(record: Change, as_of: datetime) -> str:
    """Digest of what was asked: the change's content and the moment."""
    content = {**vars(record), "attributes": dict(record.attributes), "known_at": None}
    return digest({"change": content, "as_of": instants.to_micros(as_of)})


def _links(record: Change) -> dict[str, str]:
    return {"change": f"/v1/changes/{quote(record.change_id, safe='')}"}


def _loggable(text: str) -> str:
    """An id that cannot break or forge a log line."""
    return "".join(c if c.isprintable() else "?" for c in text)[:80]
