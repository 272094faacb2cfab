"""A change against an average one, of all or of its team, its own earlier revision, and a similar
one that went well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from features.instants import to_micros
from features.records import Change
from features.similar import outcome_of


def asked(service: Any, change_id: str, against: str) -> Any:
    return service.ask("GET", f"/v1/changes/{change_id}/contrast?against={against}")


def check_adds_up(body: dict[str, Any]) -> None:
    total = body["other"]["incident_probability"] + sum(d["points"] for d in body["differences"])
    assert total == pytest.approx(body["incident_probability"], abs=1e-9)


def test_against_an_average_change(service: Any, ticket: Callable[..., Any]) -> None:
    answer = service.score(ticket())
    body = asked(service, answer["change_id"], "average").json()
    check_adds_up(body)
    assert body["incident_probability"] == answer["incident_probability"]
    assert [d["group"] for d in body["differences"]] == [f["group"] for f in answer["factors"]]
    assert [d["log_odds"] for d in body["differences"]] == [
        f["log_odds"] for f in answer["factors"]
    ]
    assert body["other"]["change_id"] is None
    assert body["text"].endswith("in 100 for an average change")


def test_against_its_team(service: Any, ticket: Callable[..., Any], template: Any) -> None:
    changes = [record for record in template.made.records if isinstance(record, Change)]
    normal = {one.change_id: one.assignment_group for one in changes if one.change_type == "normal"}
    team, most = Counter(normal.values()).most_common(1)[0]
    answer = service.score(ticket(assignment_group=team))
    average = asked(service, answer["change_id"], "average").json()
    body = asked(service, answer["change_id"], "team").json()
    check_adds_up(body)
    assert body["incident_probability"] == answer["incident_probability"]
    assert 10 <= body["other"]["changes"] <= most
    assert body["text"].endswith(f"of {body['other']['changes']} normal changes by team {team}")
    assert body["other"]["incident_probability"] != average["other"]["incident_probability"]


def test_a_team_of_which_little_is_known(service: Any, ticket: Callable[..., Any]) -> None:
    few = "fewer than 10 earlier normal changes"
    for team, told in (("The Newcomers", few), (None, "this change names no team")):
        change_id = service.score(ticket(assignment_group=team))["change_id"]
        refused = asked(service, change_id, "team")
        assert refused.status_code == 404
        assert told in refused.json()["detail"]


def test_against_its_earlier_revision(service: Any, ticket: Callable[..., Any]) -> None:
    told = {"backout_plan": "Copy the old files back. " * 20, "change_type": "emergency"}
    groups: dict[str, Any] = {}
    for _ in range(12):  # what the trees make of a plan hangs on the rest of the ticket
        first = ticket()
        change_id = service.score(first)["change_id"]
        assert asked(service, change_id, "revision").status_code == 404
        second = service.score({**first, **told})
        body = asked(service, change_id, "revision").json()
        check_adds_up(body)
        assert (body["revision"], body["other"]["revision"]) == (second["revision"], "1")
        groups |= {d["group"]: d for d in body["differences"]}
    assert groups
    # The same backout plan's record counts as one of this kind of change.
    assert set(groups) <= {"kind", "description", "model_track_record"}, "nothing else was changed"
    assert any(d["text"] != d["other_text"] for d in groups.values())


def test_against_a_similar_change_that_went_well(service: Any, ticket: Callable[..., Any]) -> None:
    for _ in range(5):
        answer = service.score(ticket())
        found = asked(service, answer["change_id"], "similar")
        assert found.status_code == 200
        body = found.json()
        check_adds_up(body)
        other = body["other"]["change_id"]
        assert 0 <= body["other"]["similarity"] <= 1
        with service.runtime.scorer().reading() as state:
            assert outcome_of(state, other, to_micros(service.clock.now)) == "clean"
        assert f"{other}, which went well" in body["text"]


def test_what_cannot_be_compared(service: Any, ticket: Callable[..., Any]) -> None:
    assert asked(service, "CHG-never", "average").status_code == 404
    change_id = service.score(ticket())["change_id"]
    assert asked(service, change_id, "yesterday").status_code == 422
