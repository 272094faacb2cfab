"""Trying a change: the answer the workflow would get, and nothing of it is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest


def form_of(body: dict[str, Any]) -> dict[str, str]:
    data = {k: v for k, v in body.items() if isinstance(v, str) and not k.startswith("planned")}
    data["affected_cis"] = "\n".join(body.get("affected_cis", ()))
    data["planned_start"] = "2025-06-05T10:00"
    data["planned_end"] = "2025-06-05T11:00"
    return data


def test_a_trial_scores_as_the_workflow_does_and_keeps_nothing(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    body = ticket(backout_plan=None)
    before = service.rows()
    someone = person(service, "requester")
    answer = someone.post("/try", form_of(body))
    assert answer.status_code == 200
    assert service.rows() == before
    kept = ("short_description", "change_type", "category", "ci", "affected_cis", "service",
            "assignment_group", "description", "implementation_plan", "test_plan")  # fmt: skip
    same = {name: body[name] for name in kept if body.get(name)}
    times = {"planned_start": "2025-06-05T10:00:00Z", "planned_end": "2025-06-05T11:00:00Z"}
    submitted = {"submitted_at": service.clock.now.isoformat()}
    scored = service.score({"change_id": "a change to try", **same, **times, **submitted})
    assert f"{100 * scored['incident_probability']:.0f}" in answer.text
    for factor in scored["factors"]:
        assert factor["text"].partition(";")[0].split("“")[0].replace("'", "&#39;") in answer.text


def test_the_form_starts_empty_and_is_filled_by_its_address(
    scored: Any, person: Callable[..., Any]
) -> None:
    someone = person(scored, "requester")
    assert "The score appears here" in someone.text("/try")
    html = someone.get("/try?short_description=Upgrade+it&ci=db-1").text
    assert 'value="Upgrade it"' in html
    assert 'class="huge"' in html


def test_only_the_result_is_swapped(scored: Any, person: Callable[..., Any]) -> None:
    part = person(scored, "requester").post(
        "/try", {"short_description": "x"}, headers={"HX-Request": "true"}
    )
    assert part.text.lstrip().startswith('<div id="result"')


def test_a_time_that_cannot_be_read_is_said(scored: Any, person: Callable[..., Any]) -> None:
    answer = person(scored, "requester").post("/try", {"planned_start": "tomorrow"})
    assert answer.status_code == 422
    assert "Start: give a date and a time between 1970 and 2200." in answer.text


def test_an_impossible_window_is_said_at_once(scored: Any, person: Callable[..., Any]) -> None:
    times = {"planned_start": "2025-06-05T10:00", "planned_end": "2025-06-05T09:00"}
    html = person(scored, "requester").post("/try", times).text
    assert '<p class="notice">The planned end lies before the planned start.</p>' in html
    assert re.search(r"<summary>\d+ notes on what was missing or odd</summary>", html)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59", "0001-01-01T00:00", "2025-02-30T10:00"])
def test_times_no_calendar_holds_are_refused(
    scored: Any, person: Callable[..., Any], moment: str
) -> None:
    answer = person(scored, "requester").get("/try", params={"planned_end": moment})
    assert answer.status_code == 422
    assert "End: give a date and a time between 1970 and 2200." in answer.text


def test_an_auditor_tries_nothing(scored: Any, person: Callable[..., Any]) -> None:
    assert person(scored, "auditor").post("/try", {"ci": "x"}).status_code == 403


def test_without_a_model_it_says_so(
    desk_of: Callable[..., Any], person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = desk_of()
    scorer = service.runtime.scorer()
    monkeypatch.setattr(scorer, "registered", None)
    monkeypatch.setattr(scorer, "unavailable", "the registry has no champion")
    html = person(service, "requester").post("/try", {"ci": "x"}).text
    assert "Not scored" in html
    assert "No model was in use when its score was asked for." in html
    assert "champion" not in html
