"""What people say of a score: whether it looks right, and which of its factors help."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from features import instants
from features.store import Store
from features.store.chain import JournalEntry
from serving.keys import Caller
from serving.problems import RefusedError

SCORE = "score"
"""What a verdict about the whole score is about, in the table."""


def _said(value: object) -> object:
    return value.strip().replace("\x00", "\ufffd") or None if isinstance(value, str) else value


Comment = Annotated[Annotated[str, Field(max_length=2000)] | None, BeforeValidator(_said)]


class FactorFeedback(BaseModel):
    """What somebody says of one factor group."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    group: Annotated[str, Field(min_length=1, max_length=100)]
    verdict: Literal["not_useful", "looks_wrong"]
    comment: Comment = None


class FeedbackIn(BaseModel):
    """What somebody says of a score: of the whole, of factors, or both."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    score: Literal["too_low", "about_right", "too_high"] | None = None
    factors: Annotated[list[FactorFeedback], Field(max_length=50)] = []
    comment: Comment = None
    score_id: Annotated[str | None, Field(max_length=100)] = Field(
        default=None, description="The score that is meant. By default the latest."
    )


class Feedback(FeedbackIn):
    """Feedback as it is on record."""

    feedback_id: str
    change_id: str
    score_id: str
    given_by: str
    role: str
    given_at: datetime


def give(store: Store, change_id: str, said: FeedbackIn, by: Caller, *, now: datetime) -> Feedback:
    """Record what somebody says of a score.

    Raises
    ------
    RefusedError
        ``not-found`` for a change or a score that is not on record, ``invalid`` where nothing is
        said or a factor is none of the score's.
    """
    if said.score is None and not said.factors:
        detail = "expected a verdict about the score or about a factor"
        raise RefusedError("invalid", detail, pointer="/score")
    answer = _meant(store, change_id, said.score_id).body["answer"]
    groups = [factor["group"] for factor in answer["factors"]]
    for place, factor in enumerate(said.factors):
        if factor.group not in groups:
            detail = f"expected a factor of the score: {', '.join(groups) or 'it has none'}"
            raise RefusedError("invalid", detail, pointer=f"/factors/{place}/group")
    given = Feedback(
        **{**said.model_dump(), "score_id": answer["score_id"]},
        feedback_id=str(uuid.uuid4()),
        change_id=change_id,
        given_by=by.name,
        role=by.role,
        given_at=now,
    )
    with store.write("feedback", now=now) as writer:
        body = {"feedback": given.model_dump(mode="json"), "by": by.signed()}
        head = writer.append_journal(given.feedback_id, "feedback", change_id, body)
        writer.review.add_feedback(_rows(given, head.seq))
    return given


def read(store: Store, change_id: str) -> list[dict[str, Any]]:
    """What was said of a change's scores, oldest first, one mapping for each thing said."""
    with store.review() as review:
        return [_shown(row) for row in review.feedback(change_id)]


def _meant(store: Store, change_id: str, score_id: str | None) -> JournalEntry:
    with store.review() as review:
        state = review.state(change_id)
    if state is None:
        raise RefusedError("not-found", "this change was never scored here")
    entry = store.journal_entry(score_id or state["score_id"])
    if entry is None or entry.kind != "score" or entry.change_id != change_id:
        raise RefusedError("not-found", "this change has no score of this id")
    return entry


def _rows(given: Feedback, seq: int) -> list[dict[str, Any]]:
    said: list[tuple[str, str, str | None]] = []
    if given.score is not None:
        said.append((SCORE, given.score, given.comment))
    said += [(factor.group, factor.verdict, factor.comment) for factor in given.factors]
    return [
        {
            "entry_id": given.feedback_id,
            "number": number,
            "seq": seq,
            "change_id": given.change_id,
            "score_id": given.score_id,
            "about": about,
            "verdict": verdict,
            "comment": comment,
            "given_by": given.given_by,
            "role": given.role,
            "given_at": instants.to_micros(given.given_at),
        }
        for number, (about, verdict, comment) in enumerate(said)
    ]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("change_id", "score_id", "about", "verdict", "comment", "given_by", "role")
    return {
        **{name: row[name] for name in names},
        "given_at": instants.from_micros(row["given_at"]),
    }
