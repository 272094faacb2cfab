"""Which revision of a change stands: the one that became known last."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from features.records import Change
from features.store.prompt import Prompt
from features.store.schema import record_tables

_CHANGES = record_tables[Change]
_STANDING = Prompt(
    lambda _: (
        sa.select(_CHANGES.c.revision, _CHANGES.c.identity, sa.func.count().over())
        .where(_CHANGES.c.change_id == sa.bindparam("change_id"))
        .order_by(_CHANGES.c.known_at.desc(), _CHANGES.c.batch.desc())
        .limit(1)
    )
)


_MARK = re.compile(r"([0-9]{1,18})(?:\+([0-9]{1,9}))?")
_ADDED = re.compile(r"(.*)\+([0-9]{1,9})", re.DOTALL)


def place_of(mark: str) -> tuple[int, int] | None:
    """Where a revision's mark stands in the order of marks; None for one that is no whole number.

    Examples
    --------
    >>> place_of("6") < place_of("6+1") < place_of("6+2") < place_of("7")
    True
    """
    found = _MARK.fullmatch(mark)
    return None if found is None else (int(found[1]), int(found[2] or 0))


def added_to(mark: str) -> str:
    """The next mark that comes before all that an ITSM may give after this one.

    Examples
    --------
    >>> added_to("6"), added_to("6+1")
    ('6+1', '6+2')
    """
    found = _ADDED.fullmatch(mark)
    base, number = (mark, 0) if found is None else (found[1], int(found[2]))
    return f"{base[:80]}+{number + 1}"


class Standing(NamedTuple):
    """The revision that stands.

    Parameters
    ----------
    revision : str
        Its mark.
    identity : bytes
        Digest of its content.
    known : int
        How many revisions of the change are on record.
    """

    revision: str
    identity: bytes
    known: int


def standing(connection: sa.Connection, change_ids: Iterable[str]) -> dict[str, Standing]:
    """The revisions that stand of those of some changes that are on record."""
    found = {}
    for change_id in change_ids:
        row = _STANDING.find(connection, change_id=change_id)
        if row is not None:
            found[change_id] = Standing(str(row[0]), bytes(row[1]), int(row[2]))
    return found
