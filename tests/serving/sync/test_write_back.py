"""Scores told to the ITSM: own fields and one note, only for news, once, and retried."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.sources import patience
from features.sources.connections import NAME, load
from features.sources.jira_api import Jira
from features.sources.servicenow_api import ServiceNow
from features.store import Store
from serving.contract import Answer
from serving.writeback import KIND, JiraDesk, ServiceNowDesk, WriteBackReport, write_back

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda _seconds: None)


def answer(change_id: str, score_id: str, band: str = "high", **said: Any) -> Answer:
    factor = {
        "heading": "h", "feature": None, "value": 4.0, "reference": 1.0, "direction": "raises",
        "log_odds": 0.8, "points": 0.03, "changeable": False, "evidence": [],
    }  # fmt: skip
    groups = said.pop("groups", ("items", "notice", "plans", "team"))
    return Answer(
        **{
            "score_id": score_id, "change_id": change_id, "revision": "1", "status": "scored",
            "incident_probability": 0.087, "base_rate": 0.024, "times_base_rate": 3.6,
            "risk_band": band, "percentile": 94, "summary": "About 8.7 in 100.",
            "factors": [{**factor, "group": g, "text": f"Sentence of {g}"} for g in groups],
            "model": {"name": "change-risk", "version": "14", "trained_at": NOW,
                      "history_until": NOW, "label": "incident"},
            "as_of": NOW, "scored_at": NOW, "input_hash": "sha256:0", **said,
        }
    )  # fmt: skip


def scored(store: Store, *answers: Answer) -> None:
    for one in answers:
        with store.write("score", now=NOW) as writer:
            body = {"answer": one.model_dump(mode="json")}
            writer.append_journal(one.score_id, "score", one.change_id, body)


@pytest.fixture
def number(servicenow: Any, opened: Store) -> str:
    """The sys_id of CHG1, which the store knows, as it does CHG2's."""
    with opened.write("sync", now=NOW) as writer:
        for name in ("CHG1", "CHG2"):
            row = servicenow.add("change_request", number=name, risk="3", u_risk_band="",
                                 u_risk_probability="", work_notes="")  # fmt: skip
            writer.references.learn("servicenow", [("change_request", row["sys_id"], name)])
    return servicenow.tables["change_request"][0]["sys_id"]


@pytest.fixture
def told(
    servicenow: Any, opened: Store, place: Path, number: str
) -> Callable[..., WriteBackReport]:
    def told(**given: Any) -> WriteBackReport:
        instance = ServiceNow(servicenow.url, "us", "s3cret-token")
        desk = ServiceNowDesk(opened, instance, load(place)["servicenow"])
        url = "https://risk.example.com/"
        return write_back(opened, "servicenow", desk, now=lambda: NOW, public_url=url, **given)

    return told


def test_a_revision_that_came_after_a_later_one_is_not_written(
    servicenow: Any, opened: Store, told: Any
) -> None:
    late = [{"code": "superseded", "field": "revision", "text": "Revision 2 stands"}]
    scored(opened, answer("CHG1", "s2", "high"), answer("CHG1", "s1", "low", warnings=late))
    assert [entry["score_id"] for entry in told().written] == ["s2"]


def test_own_fields_and_one_note_are_written(servicenow: Any, opened: Store, told: Any) -> None:
    scored(opened, answer("CHG1", "s1"))
    assert [entry["change_id"] for entry in told().written] == ["CHG1"]
    (body,) = servicenow.bodies
    note = body.pop("work_notes")
    assert body == {
        "u_risk_probability": "0.0870",
        "u_risk_band": "high",
        "u_risk_model": "change-risk/14",
        "u_risk_scored_at": "2026-11-22 12:00:00",
        "u_risk_review_url": "https://risk.example.com/changes/CHG1",
    }
    assert note.splitlines() == [
        "About 8.7 in 100. Band high.",
        "Raises: Sentence of items.",
        "Raises: Sentence of notice.",
        "Raises: Sentence of plans.",
        "Model change-risk/14, scored 2026-11-22 12:00 UTC. It advises; people decide.",
        "https://risk.example.com/changes/CHG1",
    ]
    (entry,) = [entry for entry in opened.journal_entries() if entry.kind == KIND]
    assert (entry.change_id, entry.body["score_id"]) == ("CHG1", "s1")


@pytest.mark.parametrize(
    ("second", "news"),
    [
        ({}, False),
        ({"incident_probability": 0.09}, False),
        ({"groups": ("items", "notice", "plans", "calendar")}, False),
        ({"band": "moderate"}, True),
        ({"groups": ("items", "notice", "team")}, True),
        ({"groups": ("notice", "items", "plans")}, True),
    ],
)
def test_only_news_is_written(
    servicenow: Any, opened: Store, told: Any, second: dict[str, Any], news: bool
) -> None:
    scored(opened, answer("CHG1", "s1"))
    told()
    scored(opened, answer("CHG1", "s2", scored_at=NOW + timedelta(hours=1), **second))
    done = told()
    assert len(done.written) == int(news)
    assert done.unchanged == int(not news)
    assert servicenow.count("PATCH", "change_request") == 1 + int(news)
    assert told().written == []


def test_only_the_latest_score_of_a_change_is_told(
    servicenow: Any, opened: Store, told: Any
) -> None:
    scored(opened, answer("CHG1", "s1"), answer("CHG2", "s2"), answer("CHG1", "s3", "low"))
    assert {(w["change_id"], w["score_id"]) for w in told().written} == {
        ("CHG1", "s3"),
        ("CHG2", "s2"),
    }
    assert len(servicenow.bodies) == 2


