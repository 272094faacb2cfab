"""Revisions that come after a later one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from features.records import Change
from features.store import Store

Ticket = Callable[..., Any]


def codes(answer: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch?explain=none"])
def test_a_late_revision_is_scored_and_the_later_one_stands(
    shared: Any, ticket: Ticket, path: str
) -> None:
    body = ticket(revision="9", ci="late-1")
    later = shared.score(body)
    before = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()["current"]
    late = {**body, "revision": "7", "ci": "late-0"}
    given = shared.ask("POST", path, json=[late] if "batch" in path else late).json()
    answer = given["items"][0]["answer"] if "batch" in path else given
    assert (answer["revision"], answer["status"]) == ("7", later["status"])
    (warned,) = [w for w in answer["warnings"] if w["code"] == "superseded"]
    assert warned["field"] == "revision"
    assert warned["text"] == "Revision 9 was known before this one came, and stands"
    detail = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()
    assert detail["current"] == before
    assert [each["revision"] for each in detail["scores"]] == ["7", "9"], "both are on record"
    told = detail["revisions"][0]
    assert told["text"].startswith("Came after a later revision, which stands: ")
    assert (told["fields"], told["factors"]) == ([], [])
    again = shared.ask("POST", "/v1/score", json={**body, "revision": "10"}).json()
    newest = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()["revisions"][0]
    assert (newest["score_id"], newest["fields"]) == (again["score_id"], []), "as the 9th was"
    changes = shared.store.load()[Change]
    mine = changes["change_id"] == body["change_id"]
    assert set(changes["revision"][mine]) == {"9", "10"}, "it stood before, nobody knows when"
    assert shared.ask("GET", f"/v1/scores/{answer['score_id']}").json() == answer


def test_neither_a_decision_nor_the_page_is_about_it(
    shared: Any, ticket: Ticket, person_of: Callable[..., Any]
) -> None:
    body = ticket(revision="2", short_description="The later title")
    path = f"/v1/changes/{body['change_id']}/decision"
    later = shared.score(body)
    state = shared.ask("GET", path).json()["etag"]
    shared.score({**body, "revision": "1", "short_description": "The earlier title"})
    assert shared.ask("GET", path).json()["etag"] == state
    decided = {"decision": "reject", "reason": "not in this quarter", "score_id": later["score_id"]}
    made = shared.ask("POST", path, role="approver", json=decided, headers={"If-Match": state})
    assert (made.status_code, made.json()["revision"]) == (201, "2"), made.text
    page = person_of(shared, "approver")(f"/changes/{body['change_id']}")
    assert "<h1><bdi>The later title" in page
    contrast = shared.ask("GET", f"/v1/changes/{body['change_id']}/contrast").json()
    assert contrast["revision"] == "2"


@pytest.mark.parametrize(
    ("first", "second"), [("9", "10"), ("3", "3"), ("B", "A"), ("9", "A"), ("x", "2"), ("5", None)]
)
def test_what_is_not_earlier_stands(shared: Any, ticket: Ticket, first: str, second: Any) -> None:
    body = ticket(revision=first, ci="late-2")
    shared.score(body)
    answer = shared.score({**body, "revision": second, "ci": "late-3"})
    assert "superseded" not in codes(answer)
    current = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()["current"]
    assert (current["ci"], current["score_id"]) == ("late-3", answer["score_id"])


def test_a_late_revision_of_a_change_never_scored_is_shown(shared: Any, ticket: Ticket) -> None:
    body = ticket(revision="4")
    known = Change(change_id=body["change_id"], known_at=shared.clock.now, revision="6")
    with shared.store.write("sync", now=shared.clock.now) as writer:
        writer.add([known])
    answer = shared.score(body)
    assert "superseded" in codes(answer)
    current = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()["current"]
    assert current["score_id"] == answer["score_id"]


@pytest.mark.parametrize("path", ["/v1/score", "/v1/score/batch?explain=none"])
def test_two_edits_at_once_are_two_revisions(
    shared: Any, ticket: Ticket, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker writes its own after this one has looked which mark is free."""
    body = ticket()
    read = Store.standing

    def overtaken(self: Store, change_ids: Sequence[str]) -> Any:
        found = read(self, change_ids)
        monkeypatch.undo()
        other = Change(
            change_id=change_ids[0], known_at=shared.clock.now, revision="2", urgency="1"
        )
        with self.write("score", now=shared.clock.now) as writer:
            writer.add([other])
        return found

    shared.score(body)
    monkeypatch.setattr(Store, "standing", overtaken)
    edit = {**body, "urgency": "2"}
    given = shared.ask("POST", path, json=[edit] if "batch" in path else edit).json()
    answer = given["items"][0]["answer"] if "batch" in path else given
    assert (answer["revision"], "superseded" in codes(answer)) == ("3", False)
    assert shared.ask("GET", f"/v1/scores/{answer['score_id']}").json() == answer
    current = shared.ask("GET", f"/v1/changes/{body['change_id']}").json()["current"]
    assert (current["revision"], current["score_id"]) == ("3", answer["score_id"])
    changes = shared.store.load()[Change]
    mine = changes["change_id"] == body["change_id"]
    assert sorted(changes["revision"][mine]) == ["1", "2", "3"]
