"""Decisions, feedback, incidents and outcomes: who may, what is kept, and what comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from features.catalogue import CATALOGUE, NAMES
from features.records import Link
from serving.journal import verify
from serving.keys import Caller, create

Ask = Callable[..., Any]
ENOUGH = "rehearsed on the twin twice"
BANDS = ("low", "moderate", "high", "very_high")


@pytest.fixture(scope="session")
def scored(shared: Any, ticket: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Scores a new change, and puts it into a band whatever its score."""

    def scored(band: str | None = None, **fields: Any) -> dict[str, Any]:
        answer = shared.score(ticket(**fields))
        if band is not None:
            with shared.store.write("test", now=shared.clock.now) as writer:
                writer.review.set_state(answer["change_id"], band=band)
            answer["risk_band"] = band
        return answer

    return scored


@pytest.fixture
def decide(shared: Any) -> Ask:
    def decide(change_id: str, decision: str, *, status: int = 201, **given: Any) -> Any:
        headers = given.pop("headers", {})
        role = given.pop("role", "approver")
        response = shared.ask(
            "POST", f"/v1/changes/{change_id}/decision", role=role, headers=headers,
            json={"decision": decision, **given},
        )  # fmt: skip
        assert response.status_code == status, response.text
        return response.json()

    return decide


def state(shared: Any, change_id: str) -> dict[str, Any]:
    response = shared.ask("GET", f"/v1/changes/{change_id}/decision")
    assert response.status_code == 200
    assert response.headers["etag"] == response.json()["etag"]
    return response.json()


# decisions ---------------------------------------------------------------------------------------


def test_a_decision_is_on_record_and_stands(shared: Any, scored: Ask, decide: Ask) -> None:
    answer = scored("low")
    change_id = answer["change_id"]
    assert state(shared, change_id)["standing"] is None
    made = decide(change_id, "approve")
    found = state(shared, change_id)
    assert found["standing"] == made
    assert found["history"] == [made]
    assert (made["decided_by"], made["role"], made["override"]) == ("approvers", "approver", False)
    assert (made["score_id"], made["risk_band"]) == (answer["score_id"], answer["risk_band"])
    entry = shared.store.journal_entry(made["decision_id"])
    assert (entry.kind, entry.change_id, entry.body["decision"]) == ("decision", change_id, made)
    assert entry.body["by"]["role"] == "approver"
    assert verify(shared.store).fault is None


@pytest.mark.parametrize("decision", ["approve", "send_back", "reject"])
@pytest.mark.parametrize("band", BANDS)
def test_reasons_are_asked_for_unless_little_is_at_stake(
    shared: Any, scored: Ask, decide: Ask, band: str, decision: str
) -> None:
    answer = scored(band)
    eased = decision == "approve" and band in ("low", "moderate")
    if not eased:
        for short in (None, "", "   too short   "[:12], "ok"):
            given = {} if short is None else {"reason": short}
            body = decide(answer["change_id"], decision, status=422, **given)
            assert body["errors"][0]["pointer"] == "/reason"
    made = decide(answer["change_id"], decision, **({} if eased else {"reason": ENOUGH}))
    assert made["override"] is (decision == "approve" and band in ("high", "very_high"))


def test_conditions_go_with_their_decision_only(shared: Any, scored: Ask, decide: Ask) -> None:
    change_id = scored("high")["change_id"]
    kind = "approve_with_conditions"
    body = decide(change_id, kind, reason=ENOUGH, status=422)
    assert body["errors"][0]["pointer"] == "/conditions"
    body = decide(change_id, "approve", reason=ENOUGH, conditions=["Write a plan"], status=422)
    assert body["errors"][0]["pointer"] == "/conditions"
    made = decide(change_id, kind, reason=ENOUGH, conditions=["  Write a backout plan "])
    assert (made["conditions"], made["override"]) == (["Write a backout plan"], False)


