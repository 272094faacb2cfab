"""The courier: makes deliveries of what the journal tells, sends them, and tries again.

At least once, with the same ``webhook-id`` each time: what was sent but not marked, because whoever
sent it died, is sent again once its claim has run out.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from features import instants
from features.store import Store, StoreError
from features.store.chain import JournalEntry
from features.store.outbox import WAITING, Outbox
from serving.events import SOURCE, told_by
from serving.runtime import Runtime
from serving.sending import Reply, send
from serving.subscriptions import Endpoint, SubscriptionError, load

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""How often a courier looks for something new."""

ENTRIES = 200
"""Journal entries that are made deliveries of in one transaction."""

BATCH = 10
"""Deliveries claimed at once."""

FIRST_SECONDS, FACTOR, LONGEST_SECONDS = 5.0, 4.0, 6 * 3600.0
"""Wait before the second attempt, how it grows, and the longest."""

KEPT = timedelta(days=7)
"""How long deliveries that were taken are kept."""

FORGET_EVERY = timedelta(hours=1)

Send = Callable[..., Reply]


def backoff(attempts: int, draw: float) -> float:
    """Seconds until the next attempt after so many: exponential, half of it left to chance, so that
    what failed together does not come back together.

    Parameters
    ----------
    draw : float
        From 0 to 1.

    Examples
    --------
    >>> [backoff(n, 1.0) for n in (1, 2, 3, 4)], backoff(1, 0.0), backoff(50, 1.0)
    ([5.0, 20.0, 80.0, 320.0], 2.5, 21600.0)
    """
    whole = min(FIRST_SECONDS * FACTOR ** min(attempts - 1, 20), LONGEST_SECONDS)
    return whole / 2 + draw * whole / 2


class Courier:
    """Serves one endpoint.

    Parameters
    ----------
    store : callable
        Gives the store; None while there is none.
    clock : callable
        Gives the time.
    source : str
        Where events say that they come from.
    send : callable
        :func:`serving.sending.send`, or what stands in for it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        store: Callable[[], Store | None],
        clock: Callable[[], datetime],
        *,
        source: str = SOURCE,
        send: Send = send,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.endpoint = endpoint
        self._store = store
        self._clock = clock
        self._source = source
        self._send = send
        self._draw = draw
        self._forgotten: datetime | None = None

    def run(self, stop: threading.Event) -> None:
        """Serve the endpoint until told to stop."""
        while not stop.wait(POLL_SECONDS):
            try:
                while not stop.is_set() and self.round():
                    pass
            except StoreError as error:
                _log.error("webhooks to %s wait: %s", self.endpoint.name, error)
            except Exception:  # noqa: BLE001 - one fault must not end the deliveries for good
                _log.exception("webhooks to %s wait", self.endpoint.name)

    def round(self) -> bool:
        """Make deliveries and send what is due; whether there may be more to do at once."""
        store = self._store()
        if store is None:
            return False
        more = self.gather(store)
        sent = self.deliver(store)
        self._tidy(store)
        return more or sent > 0

    def gather(self, store: Store) -> bool:
        """Make deliveries of the entries after the endpoint's place; whether more entries follow.

        A new endpoint is told of what comes after it was first seen.
        """
        name = self.endpoint.name
        with store.outbox() as outbox:
            head, place = outbox.head(), outbox.place(name)
        if place is not None and place >= head:
            return False
        with store.outbox(writing=True) as outbox:
            place = outbox.place(name, hold=True)
            if place is None:
                outbox.begin(name, head)
                return False
            entries = list(islice(store.journal_entries(after=place), ENTRIES))
            outbox.add([row for entry in entries for row in self._rows(entry, outbox)])
            if entries:
                outbox.move(name, entries[-1].seq)
        return len(entries) == ENTRIES

    def deliver(self, store: Store) -> int:
        """Send what is due; how many were tried."""
        name, now = self.endpoint.name, self._clock()
        with store.outbox() as outbox:
            if not outbox.due(name, instants.to_micros(now)):
                return 0
        lease = timedelta(seconds=BATCH * self.endpoint.timeout_seconds + 60)
        with store.outbox(writing=True) as outbox:
            micros = instants.to_micros(now)
            until = instants.to_micros(now + lease)
            rows = outbox.claim(name, now=micros, until=until, limit=BATCH)
        for row in rows:
            reply = self._send(self.endpoint, row["event_id"], row["body"], now=self._clock())
            self._settle(store, row, reply)
        return len(rows)

    def _settle(self, store: Store, row: Mapping[str, Any], reply: Reply) -> None:
        """Write down what came of an attempt."""
        now, name = self._clock(), self.endpoint.name
        micros = instants.to_micros(now)
        with store.outbox(writing=True) as outbox:
            if reply.taken:
                outbox.delivered(row, now=micros, outcome=reply.outcome)
                return
            if reply.final or row["attempts"] >= self.endpoint.attempts:
                outbox.give_up(row, now=micros, outcome=reply.outcome)
                _log.error("a webhook to %s is given up: %s", name, reply.outcome)
                return
            wait = max(backoff(row["attempts"], self._draw()), reply.wait_seconds)
            due_at = instants.to_micros(now + timedelta(seconds=wait))
            outbox.put_off(row, due_at=due_at, outcome=reply.outcome)
        _log.warning("a webhook to %s failed: %s", name, reply.outcome)

    def _rows(self, entry: JournalEntry, outbox: Outbox) -> Iterator[dict[str, Any]]:
        wanted, bands = self.endpoint.events, self.endpoint.bands
        now = instants.to_micros(self._clock())
        for told in told_by(entry, outbox):
            about = not bands or not told.name.startswith("change.") or bool(told.bands & bands)
            if told.name in wanted and about:
                yield {
                    "endpoint": self.endpoint.name,
                    "event_id": told.event_id,
                    "seq": told.seq,
                    "type": told.type,
                    "body": told.body(self._source),
                    "status": WAITING,
                    "attempts": 0,
                    "created_at": now,
                    "due_at": now,
                }

    def _tidy(self, store: Store) -> None:
        """Remove deliveries that were taken long ago, now and then."""
        now = self._clock()
        if self._forgotten is not None and now - self._forgotten < FORGET_EVERY:
            return
        self._forgotten = now
        with store.outbox(writing=True) as outbox:
            outbox.forget(instants.to_micros(now - KEPT))


class Couriers:
    """A courier and a thread for every endpoint: a slow one holds up nobody else."""

    def __init__(self, couriers: Sequence[Courier]) -> None:
        self._couriers = couriers
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    def of(cls, runtime: Runtime, environment: Mapping[str, str]) -> Couriers:
        """The couriers of a worker; none where the file of endpoints cannot be used: what the
        journal tells meanwhile is delivered once it can.
        """
        source = environment.get("CHANGERISK_PUBLIC_URL") or SOURCE

        def store() -> Store | None:
            scorer = runtime.scorer()
            return None if scorer is None else scorer.store

        try:
            endpoints = load(runtime.settings.home, environment)
        except SubscriptionError as error:
            _log.error("no webhook is sent: %s", error)
            endpoints = ()
        return cls([Courier(one, store, runtime.clock, source=source) for one in endpoints])

    def start(self) -> None:
        """Begin to serve, in the background."""
        for courier in self._couriers:
            name = f"webhooks to {courier.endpoint.name}"
            thread = threading.Thread(
                target=courier.run, args=(self._stop,), name=name, daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 5.0) -> None:
        """End it; what is being sent then is sent again later unless it was taken and marked."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=seconds)
