"""The pages over a small organisation whose upcoming changes were scored, and people who look."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serving.pages.session import COOKIE, issue, secret

HERE = "http://testserver"


@dataclass
class Person:
    """Somebody with a session, and a browser of their own."""

    client: TestClient
    role: str

    def get(self, path: str, **given: Any) -> Any:
        return self.client.get(path, follow_redirects=False, **given)

    def post(self, path: str, data: Any = None, **given: Any) -> Any:
        headers = {"Origin": HERE, **given.pop("headers", {})}
        return self.client.post(path, data=data, headers=headers, follow_redirects=False, **given)

    def text(self, path: str, **given: Any) -> str:
        """What a page says, without its markup."""
        response = self.get(path, **given)
        assert response.status_code == 200, response.text
        return words_of(response.text)


def words_of(html: str) -> str:
    body = html.partition("<main")[2].partition("</main>")[0] or html
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def key_ids(service: Any) -> dict[str, str]:
    return {row["role"]: row["key_id"] for row in service.store.api_keys()}


def signed_in(service: Any, role: str) -> Person:
    client = TestClient(service.client.app, base_url=HERE)
    key = secret(service.home)
    token = issue(key, key_ids(service)[role], "session", now=service.clock.now)
    client.cookies.set(COOKIE, token)
    return Person(client, role)


@pytest.fixture(scope="session")
def scored(
    begin: Callable[..., Any], loaded: type, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A service whose upcoming changes were all scored; for tests that only look."""
    service = begin(tmp_path_factory.mktemp("scored") / "home", kind=loaded)
    for line in (service.home / "upcoming.jsonl").read_bytes().splitlines():
        assert service.send(line).status_code == 200
    return service


@pytest.fixture
def desk_of(
    scored: Any, serve: Callable[..., Any], loaded: type, tmp_path: Path
) -> Callable[..., Any]:
    """Makes services over copies of the scored home, for tests that write."""

    def desk_of(**given: Any) -> Any:
        home = tmp_path / "desk"
        home.mkdir()
        with (
            closing(sqlite3.connect(scored.home / "history.db")) as source,
            closing(sqlite3.connect(home / "history.db")) as copy,
        ):
            source.backup(copy)
        return serve(home, kind=loaded, **given)

    return desk_of


@pytest.fixture
def approver(scored: Any) -> Person:
    """An approver who looks at the scored changes."""
    return signed_in(scored, "approver")


@pytest.fixture
def person() -> Callable[..., Person]:
    """Gives somebody of a role a session with a service."""
    return signed_in


@pytest.fixture
def said() -> Callable[[str], str]:
    """What a page says, without its markup."""
    return words_of
