"""What a refusal looks like."""

from __future__ import annotations

from typing import Any

from serving.problems import MEDIA_TYPE, PROBLEMS


def check_problem(response: Any, kind: str, *pointers: str) -> dict[str, Any]:
    status, title = PROBLEMS[kind]
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    body = response.json()
    assert body["type"] == f"https://change-risk.invalid/problems/{kind}"
    assert (body["title"], body["status"]) == (title, status)
    assert body["detail"]
    assert [fault["pointer"] for fault in body.get("errors", [])] == list(pointers)
    assert all(fault["detail"] for fault in body.get("errors", []))
    return body
