"""Who may do what; and that a key is shown once and kept nowhere."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import compile_path

from features.store import Store
from serving.access import BESIDE, MAY, PERMISSIONS, ROLES
from serving.api import RULES, UNLISTED
from serving.keys import PREFIX, caller, create
from serving.problems import MEDIA_TYPE
from serving.routes import OPERATIONS
from serving.runtime import wall_clock

EVERYONE = frozenset(ROLES)
SCORERS = EVERYONE - {"auditor"}
READERS = EVERYONE - {"service"}
JUDGES = frozenset({"requester", "approver", "data_scientist", "admin"})

ROUTES: list[tuple[str, str, frozenset[str]]] = [
    ("POST", "/v1/score", SCORERS),
    ("POST", "/v1/score/batch", SCORERS),
    ("POST", "/score", SCORERS),
    ("POST", "/score_bulk", SCORERS),
    ("GET", "/v1/changes", READERS),
    ("GET", "/v1/schedule", READERS),
    ("GET", "/v1/changes/KEYS1/contrast", READERS),
    ("GET", "/v1/changes/KEYS1/decision", READERS),
    ("POST", "/v1/changes/KEYS1/decision", frozenset({"approver", "admin"})),
    ("POST", "/v1/changes/KEYS1/feedback", JUDGES),
    ("POST", "/v1/changes/KEYS1/outcome", frozenset({"service", "admin"})),
    ("POST", "/v1/incidents", frozenset({"service", "admin"})),
    ("POST", "/v1/webhooks/servicenow", frozenset({"service", "admin"})),
    ("POST", "/v1/webhooks/jira", frozenset({"service", "admin"})),
    ("POST", "/v1/webhooks/rt", frozenset({"service", "admin"})),
    ("GET", "/v1/changes/KEYS1", READERS),
    ("GET", "/v1/changes/KEYS1/and/more", READERS),
    ("GET", "/v1/scores/nothing", READERS),
    ("GET", "/v1/model", EVERYONE),
    ("GET", "/metrics", EVERYONE),
    ("GET", "/schema.json", EVERYONE),
    ("GET", "/nothing", EVERYONE),
]
PUBLIC = ["/v1", "/livez", "/healthz", "/readyz", "/v1/openapi.json"]


def body_for(path: str) -> dict[str, Any]:
    change = {"change_id": "KEYS1"}
    return {"changes": [change]} if path == "/score_bulk" else change


def refused(response: Any, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    assert PREFIX not in response.text.replace("crk_…", "")


@pytest.mark.parametrize(("method", "path", "allowed"), ROUTES)
@pytest.mark.parametrize("role", ROLES)
def test_every_role_on_every_route(
    shared: Any, role: str, method: str, path: str, allowed: frozenset[str]
) -> None:
    response = shared.ask(method, path, role=role, json=body_for(path))
    if role in allowed:
        assert response.status_code in (200, 404, 422)
    else:
        refused(response, 403)
        assert role in response.json()["detail"]


@pytest.mark.parametrize(("method", "path", "allowed"), ROUTES)
def test_nothing_without_a_key(
    shared: Any, method: str, path: str, allowed: frozenset[str]
) -> None:
    before = shared.rows()
    key = shared.keys["admin"]
    for headers in (
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {key}"},
        {"Authorization": key},
        {"Authorization": f"Bearer {key}x"},
        {"Authorization": f"Bearer {key[:-1]}"},
        {"Authorization": f"Bearer {key.upper()}"},
        {"X-API-Key": ""},
        {"X-API-Key": "crk_"},
        {"X-API-Key": hashlib.sha256(key.encode()).hexdigest()},
        {"Authorization": "Bearer " + "x" * 20_000},
        {"Authorization": "Bearer ü€\udcff".encode("utf-8", "surrogateescape")},
        {"Cookie": f"key={key}"},
    ):
        response = shared.ask(method, path, role=None, json=body_for(path), headers=headers)
        refused(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"
    response = shared.ask(method, f"{path}?key={key}", role=None, json=body_for(path))
    refused(response, 401)
    assert shared.rows() == before


@pytest.mark.parametrize("path", PUBLIC)
def test_some_routes_need_no_key(shared: Any, path: str) -> None:
    assert shared.ask("GET", path, role=None).status_code == 200


def test_the_table_is_complete() -> None:
    for method, path, allowed in ROUTES:
        needed = RULES.needed(method, path)
        assert {role for role in ROLES if needed in {*MAY[role], RULES.ANY_KEY}} == allowed, path
    for path in PUBLIC:
        assert RULES.needed("GET", path) is None
    rules = [*BESIDE, *(rule for rule, _ in UNLISTED), *(each.rule for each in OPERATIONS)]
    for rule in rules:
        pattern, tried = (
            compile_path(rule.path)[0],
            [*ROUTES, *(("GET", p, EVERYONE) for p in PUBLIC)],
        )
        assert any(rule.method == m and pattern.match(path) for m, path, _ in tried), rule
    assert {rule.permission for rule in rules} <= {None, *PERMISSIONS}
    assert set(MAY) == set(ROLES)
    assert frozenset().union(*MAY.values()) == set(PERMISSIONS)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_ways_to_show_a_key(shared: Any, header: str, scheme: str) -> None:
    key = shared.keys["service"]
    value = f"{scheme}{key}" if header == "Authorization" else key
    response = shared.ask("GET", "/v1/model", role=None, headers={header: value})
    assert response.status_code == 200


# the life of a key -------------------------------------------------------------------------------


def test_keys_expire(shared: Any) -> None:
    now = shared.clock.now
    ends = now + timedelta(hours=1)
    key = create(shared.store, name="short", role="admin", now=now, expires_at=ends)
    headers = {"X-API-Key": key}
    try:
        assert shared.ask("GET", "/v1/model", role=None, headers=headers).status_code == 200
        shared.clock.now = ends - timedelta(microseconds=1)
        assert shared.ask("GET", "/v1/model", role=None, headers=headers).status_code == 200
        shared.clock.now = ends
        refused(shared.ask("GET", "/v1/model", role=None, headers=headers), 401)
    finally:
        shared.clock.now = now


def test_keys_are_revoked_at_once(shared: Any) -> None:
    now = shared.clock.now
    key = create(shared.store, name="gone", role="admin", now=now, expires_at=None)
    headers = {"X-API-Key": key}
    assert shared.ask("GET", "/v1/model", role=None, headers=headers).status_code == 200
    (row,) = [row for row in shared.store.keys.all() if row["name"] == "gone"]
    assert shared.store.keys.revoke(row["key_id"], now=now)
    refused(shared.ask("GET", "/v1/model", role=None, headers=headers), 401)
    assert not shared.store.keys.revoke(row["key_id"], now=now), "only once"


def test_a_role_that_is_none_is_refused(shared: Any) -> None:
    with pytest.raises(ValueError, match=r"no role 'root'; known are requester, .*admin"):
        create(shared.store, name="x", role="root", now=shared.clock.now, expires_at=None)


def test_a_key_is_kept_nowhere(
    service: Any, ticket: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    now = service.clock.now
    key = create(service.store, name="secret", role="admin", now=now, expires_at=None)
    headers = {"Authorization": f"Bearer {key}"}
    service.ask("POST", "/v1/score", role=None, headers=headers, json=ticket())
    service.ask("POST", "/score", role=None, headers=headers, json={"change_id": []})
    service.ask("GET", "/v1/model", role=None, headers={"X-API-Key": key + "x"})
    service.ask("GET", f"/{key[:10]}", role=None, headers=headers)
    kept = b"".join(path.read_bytes() for path in files_of(service.home))
    secret = key.removeprefix(PREFIX).encode()
    assert secret not in kept
    assert hashlib.sha256(key.encode()).hexdigest().encode() in kept
    assert secret.decode() not in caplog.text


def files_of(home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file()]


def test_keys_are_long_and_their_own(tmp_path: Path) -> None:
    store, now = Store(f"sqlite:///{tmp_path}/history.db"), wall_clock()
    keys = {create(store, name="k", role="admin", now=now, expires_at=None) for _ in range(20)}
    assert len(keys) == 20
    assert all(key.startswith(PREFIX) and len(key) == 47 for key in keys)
    found = {caller(store, key, now=now) for key in keys}
    assert len(found) == 20
    assert None not in found
    store.close()
