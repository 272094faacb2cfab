"""Frozen agendas: kept as they stood, compared with how they stand, and given as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from serving import decisions
from serving.decisions import DecisionIn
from serving.keys import Caller


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_an_agenda_is_frozen_and_compared_with_now(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    someone = person(service, "approver")
    assert "None was kept yet" in someone.text("/snapshots")
    answer = someone.post("/snapshots", {"days": "28"})
    assert answer.status_code == 303
    place = answer.headers["location"]
    assert "Nothing has changed since." in someone.text(place)

    before = rows_of(someone.get(f"{place}/agenda.csv").text)
    assert before == rows_of(someone.get("/agenda.csv?days=28").text)
    decided, ended = before[0]["change_id"], before[1]["change_id"]
    by = Caller(key_id="k", name="Ines Ferreira", role="approver")
    asked = DecisionIn(decision="reject", reason="Not before the release.")
    decisions.decide(service.store, decided, asked, by, now=service.clock.now)
    path = f"/v1/changes/{ended}/outcome"
    assert service.ask("POST", path, json={"kind": "closed", "code": "ok"}).status_code == 201
    fresh = ticket(planned_start="2025-06-04T10:00:00Z")
    service.score(fresh)

    said = someone.text(place)
    assert "2 changes stand otherwise now, and 1 has come" in said
    assert "Rejected" in said
    assert "Not on the agenda any more" in said
    assert fresh["change_id"] in said
    assert rows_of(someone.get(f"{place}/agenda.csv").text) == before
    assert "Adaeze" not in said
    assert "approvers" in someone.text("/snapshots")
    entry = service.store.journal_entry(place.rpartition("/")[2])
    assert entry.body["agenda"]["model_version"]


def test_unknown_snapshots_and_other_entries_are_not_found(approver: Any, scored: Any) -> None:
    score_id = scored.journal()[0]["answer"]["score_id"]
    for key in ("none", score_id):
        assert approver.get(f"/snapshots/{key}").status_code == 404
        assert approver.get(f"/snapshots/{key}/agenda.csv").status_code == 404


def test_a_requester_freezes_nothing(scored: Any, person: Callable[..., Any]) -> None:
    assert person(scored, "requester").post("/snapshots", {}).status_code == 403


def test_no_cell_is_taken_for_a_formula(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    body = ticket(short_description="=HYPERLINK(1)", planned_start="2025-06-04T10:00:00Z")
    service.score(body)
    rows = rows_of(person(service, "approver").get("/agenda.csv").text)
    title = next(row["title"] for row in rows if row["change_id"] == body["change_id"])
    assert title == "'=HYPERLINK(1)"
