"""The queue of changes still to come, each with its latest score and what was decided.

Kept beside the journal in the journal's own transactions: five hundred changes are read from one
table, not from five hundred entries.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field

from features import instants
from features.records import Change
from features.store import Store
from features.store.review import Selection
from features.store.writing import Writer
from serving.contract import Answer, ChangeIn, Recommendation
from serving.late import SUPERSEDED
from serving.problems import RefusedError

MOST = 200
"""Entries one page of the queue holds at most."""

DEFAULT = 50

REASONS = 2
"""Raising factors an entry shows."""

Band = Literal["low", "moderate", "high", "very_high"]


class Clash(BaseModel):
    """Another change at the same time."""

    change_id: str
    kind: str


class QueueEntry(BaseModel):
    """A change still to come, as its latest score and its decision leave it."""

    change_id: str
    revision: str
    title: str | None
    change_type: str | None
    service: str | None
    ci: str | None
    assignment_group: str | None
    planned_start: datetime | None
    planned_end: datetime | None
    status: Literal["scored", "degraded", "not_scored"]
    incident_probability: float | None
    times_base_rate: float | None
    risk_band: Band | None
    percentile: int | None
    summary: str
    reasons: list[str]
    collisions: list[Clash]
    collisions_count: int
    route: str | None
    shadow_route: str | None = Field(
        default=None, description="What a policy in shadow mode would have suggested."
    )
    warnings: list[str]
    decision: str | None
    score_id: str
    scored_at: datetime
    links: dict[str, str]


class Queue(BaseModel):
    """One page of the queue; ``next`` is the ``after`` of the following one."""

    items: list[QueueEntry]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to show of the queue.

    Parameters
    ----------
    order : str
        ``risk`` (highest probability first) or ``soonest``.
    starts_from, starts_until : datetime, optional
        Only changes whose planned window overlaps this span, past ones too.
    after : str, optional
        The ``next`` of the page before.
    """

    order: Literal["risk", "soonest"] = "risk"
    bands: tuple[str, ...] = ()
    service: str | None = None
    team: str | None = None
    undecided: bool = False
    starts_from: datetime | None = None
    starts_until: datetime | None = None
    limit: int = DEFAULT
    after: str | None = None

    def selection(self, now: datetime) -> Selection:
        """The same for the store."""
        since, until = self.starts_from, self.starts_until
        return Selection(
            now=instants.to_micros(now),
            bands=self.bands,
            service=self.service,
            team=self.team,
            undecided=self.undecided,
            starts_from=None if since is None else instants.to_micros(since),
            starts_until=None if until is None else instants.to_micros(until),
        )


def page(store: Store, wanted: Wanted, *, now: datetime) -> Queue:
    """One page of the queue.

    Raises
    ------
    RefusedError
        If ``after`` is none of ours.
    """
    after = None if wanted.after is None else _place(wanted.after, wanted.order)
    with store.review() as review:
        rows = review.queue(
            wanted.selection(now), order=wanted.order, after=after, limit=wanted.limit + 1
        )
    more, rows = len(rows) > wanted.limit, rows[: wanted.limit]
    last = _cursor(wanted.order, rows[-1]["sort_key"], rows[-1]["change_id"]) if more else None
    return Queue(items=[_entry(row) for row in rows], next=last)


def tally(store: Store, wanted: Wanted, *, now: datetime) -> dict[str, dict[str, int]]:
    """How many changes of the queue are ``all`` and ``undecided``, by band; ``none`` without."""
    with store.review() as review:
        counted = review.tally(wanted.selection(now))
    found: dict[str, dict[str, int]] = {}
    for (band, decided), count in counted.items():
        entry = found.setdefault(band or "none", {"all": 0, "undecided": 0})
        entry["all"] += count
        entry["undecided"] += 0 if decided else count
    return found


def services(store: Store, *, now: datetime) -> list[str]:
    """The services of the changes in the queue, by name."""
    with store.review() as review:
        return review.services(Wanted().selection(now))


def entry(store: Store, change_id: str) -> QueueEntry | None:
    """The entry of one change, past or to come; None for one that was never scored."""
    with store.review() as review:
        row = review.state(change_id)
    return None if row is None else _entry(row)


