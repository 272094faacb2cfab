"""Decisions about changes: journal entries that stand until a later entry opens them again.

Whoever requested or implements a change never decides about it. Two people who decide at once are
both shown what the other did: a decision names the state it was made upon (its ``etag``), and one
that stands has to be reopened first. Only the first decision about a change may name no state.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from features import instants
from features.people import digest, plain
from features.records import PERSON_FIELDS
from features.store import Store
from features.store.references import References
from features.store.review import Review
from serving.keys import Caller
from serving.problems import RefusedError

LEAST_REASON = 10
"""Characters a reason must have."""

WITHOUT_REASON = ("low", "moderate")
"""Bands that may be approved without a reason."""

OVERRIDING = ("high", "very_high")
"""Bands whose approval as planned goes against the score."""

APPROVALS = ("approve", "approve_with_conditions")

Kind = Literal["approve", "approve_with_conditions", "send_back", "reject", "reopen"]


def _said(value: object) -> object:
    return value.strip().replace("\x00", "\ufffd") or None if isinstance(value, str) else value


Reason = Annotated[Annotated[str, Field(max_length=4000)] | None, BeforeValidator(_said)]
Condition = Annotated[str, BeforeValidator(_said), Field(min_length=1, max_length=500)]


class DecisionIn(BaseModel):
    """What somebody decides about a change."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    decision: Kind
    reason: Reason = Field(
        default=None,
        description="At least 10 characters, unless a low or moderate change is approved.",
    )
    conditions: Annotated[list[Condition], Field(max_length=20)] = Field(
        default_factory=list,
        description="What must be done first, such as the texts of levers. "
        "Only with approve_with_conditions.",
    )
    score_id: Annotated[str | None, Field(max_length=100)] = Field(
        default=None, description="The score the decision was made upon. By default the latest."
    )


class Decision(BaseModel):
    """A decision as it is on record."""

    decision_id: str
    change_id: str
    decision: Kind
    override: bool = Field(description="A high or very high change was approved as planned.")
    reason: str | None
    conditions: list[str]
    decided_by: str
    role: str
    decided_at: datetime
    score_id: str
    revision: str
    risk_band: str | None
    incident_probability: float | None


class Decisions(BaseModel):
    """How it stands with the decision about a change: what counts, and all there were."""

    change_id: str
    standing: Decision | None
    history: list[Decision]
    etag: str


def read(store: Store, change_id: str) -> Decisions:
    """How it stands with the decision about a change.

    Raises
    ------
    RefusedError
        ``not-found`` for a change that was never scored.
    """
    with store.review() as review:
        return _standing(review, change_id)


def decide(
    store: Store,
    change_id: str,
    asked: DecisionIn,
    by: Caller,
    *,
    now: datetime,
    if_match: str | None = None,
) -> Decision:
    """Record a decision; all checks and the entry are one transaction.

    Parameters
    ----------
    by : Caller
        Who decides; must not be called as the requester or the implementer of any revision.
    if_match : str, optional
        The ``etag`` of :func:`read` that the decision was made upon; needed once there is a
        decision on record.

    Raises
    ------
    RefusedError
        ``not-found``; ``forbidden`` for one's own change; ``invalid`` for a missing reason or
        condition; ``stale`` where the state is not ``if_match`` any more; ``conflict`` where a
        decision stands, or none stands that could be reopened; ``precondition-required`` where
        there were decisions and ``if_match`` says nothing of them.
    """
    payloads = [
        entry.body["payload"]
        for entry in store.journal_entries(change_id=change_id)
        if entry.kind == "score"
    ]
    with store.write("decision", now=now) as writer:
        state = writer.review.state(change_id)
        if state is None:
            raise _unknown()
        _others_only(by, payloads, writer.references)
        _sufficient(asked, state)
        standing = _standing(writer.review, change_id)
        _first(asked, standing, if_match)
        made = _made(change_id, asked, by, state, now)
        body = {"decision": made.model_dump(mode="json"), "by": by.signed()}
        head = writer.append_journal(made.decision_id, "decision", change_id, body)
        writer.review.add_decision(_row(made, head.seq))
        stands = None if asked.decision == "reopen" else asked.decision
        writer.review.set_state(change_id, decision=stands, decision_id=made.decision_id)
    return made


def _unknown() -> RefusedError:
    return RefusedError("not-found", "this change was never scored here")


def _others_only(by: Caller, payloads: list[Mapping[str, Any]], references: References) -> None:
    """Whether the caller is nobody the change names, be it by name or by an id of the ITSM's."""
    own = {digest(name) for name in by.names if plain(name)}
    for field in PERSON_FIELDS:
        named = {name for payload in payloads if (name := payload.get(field))}
        if any(map(by.is_called, named)) or references.people(named) & own:
            part = "requested" if field == "requested_by" else "implements"
            raise RefusedError("forbidden", f"who {part} a change does not decide about it")


