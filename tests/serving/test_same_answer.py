"""One change, one answer: over HTTP, through BentoML's own route, offline, and replayed."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from features.records import Change
from features.settings import Settings
from models.registry import Registered, Registry
from serving.contract import neutral
from serving.replay import ReplayError, replay

OWN = ("score_id", "scored_at")
"""What is an answer's own."""


def without(answer: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in (*OWN, *names)}


def iso(moment: datetime) -> str:
    return moment.isoformat()


@pytest.fixture(scope="module")
def bodies(
    organisation_made: Any, upcoming: list[dict[str, Any]], ticket: Callable[..., Any]
) -> list[dict[str, Any]]:
    """Upcoming changes, changes never seen, past ones at their submission, and any at any time."""
    until = organisation_made.until
    draw = random.Random(11)  # noqa: S311 - not for secrets
    found = [{**body, "as_of": iso(until)} for body in upcoming[:6]]
    found += [ticket(as_of=iso(until - timedelta(hours=n))) for n in range(4)]
    found += [{"change_id": "BARE", "as_of": iso(until)}]
    past = [r for r in organisation_made.records if isinstance(r, Change)]
    found += [orjson.loads(neutral(change)) for change in draw.sample(past[:-100], 6)]
    for change in draw.sample(past, 30):
        moment = change.known_at + draw.random() * (until - change.known_at)
        found.append({**orjson.loads(neutral(change)), "as_of": iso(moment)})
    return found


def test_http_native_and_offline_give_the_same(
    serve: Callable[..., Any],
    new_home: Callable[..., Path],
    cli: Callable[..., Any],
    bodies: list[dict[str, Any]],
    loaded: Any,
) -> None:
    service, native = (serve(new_home(), kind=loaded) for _ in range(2))
    offline = new_home()
    answers = [service.score(body) for body in bodies]
    assert {a["status"] for a in answers} == {"scored", "degraded"}
    assert (
        sum(a["incident_probability"] != answers[0]["incident_probability"] for a in answers) > 20
    )

    for body, answer in zip(bodies, answers, strict=True):
        response = native.ask("POST", "/score", json=body)
        assert without(response.json()) == without(answer)

    file = offline / "changes.jsonl"
    file.write_bytes(b"\n".join(orjson.dumps(body) for body in bodies))
    done = cli(offline, "score", str(file), "--json")
    assert done.code == 0, done.err
    assert [without(a) for a in done.lines()] == [without(a) for a in answers]

    settings = Settings.from_environment({"CHANGERISK_HOME": str(service.home)})
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    for answer in answers[::12]:
        found = replay(service.store, registry, answer["score_id"])
        assert found.equal, found.differences
        assert found.incident_probability == answer["incident_probability"]


def test_bulk_gives_what_one_by_one_gives(
    serve: Callable[..., Any],
    new_home: Callable[..., Path],
    bodies: list[dict[str, Any]],
    loaded: Any,
) -> None:
    one, many = (serve(new_home(), kind=loaded) for _ in range(2))
    chosen = bodies[3:14]
    answers = [one.score(body) for body in chosen]
    response = many.ask("POST", "/score_bulk", json={"changes": chosen})
    assert [without(a) for a in response.json()] == [without(a) for a in answers]
    assert len(many.journal()) == len(chosen)


def test_bulk_is_all_or_nothing(shared: Any, ticket: Callable[..., Any]) -> None:
    before = shared.rows()
    late = ticket(as_of="2199-01-01T00:00:00Z")
    response = shared.ask("POST", "/score_bulk", json={"changes": [ticket(), late]})
    assert response.status_code == 422
    assert "expected a moment that has passed" in response.text
    response = shared.ask("POST", "/score_bulk", json={"changes": [{"change_id": "C1"}] * 201})
    assert response.status_code == 422
    assert "at most 200" in response.text
    assert shared.rows() == before


# revisions ---------------------------------------------------------------------------------------


