"""What people see and say of changes: the queue, decisions and feedback.

Every row here repeats what a journal entry says, in a form that can be asked for quickly. It is
written in the entry's own transaction, and :meth:`Review.behind` tells what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from features import instants
from features.records import CalendarEntry, ChangeEvent, Incident, Link
from features.store.dialects import insert_into
from features.store.prompt import Prompt
from features.store.schema import change_state, decision, feedback, journal, record_tables

UNPLANNED_DAYS = 30
"""How long a change without a planned window counts as still to come after its last score."""

ENDING = ("closed", "backed_out")
"""Events after which a change is not still to come; one that was ``canceled`` is to come again once
it is scored after that."""

_LATE = 2**62
"""After every planned start."""

Values = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which changes of the queue.

    Parameters
    ----------
    now : int
        Changes whose window ends before are past, microseconds.
    bands : tuple of str
        Only these; all where empty.
    undecided : bool
        Only changes nobody has decided about.
    starts_from, starts_until : int, optional
        Only changes whose planned window overlaps this span.
    """

    now: int
    bands: tuple[str, ...] = ()
    service: str | None = None
    team: str | None = None
    undecided: bool = False
    starts_from: int | None = None
    starts_until: int | None = None


@cache
def _setting(names: tuple[str, ...]) -> Prompt:
    """Rows of states, whose columns replace those of a row that is there already."""

    def made(dialect: str) -> sa.Insert:
        query = insert_into(dialect, change_state)
        given = {name: query.excluded[name] for name in names if name != "change_id"}
        return query.on_conflict_do_update(index_elements=["change_id"], set_=given)

    return Prompt(made, names)


class Review:
    """The tables of the review, over an open connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    # the state of changes ------------------------------------------------------------------------

    def state(self, change_id: str) -> Values | None:
        """The state of one change; None for one that was never scored."""
        query = sa.select(change_state).where(change_state.c.change_id == change_id)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def queue(
        self, selection: Selection, *, order: str, after: Sequence[Any] | None, limit: int
    ) -> list[Values]:
        """States of the changes still to come.

        Parameters
        ----------
        order : str
            ``risk``: highest probability first, without a score last; ``soonest``: by start.
        after : (key, change_id), optional
            Only what follows this place: ``sort_key`` and ``change_id`` of a row given before.
        """
        key, descending = _KEYS[order]
        query = sa.select(change_state, key.label("sort_key")).where(*_conditions(selection))
        if after is not None:
            further = key < after[0] if descending else key > after[0]
            same = sa.and_(key == after[0], change_state.c.change_id > after[1])
            query = query.where(sa.or_(further, same))
        direction = key.desc() if descending else key.asc()
        query = query.order_by(direction, change_state.c.change_id).limit(limit)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def past(self, since: int, until: int) -> list[Values]:
        """States of the changes whose planned start lies in a span, in order of it."""
        start = change_state.c.planned_start
        query = sa.select(change_state).where(start >= since, start < until)
        query = query.order_by(start, change_state.c.change_id)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def tally(self, selection: Selection) -> dict[tuple[str | None, bool], int]:
        """How many changes still to come, by band and whether they are decided."""
        decided = change_state.c.decision.is_not(None)
        query = (
            sa.select(change_state.c.band, decided, sa.func.count())
            .where(*_conditions(selection))
            .group_by(change_state.c.band, decided)
        )
        return {(band, bool(done)): n for band, done, n in self._connection.execute(query)}

    def services(self, selection: Selection) -> list[str]:
        """The services of the changes still to come, by name."""
        column = change_state.c.service
        query = sa.select(column).distinct().where(*_conditions(selection), column.is_not(None))
        return sorted(self._connection.scalars(query))

    def put_states(self, rows: Sequence[Values]) -> None:
        """Set the states that scores give, each change's once; what was decided stays."""
        _setting(tuple(rows[0])).put(self._connection, rows)

    def set_state(self, change_id: str, **values: object) -> None:
        """Set some values of a state that there is."""
        query = change_state.update().where(change_state.c.change_id == change_id)
        self._connection.execute(query.values(**values))

    # what people said ----------------------------------------------------------------------------

    def add_decision(self, values: Values) -> None:
        """Keep a decision."""
        self._connection.execute(insert_into(self._connection, decision).values(**values))

    def add_feedback(self, rows: Iterable[Values]) -> None:
        """Keep what somebody said of a score, a row for each thing said."""
        self._connection.execute(feedback.insert(), [dict(row) for row in rows])

    def decisions(self, change_id: str | None = None) -> list[Values]:
        """Decisions about one change or all, oldest first."""
        query = sa.select(decision).order_by(decision.c.seq)
        if change_id is not None:
            query = query.where(decision.c.change_id == change_id)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def feedback(self, change_id: str | None = None) -> list[Values]:
        """What was said of the scores of one change or all, oldest first."""
        query = sa.select(feedback).order_by(feedback.c.seq, feedback.c.number)
        if change_id is not None:
            query = query.where(feedback.c.change_id == change_id)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    # what followed -------------------------------------------------------------------------------

    def events(self, change_id: str) -> list[Values]:
        """What happened to a change after its submission, in order."""
        table = record_tables[ChangeEvent]
        columns = [table.c[n] for n in ("kind", "occurred_at", "known_at", "code", "planned")]
        query = sa.select(*columns).where(table.c.change_id == change_id)
        query = query.order_by(table.c.occurred_at, table.c.known_at)
        return [dict(row) for row in self._connection.execute(query).mappings()]

    def calendar(self, since: int, until: int) -> list[Values]:
        """Freezes, blackouts and maintenance that overlap a span, in order."""
        table = record_tables[CalendarEntry]
        columns = [table.c[n] for n in ("entry_id", "kind", "scope", "starts_at", "ends_at")]
        query = sa.select(*columns).where(table.c.ends_at > since, table.c.starts_at < until)
        query = query.order_by(table.c.starts_at, table.c.entry_id, table.c.known_at)
        rows = self._connection.execute(query).mappings()
        return list({row["entry_id"]: dict(row) for row in rows}.values())

    def incidents(self, change_id: str) -> list[Values]:
        """The incidents linked to a change as caused by it, with their latest description."""
        link, incident = record_tables[Link], record_tables[Incident]
        columns = [incident.c[n] for n in ("priority", "short_description", "occurred_at")]
        query = (
            sa.select(link.c.incident_id, link.c.source, link.c.confidence, *columns)
            .outerjoin(incident, incident.c.incident_id == link.c.incident_id)
            .where(link.c.change_id == change_id, link.c.kind == "caused_by")
            .order_by(incident.c.known_at, link.c.known_at)
        )
        rows = self._connection.execute(query).mappings()
        return list({row["incident_id"]: dict(row) for row in rows}.values())

    # keeping up ----------------------------------------------------------------------------------

    def behind(self) -> int | None:
        """The last score these tables hold, if the journal holds later ones; else None."""
        held = int(self._connection.scalar(sa.select(sa.func.max(change_state.c.seq))) or 0)
        query = sa.select(journal.c.seq).where(journal.c.seq > held, journal.c.kind == "score")
        return None if self._connection.execute(query.limit(1)).first() is None else held


