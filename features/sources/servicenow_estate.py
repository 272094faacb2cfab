"""ServiceNow's configuration items, and which of them needs which, as ours."""

from __future__ import annotations

from datetime import datetime

from features.records import Item, Relation
from features.sources.servicenow_rows import SYS_ID, Row
from features.sources.vendor import DeliveryError

LONGEST = 500
"""Characters of a name; ServiceNow's own have at most 255, and databases index no long ones."""

_USUAL = "Depends on"
"""What a relation is taken for whose type is not told."""


def item(row: Row, *, known_at: datetime) -> Item:
    """A row of ``cmdb_ci``, or of a table that extends it, as an item.

    Raises
    ------
    DeliveryError
        If it has no name.
    """
    name = row.named("item", "ci")
    if not name:
        raise DeliveryError("/name", "expected the name of the item")
    return Item(
        ci=name[:LONGEST],
        known_at=known_at,
        ci_class=row.named("item", "ci_class"),
        service=row.named("item", "service"),
        criticality=row.level("item", "criticality"),
    )


def relation(row: Row, *, known_at: datetime) -> Relation:
    """A row of ``cmdb_rel_ci`` as a relation that holds since it is known.

    Raises
    ------
    DeliveryError
        If one of its ends is missing.
    """
    parent, child = (_end(row, end) for end in ("parent", "child"))
    return Relation(
        parent=parent, child=child, kind=_kind(row), occurred_at=known_at, known_at=known_at
    )


def _end(row: Row, column: str) -> str:
    name = row.name("cmdb_ci", row.cell(column))
    if not name:
        raise DeliveryError(f"/{column}", "expected an item")
    return name[:LONGEST]


def _kind(row: Row) -> str:
    """``Depends on::Used by`` is how the parent sees it, and how the child does."""
    name = row.name("type", row.cell("type")) or _USUAL
    said = _USUAL if SYS_ID.fullmatch(name) else name.partition("::")[0]
    return "_".join(said.casefold().split())[:LONGEST]
