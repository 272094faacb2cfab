"""Bodies of an ITSM's webhooks: a change is scored like any other, other records become history."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from features.records import Change
from features.sources import jira_webhook, rt, servicenow_post, servicenow_webhook
from features.sources.connections import NAME, Connection, load
from features.sources.reading import SourceError
from features.sources.vendor import Delivery, DeliveryError
from features.store import ASKED, Store, StoreError
from features.store.writing import Writer
from serving.contract import Answer, ChangeIn, Warned
from serving.delivered import WITHDRAWN, Delivered, Recorded, amended, as_on_record, asked_of
from serving.kept import Kept, KeptBody
from serving.moment import InputError
from serving.runtime import Runtime
from serving.values import controls

_log = logging.getLogger(__name__)

KEPT = "rejected/webhooks"
"""Where refused bodies are kept, under the home."""

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
            read=servicenow_webhook.delivery,
            references=servicenow_post.references,
        ),
        Vendor(name="jira", read=jira_webhook.delivery, references=jira_webhook.references),
        Vendor(name="rt", read=rt.delivery, references=rt.references),
    )
}
"""Every ITSM by its name in the path of its webhook."""


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
            if delivery.affects is not None:
                return _amended(store, vendor, delivery, odd, give, now)
            new = _record(store, vendor, delivery, now)
            return Recorded(number=delivery.number, new=new, warnings=odd)
        asked = _kept(store, vendor, delivery, delivery.change, now).beside(odd)
        return self._runtime.unscored(asked, WITHDRAWN) if delivery.withdrawn else give(asked)


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


def _kept(
    store: Store | None, vendor: Vendor, delivery: Delivery, change: Change, now: datetime
) -> Delivered:
    """The change to be scored, when what its body says besides is stored."""
    asked = asked_of(change, delivery)
    if store is None:
        return asked
    try:
        _record(store, vendor, delivery, now)
        return as_on_record(store, asked, delivery)
    except StoreError as error:  # the answer will say whether it could be recorded
        _log.error("facts of a webhook could not be stored: %s", error)
        return asked


def _record(store: Store, vendor: Vendor, delivery: Delivery, now: datetime) -> dict[str, int]:
    """Store what is new; a body that says nothing new opens no write."""
    if not delivery.records and not delivery.references:
        return {}
    with store.write(f"webhook {vendor.name}", now=now) as writer:
        _learn(writer, vendor, delivery)
        added = writer.add_news(delivery.records)
    return {name: count for name, count in added.items() if count}


def _learn(writer: Writer, vendor: Vendor, delivery: Delivery) -> None:
    """Keep the names that a body gives."""
    learnt = ((r.kind, r.ref_id, r.name) for r in delivery.references)
    writer.references.learn(vendor.name, learnt)


def _amended(
    store: Store,
    vendor: Vendor,
    delivery: Delivery,
    odd: list[Warned],
    give: Callable[[ChangeIn], Answer],
    now: datetime,
) -> Answer | Recorded:
    """Revise the change that an item was added to or taken from, and score it if that is news."""
    assert delivery.affects is not None  # noqa: S101 - that is what it is about
    with store.write(ASKED, now=now) as writer:
        _learn(writer, vendor, delivery)
        found = amended(writer, delivery.affects, now)
    odd = [*odd, *found.warnings]
    if found.asked is None:
        return Recorded(number=delivery.number, new=found.new, warnings=odd)
    return give(found.asked.beside(odd))


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
