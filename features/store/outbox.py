"""The outbox: what is on its way to the endpoints that want to be told.

The journal is the outbox's source. What is told follows from an entry, so an event is on record in
the very transaction of what it tells, and writing an entry costs nothing more. Each endpoint has a
place in the journal; events of the entries after it become deliveries in the transaction that moves
the place on. A delivery is claimed for a while before it is sent: of several workers one sends it,
and if that one dies another does so later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from features.store.dialects import insert_into
from features.store.schema import journal, metadata

WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"
STATUSES = (WAITING, DELIVERED, DEAD)
"""What a delivery is: still to be tried, taken by its endpoint, or given up."""

Values = Mapping[str, Any]

_SUPERSEDED = '"code":"superseded"'
"""In the body of a score whose revision came after a later one; no ticket's text can say it."""

endpoint_place = sa.Table(
    "webhook_endpoint",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True, doc="Name in webhooks.toml"),
    # The last journal entry whose events are deliveries.
    sa.Column("seq", sa.BigInteger, nullable=False, doc="Last journal entry taken in for it"),
)

delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True, doc="Name in webhooks.toml"),
    sa.Column("event_id", sa.Text, primary_key=True, doc="Id of the message"),
    sa.Column("seq", sa.BigInteger, nullable=False, doc="Journal entry it tells of"),
    sa.Column("type", sa.Text, nullable=False, doc="Kind of event"),
    sa.Column("body", sa.Text, nullable=False, doc="The message, JSON"),
    sa.Column("status", sa.Text, nullable=False, doc="Where the delivery stands"),
    sa.Column("attempts", sa.Integer, nullable=False, doc="Number of attempts"),
    sa.Column("created_at", sa.BigInteger, nullable=False, doc="Microseconds"),
    # When it may be tried; a claim moves it on, so that nobody else tries meanwhile.
    sa.Column("due_at", sa.BigInteger, nullable=False, doc="Microseconds"),
    sa.Column("ended_at", sa.BigInteger, doc="Microseconds"),
    sa.Column("outcome", sa.Text, doc="How the last attempt ended"),
    sa.Index("ix_webhook_delivery_due", "endpoint", "status", "due_at"),
)


