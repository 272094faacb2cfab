"""Requests that carry a key of their own, and the answers they got: asked twice, done once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from features import instants
from features.store.dialects import insert_into
from features.store.schema import request

KEPT = instants.DAY
"""How long an answer is kept."""

GIVEN_UP = 60 * instants.SECOND
"""After this long without an answer whoever began a request is taken to be gone."""


class Requests:
    """The table of requests, over an open transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def begin(self, client: str, key: str, digest: str, *, now: int) -> Mapping[str, Any] | None:
        """Begin a request; None if it is new, else how it stands with the one begun before.

        Parameters
        ----------
        digest : str
            Of what is asked, to notice a key used for something else.
        now : int
            Microseconds.
        """
        self._connection.execute(request.delete().where(request.c.begun_at < now - KEPT))
        values = {"client": client, "request_key": key, "digest": digest, "begun_at": now}
        query = insert_into(self._connection, request).values(**values).on_conflict_do_nothing()
        # PostgreSQL's driver does not count the rows of such an insert; what it returns, it does.
        if self._connection.execute(query.returning(request.c.client)).first() is not None:
            return None
        row = self._connection.execute(sa.select(request).where(*_is(client, key))).mappings().one()
        if row["status"] is None and row["begun_at"] < now - GIVEN_UP and row["digest"] == digest:
            again = request.update().where(*_is(client, key)).values(begun_at=now)
            self._connection.execute(again)
            return None
        return dict(row)

    def finish(self, client: str, key: str, *, status: int, headers: str, body: bytes) -> None:
        """Keep the answer of a request."""
        query = request.update().where(*_is(client, key))
        self._connection.execute(query.values(status=status, headers=headers, body=body))

    def forget(self, client: str, key: str) -> None:
        """Let a request that failed be made again."""
        self._connection.execute(request.delete().where(*_is(client, key)))


def _is(client: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return request.c.client == client, request.c.request_key == key
