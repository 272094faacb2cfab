"""What SQLite and PostgreSQL both can do, said in each one's own way."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insert_into(place: sa.Connection | str, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """The dialect's own insert, which can say what to do about a row that is there already.

    Parameters
    ----------
    place : Connection or str
        A connection, or the name of its dialect.
    """
    dialect = place if isinstance(place, str) else place.dialect.name
    if dialect == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
