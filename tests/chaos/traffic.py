"""Callers that never stop asking, and remember every answer they were given."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.load import Connection, request

PAUSE = 0.1
"""Seconds between two requests of a caller: a process that starts needs a share of two cores."""

UNRECORDED = frozenset({"store_unavailable", "not_recorded", "busy", "internal_error"})
"""Warnings of answers without a score that say that they may not be on record."""


@dataclass
class Seen:
    """What the callers saw.

    Parameters
    ----------
    acknowledged : dict of str to dict
        Answers that must be in the journal, by their ids.
    statuses : Counter
        Answers by what they were, ``scored`` or a status of HTTP.
    faulty : list of str
        Answers that must not be given.
    """

    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    faulty: list[str] = field(default_factory=list)
    requests: int = 0
    broken: int = 0
    replayed: int = 0
    longest: float = 0.0
    scored_at: dict[int, float] = field(default_factory=dict)

    def take(self, port: int, status: int, body: bytes, seconds: float) -> None:
        """Remember an answer."""
        self.longest = max(self.longest, seconds)
        if status == 409:  # the first request with this key was cut off and may still be going on
            self.statuses["409"] += 1
            return
        if status != 200:
            self.statuses[str(status)] += 1
            self.faulty.append(f"{status}: {body[:300]!r}")
            return
        answer = orjson.loads(body)
        self.statuses[answer["status"]] += 1
        codes = {warning["code"] for warning in answer["warnings"]}
        if answer["status"] == "not_scored":
            self.codes.update(codes & {*UNRECORDED, "model_unavailable"})
            if codes & UNRECORDED:
                return
        else:
            self.scored_at[port] = time.monotonic()
            self.versions[answer["model"]["version"]] += 1
        self.acknowledged[answer["score_id"]] = answer


class Traffic:
    """Callers in a thread of their own, spread over the instances of the service.

    A caller whose connection breaks asks the next instance the same again, with the same
    ``Idempotency-Key``, as a workflow engine behind a balancer does.
    """

    def __init__(
        self, ports: Sequence[int], key: str, bodies: Sequence[dict[str, Any]], *, seed: int,
        patience: float, callers: int = 4,
    ) -> None:  # fmt: skip
        self.seen = Seen()
        self._ports, self._key, self._bodies = list(ports), key, bodies
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets
        self._patience, self._callers = patience, callers
        self._numbers = itertools.count()
        self._over = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> Seen:
        """Let the requests under way end; what was seen."""
        self._over.set()
        self._thread.join(2 * self._patience)
        if self._fault is not None:
            raise self._fault
        if self._thread.is_alive():
            raise RuntimeError("a caller was left without any answer")
        return self.seen

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:  # noqa: BLE001 - told to whoever stops the traffic
            self._fault = error

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for first in range(self._callers):
                group.create_task(self._caller(first))

    async def _caller(self, first: int) -> None:
        connections = [Connection(port) for port in self._ports]
        turn = first
        while not self._over.is_set():
            turn = await self._answered(connections, turn, self._content())
            await asyncio.sleep(PAUSE)
        for connection in connections:
            connection.close()

    async def _answered(self, connections: list[Connection], turn: int, content: bytes) -> int:
        """Ask until there is an answer; whom to ask next."""
        self.seen.requests += 1
        tries = 0
        while True:
            at = turn % len(connections)
            begun = time.monotonic()
            try:
                status, body = await asyncio.wait_for(connections[at].ask(content), self._patience)
            except TimeoutError:
                self.seen.faulty.append(f"no answer within {self._patience} s")
                return turn + 1
            except (OSError, EOFError):
                self.seen.broken += 1
                turn, tries = turn + 1, tries + 1
                if self._over.is_set():
                    return turn
                await asyncio.sleep(0.0 if tries < len(connections) else 0.1)
                continue
            self.seen.take(self._ports[at], status, body, time.monotonic() - begun)
            return turn + 1

    def _content(self) -> bytes:
        """A change nobody has seen, now and then a new revision of one they have."""
        number = next(self._numbers)
        again = number > 20 and self._chance.random() < 0.2
        name = self._chance.randrange(number) if again else number
        body = {
            **self._chance.choice(self._bodies),
            "change_id": f"CHAOS{name:07}",
            "urgency": str(self._chance.randint(1, 4)),
        }
        body.pop("revision", None)
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._key}",
            "Idempotency-Key": f"chaos-{number}",
        }
        return request("/v1/score", orjson.dumps(body), headers)
