"""Opening the database a URL names, SQLite's file or PostgreSQL's server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from features.store.errors import StoreUnavailableError


@dataclass
class FileRule:
    """What may happen to an SQLite file: whether one is made where there is none."""

    create: bool


def engine_of(url: str, file: FileRule) -> sa.Engine:
    """An engine for a URL.

    Raises
    ------
    StoreUnavailableError
        If the URL is of neither database, or the folder of its file cannot be made.
    """
    try:
        parsed = _parsed(url)
        if parsed.get_backend_name() == "postgresql":
            return sa.create_engine(parsed, pool_pre_ping=True)
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


def _parsed(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() not in ("postgresql", "sqlite"):
        raise ValueError("neither SQLite nor PostgreSQL")
    return parsed


def _follow(engine: sa.Engine, path: Path, file: FileRule) -> None:
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
    driver: Any = connection.connection.driver_connection
    driver.execute("BEGIN" if reading else "BEGIN IMMEDIATE")
