"""Whatever is asked how: sizes, types, methods and paths, each refused by a problem that helps."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from features.records import Change
from tests.serving.refusals import check_problem

LIMIT = 262_144


def body_of(size: int) -> bytes:
    start = b'{"change_id": "SIZE", "description": "'
    return start + b"x" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize("size", [LIMIT + 1, 10_000_000, 30_000_000])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.usefixtures("untouched")
def test_large_bodies_are_refused(shared: Any, size: int, chunked: bool) -> None:
    content = body_of(size)
    parts = (content[at : at + 65_536] for at in range(0, size, 65_536))
    response = shared.send(parts if chunked else content)
    assert ("content-length" in response.request.headers) is not chunked
    check_problem(response, "too-large")


def test_bodies_up_to_the_limit_are_taken(shared: Any) -> None:
    assert shared.send(body_of(LIMIT)).status_code == 200


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data", "*"],
)
@pytest.mark.usefixtures("untouched")
def test_other_content_types_are_refused(shared: Any, kind: str) -> None:
    response = shared.send(b'{"change_id": "C1"}', headers={"Content-Type": kind})
    check_problem(response, "unsupported-media-type")


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize(
    "path", ["/v1/score", "/v1/score/batch", "/v1/webhooks/jira", "/v1/incidents", "/score"]
)
@pytest.mark.usefixtures("untouched")
def test_compressed_bodies_are_refused_as_such(shared: Any, path: str, kind: str) -> None:
    headers = {"Content-Type": kind, "Content-Encoding": "gzip"}
    response = shared.send(gzip.compress(b'{"change_id": "C1"}'), path, headers=headers)
    check_problem(response, "unsupported-media-type")
    assert response.headers["accept-encoding"] == "identity"
    assert "without Content-Encoding" in response.json()["detail"]


@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.change+json", ""],
)
def test_json_by_any_name_is_taken(shared: Any, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    response = shared.ask("POST", "/v1/score", content=b'{"change_id": "C1"}', headers=headers)
    assert response.status_code == 200


ALLOWED = {
    "/v1/score": {"POST"},
    "/score": {"POST"},
    "/score_bulk": {"POST"},
    "/v1/changes": {"GET", "HEAD"},
    "/v1/schedule": {"GET", "HEAD"},
    "/v1/incidents": {"POST"},
    "/v1/changes/C1": {"GET", "HEAD"},
    "/v1/scores/s1": {"GET", "HEAD"},
    "/v1/model": {"GET", "HEAD"},
    "/v1/openapi.json": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
    "/schema.json": {"GET", "HEAD"},
    "/livez": {"GET", "HEAD"},
    "/healthz": {"GET", "HEAD"},
    "/readyz": {"GET", "HEAD"},
    "/v1": {"GET", "HEAD"},
}


@pytest.mark.parametrize("path", ALLOWED)
@pytest.mark.usefixtures("untouched")
def test_other_methods_are_refused_by_name(shared: Any, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        if method not in ALLOWED[path]:
            response = shared.ask(method, path)
            check_problem(response, "method-not-allowed")
            assert set(response.headers["allow"].split(", ")) == ALLOWED[path]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/v1/score/",
        "/v2/score",
        "//v1/score",
        "/v1/scores/a/b",
        "/docs.json",
        "/v1/scores/a%0Ab",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
@pytest.mark.usefixtures("untouched")
def test_unknown_paths_are_not_found(shared: Any, path: str, method: str) -> None:
    check_problem(shared.ask(method, f"http://testserver{path}"), "not-found")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"cut emoji \ud83d", "cut emoji \ufffd"),
        (r"\ude00 first", "\ufffd first"),
        (r"whole \ud83d\ude00, then \uD83D", "whole \U0001f600, then \ufffd"),
        (r"no escape \\ud83d, then \udc00", "no escape \\ud83d, then \ufffd"),
    ],
)
def test_half_a_character_loses_no_ticket(
    shared: Any, ticket: Callable[..., Any], written: str, read: str
) -> None:
    body = orjson.dumps(ticket(short_description="HERE")).replace(b"HERE", written.encode())
    answer = shared.send(body)
    assert answer.status_code == 200
    change_id = answer.json()["change_id"]
    assert shared.store.load()[Change].data["short_description"][-1] == read, change_id
    native = shared.send(body, "/score")  # BentoML reads it itself
    assert native.json()["type"].endswith("/broken-json")


@pytest.mark.usefixtures("untouched")
def test_half_a_character_is_no_part_of_an_id(shared: Any) -> None:
    check_problem(shared.send(rb'{"change_id": "C\ud8001"}'), "invalid", "/change_id")


@pytest.mark.parametrize("within", ["\\u0000", "\\n", "\\u001b[2J", "\\u0085", "\\u2028"])
@pytest.mark.usefixtures("untouched")
def test_control_characters_are_no_part_of_an_id(shared: Any, within: str) -> None:
    check_problem(shared.send(b'{"change_id": "C%s1"}' % within.encode()), "invalid", "/change_id")
