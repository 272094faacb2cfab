"""What every request has: a trace, a limit, and an answer that is kept if it is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from features import instants
from features.settings import SettingsError
from features.store.requests import GIVEN_UP, KEPT
from serving.limiting import Limiter
from serving.once import REPLAYED

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


# traces ------------------------------------------------------------------------------------------


def test_a_trace_goes_on(shared: Any) -> None:
    response = shared.ask("GET", "/v1/model", headers={"traceparent": PARENT})
    ours = response.headers["traceparent"]
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", ours)
    assert ours != PARENT
    problem = shared.ask("GET", "/v1/nothing", headers={"traceparent": PARENT}).json()
    assert problem["trace_id"] == TRACE


@pytest.mark.parametrize(
    "given",
    [None, "", "x", PARENT.upper(), PARENT.replace("00-", "ff-", 1), f"00-{'0' * 32}-{'1' * 16}-01",
     f"00-{TRACE}-{'0' * 16}-01", PARENT + "x"],
)  # fmt: skip
def test_without_one_a_trace_begins(shared: Any, given: str | None) -> None:
    headers = {} if given is None else {"traceparent": given}
    found = [shared.ask("GET", "/v1/nothing", headers=headers) for _ in range(2)]
    traces = [response.json()["trace_id"] for response in found]
    assert len(set(traces)) == 2
    for response, trace in zip(found, traces, strict=True):
        assert trace in response.headers["traceparent"]
        assert trace != TRACE
    refused = shared.ask("GET", "/v1/model", role=None, headers=headers)
    assert refused.json()["trace_id"] in refused.headers["traceparent"]


# limits ------------------------------------------------------------------------------------------


def test_calls_of_a_key_are_limited(serve: Any, home: Path, loaded: Any) -> None:
    service = serve(home, kind=loaded, CHANGERISK_RATE_LIMIT="3/hour")
    for left in (2, 1, 0):
        response = service.ask("GET", "/v1/model", role="service")
        assert response.status_code == 200
        assert response.headers["ratelimit-policy"] == '"key";q=3;w=3600'
        assert response.headers["ratelimit"].startswith(f'"key";r={left};t=')
    response = service.ask("GET", "/v1/model", role="service")
    assert response.status_code == 429
    assert response.json()["type"].endswith("/too-many-requests")
    assert 3500 < int(response.headers["retry-after"]) <= 3600
    assert service.ask("GET", "/v1/model", role="auditor").status_code == 200, "each key its own"
    assert service.ask("GET", "/livez", role=None).status_code == 200


def test_a_limit_that_cannot_be_read() -> None:
    with pytest.raises(SettingsError, match="expected one such as 600/minute, got 'much'"):
        Limiter("much")
    assert Limiter(None).counted("k") == (True, {})


# asked twice, done once --------------------------------------------------------------------------


def named(shared: Any, key: str, body: Any, path: str = "/v1/score", **given: Any) -> Any:
    return shared.ask("POST", path, headers={"Idempotency-Key": key}, json=body, **given)


def test_a_named_request_is_done_once(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    first = named(shared, "k-1", body)
    before = shared.rows()
    again = named(shared, "k-1", body)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers[REPLAYED] == "true"
    assert REPLAYED not in first.headers
    assert shared.rows() == before
    other = named(shared, "k-1", body, role="service")
    assert other.json()["score_id"] != first.json()["score_id"], "another client's key is its own"


def test_a_key_stands_for_one_request(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    named(shared, "k-2", body)
    before = shared.rows()
    response = named(shared, "k-2", {**body, "urgency": "1"})
    assert (response.status_code, response.json()["type"][-10:]) == (422, "key-reused")
    path = f"/v1/changes/{body['change_id']}/feedback"
    assert named(shared, "k-2", body, path).status_code == 422
    assert shared.rows() == before


def test_a_refused_request_may_be_mended(shared: Any, ticket: Callable[..., Any]) -> None:
    for _ in range(2):
        refused = named(shared, "k-3", {"change_id": ""})
        assert (refused.status_code, REPLAYED in refused.headers) == (422, False)
        assert refused.json()["errors"][0]["pointer"] == "/change_id"
    body = ticket()
    mended = named(shared, "k-3", body)
    assert (mended.status_code, REPLAYED in mended.headers) == (200, False)
    assert named(shared, "k-3", body).headers[REPLAYED] == "true"


def test_a_decision_is_not_made_twice(shared: Any, ticket: Callable[..., Any]) -> None:
    change_id = shared.score(ticket())["change_id"]
    path, body = f"/v1/changes/{change_id}/decision", {"decision": "reject", "reason": "not ready"}
    body["reason"] = "it is not ready yet"
    first, again = (named(shared, "k-4", body, path) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json(), first.headers["etag"]) == (again.json(), again.headers["etag"])
    history = shared.ask("GET", path).json()["history"]
    assert len(history) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_keys_that_cannot_be(shared: Any, ticket: Callable[..., Any], key: str) -> None:
    response = named(shared, key, ticket())
    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "Idempotency-Key"


def test_a_request_under_way_is_waited_for(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    named(shared, "k-5", body)
    with shared.store.requests() as requests:
        requests.finish(key_id(shared), "k-5", status=None, headers="", body=b"")  # type: ignore[arg-type]
    response = named(shared, "k-5", body)
    assert (response.status_code, response.headers["retry-after"]) == (409, "1")
    now = shared.clock.now
    try:
        shared.clock.now = now + timedelta(microseconds=GIVEN_UP + 1)
        assert named(shared, "k-5", body).status_code == 200, "whoever began it is gone"
        shared.clock.now = now + timedelta(microseconds=KEPT + GIVEN_UP + 2)
        fresh = named(shared, "k-5", {**body, "urgency": "1"})
        assert fresh.status_code == 200, "forgotten after a day"
    finally:
        shared.clock.now = now


def key_id(shared: Any) -> str:
    (row,) = [row for row in shared.store.keys.all() if row["name"] == "admins"]
    return str(row["key_id"])


def test_what_failed_here_may_be_asked_again(shared: Any) -> None:
    now = instants.to_micros(shared.clock.now)
    with shared.store.requests() as requests:
        assert requests.begin("c", "k", "d", now=now) is None
        assert requests.begin("c", "k", "d", now=now) is not None
        requests.forget("c", "k")
        assert requests.begin("c", "k", "d", now=now) is None
