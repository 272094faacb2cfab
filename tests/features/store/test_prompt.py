"""Statements given to the driver as they are: the same on every database, and with its errors."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from features.store import Store, StoreUnavailableError
from features.store.prompt import Prompt
from features.store.schema import batch, journal

NOW = datetime(2026, 1, 5, tzinfo=UTC)

ROWS = Prompt(lambda _: batch.insert(), ["batch", "source", "written_at"])
SOURCES = Prompt(
    lambda _: (
        sa.select(batch.c.batch, batch.c.source)
        .where(batch.c.source != sa.bindparam("other"))
        .order_by(batch.c.batch.desc())
        .limit(2)
    )
)


def test_what_is_put_is_found(store: Store) -> None:
    said = ["import", "It's 100 % :here ?", "%s", "née \U0001f984"]
    rows = [{"batch": n, "source": one, "written_at": 5} for n, one in enumerate(said, 1)]
    with store.engine.begin() as connection:
        assert ROWS.put(connection, rows) == len(rows)
        assert SOURCES.find(connection, other="no") == (4, said[3])
        assert SOURCES.find(connection, other=said[3]) == (3, said[2])
    with store.engine.connect() as connection:
        found = connection.execute(sa.select(batch).order_by(batch.c.batch)).fetchall()
    assert [tuple(row) for row in found] == [(n, one, 5) for n, one in enumerate(said, 1)]


def test_nothing_is_found_where_nothing_is(store: Store) -> None:
    with store.engine.begin() as connection:
        assert SOURCES.find(connection, other="no") is None


def test_what_was_put_goes_with_its_transaction(store: Store) -> None:
    def broken_off() -> None:
        with store.write("import", now=NOW) as writer:
            writer.append_journal("a", "score", None, {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert store.watermark() == 0
    assert store.journal_entry("a") is None


def test_an_error_of_the_driver_is_one_of_the_store(store: Store) -> None:
    with store.write("import", now=NOW) as writer:
        writer.append_journal("a", "score", None, {})
    with pytest.raises(StoreUnavailableError), store.write("import", now=NOW) as writer:
        writer.append_journal("a", "score", None, {})  # an id that is taken
    with store.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE batch"))
    with pytest.raises(StoreUnavailableError, match="batch"):
        store.watermark()
    with store.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(journal)) == 1
