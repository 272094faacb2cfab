"""Which model scores: moving the champion, on record."""

from __future__ import annotations

import uuid
from datetime import datetime

import orjson

from features.store import Store
from models.registry import Registry, RegistryError
from training.promotion import Comparison


def move(
    registry: Registry,
    store: Store,
    version: str,
    *,
    reason: str,
    by: str,
    now: datetime,
    found: Comparison | None = None,
) -> None:
    """Point the champion to a version, keep the one before, and put it on record.

    The journal gets who, when, why and the comparison; the registry the same beside the version.
    A running service takes the new champion up by itself.

    Parameters
    ----------
    version : str
        The new champion.
    reason, by : str
        Why, and who decided.
    now : datetime
        Time of the decision.
    found : Comparison, optional
        What the rule said.
    """
    before = registry.version_of("champion")
    facts = None if found is None else found.facts()
    body = {"version": version, "before": before, "reason": reason, "by": by, "comparison": facts}
    with store.write("promotion", now=now) as writer:
        writer.append_journal(uuid.uuid4().hex, "promotion", None, body)
    registry.tag(
        version,
        promoted_at=now.isoformat(timespec="seconds"),
        promoted_by=by,
        promoted_because=reason,
    )
    if facts is not None:
        registry.keep(version, "comparison.json", orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    if before is not None and before != version:
        registry.point("previous", before)
    registry.point("champion", version)


def go_back(
    registry: Registry, store: Store, *, reason: str, by: str, now: datetime
) -> tuple[str, str | None]:
    """Make the champion before this one the champion again.

    Parameters
    ----------
    reason, by : str
        Why, and who decided.
    now : datetime
        Time of the decision.

    Returns
    -------
    tuple of (str, str or None)
        The champion now, and the version it took the place of.

    Raises
    ------
    RegistryError
        If there is no earlier champion, or it is not whole.
    """
    previous, present = registry.version_of("previous"), registry.version_of("champion")
    if previous is None:
        raise RegistryError("there is no earlier champion to go back to")
    registry.load(previous)  # it must be whole before it scores
    move(registry, store, previous, reason=reason, by=by, now=now)
    return previous, present
