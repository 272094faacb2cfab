"""`python -m tests.benchmarks.agenda`: an agenda of 500 changes over a history of 200,000.

In process, through the whole application with its session and compression; the history is that of
the synthetic organisation, its changes repeated under other numbers until there are enough.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.testclient import TestClient

from features.policy import POLICIES
from features.records import Change, ChangeEvent
from features.settings import Settings
from features.store import Store
from features.synthetic import organisation
from models.registry import Registered
from serving import queue
from serving.contract import ChangeIn, neutral
from serving.keys import caller, create
from serving.pages.session import COOKIE, issue, secret
from serving.runtime import Runtime
from serving.scorer import Scorer
from serving.service import create_service
from training.fit import train

UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
HISTORY, AGENDA, TIMES = 200_000, 500, 30
MOST_MS, MOST_BYTES = 300, 200_000


def main() -> None:
    """Make the history, score the agenda, ask for the page, print median and bytes."""
    made = organisation(seed=7, until=UNTIL, changes=5_000)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_environment({"CHANGERISK_HOME": folder})
        store = Store(settings.store_url)
        with store.write("bench", now=UNTIL) as writer:
            writer.add(made.records)
        model = train(store.load(), POLICIES["incident"], now=UNTIL).model
        scorer = Scorer(store, Registered(model=model, name="bench", version="1"))
        upcoming = list(made.upcoming)
        for number in range(AGENDA):
            change = replace(upcoming[number % len(upcoming)], change_id=f"NEW{number:05}")
            start = UNTIL + timedelta(hours=1 + number % 160)
            change = replace(change, planned_start=start, planned_end=start + timedelta(hours=1))
            scorer.answer(ChangeIn.model_validate_json(neutral(change)), now=UNTIL)
        _more(store, [r for r in made.records if isinstance(r, Change | ChangeEvent)])
        _measure(settings, store, scorer, Path(folder))


def _more(store: Store, records: list[Change | ChangeEvent]) -> None:
    """The changes again and again under other numbers, until the history is as large as asked."""
    changes = sum(isinstance(record, Change) for record in records)
    for copy in range(HISTORY // changes):
        with store.write("bench", now=UNTIL) as writer:
            writer.add([replace(r, change_id=f"{r.change_id}-{copy}") for r in records])


def _measure(settings: Settings, store: Store, scorer: Scorer, home: Path) -> None:
    class Ready(Runtime):
        def scorer(self) -> Scorer:
            return scorer

    runtime = Ready(settings, clock=lambda: UNTIL)
    client = TestClient(create_service(runtime).to_asgi())
    key = create(store, name="bench", role="approver", now=UNTIL, expires_at=None)
    who = caller(store, key, now=UNTIL)
    key_id = "" if who is None else who.key_id
    client.cookies.set(COOKIE, issue(secret(home), key_id, "session", now=UNTIL))
    found = len(queue.page(store, queue.Wanted(limit=10_000), now=UNTIL).items)
    taken, worked, size = [], [], 0
    for _ in range(TIMES):
        begun, busy = time.perf_counter(), time.process_time()
        with client.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as response:
            size = sum(len(part) for part in response.iter_raw())
        taken.append(1000 * (time.perf_counter() - begun))
        worked.append(1000 * (time.process_time() - busy))
    static = sum(
        (Path("serving/pages/static") / name).stat().st_size
        for name in ("app.css", "app.js", "htmx.min.js")
    )
    changes, median = store.counts()["change_revision"], statistics.median(taken)
    store.close()
    sys.stdout.write(
        f"agenda of {found} over {changes:,} changes: p50 {median:.0f} ms "
        f"({statistics.median(worked):.0f} ms of a processor), page {size:,} bytes compressed, "
        f"styles and scripts {static:,} bytes uncompressed\n"
    )
    if median >= MOST_MS or size + static >= MOST_BYTES:
        raise SystemExit(f"expected under {MOST_MS} ms and {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
