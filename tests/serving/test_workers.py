"""Two workers on one store: each sees at its next answer what the other took in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from features.records import Link
from features.store import Store
from models.registry import Registered
from serving.contract import ChangeIn
from serving.journal import verify
from serving.scorer import Scorer

Workers = tuple[Scorer, Scorer]


@pytest.fixture
def workers(home: Path, registered: Registered) -> Iterator[Workers]:
    """Two scorers, each with its own connections to the one store."""
    url = f"sqlite:///{home}/history.db"
    stores = Store(url), Store(url)
    yield Scorer(stores[0], registered), Scorer(stores[1], registered)
    for store in stores:
        store.close()


def test_changes_of_the_other_count_at_the_next_answer(
    workers: Workers, ticket: Callable[..., Any], template: Any
) -> None:
    first, second = workers
    now = template.made.until
    body = ticket()
    twin = {**body, "change_id": f"{body['change_id']}-twin"}
    alone = second.answer(ChangeIn.model_validate(twin), now=now)
    assert body["change_id"] not in {c.change_id for c in alone.collisions}
    first.answer(ChangeIn.model_validate(body), now=now)
    later = now + timedelta(seconds=1)
    found = second.answer(ChangeIn.model_validate(twin), now=later)
    assert body["change_id"] in {c.change_id for c in found.collisions}
    assert first.store.watermark() == second.watermark


def test_both_give_what_a_fresh_one_gives(
    workers: Workers, ticket: Callable[..., Any], template: Any, registered: Registered
) -> None:
    now = template.made.until
    bodies = [ticket() for _ in range(8)]
    for number, body in enumerate(bodies):
        workers[number % 2].answer(ChangeIn.model_validate(body), now=now)
    workers[0].answer(ChangeIn.model_validate({**bodies[3], "backout_plan": "None yet"}), now=now)
    with workers[1].store.write("import", now=now) as writer:
        link = Link(
            incident_id="INC-W", change_id=bodies[0]["change_id"], kind="caused_by",
            source="explicit", confidence=1.0, occurred_at=now, known_at=now,
        )  # fmt: skip
        writer.add([link])
    fresh = Scorer(workers[0].store, registered)
    later = now + timedelta(days=1)
    for body in (bodies[0], bodies[3], {**bodies[5], "change_id": "OTHER"}):
        asked = ChangeIn.model_validate(body)
        answers = [scorer.answer(asked, now=later) for scorer in (*workers, fresh)]
        contents = [a.model_dump(exclude={"score_id"}) for a in answers]
        assert contents[0] == contents[1] == contents[2]


def test_both_at_once_lose_nothing(
    workers: Workers, ticket: Callable[..., Any], template: Any
) -> None:
    now, before = template.made.until, workers[0].store.counts()["change_revision"]
    failed: list[str] = []

    def work(scorer: Scorer, bodies: list[dict[str, Any]]) -> None:
        for body in bodies:
            answer = scorer.answer(ChangeIn.model_validate(body), now=now)
            if answer.status != "scored":
                failed.append(str(answer.warnings))

    batches = [[ticket() for _ in range(15)] for _ in range(4)]
    threads = [
        threading.Thread(target=work, args=(workers[number % 2], batch))
        for number, batch in enumerate(batches)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    store = workers[0].store
    assert store.counts()["change_revision"] == before + 60
    assert (verify(store).entries, verify(store).fault) == (60, None)
