"""STEP 7. Record: every answer in an append-only journal, each entry chained to the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from features import instants
from features.store import Store, StoreError, StoreUnavailableError
from features.store.chain import GENESIS, JournalEntry, chain_hash
from features.store.retention import KIND as RETENTION
from features.store.retention import Anchor, digest_of


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a walk along the chain found.

    Parameters
    ----------
    entries : int
        Entries that hold, from the first on.
    removed : int
        Entries before the last of them that were removed on record.
    head : str
        Hash of the last one; keep it elsewhere to notice a shortened journal.
    fault : str or None
        The first place where the chain does not hold.
    """

    entries: int
    head: str
    fault: str | None
    removed: int = 0


def verify(store: Store) -> Verification:
    """Recompute every hash of the journal; an edit, a removal or a reordering breaks the chain.

    Where entries were removed by :mod:`serving.retaining` the chain goes on over the anchor in
    their place, if an entry of the journal tells of it.
    """
    walk = _Walk(store.anchors())
    entries = store.journal_entries()
    while True:
        try:
            entry = next(entries, None)
        except StoreUnavailableError:
            raise
        except (StoreError, ValueError, OverflowError):
            return walk.ended(f"entry {walk.seq + 1} cannot be read")
        if entry is None:
            return walk.ended(walk.left_over())
        fault = walk.step(entry)
        if fault is not None:
            return walk.ended(fault)


class _Walk:
    """A walk along the chain, over the anchors on the way."""

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        self._anchors = {anchor.first_seq: anchor for anchor in anchors}
        self._passed: dict[str, list[Anchor]] = {}
        self._told: dict[str, object] = {}
        self._head, self._count, self._removed = GENESIS, 0, 0
        self.seq = 0

    def step(self, entry: JournalEntry) -> str | None:
        """Go on to the next entry there is; what is wrong with it."""
        while entry.seq > self.seq + 1 and self.seq + 1 in self._anchors:
            anchor = self._anchors.pop(self.seq + 1)
            if anchor.previous_hash != self._head or anchor.last_seq < anchor.first_seq:
                return f"the anchor of entry {anchor.first_seq} was changed"
            self._passed.setdefault(anchor.retention_id, []).append(anchor)
            self._head, self.seq = anchor.hash, anchor.last_seq
            self._removed += anchor.entries
        fault = fault_of(entry, self.seq + 1, self._head)
        if fault is not None:
            return fault
        self._head, self.seq, self._count = entry.hash, entry.seq, self._count + 1
        if entry.kind == RETENTION:
            self._told[entry.entry_id] = entry.body.get("anchors")
        return None

    def left_over(self) -> str | None:
        """What is wrong with the anchors, seen from the end of the journal."""
        for anchor in self._anchors.values():
            return f"the anchor of entry {anchor.first_seq} stands where nothing was removed"
        for retention_id, anchors in self._passed.items():
            if self._told.get(retention_id) != digest_of(anchors):
                return f"entry {anchors[0].first_seq} was removed, but not as the journal tells"
        return None

    def ended(self, fault: str | None) -> Verification:
        """What was found."""
        return Verification(
            entries=self._count, removed=self._removed, head=self._head, fault=fault
        )


def fault_of(entry: JournalEntry, seq: int, head: str) -> str | None:
    """What is wrong with an entry that should be number ``seq`` and follow ``head``."""
    if entry.seq != seq:
        return f"entry {seq} is missing"
    if entry.previous_hash != head or hash_of(entry) != entry.hash:
        return f"entry {entry.seq} ({entry.entry_id}) was changed"
    return None


def hash_of(entry: JournalEntry) -> str:
    """The hash an entry must have, from all that it says."""
    text = entry.text
    if text is None:
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
