"""Changes as an ITSM's webhooks say them: whole, or one more or fewer of the items they affect."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

import orjson
from pydantic import BaseModel, PrivateAttr

from features.records import Change
from features.sources.vendor import Affects, Delivery
from features.store import Store
from features.store.rows import to_row
from features.store.standing import added_to, place_of
from features.store.writing import Writer
from serving.contract import ChangeIn, Warned, neutral
from serving.values import MOST_NAMES

BEFORE_ALL = "0"
"""Mark of a revision that came late from a vendor that does not number them."""

WITHDRAWN = Warned(
    code="withdrawn", text="The change was cancelled or deleted: there is nothing to score."
)


class Recorded(BaseModel):
    """What became of a body that is not scored: what it says that is new is part of the history."""

    status: Literal["recorded"] = "recorded"
    number: str
    new: dict[str, int]
    warnings: list[Warned] = []


class Delivered(ChangeIn):
    """A change that came by webhook, with what was odd about its body."""

    _odd: list[Warned] = PrivateAttr(default_factory=list)

    def warnings(self) -> list[Warned]:
        """What was missing or not used, of the body and of what the ITSM wrote, each once."""
        said = {(one.code, one.field) for one in self._odd}
        own = [one for one in super().warnings() if (one.code, one.field) not in said]
        return [*own, *self._odd]

    def beside(self, odd: list[Warned]) -> Delivered:
        """The same, with what was odd about the body that it came in."""
        self._odd = odd
        return self


def asked_of(change: Change, delivery: Delivery) -> Delivered:
    """The change to be scored; where the vendor does not number its revisions the service counts
    them by their content, and one that comes late stands before all of those.
    """
    body: dict[str, object] = orjson.loads(neutral(change))
    if delivery.late:
        body["revision"] = BEFORE_ALL
    elif not delivery.numbered:
        del body["revision"]
    return Delivered.model_validate(body)


def as_on_record(store: Store, asked: Delivered, delivery: Delivery) -> Delivered:
    """The change with the affected items on record, where its body does not say which there are.

    Items that came by themselves gave it revisions between two of the vendor's. What comes after
    them is one of them if it says the same, else the next.
    """
    if delivery.affected_told and not delivery.numbered:
        return asked
    before = store.current(asked.change_id)
    if before is None:
        return asked
    items = asked.affected_cis if delivery.affected_told else before.affected_cis
    found = asked.model_copy(update={"affected_cis": items})
    came, last = place_of(asked.revision or ""), place_of(before.revision)
    if came is not None and last is not None and came[0] == last[0] and last[1]:
        same = found.to_record(revision=before.revision, known_at=before.known_at)
        is_same = to_row(same)["identity"] == to_row(before)["identity"]
        found.revision = before.revision if is_same else added_to(before.revision)
    return found


@dataclass(frozen=True)
class Amended:
    """What became of the affected items of a change.

    Parameters
    ----------
    asked : Delivered or None
        The revision there is now, to be scored; None where nothing is.
    new : dict
        Facts stored, by table.
    """

    asked: Delivered | None = None
    new: dict[str, int] = field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()


def amended(writer: Writer, affects: Affects, now: datetime) -> Amended:
    """Write down the change's next revision, which says what it affects, if that is news.

    Read and written in one transaction: several items are often added at once.
    """
    before = writer.current(affects.change_id)
    if before is None:
        text = (
            f"{affects.change_id} is not on record: the item counts once the change comes with its "
            "affected_cis, or is synchronised"
        )
        return Amended(warnings=(Warned(code="unknown_change", field="task", text=text),))
    items = affects.applied(before.affected_cis)
    if len(items) > MOST_NAMES:
        text = f"a change names at most {MOST_NAMES} affected items; this one was left out"
        return Amended(warnings=(Warned(code="too_many", field="affected_cis", text=text),))
    if items == before.affected_cis:
        return Amended()
    mark = added_to(before.revision)
    asked = Delivered.model_validate_json(
        neutral(replace(before, revision=mark, affected_cis=items))
    )
    # As it will be scored: what is stored then is found to be on record.
    record = asked.to_record(revision=mark, known_at=max(now, before.known_at))
    new = {name: count for name, count in writer.add([record]).items() if count}
    if writer.is_withdrawn(before):
        return Amended(new=new, warnings=(WITHDRAWN,))
    return Amended(asked, new)
