"""What journal entries tell others: CloudEvents 1.0, each with an id of its own for ever.

An event's id follows from its entry, so it is the same however often it is made or sent. Texts of
tickets are not told: an event says what happened to which change and where to read more.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from features.store.chain import JournalEntry
from features.store.outbox import Outbox
from serving.late import is_superseded

SOURCE = "/change-risk"
"""Where events come from, if the service has no public address."""

KINDS = ("score", "decision", "outcome", "promotion")
"""Kinds of journal entries that tell something."""

_NAMESPACE = uuid.UUID("5b0e63a0-6f6a-5c0e-9a56-3f1d3f2a7c11")

_SCORED = (
    "score_id", "revision", "status", "incident_probability", "base_rate", "times_base_rate",
    "risk_band", "percentile", "summary", "recommendation", "model",
)  # fmt: skip

_DECIDED = (
    "decision_id", "decision", "override", "conditions", "decided_by", "role", "score_id",
    "revision", "risk_band", "incident_probability",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Told:
    """One event.

    Parameters
    ----------
    name : str
        One of ``serving.subscriptions.EVENTS``.
    bands : frozenset of str
        Bands it is about; empty where it is about none.
    """

    event_id: str
    name: str
    subject: str
    time: datetime
    seq: int
    data: Mapping[str, Any]
    bands: frozenset[str] = frozenset()

    @property
    def type(self) -> str:
        """The type of the CloudEvent, with the version of its data."""
        return f"changerisk.{self.name}.v1"

    def body(self, source: str) -> str:
        """The event as structured JSON."""
        event = {
            "specversion": "1.0",
            "id": self.event_id,
            "source": source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            # Of two events about one change the later has the higher one (CloudEvents' extension).
            "sequence": f"{self.seq:020}",
            "data": self.data,
        }
        return orjson.dumps(event).decode()


def told_by(entry: JournalEntry, outbox: Outbox) -> Iterator[Told]:
    """What an entry tells; nothing for most kinds.

    Parameters
    ----------
    outbox : Outbox
        To look up what was said of the change before.
    """
    if entry.kind == "score" and entry.change_id is not None:
        yield from _scored(entry, entry.change_id, outbox)
    elif entry.kind == "decision" and entry.change_id is not None:
        made = entry.body["decision"]
        data = {"change_id": entry.change_id, **{name: made.get(name) for name in _DECIDED}}
        yield _told(entry, "decision.recorded", entry.change_id, data)
    elif entry.kind == "outcome" and entry.change_id is not None:
        said = entry.body["outcome"]
        names = ("kind", "occurred_at", "code", "planned")
        data = {"change_id": entry.change_id, **{name: said.get(name) for name in names}}
        yield _told(entry, "outcome.recorded", entry.change_id, data)
    elif entry.kind == "promotion":
        names = ("version", "before", "by", "reason")
        data = {name: entry.body.get(name) for name in names}
        yield _told(entry, "model.promoted", str(entry.body["version"]), data)


def _scored(entry: JournalEntry, change_id: str, outbox: Outbox) -> Iterator[Told]:
    answer = entry.body["answer"]
    text = outbox.score_before(change_id, entry.seq)
    before = None if text is None else orjson.loads(text)["answer"]["risk_band"]
    data = {
        "change_id": change_id,
        **{name: answer.get(name) for name in _SCORED},
        "first_score": text is None,
        "previous_band": before,
    }
    bands = frozenset(band for band in (answer["risk_band"], before) if band is not None)
    yield _told(entry, "change.scored", change_id, data, bands)
    news = text is not None and before != answer["risk_band"]
    if news and not is_superseded(answer):
        yield _told(entry, "change.band_changed", change_id, data, bands)


def _told(
    entry: JournalEntry,
    name: str,
    subject: str,
    data: Mapping[str, Any],
    bands: frozenset[str] = frozenset(),
) -> Told:
    return Told(
        event_id=str(uuid.uuid5(_NAMESPACE, f"{entry.entry_id}/{name}")),
        name=name,
        subject=subject,
        time=entry.written_at,
        seq=entry.seq,
        data=data,
        bands=bands,
    )
