"""The service with everything it keeps on a PostgreSQL server: one flow, and workers at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.store import Store
from serving.contract import ChangeIn
from serving.journal import verify
from serving.scorer import Scorer
from tests.postgres import POSTGRES

ON_POSTGRES = "CHANGERISK_TEST_SERVICE_ON_POSTGRES"

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def _named(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POSTGRES, postgres_server)


AGAIN = (
    "test_bulk.py",
    "test_journal.py",
    "test_late.py",
    "test_policy.py",
    "test_queue.py",
    "test_requests.py",
    "test_retaining.py",
    "test_review.py",
    "test_webhooks.py",
    "sync/test_webhook_endpoints.py",
    "sync/test_webhooks_out.py",
)
"""Modules whose services keep everything on the server, too."""


@pytest.mark.slow
def test_what_holds_on_a_file_holds_on_a_server() -> None:
    here = Path(__file__).parent
    # As above: a command that ends leaves its connections to the end of its process.
    chosen = ["-W", "ignore::pytest.PytestUnraisableExceptionWarning", "-m", "not slow"]
    chosen += [str(here / name) for name in AGAIN]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
        env={**os.environ, ON_POSTGRES: "1"},
        cwd=here.parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=1_800,
    )
    assert ran.returncode == 0, ran.stdout[-6_000:]


@pytest.fixture
def on_postgres(
    serve: Callable[..., Any], home: Path, loaded: Any, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """A service whose store is on the server."""
    monkeypatch.setenv(ON_POSTGRES, "1")
    return serve(home, kind=loaded)


def test_one_change_from_its_score_to_its_decision(
    on_postgres: Any, ticket: Callable[..., Any]
) -> None:
    service, body = on_postgres, ticket()
    path, key = "/v1/score", {"Idempotency-Key": "once"}
    first = service.ask("POST", path, json=body, headers=key)
    again = service.ask("POST", path, json=body, headers=key)
    assert (first.status_code, again.status_code) == (200, 200), (first.text, again.text)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (first.json(), first.json()["status"]) == (again.json(), "scored")
    revised = service.score({**body, "urgency": "1"})
    assert (first.json()["revision"], revised["revision"]) == ("1", "2")
    change_id = body["change_id"]
    queued = service.ask("GET", "/v1/changes", params={"limit": 200}).json()["items"]
    assert [item["score_id"] for item in queued] == [revised["score_id"]]
    made = service.ask(
        "POST", f"/v1/changes/{change_id}/decision", role="approver",
        json={"decision": "reject", "reason": "not in this week of all weeks"},
    )  # fmt: skip
    assert made.status_code == 201
    told = service.ask("GET", f"/v1/changes/{change_id}").json()
    assert told["decisions"]["standing"] == made.json()
    assert len(told["scores"]) == 2
    assert verify(service.store).fault is None


def test_what_no_database_keeps_is_not_asked_of_it(
    on_postgres: Any, ticket: Callable[..., Any]
) -> None:
    for path in ("/v1/changes/a%00b", "/v1/changes/%00/decision", "/v1/scores/%00"):
        assert on_postgres.ask("GET", path).status_code == 404, path
    for query in ("service=%00", "team=a%00", "after=%00"):
        asked = on_postgres.ask("GET", f"/v1/changes?{query}")
        assert (asked.status_code, asked.json()["status"]) == (422, 422), query
    answer = on_postgres.score(ticket(description="\0" * 9))
    assert answer["status"] == "scored"
    decided = on_postgres.ask(
        "POST", f"/v1/changes/{answer['change_id']}/decision", role="approver",
        json={"decision": "reject", "reason": "\0" * 12},
    )  # fmt: skip
    assert decided.status_code == 201


def test_workers_at_once_lose_nothing(
    on_postgres: Any,
    ticket: Callable[..., Any],
    registered: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two workers, each asked by two at a time."""
    monkeypatch.setattr("serving.scorer.WAIT_SECONDS", 60.0)
    url, now = on_postgres.runtime.settings.store_url, on_postgres.clock.now
    stores = [Store(url), Store(url)]
    workers = [Scorer(store, registered) for store in stores]
    before, given = stores[0].counts()["change_revision"], []

    def work(scorer: Scorer, bodies: list[Any]) -> None:
        given.extend(scorer.answer(ChangeIn.model_validate(body), now=now) for body in bodies)

    threads = [
        threading.Thread(target=work, args=(workers[n % 2], [ticket() for _ in range(10)]))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.warnings for answer in given if answer.status != "scored"] == []
    assert stores[0].counts()["change_revision"] == before + 40
    kept = {entry.entry_id for entry in stores[1].journal_entries()}
    assert {answer.score_id for answer in given} <= kept
    assert verify(stores[0]).fault is None
    for store in stores:
        store.close()