_RISK = sa.func.coalesce(change_state.c.probability, -1.0)
_START = sa.func.coalesce(change_state.c.planned_start, _LATE)
_KEYS: dict[str, tuple[Any, bool]] = {"risk": (_RISK, True), "soonest": (_START, False)}

ORDERS = tuple(_KEYS)
"""Ways in which a queue can be sorted."""


def _conditions(selection: Selection) -> list[sa.ColumnElement[bool]]:
    c = change_state.c
    unplanned = sa.and_(
        c.planned_start.is_(None),
        c.planned_end.is_(None),
        c.scored_at >= selection.now - UNPLANNED_DAYS * instants.DAY,
    )
    event = record_tables[ChangeEvent]
    withdrawn = sa.and_(event.c.kind == "canceled", event.c.known_at >= c.scored_at)
    ended = sa.exists().where(
        event.c.change_id == c.change_id, sa.or_(event.c.kind.in_(ENDING), withdrawn)
    )
    found: list[sa.ColumnElement[bool]] = [~ended]
    if selection.starts_from is None and selection.starts_until is None:
        found.append(
            sa.or_(c.planned_start >= selection.now, c.planned_end >= selection.now, unplanned)
        )
    if selection.starts_from is not None:
        ends = sa.func.coalesce(c.planned_end, c.planned_start)
        found.append(
            sa.or_(ends >= selection.starts_from, c.planned_start >= selection.starts_from)
        )
    if selection.starts_until is not None:
        found.append(c.planned_start < selection.starts_until)
    if selection.bands:
        found.append(c.band.in_(selection.bands))
    if selection.service is not None:
        found.append(c.service == selection.service)
    if selection.team is not None:
        found.append(c.assignment_group == selection.team)
    if selection.undecided:
        found.append(c.decision.is_(None))
    return found