class Outbox:
    """The deliveries, over an open connection or transaction. Moments are microseconds."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    # filling it ----------------------------------------------------------------------------------

    def head(self) -> int:
        """Number of the journal's last entry."""
        return int(self._connection.scalar(sa.select(sa.func.max(journal.c.seq))) or 0)

    def place(self, endpoint: str, *, hold: bool = False) -> int | None:
        """The last entry an endpoint's deliveries cover; None for one never seen.

        Parameters
        ----------
        hold : bool
            Whether nobody else may move it before the transaction ends, so that two workers do not
            make the same deliveries. SQLite has one writer at a time anyway.
        """
        query = sa.select(endpoint_place.c.seq).where(endpoint_place.c.endpoint == endpoint)
        found = self._connection.scalar(query.with_for_update() if hold else query)
        return None if found is None else int(found)

    def begin(self, endpoint: str, seq: int) -> None:
        """Let a new endpoint be told of what comes after an entry."""
        query = insert_into(self._connection, endpoint_place).values(endpoint=endpoint, seq=seq)
        self._connection.execute(query.on_conflict_do_nothing())

    def move(self, endpoint: str, seq: int) -> None:
        """Move an endpoint's place on."""
        query = endpoint_place.update().where(endpoint_place.c.endpoint == endpoint)
        self._connection.execute(query.values(seq=seq))

    def add(self, rows: Sequence[Values]) -> None:
        """Add deliveries; what is there already stays as it is."""
        if rows:
            query = insert_into(self._connection, delivery).on_conflict_do_nothing()
            self._connection.execute(query, [dict(row) for row in rows])

    def score_before(self, change_id: str, seq: int) -> str | None:
        """Body of the last score of a change before an entry; None for its first.

        Scores of revisions that came after a later one do not count.
        """
        query = (
            sa.select(journal.c.body)
            .where(journal.c.change_id == change_id, journal.c.kind == "score")
            .where(journal.c.seq < seq, ~journal.c.body.contains(_SUPERSEDED, autoescape=True))
            .order_by(journal.c.seq.desc())
        )
        return self._connection.scalar(query.limit(1))

    # emptying it ---------------------------------------------------------------------------------

    def due(self, endpoint: str, now: int) -> bool:
        """Whether there is something to send."""
        query = sa.select(delivery.c.event_id).where(*_due(endpoint, now)).limit(1)
        return self._connection.execute(query).first() is not None

    def claim(self, endpoint: str, *, now: int, until: int, limit: int) -> list[dict[str, Any]]:
        """Take deliveries that are due, oldest entry first; until then nobody else takes them."""
        query = sa.select(delivery).where(*_due(endpoint, now)).order_by(delivery.c.seq)
        query = query.limit(limit).with_for_update(skip_locked=True)
        rows = [dict(row) for row in self._connection.execute(query).mappings()]
        for row in rows:
            row["attempts"] += 1
            self._set(row, due_at=until, attempts=row["attempts"])
        return rows

    def delivered(self, row: Values, *, now: int, outcome: str) -> None:
        """The endpoint has taken it."""
        self._set(row, status=DELIVERED, ended_at=now, outcome=outcome)

    def put_off(self, row: Values, *, due_at: int, outcome: str) -> None:
        """Try it again later."""
        self._set(row, due_at=due_at, outcome=outcome)

    def give_up(self, row: Values, *, now: int, outcome: str) -> None:
        """Do not try it again by yourself."""
        self._set(row, status=DEAD, ended_at=now, outcome=outcome)

    def retry(self, *, now: int, endpoint: str | None = None, event_id: str | None = None) -> int:
        """Let dead deliveries be tried anew, all or some; how many."""
        query = delivery.update().where(delivery.c.status == DEAD)
        if endpoint is not None:
            query = query.where(delivery.c.endpoint == endpoint)
        if event_id is not None:
            query = query.where(delivery.c.event_id == event_id)
        values = {"status": WAITING, "due_at": now, "attempts": 0, "ended_at": None}
        return self._connection.execute(query.values(**values)).rowcount

    def forget(self, before: int) -> int:
        """Remove deliveries that were taken before a moment; how many."""
        query = delivery.delete().where(
            delivery.c.status == DELIVERED, delivery.c.ended_at < before
        )
        return self._connection.execute(query).rowcount

    # looking at it -------------------------------------------------------------------------------

    def counts(self) -> dict[str, dict[str, int]]:
        """Deliveries by endpoint and status, of every endpoint ever seen."""
        found = {
            name: dict.fromkeys(STATUSES, 0)
            for name in self._connection.scalars(sa.select(endpoint_place.c.endpoint))
        }
        query = sa.select(delivery.c.endpoint, delivery.c.status, sa.func.count())
        query = query.group_by(delivery.c.endpoint, delivery.c.status)
        for endpoint, status, count in self._connection.execute(query):
            found.setdefault(endpoint, dict.fromkeys(STATUSES, 0))[status] = count
        return found

    def oldest_waiting(self) -> dict[str, int]:
        """When the oldest delivery still to be tried was made, by endpoint."""
        query = sa.select(delivery.c.endpoint, sa.func.min(delivery.c.created_at))
        query = query.where(delivery.c.status == WAITING).group_by(delivery.c.endpoint)
        return {endpoint: int(moment) for endpoint, moment in self._connection.execute(query)}

    def dead(self, endpoint: str | None = None) -> list[Values]:
        """Deliveries that were given up, oldest first, without their bodies."""
        columns = [column for column in delivery.c if column.name != "body"]
        query = sa.select(*columns).where(delivery.c.status == DEAD).order_by(delivery.c.seq)
        if endpoint is not None:
            query = query.where(delivery.c.endpoint == endpoint)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def _set(self, row: Values, **values: object) -> None:
        query = delivery.update().where(
            delivery.c.endpoint == row["endpoint"], delivery.c.event_id == row["event_id"]
        )
        self._connection.execute(query.values(**values))


def _due(endpoint: str, now: int) -> tuple[sa.ColumnElement[bool], ...]:
    c = delivery.c
    return c.endpoint == endpoint, c.status == WAITING, c.due_at <= now
