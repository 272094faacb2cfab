"""A change's page: the figure, the factors that add up, and whatever a ticket may hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from features import instants
from features.records import Change, ChangeEvent
from serving.pages.site import page_of

HOSTILE = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'',
    "rtl": "\u202eevil\u202c \u05e9\u05dc\u05d5\u05dd \u2067x",
    "long": "word " * 800,
    "unbroken": "w" * 4000,
    "emoji": "🚒🔥👩🏽‍💻 zalgo t̸̢̛h̵",
    "template": "{{ 7*7 }}{% include 'base.html' %}",
}


def riskiest(service: Any) -> dict[str, Any]:
    answers = [body["answer"] for body in service.journal()]
    return max(answers, key=lambda answer: answer["incident_probability"] or 0)


def test_it_shows_the_score_its_factors_and_their_evidence(approver: Any, scored: Any) -> None:
    answer = riskiest(scored)
    html = approver.get(page_of(answer["change_id"])).text
    assert f"{100 * answer['incident_probability']:.0f}</span>" in html
    for factor in answer["factors"]:
        assert factor["heading"] in html
        for record in factor["evidence"]:
            assert record in html
    assert "do not add up" not in html
    assert html.count('class="fall"') == len(answer["factors"]) + 2


def test_its_place_on_the_agenda_leads_on(approver: Any, scored: Any) -> None:
    html = approver.get("/?days=7").text
    first, second = re.findall(r'/changes/(\w+)"><bdi>', html)[:2]
    page = approver.get(page_of(first)).text
    assert "1 of " in page
    assert re.search(rf'href="/changes/{second}" rel="next"', page)


def test_an_unknown_change_is_not_found(approver: Any) -> None:
    response = approver.get("/changes/CHG%3Cb%3E")
    assert response.status_code == 404
    assert "CHG&lt;b&gt;" in response.text


def test_a_change_of_the_history_is_shown_without_a_score(
    approver: Any, organisation_made: Any
) -> None:
    past = next(r for r in organisation_made.records if type(r).__name__ == "ChangeEvent")
    said = approver.text(page_of(past.change_id))
    assert "never scored here" in said


def test_a_change_nobody_asked_a_score_for_says_so(
    desk_of: Callable[..., Any], person: Callable[..., Any]
) -> None:
    service = desk_of()
    now = service.clock.now
    with service.store.write("test", now=now) as writer:
        writer.add([Change(change_id="NEWS/1 50%", known_at=now, short_description="Later")])
    said = person(service, "approver").text(page_of("NEWS/1 50%"))
    assert "Later" in said
    assert "No score yet" in said


@pytest.mark.parametrize("title", HOSTILE.values(), ids=HOSTILE.keys())
def test_whatever_a_title_holds_is_text(
    desk_of: Callable[..., Any],
    person: Callable[..., Any],
    ticket: Callable[..., Any],
    title: str,
) -> None:
    service = desk_of()
    body = ticket(
        short_description=title,
        service=title[:300],
        ci=title[:300],
        affected_cis=[title[:300]],
        requested_by=title[:300],
        change_id=f"X/{title[:58]}y",
        planned_start="2025-06-03T10:00:00Z",
    )
    service.score(body)
    someone = person(service, "approver")
    frozen = someone.post("/snapshots", {"days": "7"}).headers["location"]
    asked = urlencode({"service": title[:300], "short_description": title})
    places = ("/", page_of(body["change_id"]), "/schedule", frozen, f"/?{asked}", f"/try?{asked}")
    for path in places:
        response = someone.get(path)
        assert response.status_code == 200
        html = response.text
        assert "<script>alert" not in html
        assert "<img" not in html
        assert ' onmouseover="alert' not in html
        assert "49" not in html or "7*7" not in title or "{{ 7*7 }}" in html


def test_missing_fields_are_told(desk_of: Callable[..., Any], person: Callable[..., Any]) -> None:
    service = desk_of()
    service.score({"change_id": "BARE"})
    someone = person(service, "approver")
    html = someone.text("/changes/BARE")
    assert "The backout plan is missing" in html
    assert re.search(r"<h1><bdi>BARE<", someone.get("/changes/BARE").text)
    assert "No window yet" in html


def test_a_withdrawn_change_says_so(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    body = ticket()
    service.score(body)
    now = service.clock.now
    with service.store.write("test", now=now) as writer:
        closed = ChangeEvent(
            change_id=body["change_id"],
            kind="closed",
            occurred_at=now,
            known_at=now,
            code="withdrawn by requester",
        )
        writer.add([closed])
    someone = person(service, "approver")
    assert "This change was withdrawn" in someone.text(page_of(body["change_id"]))
    assert body["change_id"] not in someone.get("/?days=28").text


def test_without_a_model_the_last_score_is_shown_with_its_age(
    desk_of: Callable[..., Any],
    person: Callable[..., Any],
    ticket: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = desk_of()
    body = ticket(planned_start="2025-06-05T10:00:00Z")
    service.score(body)
    scorer = service.runtime.scorer()
    monkeypatch.setattr(scorer, "registered", None)
    service.clock.now = instants.from_micros(
        instants.to_micros(service.clock.now) + 3 * instants.HOUR
    )
    later = service.score(body)
    assert later["status"] == "not_scored"
    said = person(service, "approver").text(page_of(body["change_id"]))
    assert "could not be scored" in said
    assert "3 h old" in said


def test_every_score_is_in_the_history_with_what_moved_it(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    body = ticket(planned_start="2025-06-05T10:00:00Z", backout_plan=None)
    service.score(body)
    service.score({**body, "backout_plan": "Restore the saved copy and restart. " * 5})
    said = person(service, "approver").text(page_of(body["change_id"]))
    assert "How the score moved" in said
    assert "first score" in said
    assert re.search(r"[+−]\d+(\.\d)? points", said) or "~0 points" in said
    assert "Backout plan: 0 words before, 30 now" in said


def test_a_score_that_repeats_the_last_one_is_told_once(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    body = ticket(planned_start="2025-06-05T10:00:00Z")
    for _ in range(3):
        service.score(body)
    assert "How the score moved" not in person(service, "approver").text(page_of(body["change_id"]))


def test_a_score_without_reasons_says_so_and_claims_nothing_else(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    body = ticket(planned_start="2025-06-03T10:00:00Z")
    path = "/v1/score/batch?explain=none"
    assert service.ask("POST", path, json=[body]).status_code == 200
    someone = person(service, "approver")
    said = someone.text(page_of(body["change_id"]))
    assert "It was given without reasons" in said
    assert "Nothing the requester could change" not in said
    assert "No earlier change is like" not in said
    row = someone.get("/").text.partition(f">{body['change_id']}<")[2].partition("</tr>")[0]
    # A high one says why it has none; which band this one is in is the model's.
    told = ("No raising reason on record.", "Scored in bulk, without reasons.")
    assert sum(text in row for text in told) == 1
    assert "could not be scored" not in row
