"""Deciding on a change's page: own view first, reasons, conditions, conflicts, roles."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from serving import decisions, feedback
from serving.board import Board
from serving.decisions import DecisionIn
from serving.keys import Caller
from serving.pages.site import page_of

REASON = "Looked at with the team; the window is quiet."


def of_band(service: Any, *bands: str) -> dict[str, Any]:
    answers = [body["answer"] for body in service.journal() if "answer" in body]
    return next(answer for answer in answers if answer["risk_band"] in bands)


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found is not None, name
    return found[1].replace("&#34;", '"')


@pytest.fixture
def desk(desk_of: Callable[..., Any], person: Callable[..., Any]) -> Any:
    """A service of the test's own, and an approver who has not looked at anything."""
    service = desk_of(own_view="ask")
    service.approver = person(service, "approver")
    return service


def open_form(desk: Any, change_id: str) -> dict[str, str]:
    """The fields of the decision form of somebody who has seen the score."""
    html = desk.approver.get(page_of(change_id)).text
    if 'name="expected"' in html:
        data = {"change_id": change_id, "expected": "skipped", "score_id": field(html, "score_id")}
        assert desk.approver.post("/views", data).status_code == 303
        html = desk.approver.get(page_of(change_id)).text
    return {"change_id": change_id, "etag": field(html, "etag")}


def standing(desk: Any, change_id: str) -> Any:
    return decisions.read(desk.store, change_id).standing


def test_own_view_comes_first_in_the_high_bands(desk: Any) -> None:
    answer = of_band(desk, "high", "very_high")
    path = page_of(answer["change_id"])
    html = desk.approver.get(path).text
    assert "Your own view comes first" in html
    for hidden in ('class="huge"', 'class="fall"', 'class="levers"', "in 100,"):
        assert hidden not in html.partition("<main")[2]
    crumbs = html.partition('class="crumbs"')[2].partition("</nav>")[0]
    assert not re.search(r"\d%| of \d", crumbs), "its place among the others tells the score"
    data = {"change_id": answer["change_id"], "score_id": answer["score_id"]}
    assert desk.approver.post("/views", {**data, "expected": "nonsense"}).status_code == 422
    assert desk.approver.post("/views", {**data, "expected": "moderate"}).status_code == 303
    after = desk.approver.get(path).text
    assert 'class="huge"' in after
    assert "You expected <strong>moderate</strong>" in after
    entry = next(e for e in desk.store.journal_entries() if e.kind == "view")
    assert entry.body["view"] == {"expected": "moderate", "score_id": answer["score_id"]}


def test_own_view_is_not_asked_below_nor_of_those_who_do_not_decide(
    desk: Any, person: Callable[..., Any]
) -> None:
    low = of_band(desk, "low", "moderate")
    assert "Your own view" not in desk.approver.get(page_of(low["change_id"])).text
    high = of_band(desk, "high", "very_high")
    auditor = person(desk, "auditor").get(page_of(high["change_id"])).text
    assert "Your own view" not in auditor
    assert "can look, but not decide" in auditor


