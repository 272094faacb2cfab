"""Revisions that come after a later one: what is sent at once need not arrive in order.

They are scored as they came, with a warning. The later revision stands: in the history, in the
queue, for decisions, and for what other systems are told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from features.language import say
from features.records import Change
from features.store.chain import JournalEntry
from features.store.writing import Writer
from serving.contract import Warned

SUPERSEDED = "superseded"
"""Code of the warning that a later revision was on record when this one came."""


def overtaken(writer: Writer, records: Sequence[Change]) -> dict[str, Warned]:
    """Those of some changes, by id, whose later revision is on record already.

    Only whole numbers tell which of two revisions is the later one.
    """
    numbers = {record.change_id: _number(record.revision) for record in records}
    marks = writer.standing_revisions([name for name in numbers if numbers[name] is not None])
    found = {}
    for change_id, mark in marks.items():
        came, standing = numbers[change_id], _number(mark)
        if came is not None and standing is not None and standing > came:
            text = say("Revision {later} was known before this one came, and stands", later=mark)
            found[change_id] = Warned(code=SUPERSEDED, field="revision", text=text)
    return found


def _number(mark: str) -> int | None:
    return int(mark) if mark.isascii() and mark.isdecimal() and len(mark) < 19 else None


def is_superseded(answer: Mapping[str, Any]) -> bool:
    """Whether an answer, as JSON values, is to a revision that came after a later one."""
    return any(warning["code"] == SUPERSEDED for warning in answer.get("warnings", ()))


def in_force(entries: Sequence[JournalEntry]) -> list[JournalEntry]:
    """The scores of a change without those of revisions that came after a later one; all of them
    where there are no others.
    """
    return [one for one in entries if not is_superseded(one.body["answer"])] or list(entries)
