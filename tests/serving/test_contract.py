"""The contract: what every route gives, and that the OpenAPI document says so."""

from __future__ import annotations

import copy
import errno
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from features.records import CalendarEntry
from features.request import DESCRIBED_BY
from models.explanation import SHOWN
from serving.api import ROUTES, create_app
from serving.contract import Answer, ChangeIn
from serving.measures import Measures
from serving.openapi import document
from serving.problems import MEDIA_TYPE, PROBLEMS

LATER = {"planned_start": "2025-06-05T20:00:00Z", "planned_end": "2025-06-05T21:30:00Z"}
BANDS = ("low", "moderate", "high", "very_high")


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


# answers -----------------------------------------------------------------------------------------


def test_an_answer_says_what_the_contract_promises(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    answer = shared.score(body)
    Answer.model_validate(answer, strict=False)
    assert set(answer) == set(Answer.model_fields)
    assert (answer["change_id"], answer["revision"]) == (body["change_id"], "1")
    assert answer["status"] == "scored"
    assert 0 < answer["incident_probability"] < 1
    assert answer["times_base_rate"] == answer["incident_probability"] / answer["base_rate"]
    assert answer["risk_band"] in BANDS
    assert 0 <= answer["percentile"] <= 100
    assert answer["model"]["version"] == "1"
    assert re.fullmatch("sha256:[0-9a-f]{64}", answer["input_hash"])
    assert answer["scored_at"].endswith("Z")
    assert answer["recommendation"]["reasons"]


@pytest.mark.parametrize("number", range(8))
def test_factors_add_up_to_the_score(shared: Any, ticket: Callable[..., Any], number: int) -> None:
    answer = shared.score(ticket())
    factors = answer["factors"]
    total = answer["base_log_odds"] + sum(factor["log_odds"] for factor in factors)
    assert total == pytest.approx(log_odds(answer["incident_probability"]), abs=1e-9)
    base = 1 / (1 + math.exp(-answer["base_log_odds"]))
    points = base + sum(factor["points"] for factor in factors)
    assert points == pytest.approx(answer["incident_probability"], abs=1e-9)
    assert len(factors) <= SHOWN + 1
    sizes = [abs(factor["log_odds"]) for factor in factors if factor["group"] != "other"]
    assert sizes == sorted(sizes, reverse=True)
    for factor in factors:
        assert factor["direction"] == ("raises" if factor["log_odds"] > 0 else "lowers")
        assert factor["text"]
        assert factor["heading"]


def test_a_bare_id_is_enough_and_what_is_missing_is_said(shared: Any) -> None:
    answer = shared.score({"change_id": "BARE1"})
    assert answer["status"] == "degraded"
    missing = {w["field"] for w in answer["warnings"] if w["code"] == "missing_field"}
    assert missing == set(DESCRIBED_BY)
    assert "missing_factor" in {w["code"] for w in answer["warnings"]}
    assert answer["recommendation"]["route"] == "cab"


def test_what_is_not_used_is_said(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket(change_id="PLAIN1")
    plain = shared.score(body)
    attributes = {**body.get("attributes", {}), "beauty": 3}
    odd = {"close_code": "failed", "colour": "red", "attributes": attributes}
    answer = shared.score({**body, **odd})
    said = {(w["code"], w["field"]) for w in answer["warnings"]}
    assert ("after_the_fact_field", "close_code") in said
    assert ("unknown_field", "colour") in said
    assert ("unknown_attribute", "beauty") in said
    assert answer["incident_probability"] == plain["incident_probability"]


def test_what_can_hardly_be_meant_is_said(shared: Any, ticket: Callable[..., Any]) -> None:
    plain = {"change_type": " Emergency", "attributes": {"lines_added": 0}}
    odd = {"change_type": "urgent-ish", "attributes": {"lines_added": -3, "is_revert": 1}}

    def said(body: dict[str, Any]) -> set[tuple[str, str]]:
        codes = ("unknown_value", "impossible_value")
        warned = shared.score(ticket(**body))["warnings"]
        return {(w["code"], w["field"]) for w in warned if w["code"] in codes}

    assert said(plain) == set()
    assert said(odd) == {("unknown_value", "change_type"), ("impossible_value", "lines_added")}


def test_unknown_content_is_not_kept(shared: Any, ticket: Callable[..., Any]) -> None:
    shared.score(ticket(caller_phone="+49 89 1234567", close_notes="all went well"))
    payload = shared.journal()[-1]["payload"]
    assert set(payload) == set(ChangeIn.model_fields)
    assert "1234567" not in str(payload)


def test_evidence_and_similar_changes_are_on_record(
    shared: Any, ticket: Callable[..., Any], organisation_made: Any
) -> None:
    known = {getattr(r, "change_id", None) for r in organisation_made.records}
    known |= {getattr(r, "incident_id", None) for r in organisation_made.records}
    known |= {getattr(r, "entry_id", None) for r in organisation_made.records}
    named: set[str] = set()
    for _ in range(5):
        answer = shared.score(ticket())
        named |= {name for factor in answer["factors"] for name in factor["evidence"]}
        for similar in answer["similar_changes"]:
            named |= {similar["change_id"], *similar["incidents"]}
            assert 0 <= similar["similarity"] <= 1
        assert answer["change_id"] not in named
    assert named
    assert {name for name in named - known if not name.startswith("NEW")} == set()


def test_a_collision_is_named(shared: Any, ticket: Callable[..., Any]) -> None:
    first = ticket(affected_cis=[], **LATER)
    second = {**first, "change_id": f"{first['change_id']}-again"}
    shared.score(first)
    shared.clock.now = shared.clock.now.replace(microsecond=shared.clock.now.microsecond + 1)
    found = {c["change_id"]: c for c in shared.score(second)["collisions"]}
    assert found[first["change_id"]]["kind"] == "same_ci"
    assert found[first["change_id"]]["overlap_minutes"] > 0


def test_a_closed_time_is_named_before_other_changes(
    shared: Any, ticket: Callable[..., Any], person_of: Callable[..., Any]
) -> None:
    body = ticket(ci="closed-item", affected_cis=["closed-item"], **LATER)
    start, end = (datetime.fromisoformat(body[name]) for name in ("planned_start", "planned_end"))
    spans = {
        "FREEZE-1": ("freeze", -60, 30),
        "BLACK-1": ("blackout", 0, 600),
        "LATER": ("freeze", 700, 800),
    }
    entries = [
        CalendarEntry(
            entry_id=name,
            kind=kind,
            scope="closed-item",
            starts_at=start + timedelta(minutes=since),
            ends_at=start + timedelta(minutes=until),
            known_at=shared.clock.now - timedelta(days=1),
        )
        for name, (kind, since, until) in spans.items()
    ]  # fmt: skip
    with shared.store.write("test", now=shared.clock.now) as writer:
        writer.add(entries)
    shared.score({**body, "change_id": "CLOSED-TWIN"})
    shared.clock.now += timedelta(microseconds=1)
    freeze, blackout, *others = shared.score(body)["collisions"]
    assert (freeze["kind"], freeze["change_id"], freeze["overlap_minutes"]) == ("freeze", None, 30)
    assert freeze["closed"] == {
        "entry_id": "FREEZE-1",
        "scope": "closed-item",
        "starts_at": f"{start - timedelta(minutes=60):%Y-%m-%dT%H:%M:%SZ}",
        "ends_at": f"{start + timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}",
    }
    length = (end - start).total_seconds() / 60
    assert (blackout["kind"], blackout["overlap_minutes"]) == ("blackout", min(length, 600))
    assert "CLOSED-TWIN" in {other["change_id"] for other in others}
    assert {other["closed"] for other in others} == {None}
    listed = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()["current"]
    assert listed["collisions_count"] == len(others)  # the agenda says of a freeze by itself
    page = person_of(shared, "approver")(f"/changes/{body['change_id']}")
    assert "<strong>Freeze</strong> of <bdi>closed-item (FREEZE-1)</bdi>" in page
    assert "<strong>Blackout</strong> of <bdi>closed-item (BLACK-1)</bdi>" in page
    assert "LATER" not in page


# the other routes --------------------------------------------------------------------------------


def test_answers_can_be_read_again_as_they_were_given(
    shared: Any, ticket: Callable[..., Any]
) -> None:
    body = ticket(change_id="AGAIN/1 ä?#")
    given = [shared.score(body), shared.score({**body, "urgency": "1"})]
    path = given[0]["links"]["change"]
    assert path == "/v1/changes/AGAIN%2F1%20%C3%A4%3F%23"
    found = shared.ask("GET", path).json()
    assert (found["change_id"], found["scores"]) == (body["change_id"], given[::-1])
    one = shared.ask("GET", f"/v1/scores/{given[0]['score_id']}", role="auditor")
    assert one.json() == given[0]


@pytest.mark.parametrize("path", ["/v1/changes/NOBODY", "/v1/scores/nothing", "/v1/changes/"])
def test_what_was_never_scored_is_not_found(shared: Any, path: str) -> None:
    response = shared.ask("GET", path)
    assert response.status_code == 404
    assert response.json()["type"].endswith("/not-found")


def test_the_model_tells_how_well_it_did(shared: Any) -> None:
    found = shared.ask("GET", "/v1/model", role="requester").json()
    assert (found["name"], found["version"]) == ("change-risk", "1")
    assert {"champion", "prior_rate"} <= set(found["metrics"]["models"]) | {"prior_rate"}
    assert found["policy"]["name"] == "incident"
    assert found["bands"]["observed"]


def test_the_index_names_routes_that_exist(shared: Any) -> None:
    found = shared.ask("GET", "/v1", role=None).json()
    assert found["routes"] == ROUTES
    for route in ROUTES.values():
        method, paths = route.split(" ", 1)
        for path in paths.split(", "):
            filled = re.sub(r"\{\w+\}", "x", path)
            status = shared.ask(method, filled, json={"change_id": "INDEX1"}).status_code
            assert status in (200, 404, 422), route
            assert status != 404 or "{" in path, route


def test_head_is_get_without_a_body(shared: Any) -> None:
    response = shared.ask("HEAD", "/v1/model")
    assert (response.status_code, response.content) == (200, b"")


# OpenAPI -----------------------------------------------------------------------------------------


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_document_lists_exactly_the_routes(shared: Any) -> None:
    app = create_app(shared.runtime, Measures())
    served = {
        (route.path.replace(":path", ""), method)
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith("/v1/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method.upper()) for path, item in document()["paths"].items() for method in item
    }
    assert described == served
    assert shared.ask("GET", "/v1/openapi.json", role=None).json() == document()


def test_the_document_holds_together() -> None:
    found = document()
    assert found["openapi"] == "3.1.0"
    assert set(found) <= {"openapi", "info", "servers", "paths", "components", "security"}
    assert {"title", "version"} <= set(found["info"])
    for reference in references(found):
        place: Any = found
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]
    operations = [op for item in found["paths"].values() for op in item.values()]
    assert len({op["operationId"] for op in operations}) == len(operations)
    for path, item in found["paths"].items():
        named = set(re.findall(r"\{(\w+)\}", path))
        for op in item.values():
            in_path = [p for p in op.get("parameters", []) if p["in"] == "path"]
            assert {p["name"] for p in in_path} == named
            assert all(p["required"] for p in in_path)
            assert op["responses"]
            assert all(re.fullmatch("[1-5][0-9]{2}", status) for status in op["responses"])


def test_every_problem_of_a_request_is_described() -> None:
    described = {
        status for item in document()["paths"].values() for op in item.values()
        for status in op["responses"]
    }  # fmt: skip
    # Another method is no operation, and of what nobody thought of nothing can be promised.
    assert {str(status) for status, _ in PROBLEMS.values()} - described == {"405", "500"}


def test_the_schemas_name_every_field() -> None:
    schemas = document()["components"]["schemas"]
    assert set(schemas["ChangeIn"]["properties"]) == set(ChangeIn.model_fields)
    assert schemas["ChangeIn"]["required"] == ["change_id"]
    assert set(schemas["Answer"]["properties"]) == set(Answer.model_fields)


# measures ----------------------------------------------------------------------------------------


def test_measures_count_and_name_nobody(shared: Any, ticket: Callable[..., Any]) -> None:
    def answers() -> float:
        text = shared.ask("GET", "/metrics", role="auditor").text
        return sum(
            float(n) for n in re.findall(r"^changerisk_scores_total\{.*\} (\S+)", text, re.M)
        )

    before = answers()
    body = ticket(change_id="SECRET-4711", requested_by="Ada Lovelace", colour="red")
    shared.score(body)
    shared.send(b"{")
    shared.ask("POST", "/score", json=ticket())
    shared.ask("POST", "/score_bulk", json={"changes": [ticket(), ticket()]})
    assert answers() == before + 4, "answers count, refusals do not"
    text = shared.ask("GET", "/metrics").text
    labels = set(re.findall(r'(\w+)="', text))
    assert labels == {"le", "status", "band", "model", "code"}
    for secret in ("4711", "Lovelace", "colour", "CHG", "NEW"):
        assert secret not in text
    assert "changerisk_ready 1.0" in text


def test_an_answer_that_cannot_be_measured_is_given(
    shared: Any, ticket: Callable[..., Any]
) -> None:
    """The first of its kind makes a file, for which a full disk has no room."""

    class Full:
        def labels(self, *_values: str) -> None:
            raise OSError(errno.EFBIG, "File too large")

    measures = Measures()
    measures._answers = Full()  # type: ignore[assignment]
    given = measures.answered(shared.runtime.answer, ChangeIn.model_validate(ticket()))
    assert given.status == "scored"
    measures.counted([given])


def test_what_nobody_thought_of_is_a_problem_too(shared: Any) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    runtime = copy.copy(shared.runtime)
    runtime.scorer = broken
    with TestClient(create_app(runtime, Measures()), raise_server_exceptions=False) as client:
        answer = client.get("/v1/changes/CHG1")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.json()["type"].endswith("/internal-error")