def test_what_is_not_worth_telling_is_not_told(servicenow: Any, opened: Store, told: Any) -> None:
    begun = [{"code": "retrospective", "text": "t"}]
    scored(
        opened,
        answer("CHG1", "s1", status="not_scored", incident_probability=None),
        answer("CHG2", "s2", warnings=begun),
        answer("OTHER", "s3"),
    )
    done = told()
    assert (done.written, done.failed) == ([], {})
    assert servicenow.bodies == []


def test_a_dry_run_prints_what_it_would_write(servicenow: Any, opened: Store, told: Any) -> None:
    scored(opened, answer("CHG1", "s1"))
    lines = "\n".join(told(dry_run=True).lines())
    assert "would write 1" in lines
    assert "Raises: Sentence of items." in lines
    assert servicenow.bodies == []
    assert len(told().written) == 1


def test_what_failed_is_kept_and_tried_again(servicenow: Any, opened: Store, told: Any) -> None:
    scored(opened, answer("CHG1", "s1"), answer("CHG2", "s2"))
    servicenow.disturb = [None, 500]
    done = told()
    assert set(done.failed) == {"CHG1"}
    assert [entry["change_id"] for entry in done.written] == ["CHG2"]
    again = told()
    assert [entry["score_id"] for entry in again.written] == ["s1"]
    assert told().written == []


def test_after_some_failures_in_a_row_the_rest_waits(
    servicenow: Any, opened: Store, told: Any
) -> None:
    with opened.write("sync", now=NOW) as writer:
        names = [("change_request", f"{n:032x}", f"GONE{n}") for n in range(6)]
        writer.references.learn("servicenow", names)
    scored(opened, *(answer(f"GONE{n}", f"s{n}") for n in range(6)))
    assert len(told().failed) == 3
    assert servicenow.count("GET", "change_request") == 3
    assert len(opened.setting("write-back/servicenow")["pending"]) == 6


def test_a_note_is_not_written_twice_where_only_our_memory_was_lost(
    servicenow: Any, opened: Store, told: Any
) -> None:
    scored(opened, answer("CHG1", "s1"))
    told()
    opened.set_setting("write-back/servicenow", {"seq": 0, "pending": {}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serving.writeback._told", lambda *_: None)
        told()
    assert servicenow.count("PATCH", "change_request") == 1


def test_the_vendors_own_field_is_left_alone_unless_configured(
    servicenow: Any, opened: Store, told: Any, place: Path
) -> None:
    (place / NAME).write_text('[servicenow.write_back]\nrisk = "risk"\nnote = ""\n')
    scored(opened, answer("CHG1", "s1"))
    told()
    assert servicenow.tables["change_request"][0]["risk"] == "2"
    assert "work_notes" not in servicenow.bodies[0]


# Jira --------------------------------------------------------------------------------------------


@pytest.fixture
def site(jira: Any, opened: Store) -> Any:
    jira.issues["CHG-1"] = {"key": "CHG-1", "id": "1", "fields": {"summary": "x"}}
    with opened.write("sync", now=NOW) as writer:
        learnt = [("issue", "1", "CHG-1"), ("field", "customfield_90", "Incident probability")]
        writer.references.learn("jira", learnt)
    return jira


def tell_jira(site: Any, store: Store, place: Path) -> WriteBackReport:
    desk = JiraDesk(store, Jira(site.url, "us", "s3cret-token"), load(place)["jira"])
    return write_back(store, "jira", desk, now=lambda: NOW)


def test_jira_gets_a_property_and_an_internal_comment(
    site: Any, opened: Store, place: Path
) -> None:
    scored(opened, answer("CHG-1", "s1"))
    assert len(tell_jira(site, opened, place).written) == 1
    kept = site.properties["CHG-1", "change-risk"]
    assert (kept["band"], kept["score_id"], kept["told"]) == ("high", "s1", True)
    ((key, comment),) = site.comments
    assert key == "CHG-1"
    assert comment["properties"] == [{"key": "sd.public.comment", "value": {"internal": True}}]
    assert "Band high" in comment["body"]
    assert site.issues["CHG-1"]["fields"] == {"summary": "x"}


def test_jira_fields_are_set_by_name(site: Any, opened: Store, place: Path) -> None:
    text = '[jira.write_back]\nprobability = "Incident Probability"\nband = "customfield_91"\n'
    (place / NAME).write_text(text)
    scored(opened, answer("CHG-1", "s1"))
    tell_jira(site, opened, place)
    fields = site.issues["CHG-1"]["fields"]
    assert fields["customfield_90"] == 0.087
    assert fields["customfield_91"] == {"value": "High"}


def test_a_comment_that_failed_is_written_by_the_next_run_and_then_never_again(
    site: Any, opened: Store, place: Path
) -> None:
    scored(opened, answer("CHG-1", "s1"))
    answer_ = site.answer
    site.answer = lambda method, path, query, body: (
        (500, {"errorMessages": ["no"]}, {})
        if path.endswith("comment")
        else answer_(method, path, query, body)
    )
    assert set(tell_jira(site, opened, place).failed) == {"CHG-1"}
    site.answer = answer_
    assert len(tell_jira(site, opened, place).written) == 1
    assert tell_jira(site, opened, place).written == []
    assert len(site.comments) == 1
