"""Every page and form, as the application routes them, asked for by every role and by nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.routing import Route

from serving.access import ROLES
from serving.pages.app import create_pages

EVERYONE = frozenset(ROLES)
READERS = EVERYONE - {"service"}
DECIDERS = frozenset({"approver", "admin"})
FORMS = {
    "/decisions": DECIDERS,
    "/views": DECIDERS,
    "/snapshots": DECIDERS,
    "/try": EVERYONE - {"auditor"},
    "/feeds": READERS,
}
SELF = {"Origin": "http://testserver"}
OPEN = ("/sign-in", "/sign-out", "/static/{digest}/{name}")


def test_every_role_on_every_page(desk_of: Callable[..., Any]) -> None:
    desk = desk_of()
    asked = [
        (method, route.path)
        for route in create_pages(desk.runtime).routes
        if isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]
    assert {path for method, path in asked if method == "POST"} == {
        *FORMS,
        "/sign-in",
        "/sign-out",
    }
    wrong = []
    change_id = desk.journal()[0]["answer"]["change_id"]
    for method, route in asked:
        path = route.replace("{change_id:path}", change_id)
        allowed = FORMS[route] if method == "POST" and route in FORMS else READERS
        for role in (None, *ROLES):
            answer = desk.ask(method, path, role=role, headers=SELF, follow_redirects=False)
            status = answer.status_code
            if route in OPEN:
                right = status in (200, 303, 404, 422)
            elif role is None:
                right = status in ((303,) if method in ("GET", "HEAD") else (401, 403))
            elif role in allowed:
                right = status in (200, 303, 404, 409, 422)
            else:
                right = status == 403
            if not right:
                wrong.append((method, path, role, status))
    assert wrong == []