@pytest.mark.parametrize("field", ["requested_by", "implementer"])
def test_nobody_decides_about_a_change_of_their_own(
    shared: Any, scored: Ask, decide: Ask, field: str
) -> None:
    mine = scored(**{field: "  Approvers "})["change_id"]
    decide(mine, "approve", reason=ENOUGH, status=403)
    # Nor after the name was taken off in a later revision.
    shared.score({"change_id": mine, field: "somebody else"})
    decide(mine, "approve", reason=ENOUGH, status=403)
    decide(mine, "approve", reason=ENOUGH, role="admin")


def test_a_caller_has_every_name_of_theirs() -> None:
    ada = Caller(key_id="1", name="Ada Lovelace", role="approver", also=("ada@example.org",))
    assert ada.is_called("ada  LOVELACE")
    assert ada.is_called("Ada@Example.org ")
    assert not ada.is_called(None)
    assert not ada.is_called("")
    assert not Caller(key_id="1", name=" ", role="approver").is_called(" ")


def test_reopening_is_a_new_entry(shared: Any, scored: Ask, decide: Ask) -> None:
    change_id = scored("low")["change_id"]
    body = decide(change_id, "reopen", reason=ENOUGH, status=409)
    assert body["standing"] is None
    first = decide(change_id, "approve")
    decide(change_id, "reopen", status=422)
    read = {"If-Match": state(shared, change_id)["etag"]}
    again = decide(change_id, "reopen", reason="the window has moved", headers=read)
    found = state(shared, change_id)
    assert found["standing"] is None
    assert found["history"] == [first, again]
    read = {"If-Match": found["etag"]}
    second = decide(change_id, "reject", reason=ENOUGH, headers=read)
    assert state(shared, change_id)["history"] == [first, again, second]


def test_who_decides_second_is_shown_both(shared: Any, scored: Ask, decide: Ask) -> None:
    change_id = scored("low")["change_id"]
    read = state(shared, change_id)
    match = {"If-Match": f'"other", {read["etag"]}'}
    made = decide(change_id, "approve", headers=match)
    body = decide(change_id, "reject", reason=ENOUGH, headers=match, status=412)
    assert body["standing"] == made
    assert body["yours"]["decision"] == "reject"
    for headers in ({}, {"If-Match": "*"}, {"If-Match": state(shared, change_id)["etag"]}):
        body = decide(change_id, "reject", reason=ENOUGH, headers=headers, status=409)
        assert (body["standing"], body["yours"]["reason"]) == (made, ENOUGH)
    assert state(shared, change_id)["history"] == [made]


def test_only_the_first_decision_may_name_no_state(shared: Any, scored: Ask, decide: Ask) -> None:
    change_id = scored("low")["change_id"]
    made = decide(change_id, "approve")
    body = decide(change_id, "reopen", reason=ENOUGH, status=428)
    assert body["type"].endswith("/precondition-required")
    assert (body["standing"], body["yours"]["decision"]) == (made, "reopen")
    decide(change_id, "reopen", reason=ENOUGH, headers={"If-Match": body["etag"]})
    for headers in ({}, {"If-Match": "*"}):
        body = decide(change_id, "reject", reason=ENOUGH, headers=headers, status=428)
        assert body["standing"] is None
    assert len(state(shared, change_id)["history"]) == 2, "what was refused left nothing"
    decide(change_id, "reject", reason=ENOUGH, headers={"If-Match": body["etag"]})


def test_a_new_revision_is_another_state(shared: Any, ticket: Ask, decide: Ask) -> None:
    body = ticket()
    first = shared.score(body)
    etag = state(shared, first["change_id"])["etag"]
    shared.score(body)
    assert state(shared, first["change_id"])["etag"] == etag, "the same content, scored again"
    second = shared.score({**body, "backout_plan": "none yet"})
    match = {"If-Match": etag}
    decide(first["change_id"], "reject", reason=ENOUGH, headers=match, status=412)
    seen = first["score_id"]
    decide(first["change_id"], "reject", reason=ENOUGH, score_id=seen, status=412)
    made = decide(first["change_id"], "reject", reason=ENOUGH, score_id=second["score_id"])
    assert made["revision"] == second["revision"] == "2"


