"""History, journal, settings and keys in one database, behind one class.

Every write is one transaction that takes the next ``batch`` number, one writer at a time, so that a
reader who has seen batch *n* has seen everything up to *n*, and can ask for what came after.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from alembic.util import CommandError

from features import instants
from features.columns import RECORD_TYPES, kinds
from features.errors import ChangeRiskError
from features.history import History
from features.place import Place
from features.records import Change, Record
from features.store import migrations
from features.store.dialects import insert_into
from features.store.news import news
from features.store.outbox import Outbox
from features.store.references import References
from features.store.requests import Requests
from features.store.retention import Anchor, Retention
from features.store.review import Review, Values
from features.store.rows import Row, to_columns, to_row
from features.store.schema import TABLE_NAMES, api_key, batch, journal, record_tables, setting

GENESIS = "0" * 64
"""The hash before the first journal entry."""

ASKED = "score"
"""Source of the writes that keep changes as they came with a question for their score."""

CHUNK = 5_000


class StoreError(ChangeRiskError):
    """The store refused or could not do what was asked; the message says what to do."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached or opened."""

    exit_code = 4


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One line of the append-only journal."""

    seq: int
    entry_id: str
    kind: str
    change_id: str | None
    written_at: datetime
    body: dict[str, Any]
    previous_hash: str
    hash: str


class Head(NamedTuple):
    """Number and hash of the journal's last entry."""

    seq: int
    hash: str


