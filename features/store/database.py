"""History, journal, settings and keys in one database, behind one class.

Every write is one transaction that takes the next ``batch`` number, one writer at a time, so that a
reader who has seen batch *n* has seen everything up to *n*, and can ask for what came after.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from alembic.util import CommandError

from features import instants
from features.columns import kinds
from features.history import History
from features.place import Place
from features.records import Change
from features.store import migrations
from features.store.chain import JournalEntry, entry_of
from features.store.dialects import insert_into
from features.store.errors import StoreUnavailableError
from features.store.keys import Keys
from features.store.news import current
from features.store.opening import FileRule, engine_of
from features.store.outbox import Outbox
from features.store.prompt import Prompt, Row
from features.store.references import References
from features.store.requests import Requests
from features.store.retention import Anchor, Retention
from features.store.review import Review
from features.store.rows import gathered
from features.store.schema import batch, journal, record_tables, setting
from features.store.standing import Standing, standing
from features.store.writing import Writer

AT_ONCE = 20_000
"""Rows that are read together: as rows they take several times the room of columns."""

ASKED = "score"
"""Source of the writes that keep changes as they came with a question for their score."""


_LAST_WRITE = sa.select(sa.func.max(batch.c.batch))
_WATERMARK = Prompt(lambda _: _LAST_WRITE)
_NEW_WRITE = Prompt(lambda _: batch.insert(), [column.name for column in batch.c])


class Store:
    """A database of one organisation.

    Parameters
    ----------
    url : str
        An SQLAlchemy URL, ``sqlite:///path/to/file.db`` or ``postgresql+psycopg://…``.
    create : bool
        Whether to make an SQLite file where there is none. Once a store is open none is ever made:
        a file that was moved away is waited for, not replaced by an empty one.

    Attributes
    ----------
    keys : Keys
        The API keys.

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
        self._file = FileRule(create)
        self.engine = engine_of(url, self._file)
        self.keys = Keys(self._rows, self._reading, self._writing)
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
        return int(self._rows(_WATERMARK)[0][0] or 0)

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
            last = int(connection.scalar(_LAST_WRITE) or 0)
            last = last if until is None else min(until, last)
            tables = {}
            for kind, table in record_tables.items():
                columns = [table.c.batch, *(table.c[name] for name in kinds(kind))]
                query = sa.select(*columns).where(table.c.batch > after, table.c.batch <= last)
                query = query.order_by(table.c.batch).execution_options(yield_per=AT_ONCE)
                tables[kind] = gathered(kind, connection.execute(query).partitions())
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

    def standing(self, change_ids: Iterable[str]) -> dict[str, Standing]:
        """The revisions that stand of those of some changes that are on record.

        Parameters
        ----------
        change_ids : iterable of str
            The changes asked for.
        """
        with self._reading() as connection:
            return standing(connection, change_ids)

    def current(self, change_id: str) -> Change | None:
        """The revision of a change that stands, in full; None for one that is not on record.

        Parameters
        ----------
        change_id : str
            The change asked for.
        """
        with self._reading() as connection:
            return current(connection, [change_id]).get(change_id)

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
        with self._writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("LOCK TABLE batch IN EXCLUSIVE MODE"))
            (last,) = _WATERMARK.find(connection) or (None,)
            last = int(last or 0)
            writer = Writer(connection, last + 1, now)
            yield writer
            if writer.rows_written:
                written = {"source": source, "written_at": instants.to_micros(now)}
                _NEW_WRITE.put(connection, [{"batch": last + 1, **written}])

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
        with self._writing() as connection:
            query = insert_into(connection, setting).values(name=name, value=text)
            connection.execute(
                query.on_conflict_do_update(index_elements=["name"], set_={"value": text})
            )

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
        return None if row is None else entry_of(row)

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
                yield entry_of(row)

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
        with self._writing() as connection:
            yield Requests(connection)

    @contextlib.contextmanager
    def outbox(self, *, writing: bool = False) -> Iterator[Outbox]:
        """Webhooks on their way, to read, or in a transaction of their own.

        Parameters
        ----------
        writing : bool
            Whether it is written to.
        """
        with self._writing() if writing else self._reading() as connection:
            yield Outbox(connection)

    def _rows(self, prompt: Prompt, **values: object) -> list[Row]:
        """What one statement finds."""
        with self._guarded(), contextlib.closing(self.engine.raw_connection()) as connection:
            return prompt.rows(connection.driver_connection, self.engine.dialect, values)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._guarded(), self.engine.connect() as connection:
            yield connection.execution_options(changerisk_reading=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """A transaction."""
        with self._guarded(), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, self.engine.dialect.loaded_dbapi.Error) as error:
            cause = getattr(error, "orig", None) or error
            raise StoreUnavailableError(
                f"the store could not be used: {cause}; check that the database "
                "runs, that its disk has room and that no other process holds it"
            ) from error


def _read_until(after: int, last: int) -> sa.Select[int]:
    """Newest ``known_at`` of the changes of some writes that nobody merely asked about."""
    table = record_tables[Change]
    written = table.join(batch, batch.c.batch == table.c.batch)
    query = sa.select(sa.func.max(table.c.known_at)).select_from(written)
    return query.where(table.c.batch > after, table.c.batch <= last, batch.c.source != ASKED)