def keep_all(
    writer: Writer, first: int, answers: Sequence[Answer], records: Sequence[Change]
) -> None:
    """Set changes' places in the queue to what their answers say, in the answers' transaction;
    their entries are numbered from ``first`` on.
    """
    pairs = enumerate(zip(answers, records, strict=True), start=first)
    states = [
        _state(seq, answer, record)
        for seq, (answer, record) in pairs
        if all(warning.code != SUPERSEDED for warning in answer.warnings)
        or writer.review.state(answer.change_id) is None
    ]
    if states:
        writer.review.put_states(states)


def catch_up(store: Store, *, now: datetime) -> int:
    """Take in the scores of a journal written before there was a queue; returns how many."""
    with store.review() as review:
        held = review.behind()
    if held is None:
        return 0
    count = 0
    with store.write("queue", now=now) as writer:
        for found in store.journal_entries():
            if found.kind == "score" and found.seq > held:
                answer = answer_of(found.body)
                asked = ChangeIn.model_validate(found.body["payload"])
                record = asked.to_record(revision=answer.revision, known_at=found.written_at)
                keep_all(writer, found.seq, [answer], [record])
                count += 1
    return count


def shadowed(answer: Answer) -> dict[str, Any]:
    """What a journal entry keeps of a policy in shadow; nothing where none is tried."""
    return {} if answer.shadow is None else {"shadow": answer.shadow.model_dump(mode="json")}


def answer_of(body: Mapping[str, Any]) -> Answer:
    """The answer of a score's journal entry, with what it keeps beside it."""
    shadow = body.get("shadow")
    kept = None if shadow is None else Recommendation.model_validate(shadow)
    return Answer.model_validate(body["answer"]).beside(kept)


def _state(seq: int, answer: Answer, record: Change) -> dict[str, Any]:
    start, end = record.planned_start, record.planned_end
    raising = [factor.text for factor in answer.factors if factor.direction == "raises"]
    others = [found for found in answer.collisions if found.change_id is not None]
    card = {
        "title": record.short_description,
        "summary": answer.summary,
        "times_base_rate": answer.times_base_rate,
        "percentile": answer.percentile,
        "reasons": raising[:REASONS],
        "collisions": [{"change_id": other.change_id, "kind": other.kind} for other in others[:3]],
        "collisions_count": len(others),
        "route": None if answer.recommendation is None else answer.recommendation.route,
        "shadow_route": None if answer.shadow is None else answer.shadow.route,
        "warnings": sorted({warning.code for warning in answer.warnings}),
        "links": answer.links,
    }
    return {
        "change_id": answer.change_id,
        "seq": seq,
        "score_id": answer.score_id,
        "revision": answer.revision,
        "scored_at": instants.to_micros(answer.scored_at),
        "status": answer.status,
        "probability": answer.incident_probability,
        "band": answer.risk_band,
        "change_type": record.change_type,
        "service": record.service,
        "ci": record.ci,
        "assignment_group": record.assignment_group,
        "planned_start": None if start is None else instants.to_micros(start),
        "planned_end": None if end is None else instants.to_micros(end),
        "card": orjson.dumps(card).decode(),
    }


def _entry(row: Mapping[str, Any]) -> QueueEntry:
    return QueueEntry(
        change_id=row["change_id"],
        revision=row["revision"],
        change_type=row["change_type"],
        service=row["service"],
        ci=row["ci"],
        assignment_group=row["assignment_group"],
        planned_start=instants.from_micros(row["planned_start"]),
        planned_end=instants.from_micros(row["planned_end"]),
        status=row["status"],
        incident_probability=row["probability"],
        risk_band=row["band"],
        decision=row["decision"],
        score_id=row["score_id"],
        scored_at=instants.from_micros(row["scored_at"]),  # type: ignore[arg-type]
        **orjson.loads(row["card"]),
    )


def _cursor(order: str, key: object, change_id: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([order, key, change_id])).decode().rstrip("=")


def _place(cursor: str, order: str) -> Sequence[Any]:
    """Where a cursor points."""
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = None
    if (
        not isinstance(place, list)
        or len(place) != 3
        or place[0] != order
        or isinstance(place[1], bool)
        or not isinstance(place[1], (int, float))
        or not isinstance(place[2], str)
        or abs(place[1]) >= 2**63
        or "\0" in place[2]
    ):
        raise RefusedError(
            "invalid", "expected the `next` of a page in the same order", pointer="?after"
        )
    return place[1:]