class Store:
    """A database of one organisation.

    Parameters
    ----------
    url : str
        An SQLAlchemy URL, ``sqlite:///path/to/file.db`` or ``postgresql+psycopg://…``.
    create : bool
        Whether to make an SQLite file where there is none. Once a store is open none is ever made:
        a file that was moved away is waited for, not replaced by an empty one.

    Raises
    ------
    StoreUnavailableError
        If the database cannot be opened or brought up to date.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> store = Store(f"sqlite:///{folder.name}/history.db")
    >>> store.watermark()
    0
    >>> store.close(); folder.cleanup()
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self._file = _File(create)
        self.engine = _engine(url, self._file)
        try:
            migrations.upgrade(self.engine)
            self._file.create = False
        except (sa.exc.SQLAlchemyError, CommandError) as error:
            self.engine.dispose()
            raise StoreUnavailableError(
                f"cannot open the store at {self.engine.url.render_as_string(hide_password=True)}: "
                f"{getattr(error, 'orig', None) or error}"
            ) from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    # reading -------------------------------------------------------------------------------------

    def watermark(self) -> int:
        """Number of the last write; 0 for an empty store."""
        with self._reading() as connection:
            return int(connection.scalar(sa.select(sa.func.max(batch.c.batch))) or 0)

    def digest(self, until: int) -> str:
        """A digest of the writes up to one: what was made from them is of no other history.

        Parameters
        ----------
        until : int
            Number of the last write that counts.
        """
        query = sa.select(batch).where(batch.c.batch <= until).order_by(batch.c.batch)
        found = hashlib.sha256()
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=10_000).execute(query):
                found.update(orjson.dumps(list(row)))
        return found.hexdigest()

    def load(self, *, after: int = 0, until: int | None = None) -> History:
        """The facts of the writes after ``after`` up to ``until``, in the order written.

        Parameters
        ----------
        after, until : int
            Numbers of writes; by default all there are.
        """
        with self._reading() as connection:
            last = int(connection.scalar(sa.select(sa.func.max(batch.c.batch))) or 0)
            last = last if until is None else min(until, last)
            tables = {}
            for kind, table in record_tables.items():
                columns = [table.c.batch, *(table.c[name] for name in kinds(kind))]
                query = sa.select(*columns).where(table.c.batch > after, table.c.batch <= last)
                rows = connection.execute(query.order_by(table.c.batch)).fetchall()
                tables[kind] = to_columns(kind, rows)
            place = connection.scalar(sa.select(setting.c.value).where(setting.c.name == "place"))
            read = connection.scalar(_read_until(after, last)) if len(tables[Change]) else None
        where = Place.of(None if place is None else orjson.loads(place))
        return History(tables, last, where, instants.MISSING if read is None else int(read))

    def counts(self) -> dict[str, int]:
        """Rows of every table of facts, by name."""
        with self._reading() as connection:
            return {
                table.name: int(
                    connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                )
                for table in record_tables.values()
            }

    def latest_revision(self, change_id: str) -> tuple[str, int] | None:
        """Revision mark and count of the revisions known of a change; None for a new one.

        Parameters
        ----------
        change_id : str
            The change.
        """
        table = record_tables[Change]
        query = (
            sa.select(table.c.revision, sa.func.count().over())
            .where(table.c.change_id == change_id)
            .order_by(table.c.known_at.desc(), table.c.batch.desc())
        )
        with self._reading() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else (str(row[0]), int(row[1]))

    def known_changes(self, change_ids: Collection[str]) -> set[str]:
        """Those of some changes that are on record.

        Parameters
        ----------
        change_ids : collection of str
            The changes asked for.
        """
        column, wanted = record_tables[Change].c.change_id, sorted(change_ids)
        found: set[str] = set()
        with self._reading() as connection:
            for start in range(0, len(wanted), 500):
                query = sa.select(column).where(column.in_(wanted[start : start + 500])).distinct()
                found.update(connection.scalars(query))
        return found

    def holds(self, record: Record) -> bool:
        """Whether a fact of this content is on record.

        Parameters
        ----------
        record : Record
            The fact asked for.
        """
        table = record_tables[type(record)]
        query = sa.select(table.c.batch).where(table.c.identity == to_row(record)["identity"])
        with self._reading() as connection:
            return connection.execute(query.limit(1)).first() is not None

    # writing -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def write(self, source: str, *, now: datetime) -> Iterator[Writer]:
        """One transaction: everything written in the block becomes visible together, or nothing.

        Parameters
        ----------
        source : str
            Who writes, for the record.
        now : datetime
            Time of the write, aware.

        Raises
        ------
        StoreUnavailableError
            If the database cannot be reached or is locked for too long.
        """
        with self._guarded(), self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE batch IN EXCLUSIVE MODE"))
            last = int(connection.scalar(sa.select(sa.func.max(batch.c.batch))) or 0)
            writer = Writer(connection, last + 1, now)
            yield writer
            if writer.rows_written:
                connection.execute(
                    batch.insert().values(
                        batch=last + 1, source=source, written_at=instants.to_micros(now)
                    )
                )

    # settings ------------------------------------------------------------------------------------

    def setting(self, name: str) -> Any:
        """A stored setting, decoded; None where it was never set.

        Parameters
        ----------
        name : str
            Such as ``label``, ``source`` or ``place``.
        """
        with self._reading() as connection:
            value = connection.scalar(sa.select(setting.c.value).where(setting.c.name == name))
        return None if value is None else orjson.loads(value)

    def set_setting(self, name: str, value: object) -> None:
        """Store a setting, replacing an earlier one.

        Parameters
        ----------
        name : str
            Such as ``label``, ``source`` or ``place``.
        value : object
            What JSON can hold.
        """
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        with self._guarded(), self.engine.begin() as connection:
            query = insert_into(connection, setting).values(name=name, value=text)
            connection.execute(
                query.on_conflict_do_update(index_elements=["name"], set_={"value": text})
            )

    # keys ----------------------------------------------------------------------------------------

    def add_key(self, **values: object) -> None:
        """Store the digest of an API key; the key itself is never stored.

        Parameters
        ----------
        values : mapping
            Columns of the table ``api_key``.
        """
        with self._guarded(), self.engine.begin() as connection:
            connection.execute(api_key.insert().values(**values))

    def api_keys(self) -> list[Mapping[str, Any]]:
        """Every API key known, newest first, without the key."""
        with self._reading() as connection:
            query = sa.select(api_key).order_by(api_key.c.created_at.desc(), api_key.c.key_id)
            return [dict(row) for row in connection.execute(query).mappings()]

    def api_key(self, *, digest: str | None = None, key_id: str | None = None) -> Values | None:
        """One API key, by the digest of the key itself or by its id; None for none.

        Parameters
        ----------
        digest, key_id : str, optional
            One of them.
        """
        column, value = (api_key.c.digest, digest) if digest else (api_key.c.key_id, key_id)
        with self._reading() as connection:
            row = connection.execute(sa.select(api_key).where(column == value)).mappings().first()
        return None if row is None else dict(row)

    def end_key(self, key_id: str, *, at: datetime) -> None:
        """Let a key expire at a moment, unless it does so earlier.

        Parameters
        ----------
        key_id : str
            The key.
        at : datetime
            When it ends, aware.
        """
        moment = instants.to_micros(at)
        later = sa.or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > moment)
        query = api_key.update().where(api_key.c.key_id == key_id, later)
        with self._guarded(), self.engine.begin() as connection:
            connection.execute(query.values(expires_at=moment))

    def revoke_key(self, key_id: str, *, now: datetime) -> bool:
        """Mark a key as revoked; False where there is no such live key.

        Parameters
        ----------
        key_id : str
            The key.
        now : datetime
            Time of the revocation, aware.
        """
        query = (
            api_key.update()
            .where(api_key.c.key_id == key_id, api_key.c.revoked_at.is_(None))
            .values(revoked_at=instants.to_micros(now))
        )
        with self._guarded(), self.engine.begin() as connection:
            return connection.execute(query).rowcount == 1

    # journal -------------------------------------------------------------------------------------

    def journal_entry(self, entry_id: str) -> JournalEntry | None:
        """One journal entry by its id.

        Parameters
        ----------
        entry_id : str
            The entry; of a score its ``score_id``.
        """
        with self._reading() as connection:
            row = connection.execute(
                sa.select(journal).where(journal.c.entry_id == entry_id)
            ).first()
        return None if row is None else _journal_entry(row)

    def journal_entries(
        self, *, change_id: str | None = None, kind: str | None = None, after: int = 0
    ) -> Iterator[JournalEntry]:
        """The journal in order, of one change, of a kind or after an entry, read as it is used.

        Parameters
        ----------
        change_id : str, optional
            Only those about this change.
        kind : str, optional
            Only those of this kind, such as ``score``.
        after : int
            Only those after this number in the chain.
        """
        query = sa.select(journal).where(journal.c.seq > after).order_by(journal.c.seq)
        if change_id is not None:
            query = query.where(journal.c.change_id == change_id)
        if kind is not None:
            query = query.where(journal.c.kind == kind)
        with self._reading() as connection:
            for row in connection.execution_options(yield_per=1_000).execute(query):
                yield _journal_entry(row)

    def anchors(self) -> list[Anchor]:
        """What stands in the journal where entries were removed, in order."""
        with self._reading() as connection:
            return Retention(connection).anchors()

    def checkpoint(self) -> None:
        """Let the database's file hold all that was written, and its log nothing that was removed.

        A database server does so by itself.
        """
        if self.engine.dialect.name == "sqlite":
            with self._guarded(), self.engine.connect() as connection:
                raw = connection.connection.cursor()
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                raw.close()

    @contextlib.contextmanager
    def references(self) -> Iterator[References]:
        """The names of an ITSM's ids, to read."""
        with self._reading() as connection:
            yield References(connection)

    @contextlib.contextmanager
    def review(self) -> Iterator[Review]:
        """The queue, decisions and feedback, to read."""
        with self._reading() as connection:
            yield Review(connection)

    @contextlib.contextmanager
    def requests(self) -> Iterator[Requests]:
        """Requests with keys of their own, in a transaction."""
        with self._guarded(), self.engine.begin() as connection:
            yield Requests(connection)

    @contextlib.contextmanager
    def outbox(self, *, writing: bool = False) -> Iterator[Outbox]:
        """Webhooks on their way, to read, or in a transaction of their own.

        Parameters
        ----------
        writing : bool
            Whether it is written to.
        """
        if not writing:
            with self._reading() as connection:
                yield Outbox(connection)
            return
        with self._guarded(), self.engine.begin() as connection:
            yield Outbox(connection)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._guarded(), self.engine.connect() as connection:
            yield connection.execution_options(changerisk_reading=True)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.DatabaseError) as error:
            raise StoreUnavailableError(
                f"the store could not be used: {error.orig or error}; check that the database "
                "runs, that its disk has room and that no other process holds it"
            ) from error


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

    def add_news(self, records: Sequence[Record]) -> dict[str, int]:
        """Store what is not on record yet in other words; see :mod:`features.store.news`."""
        return self.add(news(self._connection, records))

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
            tables[kind] = to_columns(kind, rows)
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
        self._connection.execute(journal.insert(), rows)
        return Head(seq + len(rows), previous)

    def _head(self) -> Head:
        """The last entry of the journal."""
        query = sa.select(journal.c.seq, journal.c.hash).order_by(journal.c.seq.desc()).limit(1)
        row = self._connection.execute(query).first()
        return Head(0, GENESIS) if row is None else Head(int(row[0]), str(row[1]))

    def _fresh(self, table: sa.Table, rows: list[Row]) -> list[Row]:
        """The rows whose identity the table does not hold yet, each once."""
        seen: set[bytes] = set()
        if len(rows) > CHUNK:
            seen = {bytes(i) for i in self._connection.scalars(sa.select(table.c.identity))}
        elif rows:
            wanted = [row["identity"] for row in rows]
            for start in range(0, len(wanted), 500):
                query = sa.select(table.c.identity).where(
                    table.c.identity.in_(wanted[start : start + 500])
                )
                seen |= {bytes(i) for i in self._connection.scalars(query)}
        fresh = []
        for row in rows:
            identity = row["identity"]
            if identity not in seen:
                seen.add(identity)  # type: ignore[arg-type]
                fresh.append({**row, "batch": self.batch})
        return fresh

    def _insert(self, table: sa.Table, rows: list[Row]) -> None:
        if rows:
            insert = insert_into(self._connection, table)
            self._connection.execute(insert.on_conflict_do_nothing(), rows)