def test_the_same_content_is_one_revision(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    before = shared.rows()["change_revision"]
    first, second = shared.score(body), shared.score(body)
    assert without(first) == without(second)
    assert (first["revision"], second["revision"]) == ("1", "1")
    assert shared.rows()["change_revision"] == before + 1


def test_scoring_later_does_not_see_itself(shared: Any, ticket: Callable[..., Any]) -> None:
    body, now = ticket(), shared.clock.now
    shared.clock.now = now + timedelta(microseconds=5)  # after all that other tests scored
    first = shared.score(body)
    shared.clock.now = now + timedelta(microseconds=10)
    second = shared.score(body)
    shared.clock.now = now
    # "Days since" has moved by microseconds; the change itself has not come in between.
    assert first["incident_probability"] == second["incident_probability"]
    assert [f["text"] for f in first["factors"]] == [f["text"] for f in second["factors"]]


def test_changed_content_is_a_new_revision(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    first = shared.score(body)
    changed = shared.score({**body, "backout_plan": "Restore the snapshot of the night before."})
    back = shared.score(body)
    again = shared.score(body)
    assert [a["revision"] for a in (first, changed, back, again)] == ["1", "2", "3", "3"]
    assert back["incident_probability"] == first["incident_probability"]
    path = f"/v1/changes/{body['change_id']}"
    scores = shared.ask("GET", path).json()["scores"]
    assert [a["revision"] for a in scores] == ["3", "3", "2", "1"]


def test_a_revision_of_the_callers_own_is_kept(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket(revision="2025-06-01/b")
    before = shared.rows()["change_revision"]
    assert shared.score(body)["revision"] == "2025-06-01/b"
    assert shared.score(body)["revision"] == "2025-06-01/b"
    assert shared.rows()["change_revision"] == before + 1
    assert shared.score({**body, "revision": 7, "urgency": "1"})["revision"] == "7"
    del body["revision"]
    assert shared.score({**body, "urgency": "2"})["revision"] == "8", "after the last one"


def test_what_was_imported_is_not_stored_again(shared: Any, upcoming: list[dict[str, Any]]) -> None:
    body = {**upcoming[-1]}
    before = shared.rows()["change_revision"]
    given = shared.score(body)["revision"]
    del body["revision"]
    assert shared.score(body)["revision"] == given
    assert shared.rows()["change_revision"] == before


# replay ------------------------------------------------------------------------------------------


def test_later_facts_do_not_change_a_replay(
    service: Any, ticket: Callable[..., Any], registered: Registered
) -> None:
    body = ticket()
    answer = service.score(body)
    item, early = body["ci"], service.clock.now - timedelta(days=30)
    back_dated = [
        Change(change_id=f"LATE{n}", known_at=early, ci=item, submitted_at=early) for n in range(20)
    ]
    with service.store.write("import", now=service.clock.now) as writer:
        writer.add(back_dated)
    settings = Settings.from_environment({"CHANGERISK_HOME": str(service.home)})
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    assert replay(service.store, registry, answer["score_id"]).equal


def test_a_replay_notices_a_changed_past(service: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    answer = service.score(body)
    settings = Settings.from_environment({"CHANGERISK_HOME": str(service.home)})
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    with service.store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM incident")
    found = replay(service.store, registry, answer["score_id"])
    assert not found.equal
    assert set(found.differences) <= {"features", "incident_probability", "factors"}


def test_what_cannot_be_replayed_says_why(service: Any, ticket: Callable[..., Any]) -> None:
    settings = Settings.from_environment({"CHANGERISK_HOME": str(service.home)})
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    with pytest.raises(ReplayError, match="no score 'nothing'"):
        replay(service.store, registry, "nothing")
    answer = service.score(ticket())
    with service.store.engine.begin() as connection:
        connection.exec_driver_sql(
            'UPDATE journal SET body = replace(body, \'"version":"1"\', \'"version":"99"\')'
        )
    with pytest.raises(ReplayError, match="model of that score cannot be loaded"):
        replay(service.store, registry, answer["score_id"])
