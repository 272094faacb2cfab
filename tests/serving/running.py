"""The service in process, over a home of its own, and what the tests ask of it."""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from starlette.testclient import TestClient

from features.settings import Settings
from features.store import Store
from features.store.schema import metadata
from features.synthetic import Organisation
from serving.runtime import Runtime
from tests.postgres import POSTGRES

ON_POSTGRES = "CHANGERISK_TEST_SERVICE_ON_POSTGRES"
"""Set, the services of the tests keep everything on that server; see test_on_postgres.py."""

MOVED: dict[Path, str] = {}
"""Where the stores of homes are that were moved to a server."""

EMPTY = "registry-without-models.db"
UNTIL = datetime(2025, 6, 2, tzinfo=UTC)
NOW = UNTIL + timedelta(hours=9, microseconds=123_456)


@dataclass
class Clock:
    """The service's time, as the tests set it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Template:
    """The home that is copied, and what was put into it."""

    home: Path
    keys: dict[str, str]
    made: Organisation


@dataclass
class Service:
    """The service in process, as BentoML serves it, over one home."""

    client: TestClient
    runtime: Runtime
    home: Path
    clock: Clock
    keys: dict[str, str] = field(repr=False)

    def ask(self, method: str, path: str, *, role: str | None = "admin", **given: Any) -> Any:
        """A response, asked for with the key of a role, or without one."""
        headers = dict(given.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.keys[role]}"
        return self.client.request(method, path, headers=headers, **given)

    def score(self, body: object, **given: Any) -> dict[str, Any]:
        """The answer to a change; it must be one."""
        response = self.ask("POST", "/v1/score", json=body, **given)
        assert response.status_code == 200, response.text
        return response.json()

    def send(self, content: bytes, path: str = "/v1/score", **given: Any) -> Any:
        """The response to a body, byte for byte."""
        headers = {"Content-Type": "application/json", **given.pop("headers", {})}
        return self.ask("POST", path, content=content, headers=headers, **given)

    @property
    def store(self) -> Store:
        """The open store of the running service."""
        scorer = self.runtime.scorer()
        assert scorer is not None
        return scorer.store

    def rows(self) -> dict[str, int]:
        """Rows of every table, as another process sees them."""
        if self.runtime.settings.store_url.startswith("sqlite:"):
            return rows_of(self.home)
        with self.store.engine.connect() as connection:
            return {
                table.name: connection.scalar(sa.select(sa.func.count()).select_from(table))
                for table in metadata.sorted_tables
            }

    def journal(self) -> list[dict[str, Any]]:
        """The bodies of the journal."""
        return [entry.body for entry in self.store.journal_entries()]


def rows_of(home: Path) -> dict[str, int]:
    with closing(sqlite3.connect(home / "history.db")) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names
        }


@contextmanager
def moved_to_postgres(home: Path) -> Iterator[str]:
    """A database of its own with all that is in a home's file."""
    name = f"changerisk_{uuid.uuid4().hex}"
    server = sa.create_engine(os.environ[POSTGRES], isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    url = sa.make_url(os.environ[POSTGRES]).set(database=name)
    full = url.render_as_string(hide_password=False)
    source, target = Store(f"sqlite:///{home}/history.db"), Store(full)
    with source.engine.connect() as reading, target.engine.begin() as writing:
        for table in metadata.sorted_tables:
            rows = [dict(row) for row in reading.execute(sa.select(table)).mappings()]
            if rows:
                writing.execute(table.insert(), rows)
    source.close()
    target.close()
    try:
        yield full
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        server.dispose()


def settings_of(home: Path, **more: str) -> Settings:
    return Settings.from_environment({"CHANGERISK_HOME": str(home), **more})
