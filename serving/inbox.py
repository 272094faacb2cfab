"""Bodies of an ITSM's webhooks: a change is scored like any other, other records become history."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import orjson
from pydantic import BaseModel, PrivateAttr, ValidationError

from features.records import Change
from features.sources import jira_webhook, rt, servicenow
from features.sources.connections import NAME, Connection, load
from features.sources.reading import SourceError
from features.sources.vendor import Delivery, DeliveryError
from features.store import Store, StoreError
from serving.contract import Answer, ChangeIn, Warned, neutral
from serving.kept import Kept, KeptBody
from serving.moment import InputError
from serving.runtime import Runtime
from serving.values import controls

_log = logging.getLogger(__name__)

KEPT = "rejected/webhooks"
"""Where refused bodies are kept, under the home."""

BEFORE_ALL = "0"
"""Mark of a revision that came late from a vendor that does not number them."""

Read = Callable[..., Delivery]


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """An ITSM whose bodies are understood.

    Parameters
    ----------
    read : callable
        ``(body, connection, names, *, now)`` to what it says.
    references : callable
        Ids in a body whose names are needed to read it.
    """

    name: str
    read: Read
    references: Callable[[object], set[str]]


VENDORS: dict[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            name="servicenow",
            read=servicenow.delivery,
            references=servicenow.references,
        ),
        Vendor(name="jira", read=jira_webhook.delivery, references=jira_webhook.references),
        Vendor(name="rt", read=rt.delivery, references=rt.references),
    )
}
"""Every ITSM by its name in the path of its webhook."""


class Recorded(BaseModel):
    """What became of a body that is about no change: its facts are part of the history now."""

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


class Connections:
    """The file of connections, read again when it changes.

    A file that cannot be read is told of in the log and in every answer; what was last read stays.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._seen: object = ()
        self._read = load()
        self.fault: str | None = None

    def of(self, name: str) -> Connection:
        """The settings of one ITSM."""
        path = self._home / NAME
        with self._lock:
            try:
                state = path.stat()
                stamp: object = (state.st_mtime_ns, state.st_size)
            except OSError:
                stamp = None
            if stamp != self._seen:
                self._seen = stamp
                try:
                    self._read, self.fault = load(self._home), None
                except SourceError as error:
                    _log.error("%s", error)
                    self.fault = str(error)
            return self._read[name]


class Inbox:
    """Takes bodies of one worker.

    Parameters
    ----------
    runtime : Runtime
        Store, model and clock.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._connections = Connections(runtime.settings.home)

    def receive(
        self, vendor: Vendor, body: object, give: Callable[[ChangeIn], Answer]
    ) -> Answer | Recorded:
        """Answer a body: with a score for a change, else with what was recorded.

        Parameters
        ----------
        give : callable
            Scores a change.

        Raises
        ------
        DeliveryError
            If the body holds no record that could be understood.
        StoreError
            If the facts of a record that is no change could not be stored: send it again.
        """
        now = self._runtime.clock()
        connection = self._connections.of(vendor.name)
        scorer = self._runtime.scorer()
        store = None if scorer is None else scorer.store
        names = _names(store, vendor, body)
        delivery = vendor.read(body, connection, names, now=now)
        if controls(delivery.number):
            raise DeliveryError("", "expected no control characters within the record's number")
        odd = [Warned(code=o.code, field=o.field, text=o.text) for o in delivery.oddities]
        if self._connections.fault is not None:
            text = f"{NAME} could not be read; the settings from before are used"
            odd.append(Warned(code="connections_unreadable", text=text))
        if delivery.change is None:
            if store is None:
                raise StoreError("the store cannot be used")
            new = _record(store, vendor, delivery, now)
            return Recorded(number=delivery.number, new=new, warnings=odd)
        if store is not None:
            try:
                _record(store, vendor, delivery, now)
            except StoreError as error:  # the answer will say whether it could be recorded
                _log.error("facts of a webhook could not be stored: %s", error)
        change = _asked(delivery.change, delivery, odd)
        if delivery.withdrawn:
            text = "The change was cancelled or deleted: there is nothing to score."
            return self._runtime.unscored(change, Warned(code="withdrawn", text=text))
        return give(change)


def _names(store: Store | None, vendor: Vendor, body: object) -> dict[str, str]:
    """Names that the body's ids stand for; none where the store cannot tell."""
    wanted = vendor.references(body)
    if store is None or not wanted:
        return {}
    try:
        with store.references() as references:
            return references.names(vendor.name, wanted)
    except StoreError:
        return {}


def _record(store: Store, vendor: Vendor, delivery: Delivery, now: datetime) -> dict[str, int]:
    """Store what is new; a body that says nothing new opens no write."""
    if not delivery.records and not delivery.references:
        return {}
    with store.write(f"webhook {vendor.name}", now=now) as writer:
        learnt = ((r.kind, r.ref_id, r.name) for r in delivery.references)
        writer.references.learn(vendor.name, learnt)
        added = writer.add_news(delivery.records)
    return {name: count for name, count in added.items() if count}


def _asked(change: Change, delivery: Delivery, odd: list[Warned]) -> Delivered:
    """The change to be scored; where the vendor does not number its revisions the service counts
    them by their content, and one that comes late stands before all of those.
    """
    body: dict[str, object] = orjson.loads(neutral(change))
    if delivery.late:
        body["revision"] = BEFORE_ALL
    elif not delivery.numbered:
        del body["revision"]
    asked = Delivered.model_validate(body)
    asked._odd = odd
    return asked


def replayed(runtime: Runtime, kept: Kept) -> Iterator[tuple[KeptBody, str, bool]]:
    """Try every kept body again; one that is understood now is taken off the folder.

    Yields
    ------
    KeptBody, str, bool
        The body, what became of it, and whether it was understood.
    """
    inbox = Inbox(runtime)
    for body in kept.bodies():
        vendor = VENDORS.get(body.vendor)
        if vendor is None or body.body is None:
            yield body, "it was not kept in a form that can be read", False
            continue
        try:
            found = inbox.receive(vendor, body.body, runtime.answer)
        except (DeliveryError, ValidationError, InputError, StoreError) as error:
            yield body, str(error).splitlines()[0], False
            continue
        body.path.unlink(missing_ok=True)
        number = found.change_id if isinstance(found, Answer) else found.number
        yield body, f"{number}: {found.status}", True