def test_what_is_no_decision_is_refused(shared: Any, scored: Ask, decide: Ask) -> None:
    change_id = scored()["change_id"]
    before = shared.rows()
    decide("NOBODY", "approve", reason=ENOUGH, status=404)
    decide(change_id, "maybe", status=422)
    body = decide(change_id, "approve", reason=ENOUGH, condition=["typo"], status=422)
    assert body["errors"][0]["pointer"] == "/condition"
    assert shared.ask("GET", "/v1/changes/NOBODY/decision").status_code == 404
    assert shared.rows() == before


# feedback ----------------------------------------------------------------------------------------


def test_feedback_is_kept_for_each_thing_said(shared: Any, scored: Ask) -> None:
    answer = scored()
    path = f"/v1/changes/{answer['change_id']}/feedback"
    group = answer["factors"][0]["group"]
    said = {
        "score": "too_high",
        "comment": " we did this ten times ",
        "factors": [{"group": group, "verdict": "looks_wrong"}],
    }
    response = shared.ask("POST", path, role="requester", json=said)
    assert response.status_code == 201, response.text
    given = response.json()
    assert (given["score_id"], given["given_by"]) == (answer["score_id"], "requesters")
    detail = shared.ask("GET", f"/v1/changes/{answer['change_id']}").json()
    assert [(row["about"], row["verdict"], row["comment"]) for row in detail["feedback"]] == [
        ("score", "too_high", "we did this ten times"),
        (group, "looks_wrong", None),
    ]
    entry = shared.store.journal_entry(given["feedback_id"])
    assert (entry.kind, entry.body["feedback"]) == ("feedback", given)


def test_feedback_about_nothing_is_refused(shared: Any, scored: Ask) -> None:
    answer = scored()
    path = f"/v1/changes/{answer['change_id']}/feedback"
    before = shared.rows()
    for said, status, pointer in (
        ({}, 422, "/score"),
        ({"score": "fine"}, 422, "/score"),
        ({"factors": [{"group": "beauty", "verdict": "not_useful"}]}, 422, "/factors/0/group"),
        ({"factors": [{"group": "beauty"}]}, 422, "/factors/0/verdict"),
        ({"score": "too_low", "score_id": "none"}, 404, None),
    ):
        response = shared.ask("POST", path, json=said)
        assert response.status_code == status, said
        assert [e["pointer"] for e in response.json().get("errors", [])] == (
            [] if pointer is None else [pointer]
        )
    assert shared.ask("POST", "/v1/changes/NOBODY/feedback", json={"score": "too_low"}).status_code
    assert shared.rows() == before


# incidents and outcomes --------------------------------------------------------------------------

_numbers = itertools.count(1)


def incident(shared: Any, **given: Any) -> dict[str, Any]:
    opened = shared.clock.now - timedelta(minutes=5)
    number = f"INCR{next(_numbers):04}"
    return {"incident_id": number, "occurred_at": opened.isoformat(), "priority": 2, **given}


def test_an_incident_reaches_features_and_the_outcome(service: Any, ticket: Ask) -> None:
    body = ticket()
    now = service.clock.now
    start = now - timedelta(hours=1)
    body.update(
        planned_start=start.isoformat(),
        planned_end=(start + timedelta(hours=2)).isoformat(),
        submitted_at=(now - timedelta(days=1)).isoformat(),
        revision="1",
    )
    service.score(body)
    twin = {**body, "change_id": "TWIN", "planned_start": None, "planned_end": None}
    twin["submitted_at"] = None

    def incidents_counted() -> float:
        names = [e.body for e in service.store.journal_entries(change_id="TWIN")]
        values = dict(zip(NAMES, names[-1]["features"], strict=True))
        counting = [f for f in CATALOGUE if f.aggregate == "count" and f.stream == "incidents"]
        return sum(values[feature.name] or 0 for feature in counting)

    service.score(twin)
    before = incidents_counted()
    report = incident(service, caused_by=[body["change_id"]], ci=body["ci"])
    response = service.ask("POST", "/v1/incidents", role="service", json=report)
    assert response.status_code == 201, response.text
    assert response.json() == {"recorded": {"incident": 1, "link": 1}}
    service.clock.now += timedelta(seconds=1)
    service.score(twin)
    assert incidents_counted() > before
    found = service.ask("GET", f"/v1/changes/{body['change_id']}").json()["outcome"]
    assert found["verdict"] == "caused"
    (linked,) = found["incidents"]
    assert (linked["incident_id"], linked["priority"]) == (report["incident_id"], 2)
    assert service.ask("GET", "/v1/changes/TWIN").json()["outcome"]["verdict"] == "undecided"


