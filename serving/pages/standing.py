"""What is on record about the changes to come: the last answer to each, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from features.store import Store


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One change as it stands.

    Parameters
    ----------
    payload, answer : mapping
        What was asked last and what was answered, as the journal keeps them.
    decision : mapping or None
        The decision in force.
    """

    change_id: str
    payload: Mapping[str, Any]
    answer: Mapping[str, Any]
    decision: Mapping[str, Any] | None = None
    scored_at: datetime = field(kw_only=True)

    @property
    def start(self) -> datetime | None:
        """Planned start."""
        return moment(self.payload.get("planned_start"))

    @property
    def end(self) -> datetime | None:
        """Planned end; the start where none is given or it lies before the start."""
        start, end = self.start, moment(self.payload.get("planned_end"))
        return end if start is not None and end is not None and end > start else start

    @property
    def probability(self) -> float | None:
        """The score; None where none could be given."""
        value = self.answer.get("incident_probability")
        return None if value is None else float(value)


def moment(text: object) -> datetime | None:
    """A moment of a journal entry."""
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def standings(store: Store) -> list[Standing]:
    """Every change that was ever scored, by its last answer."""
    last: dict[str, Standing] = {}
    for entry in store.journal_entries():
        if entry.kind == "score" and entry.change_id is not None:
            last[entry.change_id] = Standing(
                change_id=entry.change_id,
                payload=entry.body["payload"],
                answer=entry.body["answer"],
                scored_at=entry.written_at,
            )
    return list(last.values())
