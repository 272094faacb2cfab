"""STEP 7. Record: every answer in an append-only journal, each entry chained to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from features import instants
from features.store import Store, StoreError, StoreUnavailableError
from features.store.database import GENESIS, JournalEntry, chain_hash


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a walk along the chain found.

    Parameters
    ----------
    entries : int
        Entries that hold, from the first on.
    head : str
        Hash of the last one; keep it elsewhere to notice a shortened journal.
    fault : str or None
        The first place where the chain does not hold.
    """

    entries: int
    head: str
    fault: str | None


def verify(store: Store) -> Verification:
    """Recompute every hash of the journal; an edit, a removal or a reordering breaks the chain."""
    head, count = GENESIS, 0
    entries = store.journal_entries()
    while True:
        try:
            entry = next(entries, None)
        except StoreUnavailableError:
            raise
        except (StoreError, ValueError, OverflowError):
            unread = f"entry {count + 1} cannot be read"
            return Verification(entries=count, head=head, fault=unread)
        fault = None if entry is None else _fault(entry, count + 1, head)
        if entry is None or fault is not None:
            return Verification(entries=count, head=head, fault=fault)
        head, count = entry.hash, count + 1


def _fault(entry: JournalEntry, seq: int, head: str) -> str | None:
    """What is wrong with an entry that should be number ``seq`` and follow ``head``."""
    if entry.seq != seq:
        return f"entry {seq} is missing"
    if entry.previous_hash != head or _hash(entry) != entry.hash:
        return f"entry {entry.seq} ({entry.entry_id}) was changed"
    return None


def _hash(entry: JournalEntry) -> str:
    text = orjson.dumps(entry.body, option=orjson.OPT_SORT_KEYS).decode()
    return chain_hash(
        entry.previous_hash,
        entry.seq,
        entry.entry_id,
        entry.kind,
        entry.change_id,
        instants.to_micros(entry.written_at),
        text,
    )


def digest(value: Mapping[str, Any]) -> str:
    """``sha256:…`` of plain data, independent of the order of its keys."""
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"
