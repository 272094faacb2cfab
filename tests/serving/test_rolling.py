"""Two services on one store, restarted one after another, and another champion meanwhile: whoever
asks one that is up is answered, without asking twice.
"""

from __future__ import annotations

import http.client
import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from features.store import Store
from models.registry import Registered, Registry
from serving.journal import verify
from serving.runtime import FOLLOW_SECONDS
from tests.load import ROOT, Server, free_port

PATIENCE = 240.0
"""Seconds within which a process must be ready or a request be answered."""

LOADING = 30.0
"""Seconds beyond ``FOLLOW_SECONDS`` that another champion may take to load on a busy machine."""

DRAINED = 0.5
"""Seconds between the last request sent to an instance and its SIGTERM."""

PAUSE = 0.3
"""Seconds between two requests of a caller: services that start need the processors, too."""

MANY = 60
"""Changes that an instance still works on when it is asked to end."""

pytestmark = pytest.mark.slow


@dataclass
class Balancer:
    """Sends every request once, to one of the instances that are up."""

    up: list[int]
    key: str
    answers: list[tuple[float, int, dict[str, Any]]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    _turns: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def score(self, body: dict[str, Any]) -> None:
        """Ask for a score; when it was asked for, of whom, and the answer are kept."""
        with self._lock:  # an instance is taken out before or after a request, never midway
            port, asked = self.up[next(self._turns) % len(self.up)], time.monotonic()
            connection = self.sent(port, "/v1/score", body)
        answer = self.received(connection)
        if answer is not None:
            self.answers.append((asked, port, answer))

    def sent(self, port: int, path: str, body: object) -> http.client.HTTPConnection:
        """A connection with a request on its way."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        try:
            connection.request("POST", path, orjson.dumps(body), headers)
        except OSError as error:
            self.dropped.append(f"{path} at {port}: {error!r}")
        return connection

    def received(self, connection: http.client.HTTPConnection) -> dict[str, Any] | None:
        """The answer; None, and a note, where there is none."""
        try:
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.dropped.append(f"{connection.port}: {error!r}")
            return None
        finally:
            connection.close()
        if response.status != 200:
            self.dropped.append(f"{connection.port}: {response.status} {body[:200]!r}")
            return None
        return dict(orjson.loads(body))

    def set(self, up: Sequence[int]) -> None:
        """Send requests to these from now on."""
        with self._lock:
            self.up = list(up)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, home: Path, moved: Callable[[Path], str]) -> str:
    """A file that two services share, or a database on a server."""
    return moved(home) if request.param == "postgres" else f"sqlite:///{home}/history.db"


@pytest.fixture
def instances(home: Path, store_url: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Two services, as ``changerisk serve`` starts them."""
    environment = {
        "CHANGERISK_HOME": str(home),
        "CHANGERISK_STORE_URL": store_url,
        "CHANGERISK_WORKERS": "2",
    }
    started = []
    for name in ("one", "two"):
        port = free_port()
        command = [sys.executable, str(ROOT / "changerisk.py"), "serve", "--port", str(port)]
        started.append(Server(command, environment, port, "/readyz", tmp_path / f"{name}.log"))
    try:
        for server in started:
            server.start(seconds=PATIENCE)
        yield started
    finally:
        for server in started:
            server.end()


def restarted(server: Server, others: Sequence[int], balancer: Balancer, many: object) -> None:
    """Take an instance out, end it while it still works on many changes, and start it again."""
    balancer.set(others)
    connection = balancer.sent(server.port, "/v1/score/batch", many)
    time.sleep(DRAINED)
    assert server.process is not None
    server.process.send_signal(signal.SIGTERM)
    found = balancer.received(connection)
    assert found is not None, balancer.dropped
    assert {item["answer"]["status"] for item in found["items"]} <= {"scored", "degraded"}
    assert server.process.wait(PATIENCE) == 0, server.log.read_text()[-2_000:]
    server.start(seconds=PATIENCE)
    balancer.set([*others, server.port])


def of(balancer: Balancer, port: int) -> list[tuple[float, str]]:
    """When one of them was asked and which version answered, in the order asked."""
    answers = sorted(balancer.answers, key=lambda one: one[0])
    return [(asked, answer["model"]["version"]) for asked, at, answer in answers if at == port]


def test_nobody_who_asks_goes_without(
    instances: list[Server],
    home: Path,
    store_url: str,
    template: Any,
    registered: Registered,
    ticket: Callable[..., dict[str, Any]],
    eventually: Callable[..., Any],
) -> None:
    first, second = (server.port for server in instances)
    balancer, over = Balancer([first, second], template.keys["service"]), threading.Event()
    registry = Registry(f"sqlite:///{home}/mlflow.db", home / "artifacts")
    version = registry.save(registered.model, params={}, metrics={}, tags={}, alias="challenger")

    def ask() -> None:
        while not over.wait(PAUSE):
            balancer.score(ticket())

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        eventually(lambda: of(balancer, first) and of(balancer, second), seconds=PATIENCE)
        restarted(instances[0], [second], balancer, [ticket() for _ in range(MANY)])
        registry.point("champion", version)
        moved_at = time.monotonic()
        restarted(instances[1], [first], balancer, [ticket() for _ in range(MANY)])
        for port in (first, second):
            eventually(lambda port=port: of(balancer, port)[-1][1] == version, seconds=PATIENCE)
    finally:
        over.set()
        for caller in callers:
            caller.join()
    assert balancer.dropped == []
    for port in (first, second):
        old = [asked for asked, by in of(balancer, port) if by == "1"]
        assert old, "the first version answered before"
        assert max(old) < moved_at + FOLLOW_SECONDS + LOADING
    check_record(store_url, [answer for _, _, answer in balancer.answers])


def check_record(store_url: str, answers: Sequence[dict[str, Any]]) -> None:
    """All that was answered is in the journal as it was given, and nothing else."""
    assert {answer["status"] for answer in answers} <= {"scored", "degraded"}
    with closing(Store(store_url)) as store:
        checked = verify(store)
        kept = {entry.entry_id: entry.body["answer"] for entry in store.journal_entries()}
    assert checked.fault is None
    assert checked.entries == len(answers) + 2 * MANY
    assert all(kept[answer["score_id"]] == answer for answer in answers)
