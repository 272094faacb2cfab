"""The door: closed by default, sessions that end, forms that come from these pages only."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from serving.pages.session import COOKIE, SECRET_FILE, issue, secret
from serving.pages.site import page_of

PLACES = ["/", "/changes/CHG1", "/schedule", "/track-record"]
SELF = {"Origin": "http://testserver"}


@pytest.mark.parametrize("path", PLACES)
def test_without_a_session_one_is_sent_to_sign_in_and_back(scored: Any, path: str) -> None:
    response = scored.client.get(f"{path}?order=soonest", follow_redirects=False)
    assert response.status_code == 303
    assert response.headers["location"] == f"/sign-in?next={path}%3Forder%3Dsoonest"


@pytest.mark.parametrize("change_id", ["a/b", "50%", "a#b?c=d&e", "wöchentlich 🚒", "../x", " "])
def test_an_address_with_an_odd_id_leads_there_through_the_sign_in(
    scored: Any, change_id: str
) -> None:
    path = page_of(change_id)
    asked = scored.client.get(path, follow_redirects=False)
    page = scored.client.get(asked.headers["location"]).text
    back = unescape(re.findall(r'name="next" value="([^"]*)"', page)[0])
    data = {"key": scored.keys["approver"], "next": back}
    entered = scored.client.post("/sign-in", data=data, headers=SELF, follow_redirects=False)
    assert entered.headers["location"] == path
    scored.client.cookies.clear()


@pytest.mark.parametrize("path", ["/changes/a%00b", "/schedule?service=%00", "/?service=%00"])
def test_what_no_database_can_be_asked_is_not_there(approver: Any, path: str) -> None:
    answer = approver.get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
UNKNOWN = ["/nope", "/favicon.ico", "/docs.json", "/nope\0", "/missing"]


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_address_in_a_browser_is_a_page_that_says_so(
    scored: Any, approver: Any, path: str
) -> None:
    path = path.replace("\0", "%00")
    asked = scored.client.get(f"{path}?a=b", headers=BROWSER, follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/sign-in?next={quote(path)}%3Fa%3Db"
    answer = approver.get(path, headers=BROWSER)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


@pytest.mark.parametrize("path", ["/nope", "/favicon.ico", "/v1/nope", "/score"])
def test_programs_and_the_contract_are_answered_as_ever(
    scored: Any, approver: Any, path: str
) -> None:
    accepted = ["*/*", "application/json"]
    accepted += [BROWSER["Accept"]] if path in ("/v1/nope", "/score") else []
    for kind in accepted:
        answer = approver.get(path, headers={"Accept": kind})
        assert answer.status_code == 401
        assert answer.json()["title"] == "An API key is needed"
    key = {"Authorization": f"Bearer {scored.keys['approver']}", **BROWSER}
    answer = scored.client.get(path, headers=key)
    assert answer.status_code in (404, 405)
    assert "json" in answer.headers["content-type"]
    assert scored.client.post("/nope", headers=BROWSER).status_code == 401


def test_a_key_is_exchanged_for_a_session(scored: Any) -> None:
    client = scored.client
    answer = client.post(
        "/sign-in",
        data={"key": f" {scored.keys['approver']} ", "next": "/?days=14"},
        headers=SELF,
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/?days=14")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert scored.keys["approver"] not in cookie
    assert client.get("/").status_code == 200
    gone = client.post("/sign-out", headers=SELF, follow_redirects=False)
    assert gone.status_code == 303
    assert client.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("next_page", ["//evil.example", "https://evil.example", "/\\evil", "x"])
def test_the_way_back_stays_here(scored: Any, next_page: str) -> None:
    answer = scored.client.post(
        "/sign-in",
        data={"key": scored.keys["approver"], "next": next_page},
        headers=SELF,
        follow_redirects=False,
    )
    assert answer.headers["location"] == "/"
    scored.client.cookies.clear()


@pytest.mark.parametrize(
    ("key", "said"), [("crk_unknown", "unknown"), ("", "unknown"), ("service", "machine")]
)
def test_other_keys_are_refused_with_the_reason(scored: Any, key: str, said: str) -> None:
    presented = scored.keys.get(key, key)
    answer = scored.client.post("/sign-in", data={"key": presented}, headers=SELF)
    assert answer.status_code == 422
    assert said in answer.text
    assert COOKIE not in answer.headers.get("set-cookie", "")


def test_the_secret_is_its_owners_only(scored: Any) -> None:
    secret(scored.home)
    mode = (scored.home / SECRET_FILE).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert len((scored.home / SECRET_FILE).read_bytes()) == 32


def test_a_session_ends_with_its_time(scored: Any, person: Callable[..., Any]) -> None:
    someone = person(scored, "approver")
    assert someone.get("/").status_code == 200
    now = scored.clock.now
    scored.clock.now = now + timedelta(hours=12)
    try:
        response = someone.get("/")
        assert response.headers["location"] == "/sign-in?next=/&ended=1"
        part = someone.get("/", headers={"HX-Request": "true"})
        assert part.status_code == 401
        assert "session has ended" in part.text
    finally:
        scored.clock.now = now


def test_a_session_ends_with_its_key(
    desk_of: Callable[..., Any], person: Callable[..., Any]
) -> None:
    service = desk_of()
    someone = person(service, "approver")
    assert someone.get("/").status_code == 200
    row = next(row for row in service.store.keys.all() if row["role"] == "approver")
    service.store.keys.revoke(row["key_id"], now=service.clock.now)
    assert someone.get("/").status_code == 303


def test_forged_and_foreign_tokens_open_nothing(scored: Any, person: Callable[..., Any]) -> None:
    someone = person(scored, "approver")
    good = someone.client.cookies[COOKIE]
    row = next(row for row in scored.store.keys.all() if row["role"] == "approver")
    link = issue(secret(scored.home), row["key_id"], "link", now=scored.clock.now)
    head, body, _ = good.split(".")
    for token in (
        good[:-2],
        f"{head}.{body}.",
        f"{head}.{body}",
        link,
        "x",
        "é"[:0] + "..",
        "null",
    ):
        someone.client.cookies.set(COOKIE, token)
        assert someone.get("/").status_code == 303, token


def test_a_link_signs_in_once_it_is_followed(scored: Any) -> None:
    row = next(row for row in scored.store.keys.all() if row["role"] == "approver")
    token = issue(secret(scored.home), row["key_id"], "link", now=scored.clock.now)
    answer = scored.client.get(f"/sign-in?link={token}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert scored.client.get("/").status_code == 200
    scored.client.cookies.clear()
    assert scored.client.get("/sign-in?link=forged").status_code == 401


CROSS = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://testserver"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {},
]


@pytest.mark.parametrize("headers", CROSS)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/decisions", "/snapshots", "/try"])
def test_forms_from_elsewhere_are_refused(
    scored: Any, person: Callable[..., Any], headers: dict[str, str], path: str
) -> None:
    someone = person(scored, "approver")
    response = someone.client.post(path, data={}, headers=headers)
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/changes/none", "/static/x/app.css"])
def test_every_answer_carries_the_headers(scored: Any, approver: Any, path: str) -> None:
    headers = approver.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    if not path.startswith("/static/"):
        assert headers["cache-control"] == "no-store"


def test_pages_are_compressed(approver: Any) -> None:
    assert approver.get("/", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == (
        "gzip"
    )
