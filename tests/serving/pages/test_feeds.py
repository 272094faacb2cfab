"""Feeds of those who sign in without a key: by a proxy in front, or a provider's tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

HERE = "http://testserver"
SELF = {"Origin": HERE}


def signed_by_proxy(service: Any, name: str) -> TestClient:
    client = TestClient(service.client.app, base_url=HERE, client=("10.0.0.1", 50000))
    client.headers.update({"X-Remote-User": name, "X-Remote-Roles": "approver"})
    return client


def addresses(client: TestClient) -> dict[str, str]:
    html = client.get("/schedule").text
    found = re.findall(r'<a href="(/schedule\.(\w+)[^"]*)"', html)
    return {kind: unescape(address) for address, kind in found}


@pytest.fixture
def behind_proxy(desk_of: Callable[..., Any]) -> Any:
    """A service that believes a proxy."""
    return desk_of(CHANGERISK_PROXY_PEERS="10.0.0.1")


def test_pages_open_for_whom_the_proxy_signs_in(behind_proxy: Any) -> None:
    ada = signed_by_proxy(behind_proxy, "Ada")
    assert "Ada" in ada.get("/").text
    ada.cookies.set("changerisk_session", "of another time")
    assert ada.get("/", follow_redirects=False).status_code == 200
    assert ada.post("/snapshots", data={"days": "7"}).status_code == 403, "no word where it is from"
    assert ada.post("/snapshots", data={"days": "7"}, headers=SELF).status_code == 200


def test_addresses_are_made_on_request_and_open_the_schedule_alone(behind_proxy: Any) -> None:
    ada, nobody = signed_by_proxy(behind_proxy, "Ada"), TestClient(behind_proxy.client.app)
    assert addresses(ada)["ics"] == "/schedule.ics", "while she is signed in"
    assert ada.get("/schedule.ics").status_code == 200
    made = ada.post("/feeds", headers=SELF, follow_redirects=False)
    assert (made.status_code, made.headers["location"]) == (303, "/schedule#feeds")
    kept = addresses(ada)
    for kind, address in kept.items():
        answer = nobody.get(address, follow_redirects=False)
        assert answer.status_code == 200, kind
    token = kept["ics"].partition("feed=")[2]
    for place in ("/", "/schedule", f"/changes/CHG1?feed={token}", f"/?feed={token}"):
        assert nobody.get(place, follow_redirects=False).status_code == 303
    nobody.cookies.set("changerisk_session", token)
    assert nobody.get("/", follow_redirects=False).status_code == 303


def test_new_addresses_end_the_earlier_ones_of_that_person(behind_proxy: Any) -> None:
    nobody = TestClient(behind_proxy.client.app)
    kept = {}
    for name in ("Ada", "Grace"):
        signed_by_proxy(behind_proxy, name).post("/feeds", headers=SELF)
        kept[name] = addresses(signed_by_proxy(behind_proxy, name))["ics"]
    signed_by_proxy(behind_proxy, "Ada").post("/feeds", headers=SELF)
    assert nobody.get(kept["Ada"], follow_redirects=False).status_code == 303
    assert nobody.get(kept["Grace"], follow_redirects=False).status_code == 200
    live = [
        row
        for row in behind_proxy.store.keys.all()
        if row["key_id"].startswith("feed-") and row["revoked_at"] is None
    ]
    assert {row["name"] for row in live} == {"Ada", "Grace"}


def test_whoever_runs_the_service_ends_them_and_so_does_time(behind_proxy: Any) -> None:
    ada, nobody = signed_by_proxy(behind_proxy, "Ada"), TestClient(behind_proxy.client.app)
    ada.post("/feeds", headers=SELF)
    address, now = addresses(ada)["ics"], behind_proxy.clock.now
    behind_proxy.clock.now = now + timedelta(days=401)
    assert nobody.get(address, follow_redirects=False).status_code == 303
    behind_proxy.clock.now = now
    row = next(r for r in behind_proxy.store.keys.all() if r["key_id"].startswith("feed-"))
    behind_proxy.store.keys.revoke(row["key_id"], now=now)
    assert nobody.get(address, follow_redirects=False).status_code == 303
    assert addresses(ada)["ics"] == "/schedule.ics"


def test_who_has_a_key_needs_no_other(
    desk_of: Callable[..., Any], person: Callable[..., Any]
) -> None:
    service = desk_of()
    someone = person(service, "approver")
    before = len(service.store.keys.all())
    assert "Make addresses" not in someone.text("/schedule")
    assert someone.post("/feeds").status_code == 303
    assert len(service.store.keys.all()) == before
