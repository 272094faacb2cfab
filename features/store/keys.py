"""API keys: their digests, what they may do, how long they live."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from features import instants
from features.store.prompt import Prompt, Row
from features.store.review import Values
from features.store.schema import api_key

Opened = Callable[[], AbstractContextManager[sa.Connection]]

_WANTED: sa.BindParameter[str] = sa.bindparam("wanted")
_BY_DIGEST = Prompt(lambda _: sa.select(api_key).where(api_key.c.digest == _WANTED))
_BY_ID = Prompt(lambda _: sa.select(api_key).where(api_key.c.key_id == _WANTED))


class Keys:
    """The table of API keys. The keys themselves are never stored.

    Parameters
    ----------
    rows : callable
        Gives what a statement finds.
    reading, writing : callable
        Open a connection to read, and a transaction.
    """

    def __init__(self, rows: Callable[..., list[Row]], reading: Opened, writing: Opened) -> None:
        self._rows = rows
        self._reading, self._writing = reading, writing

    def add(self, **values: object) -> None:
        """Store the digest of a key.

        Parameters
        ----------
        values : mapping
            Columns of the table ``api_key``.
        """
        with self._writing() as connection:
            connection.execute(api_key.insert().values(**values))

    def all(self) -> list[Mapping[str, Any]]:
        """Every key known, newest first."""
        query = sa.select(api_key).order_by(api_key.c.created_at.desc(), api_key.c.key_id)
        with self._reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def find(self, *, digest: str | None = None, key_id: str | None = None) -> Values | None:
        """One key, by the digest of the key itself or by its id; None for none.

        Parameters
        ----------
        digest, key_id : str, optional
            One of them.
        """
        prompt, value = (_BY_DIGEST, digest) if digest else (_BY_ID, key_id)
        rows = self._rows(prompt, wanted=value)
        return dict(zip(api_key.c.keys(), rows[0], strict=True)) if rows else None

    def end(self, key_id: str, *, at: datetime) -> None:
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
        with self._writing() as connection:
            connection.execute(query.values(expires_at=moment))

    def revoke(self, key_id: str, *, now: datetime) -> bool:
        """Mark a key as revoked; False where there is no such live key.

        Parameters
        ----------
        key_id : str
            The key.
        now : datetime
            Time of the revocation, aware.
        """
        live = api_key.update().where(api_key.c.key_id == key_id, api_key.c.revoked_at.is_(None))
        query = live.values(revoked_at=instants.to_micros(now))
        with self._writing() as connection:
            return connection.execute(query).rowcount == 1