def test_own_view_can_be_switched_off(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    off = Board.from_environment({"CHANGERISK_OWN_VIEW": "off"})
    monkeypatch.setattr(desk.runtime, "board", off)
    high = of_band(desk, "high", "very_high")
    assert 'class="huge"' in desk.approver.get(page_of(high["change_id"])).text


def test_a_high_one_approved_as_planned_is_an_override(desk: Any) -> None:
    change_id = of_band(desk, "high", "very_high")["change_id"]
    form = open_form(desk, change_id)
    data = {**form, "decision": "approve", "reason": REASON, "looks": "too_high"}
    answer = desk.approver.post("/decisions", data)
    assert answer.headers["location"] == f"{page_of(change_id)}#decision"
    made = standing(desk, change_id)
    assert (made.decision, made.override, made.reason) == ("approve", True, REASON)
    assert [said["verdict"] for said in feedback.read(desk.store, change_id)] == ["too_high"]
    said = desk.approver.text(page_of(change_id))
    assert "against the score" in said
    assert "the score looks too high" in said
    assert "Approved" in desk.approver.text("/?days=28")


def test_ticked_conditions_make_an_approval_conditional(desk: Any) -> None:
    high = of_band(desk, "high", "very_high")
    change_id, group = high["change_id"], high["factors"][0]["group"]
    data = {
        **open_form(desk, change_id),
        "decision": "approve",
        "reason": REASON,
        "condition": ["Write a backout plan", "Move the window"],
        "further": "Call the service desk",
        "not_useful": group,
    }
    assert desk.approver.post("/decisions", data).status_code == 303
    made = standing(desk, change_id)
    assert made.decision == "approve_with_conditions"
    assert made.conditions == ["Write a backout plan", "Move the window", "Call the service desk"]
    assert [s["about"] for s in feedback.read(desk.store, change_id)] == [group]


def test_what_is_sent_back_says_what_is_asked_for(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    form = open_form(desk, change_id)
    data = {**form, "decision": "send_back", "condition": "Write a backout plan"}
    assert desk.approver.post("/decisions", data).status_code == 303
    assert standing(desk, change_id).reason == "Asked for: Write a backout plan"


@pytest.mark.parametrize(
    ("given", "field_name"),
    [
        ({}, "kind"),
        ({"decision": "perhaps"}, "kind"),
        ({"decision": "reject", "reason": "no"}, "reason"),
        ({"decision": "approve"}, "reason"),
        ({"decision": "approve_with_conditions", "reason": REASON}, "further"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_lost(
    desk: Any, given: dict[str, str], field_name: str
) -> None:
    change_id = of_band(desk, "high", "very_high")["change_id"]
    form = open_form(desk, change_id)
    for headers in ({}, {"HX-Request": "true"}):
        answer = desk.approver.post("/decisions", {**form, **given}, headers=headers)
        assert answer.status_code == 422
        assert f'href="#{field_name}"' in answer.text
        assert f'id="{field_name}"' in answer.text
        if given.get("reason"):
            assert given["reason"] in answer.text
        assert ("<html" in answer.text) == (not headers)
    assert standing(desk, change_id) is None


def test_a_low_one_is_approved_without_a_reason(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    data = {**open_form(desk, change_id), "decision": "approve"}
    assert desk.approver.post("/decisions", data).status_code == 303
    assert not standing(desk, change_id).override


def test_two_people_at_once_are_shown_to_one_another(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    form = open_form(desk, change_id)
    other = Caller(key_id="k2", name="Ines Ferreira", role="approver")
    theirs = DecisionIn(decision="reject", reason="The vendor asks to wait a week.")
    decisions.decide(desk.store, change_id, theirs, other, now=desk.clock.now)
    answer = desk.approver.post("/decisions", {**form, "decision": "approve", "reason": REASON})
    assert answer.status_code == 409
    for said in ("Ines Ferreira", "The vendor asks to wait a week.", REASON, "Nothing of yours"):
        assert said in answer.text
    assert standing(desk, change_id).decided_by == "Ines Ferreira"


def test_a_score_made_meanwhile_is_shown_before_anything_is_decided(
    desk: Any, ticket: Callable[..., Any]
) -> None:
    body = ticket(planned_start="2025-06-04T10:00:00Z")
    desk.score(body)
    form = open_form(desk, body["change_id"])
    desk.score({**body, "short_description": "Something else entirely"})
    data = {**form, "decision": "reject", "reason": REASON}
    answer = desk.approver.post("/decisions", data)
    assert answer.status_code == 409
    assert "scored anew" in answer.text
    assert REASON in answer.text


def test_a_decision_is_opened_again_by_a_new_entry(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    data = {**open_form(desk, change_id), "decision": "approve"}
    desk.approver.post("/decisions", data)
    etag = decisions.read(desk.store, change_id).etag
    again = {"change_id": change_id, "etag": etag, "decision": "reopen", "reason": REASON}
    assert desk.approver.post("/decisions", again).status_code == 303
    assert standing(desk, change_id) is None
    assert len(decisions.read(desk.store, change_id).history) == 2
    assert "Reopened the decision" in desk.approver.text(page_of(change_id))


def test_nobody_decides_about_their_own_change(desk: Any, ticket: Callable[..., Any]) -> None:
    body = ticket(requested_by="approvers", planned_start="2025-06-04T10:00:00Z")
    desk.score(body)
    data = {**open_form(desk, body["change_id"]), "decision": "reject", "reason": REASON}
    answer = desk.approver.post("/decisions", data)
    assert answer.status_code == 403
    assert "does not decide about it" in answer.text
    assert standing(desk, body["change_id"]) is None


@pytest.mark.parametrize("role", ["requester", "data_scientist", "auditor"])
def test_other_roles_do_not_decide(desk: Any, person: Callable[..., Any], role: str) -> None:
    change_id = of_band(desk, "low")["change_id"]
    data = {"change_id": change_id, "decision": "approve"}
    for path in ("/decisions", "/views"):
        answer = person(desk, role).post(path, data)
        assert answer.status_code == 403
        assert "Not for this role" in answer.text
    assert standing(desk, change_id) is None


def test_deciding_about_nothing_is_not_found(desk: Any) -> None:
    for path in ("/decisions", "/views"):
        data = {"change_id": "none", "decision": "approve", "expected": "low"}
        assert desk.approver.post(path, data).status_code == 404


def test_what_followed_is_at_the_top(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    incident = {
        "incident_id": "INC777",
        "occurred_at": "2025-06-02T08:00:00Z",
        "priority": 2,
        "short_description": "Payments are slow",
        "caused_by": [change_id],
    }
    assert desk.ask("POST", "/v1/incidents", json=incident).status_code == 201
    closed = {"kind": "closed", "code": "successful"}
    path = f"/v1/changes/{change_id}/outcome"
    assert desk.ask("POST", path, json=closed).status_code == 201
    said = desk.approver.text(page_of(change_id))
    assert "It led to 1 incident: INC777 P2 Payments are slow" in said
    assert "This change is closed" in said


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_form_sent_twice_is_recorded_once_and_no_conflict(
    desk: Any, headers: dict[str, str]
) -> None:
    change_id = of_band(desk, "low")["change_id"]
    data = {**open_form(desk, change_id), "decision": "reject", "reason": f"{REASON}\x00"}
    answers = [desk.approver.post("/decisions", data, headers=headers) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {200 if headers else 303}
    assert len(decisions.read(desk.store, change_id).history) == 1


def test_two_windows_of_one_person_are_told_apart_from_two_people(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    form = open_form(desk, change_id)
    desk.approver.post("/decisions", {**form, "decision": "reject", "reason": REASON})
    answer = desk.approver.post("/decisions", {**form, "decision": "approve"})
    assert answer.status_code == 409
    assert "You decided about this change in another window." in answer.text
    assert "Somebody else" not in answer.text
    assert standing(desk, change_id).decision == "reject"
    etag = decisions.read(desk.store, change_id).etag
    again = {"change_id": change_id, "etag": etag, "decision": "reopen", "reason": REASON}
    assert desk.approver.post("/decisions", again).status_code == 303
    late = desk.approver.post("/decisions", again)
    assert late.status_code == 409
    assert "The decision is open already." in late.text


def test_what_ended_meanwhile_is_not_decided(desk: Any) -> None:
    change_id = of_band(desk, "low")["change_id"]
    form = open_form(desk, change_id)
    path = f"/v1/changes/{change_id}/outcome"
    gone = {"kind": "closed", "code": "withdrawn"}
    assert desk.ask("POST", path, json=gone).status_code == 201
    answer = desk.approver.post("/decisions", {**form, "decision": "reject", "reason": REASON})
    assert answer.status_code == 409
    assert "The change ended while you were writing." in answer.text
    assert REASON in answer.text
    assert standing(desk, change_id) is None
