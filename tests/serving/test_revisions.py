"""The step from one score of a change to the next, in words."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from models.bands import Bands
from serving.revisions import revisions, share_told


def history(shared: Any, change_id: str) -> list[dict[str, Any]]:
    return shared.ask("GET", f"/v1/changes/{change_id}").json()["revisions"]


def test_what_changed_in_the_record_and_in_the_factors(
    shared: Any, ticket: Callable[..., Any]
) -> None:
    body = ticket(backout_plan="TBD", affected_cis=["a-1", "a-2"], urgency="3")
    first = shared.score(body)
    plan = " ".join(["switch"] * 30)
    moved = {**body, "backout_plan": plan, "affected_cis": ["a-2", "a-3"], "urgency": None}
    moved["planned_start"] = "2025-06-14T22:00:00Z"
    second = shared.score(moved)
    newest, oldest = history(shared, body["change_id"])
    assert (oldest["fields"], oldest["factors"]) == ([], [])
    assert oldest["text"].startswith("First score: ")
    assert newest["score_id"] == second["score_id"]
    assert {field["field"]: field["text"] for field in newest["fields"]} == {
        "backout_plan": "backout plan: 0 words before, 30 now",
        "affected_cis": "affected items: a-3 added, a-1 taken off",
        "urgency": "urgency: “3” before, none now",
        "planned_start": newest["fields"][-1]["text"],
    }
    assert newest["fields"][-1]["text"].endswith("Sat 14 Jun 2025, 22:00 UTC now")
    told = {factor["group"]: factor for factor in newest["factors"]}
    before, after = (
        {factor["group"]: factor["log_odds"] for factor in answer["factors"]}
        for answer in (first, second)
    )
    assert told
    for group, factor in told.items():
        assert (factor["before"], factor["after"]) == (before.get(group), after.get(group))
    sizes = [abs((f["after"] or 0) - (f["before"] or 0)) for f in newest["factors"]]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) > 0.05


def test_no_step_is_rounded_across_the_beginning_of_a_band() -> None:
    """Nor by bands the score was not given by."""
    bands = Bands(moderate=0.02, high=0.1, very_high=0.2, review_budget=0.2, observed={})
    answer = {"incident_probability": 0.0998, "risk_band": "moderate"}
    assert share_told(answer, bands) == "9.98"
    assert share_told(answer, None) == "10"
    assert share_told({**answer, "risk_band": "high"}, bands) == "10"


def test_the_same_record_again(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    shared.score(body)
    shared.score(body)
    newest = history(shared, body["change_id"])[0]
    assert newest["fields"] == []
    assert newest["text"].endswith("the record is the same; what is known of the past has grown")


def test_the_same_record_with_another_past(shared: Any, ticket: Callable[..., Any]) -> None:
    """What moved the factors is named."""
    body = ticket()
    shared.score(body)
    shared.score(body)
    first, second = shared.store.journal_entries(change_id=body["change_id"])
    answer = deepcopy(second.body["answer"])
    moved, *_ = [factor for factor in answer["factors"] if factor["group"] != "other"]
    moved["log_odds"] += 0.3
    grown = replace(second, body={**second.body, "answer": answer})
    newest = revisions([first, grown], None)[0]
    assert (newest.fields, [factor.group for factor in newest.factors]) == ([], [moved["group"]])
    said = f"the record is the same, but not what is known of: {moved['heading']}"
    assert newest.text.endswith(said)


def test_a_bare_change_has_steps_too(shared: Any) -> None:
    shared.score({"change_id": "STEPS"})
    shared.score({"change_id": "STEPS", "cab_required": True, "description": "x " * 100})
    newest = history(shared, "STEPS")[0]
    assert [field["text"] for field in newest["fields"]] == [
        "description: 0 words before, 100 now",
        "cab required: none before, yes now",
    ]