def _read_until(after: int, last: int) -> sa.Select[int]:
    """Newest ``known_at`` of the changes of some writes that nobody merely asked about."""
    table = record_tables[Change]
    written = table.join(batch, batch.c.batch == table.c.batch)
    query = sa.select(sa.func.max(table.c.known_at)).select_from(written)
    return query.where(table.c.batch > after, table.c.batch <= last, batch.c.source != ASKED)


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


def _journal_entry(row: sa.Row[Any]) -> JournalEntry:
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
    )


@dataclass
class _File:
    """What may happen to an SQLite file."""

    create: bool


def _engine(url: str, file: _File) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            return sa.create_engine(parsed, pool_pre_ping=True)
        if parsed.get_backend_name() != "sqlite":
            raise ValueError("neither SQLite nor PostgreSQL")
        engine = sa.create_engine(parsed, connect_args={"timeout": 30})
        if parsed.database and file.create:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"cannot make the folder of the store: {error}") from error
    except (sa.exc.ArgumentError, ValueError, ImportError) as error:
        raise StoreUnavailableError(
            "the store's URL cannot be read; expected sqlite:///path/to/history.db or "
            "postgresql+psycopg://user@host/database"
        ) from error
    sa.event.listen(engine, "connect", _on_sqlite_connect)
    sa.event.listen(engine, "begin", _on_sqlite_begin)
    if parsed.database:
        _follow(engine, Path(parsed.database).absolute(), file)
    return engine


def _follow(engine: sa.Engine, path: Path, file: _File) -> None:
    """Let connections see the file that stands at the path, and no other.

    A connection stays with the file it opened, wherever that is moved: what is written to it while
    another stands in its place would be lost without a word.
    """

    def connecting(_dialect: object, _record: object, arguments: list[Any], options: Any) -> None:
        if not file.create:
            arguments[:] = [f"{path.as_uri()}?mode=rw"]
            options["uri"] = True

    def connected(_connection: object, record: Any) -> None:
        record.info["file"] = _identity(path)

    def checked_out(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["file"] != _identity(path):
            raise sa.exc.DisconnectionError("another file stands in its place")

    sa.event.listen(engine, "do_connect", connecting)
    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "checkout", checked_out)


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of its name; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    # The driver's own transaction handling is off: a writer must take its lock at the start.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("changerisk_reading")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