def test_an_incident_told_twice_is_one_fact(shared: Any, scored: Ask) -> None:
    report = incident(shared)
    assert shared.ask("POST", "/v1/incidents", json=report).status_code == 201
    before = shared.rows()
    again = shared.ask("POST", "/v1/incidents", json=report)
    assert (again.status_code, again.json()) == (200, {"recorded": {}})
    assert shared.rows() == before
    change_id = scored()["change_id"]
    shared.clock.now += timedelta(seconds=1)
    more = {**report, "priority": 1, "caused_by": [change_id, change_id]}
    assert shared.ask("POST", "/v1/incidents", json=more).json() == {
        "recorded": {"incident": 1, "link": 1}
    }
    links = shared.store.load()[Link]
    assert links["source"][-1] == "explicit"


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"occurred_at": None}, "/occurred_at"),
        ({"occurred_at": "2199-01-01T00:00:00Z"}, "/occurred_at"),
        ({"incident_id": True}, "/incident_id"),
        ({"priority": 9}, "/priority"),
        ({"caused_by": "CHG1"}, "/caused_by"),
        ({"caused_by": [{}]}, "/caused_by/0"),
    ],
)
def test_incidents_that_cannot_be_are_refused(shared: Any, said: Any, pointer: str) -> None:
    before = shared.rows()
    response = shared.ask("POST", "/v1/incidents", json=incident(shared, **said))
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert shared.rows() == before


def test_a_closed_change_leaves_the_queue(shared: Any, scored: Ask) -> None:
    change_id = scored(service="the queue's own")["change_id"]
    path = f"/v1/changes/{change_id}/outcome"

    def queued() -> list[str]:
        found = shared.ask("GET", "/v1/changes", params={"service": "the queue's own"}).json()
        return [item["change_id"] for item in found["items"]]

    assert queued() == [change_id]
    assert shared.ask("POST", path, json={"kind": "started"}).status_code == 201
    assert queued() == [change_id]
    closing = {"kind": "closed", "code": "successful", "occurred_at": shared.clock.now.isoformat()}
    response = shared.ask("POST", path, role="service", json=closing)
    assert (response.status_code, response.json()) == (201, {"recorded": {"change_event": 1}})
    assert shared.ask("POST", path, json=closing).status_code == 200
    assert queued() == []
    found = shared.ask("GET", f"/v1/changes/{change_id}").json()["outcome"]
    assert [(e["kind"], e["code"]) for e in found["events"]] == [
        ("started", None),
        ("closed", "successful"),
    ]
    shared.score({"change_id": change_id, "service": "the queue's own"})
    assert queued() == [], "scoring it again does not open it"
    unknown = shared.ask("POST", "/v1/changes/NOBODY/outcome", json=closing)
    assert unknown.status_code == 404
    late = {"kind": "closed", "occurred_at": "2199-01-01T00:00:00Z"}
    assert shared.ask("POST", path, json=late).status_code == 422


def test_a_key_of_a_person_is_that_person(shared: Any, scored: Ask) -> None:
    now = shared.clock.now
    key = create(shared.store, name="Grace Hopper", role="approver", now=now, expires_at=None)
    change_id = scored(requested_by="grace hopper")["change_id"]
    response = shared.ask(
        "POST", f"/v1/changes/{change_id}/decision", role=None,
        headers={"X-API-Key": key}, json={"decision": "reject", "reason": ENOUGH},
    )  # fmt: skip
    assert response.status_code == 403
    assert "requested" in response.json()["detail"]
