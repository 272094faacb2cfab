"""Retention: removing old entries from the journal so that its chain of hashes still holds.

In place of entries that stood one after another an anchor stays, with the hash before the first and
that of the last: the chain goes on over it. Which anchors a removal left is told, as one digest, by
an entry of the journal itself, so that an anchor that somebody put there by hand shows.

All entries about a change go together, once the youngest is old enough and the change is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from features.store.schema import change_state, decision, feedback, journal, metadata

KIND = "retention"
"""Kind of the entry that tells of a removal."""

NEVER = (KIND, "promotion")
"""Kinds that are never removed: what accounts for other entries and for models."""

journal_anchor = sa.Table(
    "journal_anchor",
    metadata,
    sa.Column(
        "first_seq",
        sa.BigInteger,
        primary_key=True,
        autoincrement=False,
        doc="First entry of a removed stretch",
    ),
    sa.Column("last_seq", sa.BigInteger, nullable=False, doc="Last entry of it"),
    sa.Column("previous_hash", sa.Text, nullable=False, doc="Hash before the stretch"),
    sa.Column("hash", sa.Text, nullable=False, doc="Hash of its last entry"),
    # The entry that tells of it.
    sa.Column(
        "retention_id", sa.Text, nullable=False, doc="Journal entry that says why it was removed"
    ),
)


class Anchor(NamedTuple):
    """What stands in place of entries that stood one after another."""

    first_seq: int
    last_seq: int
    previous_hash: str
    hash: str
    retention_id: str

    @property
    def entries(self) -> int:
        """How many entries it stands for."""
        return self.last_seq - self.first_seq + 1


def digest_of(anchors: Iterable[Anchor]) -> str:
    """SHA-256 of the anchors of one removal, in order of their places."""
    rows = sorted([a.first_seq, a.last_seq, a.previous_hash, a.hash] for a in anchors)
    return hashlib.sha256(orjson.dumps(rows)).hexdigest()


class Retention:
    """Old entries and anchors, over an open connection or transaction. Moments are microseconds."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def anchors(self) -> list[Anchor]:
        """Every anchor, in order."""
        query = sa.select(journal_anchor).order_by(journal_anchor.c.first_seq)
        return [Anchor(*row) for row in self._connection.execute(query)]

    def old(self, before: int, now: int) -> Iterator[Mapping[str, Any]]:
        """The entries that may be removed, in order, without their bodies.

        Parameters
        ----------
        before : int
            Entries written since, and all about changes that have such an entry, stay.
        now : int
            Entries about changes whose window ends later stay.
        """
        names = ("seq", "entry_id", "kind", "change_id", "written_at", "previous_hash", "hash")
        query = sa.select(*(journal.c[name] for name in names)).where(*_old(before, now))
        query = query.order_by(journal.c.seq).execution_options(yield_per=1_000)
        for row in self._connection.execute(query).mappings():
            yield dict(row)

    def remove(self, runs: Sequence[Anchor]) -> None:
        """Put anchors in the place of their entries, and remove all that repeats those."""
        if self._connection.dialect.name == "sqlite":
            self._connection.exec_driver_sql("PRAGMA secure_delete=ON")
        for run in runs:
            for table in (change_state, decision, feedback, journal):
                within = table.c.seq.between(run.first_seq, run.last_seq)
                self._connection.execute(table.delete().where(within))
        self._connection.execute(journal_anchor.insert(), [run._asdict() for run in runs])


def runs_of(rows: Iterable[Mapping[str, Any]], retention_id: str) -> list[Anchor]:
    """The anchors for entries that are to be removed, given in order."""
    found: list[Anchor] = []
    for row in rows:
        last = found[-1] if found else None
        if last is not None and last.last_seq + 1 == row["seq"]:
            found[-1] = last._replace(last_seq=row["seq"], hash=row["hash"])
        else:
            seq, before = row["seq"], row["previous_hash"]
            found.append(Anchor(seq, seq, before, row["hash"], retention_id))
    return found


def _old(before: int, now: int) -> tuple[sa.ColumnElement[bool], ...]:
    younger = journal.alias("younger")
    recent = sa.exists().where(
        younger.c.change_id == journal.c.change_id, younger.c.written_at >= before
    )
    ends = sa.func.coalesce(change_state.c.planned_end, change_state.c.planned_start)
    ahead = sa.exists().where(change_state.c.change_id == journal.c.change_id, ends >= now)
    return journal.c.written_at < before, journal.c.kind.not_in(NEVER), ~recent, ~ahead
