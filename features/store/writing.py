"""The open transaction that facts and journal entries are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache

import orjson
import sqlalchemy as sa

from features import instants
from features.columns import RECORD_TYPES, Columns, kinds
from features.history import History
from features.records import Change, ChangeEvent, Record
from features.store.chain import GENESIS, Head, chain_hash
from features.store.dialects import insert_into
from features.store.news import current, freed, is_withdrawn, news
from features.store.prompt import Prompt
from features.store.references import References
from features.store.retention import Retention
from features.store.review import Review
from features.store.rows import Row, to_columns, to_row
from features.store.schema import TABLE_NAMES, journal, record_tables
from features.store.standing import Standing, standing

CHUNK = 5_000

FEW = 16
"""Rows that are looked for one by one."""

_NEW_ENTRY = Prompt(lambda _: journal.insert(), [column.name for column in journal.c])
_HEAD = Prompt(
    lambda _: sa.select(journal.c.seq, journal.c.hash).order_by(journal.c.seq.desc()).limit(1)
)


@cache
def _held(table: sa.Table) -> Prompt:
    """Whether a table holds an identity."""
    wanted: sa.BindParameter[bytes] = sa.bindparam("wanted")
    return Prompt(lambda _: sa.select(table.c.identity).where(table.c.identity == wanted))


@cache
def _new(table: sa.Table) -> Prompt:
    """Rows that come to those a table holds already."""
    return Prompt(
        lambda dialect: insert_into(dialect, table).on_conflict_do_nothing(),
        [column.name for column in table.c],
    )


@cache
def _nothing(kind: type) -> Columns:
    """No facts of a kind, as the store gives them."""
    return to_columns(kind, ())


class Writer:
    """The open transaction of :meth:`Store.write`."""

    def __init__(self, connection: sa.Connection, number: int, now: datetime) -> None:
        self._connection = connection
        self.batch = number
        self.now = now
        self.rows_written = 0
        self._added: dict[type, list[Row]] = {}
        self.review = Review(connection)
        self.retention = Retention(connection)
        self.references = References(connection)

    def standing(self, change_ids: Iterable[str]) -> dict[str, Standing]:
        """The revisions that stand of those of some changes that are on record."""
        return standing(self._connection, change_ids)

    def current(self, change_id: str) -> Change | None:
        """The revision of a change that stands; None for a change that is not on record."""
        return current(self._connection, [change_id]).get(change_id)

    def is_withdrawn(self, change: Change) -> bool:
        """Whether the change of a revision that stands was withdrawn."""
        return is_withdrawn(self._connection, change)

    def add_news(self, records: Sequence[Record]) -> dict[str, int]:
        """Store what is not on record yet in other words; see :mod:`features.store.news`.

        A change that is withdrawn gives its planned window back: it gets a revision without one.
        """
        fresh = news(self._connection, records)
        added = self.add(fresh)
        gone = [one for one in fresh if isinstance(one, ChangeEvent) and one.kind == "canceled"]
        if gone:
            self.add(freed(self._connection, gone))
        return added

    def add(
        self, records: Iterable[Record], progress: Callable[[int], None] | None = None
    ) -> dict[str, int]:
        """Store the facts that are new; count them by table name.

        Parameters
        ----------
        progress : callable, optional
            Told the number of records done after every chunk.
        """
        sorted_out: dict[type, list[Row]] = {kind: [] for kind in RECORD_TYPES}
        for record in records:
            sorted_out[type(record)].append(to_row(record))
        added = {}
        done = 0
        for kind, rows in sorted_out.items():
            fresh = self._fresh(record_tables[kind], rows)
            for start in range(0, len(fresh), CHUNK):
                self._insert(record_tables[kind], fresh[start : start + CHUNK])
                if progress is not None:
                    progress(done + min(start + CHUNK, len(fresh)))
            done += len(rows)
            added[TABLE_NAMES[kind]] = len(fresh)
            self.rows_written += len(fresh)
            self._added.setdefault(kind, []).extend(fresh)
        return added

    def history(self) -> History:
        """The facts added, as :meth:`Store.load` will give them once they are written."""
        tables = {}
        for kind in RECORD_TYPES:
            names = ("batch", *kinds(kind))
            rows = [[row[name] for name in names] for row in self._added.get(kind, ())]
            tables[kind] = to_columns(kind, rows) if rows else _nothing(kind)
        return History(tables, self.batch)

    def append_journal(
        self, entry_id: str, kind: str, change_id: str | None, body: Mapping[str, object]
    ) -> Head:
        """Add an entry to the journal, chained to the one before it; it is the new head."""
        return self.append_all(kind, [(entry_id, change_id, body)])

    def append_all(
        self, kind: str, entries: Iterable[tuple[str, str | None, Mapping[str, object]]]
    ) -> Head:
        """Add entries of one kind (id, change, body), each chained to the one before it; the last
        is the new head.
        """
        seq, previous = self._head()
        written_at, rows = instants.to_micros(self.now), []
        for number, (entry_id, change_id, body) in enumerate(entries, start=seq + 1):
            text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()
            digest = chain_hash(previous, number, entry_id, kind, change_id, written_at, text)
            rows.append(
                {
                    "seq": number,
                    "entry_id": entry_id,
                    "kind": kind,
                    "change_id": change_id,
                    "written_at": written_at,
                    "body": text,
                    "previous_hash": previous,
                    "hash": digest,
                }
            )
            previous = digest
        _NEW_ENTRY.put(self._connection, rows)
        return Head(seq + len(rows), previous)

    def _head(self) -> Head:
        """The last entry of the journal."""
        row = _HEAD.find(self._connection)
        return Head(0, GENESIS) if row is None else Head(int(row[0]), str(row[1]))

    def _fresh(self, table: sa.Table, rows: list[Row]) -> list[Row]:
        """The rows whose identity the table does not hold yet, each once."""
        seen = {bytes(one) for one in self._identities(table, [row["identity"] for row in rows])}
        fresh = []
        for row in rows:
            identity = row["identity"]
            if identity not in seen:
                seen.add(identity)  # type: ignore[arg-type]
                fresh.append({**row, "batch": self.batch})
        return fresh

    def _identities(self, table: sa.Table, wanted: Sequence[object]) -> Iterator[bytes]:
        """Those of some identities that a table holds; where they are very many, all it holds."""
        column = table.c.identity
        if len(wanted) <= FEW:
            found = (_held(table).find(self._connection, wanted=one) for one in wanted)
            yield from (row[0] for row in found if row is not None)
            return
        if len(wanted) > CHUNK:
            yield from self._connection.scalars(sa.select(column))
            return
        for start in range(0, len(wanted), 500):
            some = sa.select(column).where(column.in_(wanted[start : start + 500]))
            yield from self._connection.scalars(some)

    def _insert(self, table: sa.Table, rows: list[Row]) -> None:
        if rows:
            _new(table).put(self._connection, rows)
