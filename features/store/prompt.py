"""Statements that every answer needs, written once for each dialect and given to the driver as they
are: on its way from a statement to the driver the toolkit takes ten times as long as the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

Row = Sequence[Any]


class Prompt:
    """A statement, ready to be run.

    Values go to the driver, and come from it, as they are: texts, whole numbers, floats, bytes and
    None.

    Parameters
    ----------
    made : callable
        Makes the statement for the name of a dialect.
    columns : sequence of str
        The columns an insert gives values for.
    """

    def __init__(
        self, made: Callable[[str], sa.sql.ClauseElement], columns: Sequence[str] = ()
    ) -> None:
        self._made = made
        self._columns = list(columns) or None
        self._written: dict[str, _Written] = {}

    def rows(self, driver: Any, dialect: sa.Dialect, values: Mapping[str, object]) -> list[Row]:
        """What the statement finds.

        Parameters
        ----------
        driver : DBAPI connection
        """
        written = self._on(dialect)
        cursor = driver.cursor()
        try:
            cursor.execute(written.text, written.given(values))
            found: list[Row] = cursor.fetchall()
            return found
        finally:
            cursor.close()

    def find(self, connection: sa.Connection, **values: object) -> Row | None:
        """The first row found in a transaction that has begun; None for none."""
        rows = self.rows(connection.connection.driver_connection, connection.dialect, values)
        return rows[0] if rows else None

    def put(self, connection: sa.Connection, rows: Sequence[Mapping[str, object]]) -> int:
        """Run it once for each row in a transaction that has begun; how many rows that made."""
        written = self._on(connection.dialect)
        driver: Any = connection.connection.driver_connection
        cursor = driver.cursor()
        try:
            cursor.executemany(written.text, [written.given(row) for row in rows])
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def _on(self, dialect: sa.Dialect) -> _Written:
        if dialect.name not in self._written:
            made = self._made(dialect.name)
            compiled: Any = made.compile(dialect=dialect, column_keys=self._columns)
            fixed = {name: value for name, value in compiled.params.items() if value is not None}
            self._written[dialect.name] = _Written(str(compiled), compiled.positiontup, fixed)
        return self._written[dialect.name]


class _Written(NamedTuple):
    """A statement as the driver takes it.

    Parameters
    ----------
    names : list of str or None
        Of its values where these go by their places.
    fixed : dict
        Values that never differ.
    """

    text: str
    names: list[str] | None
    fixed: dict[str, object]

    def given(self, values: Mapping[str, object]) -> object:
        """Values as the driver takes them."""
        every = {**self.fixed, **values} if self.fixed else values
        return every if self.names is None else [every[name] for name in self.names]
