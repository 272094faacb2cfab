"""The queue: what is in it, in which order, page by page, and that it follows the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.store import Store
from features.store.schema import change_state
from serving import queue
from serving.problems import RefusedError
from serving.queue import Wanted

BAND_ORDER = ["low", "moderate", "high", "very_high"]


@pytest.fixture(scope="module")
def filled(shared: Any, ticket: Callable[..., Any]) -> Any:
    """The shared service with some changes of one service in its queue."""
    now = shared.clock.now
    for day in (3, 1, 2, 2):
        start = now + timedelta(days=day)
        shared.score(
            ticket(service="Queued", planned_start=start.isoformat(), planned_end=None, ci="q-1")
        )
    past = now - timedelta(days=2)
    times = {"planned_start": past.isoformat(), "planned_end": past.isoformat()}
    shared.score(ticket(service="Queued", **times))
    shared.score({"change_id": "Q-BARE", "service": "Queued"})
    return shared


def ask(shared: Any, **given: Any) -> dict[str, Any]:
    response = shared.ask("GET", "/v1/changes", params=given)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_riskiest_come_first(filled: Any) -> None:
    items = ask(filled, service="Queued")["items"]
    assert len(items) == 5, "what has passed is not in it"
    scores = [item["incident_probability"] for item in items]
    assert scores == sorted(scores, reverse=True)
    whole = ask(filled, limit=200)["items"]
    # Changes of other tests may stand in it without a score.
    scores = [p for item in whole if (p := item["incident_probability"]) is not None]
    assert scores == sorted(scores, reverse=True)


def test_or_the_soonest(filled: Any) -> None:
    items = ask(filled, service="Queued", order="soonest")["items"]
    starts = [item["planned_start"] for item in items]
    assert starts[:4] == sorted(starts[:4])
    assert items[-1]["change_id"] == "Q-BARE", "without a window last"


def test_an_entry_says_what_its_answer_said(filled: Any, ticket: Callable[..., Any]) -> None:
    body = ticket(service="Entry")
    answer = filled.score(body)
    (item,) = ask(filled, service="Entry")["items"]
    for name in ("revision", "incident_probability", "risk_band", "percentile", "summary"):
        assert item[name] == answer[name]
    raising = [f["text"] for f in answer["factors"] if f["direction"] == "raises"]
    assert item["reasons"] == raising[: queue.REASONS]
    assert item["title"] == body["short_description"]
    others = [found for found in answer["collisions"] if found["change_id"] is not None]
    assert item["collisions_count"] == len(others)
    assert item["decision"] is None
    detail = filled.ask("GET", f"/v1/changes/{body['change_id']}").json()
    assert detail["current"] == item
    assert detail["scores"] == [answer]


@pytest.mark.parametrize("order", ["risk", "soonest"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_are_the_queue(filled: Any, order: str, limit: int) -> None:
    whole = ask(filled, order=order, limit=200, service="Queued")
    assert whole["next"] is None
    found, path = [], f"/v1/changes?order={order}&limit={limit}&service=Queued"
    for _ in range(20):
        response = filled.ask("GET", path)
        found += response.json()["items"]
        if response.json()["next"] is None:
            assert "link" not in response.headers
            break
        link = response.headers["link"]
        assert link.endswith('; rel="next"')
        path = link.partition(">")[0].removeprefix("<")
    assert found == whole["items"]


def test_filters(filled: Any) -> None:
    items = ask(filled, limit=200)["items"]
    for band in BAND_ORDER:
        found = ask(filled, band=band, limit=200)["items"]
        assert found == [item for item in items if item["risk_band"] == band]
    both = ask(filled, band="low,high", limit=200)["items"]
    assert both == [item for item in items if item["risk_band"] in ("low", "high")]
    repeated = filled.ask("GET", "/v1/changes?band=low&band=high&limit=200").json()["items"]
    assert repeated == both
    decided = next(item["change_id"] for item in items if item["decision"] is None)
    body = {"decision": "reject", "reason": "it is not ready yet"}
    assert filled.ask("POST", f"/v1/changes/{decided}/decision", json=body).status_code == 201
    open_ = [item["change_id"] for item in ask(filled, undecided=True, limit=200)["items"]]
    items = ask(filled, limit=200)["items"]
    assert [item["decision"] for item in items if item["change_id"] == decided] == ["reject"]
    assert open_ == [item["change_id"] for item in items if item["decision"] is None]
    team = items[1]["assignment_group"]
    assert {i["assignment_group"] for i in ask(filled, team=team)["items"]} == {team}


def test_the_tally_counts_the_queue(filled: Any) -> None:
    now = filled.clock.now
    counted = queue.tally(filled.store, Wanted(), now=now)
    items = ask(filled, limit=200)["items"]
    for band, entry in counted.items():
        of_band = [item for item in items if (item["risk_band"] or "none") == band]
        assert entry["all"] == len(of_band)
        assert entry["undecided"] == sum(item["decision"] is None for item in of_band)
    assert sum(entry["all"] for entry in counted.values()) == len(items)
    assert "Queued" in queue.services(filled.store, now=now)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("order=best", "order"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("band=medium", "band"),
        ("undecided=perhaps", "undecided"),
        ("after=xyz", "after"),
        ("after=bm90IGpzb24", "after"),
        ("after=WzFd", "after"),
        ("after=WyJyaXNrIixudWxsLCJhIl0", "after"),
        ("after=WyJyaXNrIiwxZTQwMCwiYSJd", "after"),
    ],
)
def test_parameters_that_cannot_be_are_refused(filled: Any, query: str, parameter: str) -> None:
    response = filled.ask("GET", f"/v1/changes?{query}")
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["parameter"] == parameter


def test_a_place_belongs_to_its_order(filled: Any) -> None:
    first = ask(filled, order="risk", limit=1)
    response = filled.ask("GET", "/v1/changes", params={"order": "soonest", "after": first["next"]})
    assert response.status_code == 422


def test_the_schedule_holds_what_is_planned(filled: Any) -> None:
    now = filled.clock.now
    span = {"from": (now - timedelta(days=3)).isoformat(), "to": now.isoformat()}
    found = filled.ask("GET", "/v1/schedule", params={**span, "service": "Queued"}).json()
    assert len(found["items"]) == 1, "past ones too"
    found = filled.ask("GET", "/v1/schedule", params={"service": "Queued"}).json()
    starts = [item["planned_start"] for item in found["items"]]
    assert len(starts) == 4
    assert starts == sorted(starts)
    wrong = {"from": now.isoformat(), "to": now.isoformat()}
    response = filled.ask("GET", "/v1/schedule", params=wrong)
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "to"


def test_a_journal_from_before_the_queue_is_taken_in(
    service: Any, ticket: Callable[..., Any]
) -> None:
    for body in (ticket(), ticket(), {"change_id": "BARE"}, {"change_id": "BARE", "ci": "x"}):
        service.score(body)

    def states() -> list[Any]:
        with service.store.engine.begin() as connection:
            query = sa.select(change_state).order_by(change_state.c.change_id)
            return list(connection.execute(query).fetchall())

    before = states()
    with service.store.engine.begin() as connection:
        connection.execute(change_state.delete())
    assert queue.catch_up(service.store, now=service.clock.now) == 4
    assert states() == before
    assert queue.catch_up(service.store, now=service.clock.now) == 0


def test_no_place_without_a_store(tmp_path: Path, filled: Any) -> None:
    store = Store(f"sqlite:///{tmp_path}/history.db")
    assert queue.page(store, Wanted(), now=filled.clock.now) == queue.Queue(items=[], next=None)
    assert queue.entry(store, "C1") is None
    with pytest.raises(RefusedError, match="next"):
        queue.page(store, Wanted(after="?"), now=filled.clock.now)
    store.close()
