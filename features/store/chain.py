"""The journal's entries, each chained to the one before it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from features import instants
from features.store.errors import StoreError

GENESIS = "0" * 64
"""The hash before the first journal entry."""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One line of the append-only journal.

    Parameters
    ----------
    text : str or None
        The body as it stands in the store, letter by letter; None for an entry from elsewhere.
    """

    seq: int
    entry_id: str
    kind: str
    change_id: str | None
    written_at: datetime
    body: dict[str, Any]
    previous_hash: str
    hash: str
    text: str | None = None


class Head(NamedTuple):
    """Number and hash of the journal's last entry."""

    seq: int
    hash: str


def chain_hash(
    previous: str,
    seq: int,
    entry_id: str,
    kind: str,
    change_id: str | None,
    written_at: int,
    body: str,
) -> str:
    """SHA-256 that chains a journal entry to the one before it."""
    parts = [previous, seq, entry_id, kind, change_id, written_at, body]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()


def entry_of(row: sa.Row[Any]) -> JournalEntry:
    """A row of the journal as its entry.

    Raises
    ------
    StoreError
        If the row has no time.
    """
    moment = instants.from_micros(row.written_at)
    if moment is None:
        raise StoreError(f"journal entry {row.seq} has no time: the store was changed by hand")
    return JournalEntry(
        seq=row.seq,
        entry_id=row.entry_id,
        kind=row.kind,
        change_id=row.change_id,
        written_at=moment,
        body=orjson.loads(row.body),
        previous_hash=row.previous_hash,
        hash=row.hash,
        text=row.body,
    )