def _sufficient(asked: DecisionIn, state: Mapping[str, Any]) -> None:
    """Whether what must be said is said."""
    if asked.score_id is not None and asked.score_id != state["score_id"]:
        raise RefusedError("stale", f"the latest score of this change is {state['score_id']}")
    eased = asked.decision in APPROVALS and state["band"] in WITHOUT_REASON
    if not eased and len(asked.reason or "") < LEAST_REASON:
        detail = f"expected a reason of at least {LEAST_REASON} characters"
        raise RefusedError("invalid", detail, pointer="/reason")
    conditional = asked.decision == "approve_with_conditions"
    if conditional and not asked.conditions:
        raise RefusedError("invalid", "expected at least one condition", pointer="/conditions")
    if asked.conditions and not conditional:
        detail = "conditions go with approve_with_conditions only"
        raise RefusedError("invalid", detail, pointer="/conditions")


def _first(asked: DecisionIn, standing: Decisions, if_match: str | None) -> None:
    """Whether nobody was quicker; both decisions are shown where somebody was."""
    current = standing.standing
    both = {
        "standing": None if current is None else current.model_dump(mode="json"),
        "yours": asked.model_dump(mode="json"),
        "etag": standing.etag,
    }
    named = None  # by nothing, or by a star, which names no state
    if if_match is not None and if_match.strip() != "*":
        named = {tag.strip().removeprefix("W/") for tag in if_match.split(",")}
    if named is not None and standing.etag not in named:
        detail = "the change was scored or decided anew since you read it"
        raise RefusedError("stale", detail, shown=both)
    if asked.decision == "reopen":
        if current is None:
            raise RefusedError("conflict", "no decision stands that could be reopened", shown=both)
    elif current is not None:
        raise RefusedError("conflict", "a decision stands; reopen it first", shown=both)
    if named is None and standing.history:
        detail = "send the ETag of the decision you have read as If-Match"
        raise RefusedError("precondition-required", detail, shown=both)


def _made(
    change_id: str, asked: DecisionIn, by: Caller, state: Mapping[str, Any], now: datetime
) -> Decision:
    return Decision(
        decision_id=str(uuid.uuid4()),
        change_id=change_id,
        decision=asked.decision,
        override=asked.decision == "approve" and state["band"] in OVERRIDING,
        reason=asked.reason,
        conditions=asked.conditions,
        decided_by=by.name,
        role=by.role,
        decided_at=now,
        score_id=state["score_id"],
        revision=state["revision"],
        risk_band=state["band"],
        incident_probability=state["probability"],
    )


def _row(made: Decision, seq: int) -> dict[str, Any]:
    return {
        "entry_id": made.decision_id,
        "seq": seq,
        "change_id": made.change_id,
        "kind": made.decision,
        "override": made.override,
        "reason": made.reason,
        "conditions": orjson.dumps(made.conditions).decode(),
        "decided_by": made.decided_by,
        "role": made.role,
        "decided_at": instants.to_micros(made.decided_at),
        "score_id": made.score_id,
        "revision": made.revision,
        "band": made.risk_band,
        "probability": made.incident_probability,
    }


def _standing(review: Review, change_id: str) -> Decisions:
    state = review.state(change_id)
    if state is None:
        raise _unknown()
    history = [_decision(row) for row in review.decisions(change_id)]
    last = history[-1] if history else None
    return Decisions(
        change_id=change_id,
        standing=None if last is None or last.decision == "reopen" else last,
        history=history,
        etag=_etag(state),
    )


def _decision(row: Mapping[str, Any]) -> Decision:
    return Decision(
        decision_id=row["entry_id"],
        change_id=row["change_id"],
        decision=row["kind"],
        override=row["override"],
        reason=row["reason"],
        conditions=orjson.loads(row["conditions"]),
        decided_by=row["decided_by"],
        role=row["role"],
        decided_at=instants.from_micros(row["decided_at"]),  # type: ignore[arg-type]
        score_id=row["score_id"],
        revision=row["revision"],
        risk_band=row["band"],
        incident_probability=row["probability"],
    )


def _etag(state: Mapping[str, Any]) -> str:
    """The state a decision is made upon: what was decided last, and which score of which content.

    Scoring the same revision again, to the same band, leaves it as it is.
    """
    upon = [state["decision_id"], state["revision"], state["band"]]
    return f'"{hashlib.sha256(orjson.dumps(upon)).hexdigest()[:20]}"'
