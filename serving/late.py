"""Revisions that come after a later one: what is sent at once need not arrive in order.

They are scored as they came, with a warning. The later revision stands: in the history, in the
queue, for decisions, and for what other systems are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from features.language import say
from features.records import Change
from features.store.chain import JournalEntry
from features.store.rows import to_row
from features.store.standing import Standing, place_of
from features.store.writing import Writer
from serving.contract import Warned

SUPERSEDED = "superseded"
"""Code of the warning that a later revision was on record when this one came."""


@dataclass(frozen=True)
class Place:
    """Where a revision stands among those on record when it is written down.

    Parameters
    ----------
    record : Change
        The revision; with the next mark where another one got the same at the same time.
    late : Warned or None
        The warning that a later one is on record already.
    """

    record: Change
    late: Warned | None = None


def placed(writer: Writer, records: Sequence[Change], marked: Sequence[bool]) -> list[Place]:
    """The places of the revisions of different changes, in the transaction that keeps them.

    Parameters
    ----------
    marked : sequence of bool
        Whether whoever sent it numbered it; only whole numbers tell which one is the later.
    """
    standing = writer.standing([record.change_id for record in records])
    return [
        _placed(record, is_marked, standing.get(record.change_id))
        for record, is_marked in zip(records, marked, strict=True)
    ]


def _placed(record: Change, is_marked: bool, standing: Standing | None) -> Place:
    mark, identity, _ = standing or ("", b"", 0)
    came, last = place_of(record.revision), place_of(mark)
    if came is None or last is None or last < came:
        return Place(record)
    if not is_marked:
        same = to_row(record)["identity"] == identity
        return Place(record if same else replace(record, revision=str(last[0] + 1)))
    if last == came:
        return Place(record)
    text = say("Revision {later} was known before this one came, and stands", later=mark)
    return Place(record, Warned(code=SUPERSEDED, field="revision", text=text))


def is_superseded(answer: Mapping[str, Any]) -> bool:
    """Whether an answer, as JSON values, is to a revision that came after a later one."""
    return any(warning["code"] == SUPERSEDED for warning in answer.get("warnings", ()))


def in_force(entries: Sequence[JournalEntry]) -> list[JournalEntry]:
    """The scores of a change without those of revisions that came after a later one; all of them
    where there are no others.
    """
    return [one for one in entries if not is_superseded(one.body["answer"])] or list(entries)
