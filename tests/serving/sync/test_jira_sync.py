"""The jira client against local sites over TLS: Cloud and Data Center, pages, waits, resumption."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.progress import silent
from features.records import Change, ChangeEvent, Incident, Link
from features.settings import Settings
from features.sources import patience
from features.sources.connections import NAME
from features.sources.patience import VendorError
from features.store import Store
from serving.synchronising import Run, run

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"jira-{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda _seconds: None)


@pytest.fixture(params=["cloud", "data center"])
def site(request: pytest.FixtureRequest, jira: Any) -> Any:
    jira.cloud = request.param == "cloud"
    jira.fields = example("fields")
    return jira


@pytest.fixture
def synced(jira: Any, place: Path, environment: Any) -> Callable[..., Run]:
    place.mkdir()
    (place / NAME).write_text("[jira]\npage = 2\n")

    def synced(**given: Any) -> Run:
        settings = Settings.from_environment({"CHANGERISK_HOME": str(place)})
        return run(settings, "jira", environment(jira), now=lambda: NOW, progress=silent, **given)

    return synced


def add(site: Any, key: str, updated: str, **fields: Any) -> dict[str, Any]:
    issue = copy.deepcopy(example("webhook")["issue"])
    issue |= {"key": key, "id": str(len(site.issues) + 1)}
    issue["fields"] |= {"updated": updated, "issuelinks": [], **fields}
    site.issues[key] = issue
    return issue


def facts(store: Store, kind: type) -> list[Any]:
    table = store.load()[kind]
    return [table.record(row) for row in range(len(table))]


def test_changes_with_their_revisions_and_links(site: Any, synced: Any, opened: Store) -> None:
    issue = add(site, "CHG-1", "2026-11-20T15:00:00.000+0100")
    issue["fields"]["issuelinks"] = example("webhook")["issue"]["fields"]["issuelinks"]
    issue["changelog"] = {"total": 2, "histories": [
        {"created": "2026-11-20T14:00:00.000+0000", "items": [
            {"field": "Change start date", "fieldId": "customfield_10008",
             "from": "2026-11-22T23:00:00.000+0100", "fromString": "22/Nov/26"},
            {"field": "Link", "from": None, "to": "INC-981", "toString": "causes INC-981"},
        ]},
        {"created": "2026-11-19T10:00:00.000+0000", "items": [
            {"field": "Backout plan", "fieldId": "customfield_10032", "fromString": None},
            {"field": "labels", "fieldId": "labels", "fromString": ""},
        ]},
    ]}  # fmt: skip
    synced()
    found = sorted(facts(opened, Change), key=lambda record: record.known_at)
    assert [(r.revision, r.known_at.day, r.backout_plan, r.planned_start.day) for r in found] == [
        ("1", 19, None, 22),
        ("2", 19, "Switch back (15 min)", 22),
        ("3", 20, "Switch back (15 min)", 24),
    ]
    (link,) = facts(opened, Link)
    assert (link.incident_id, link.change_id) == ("INC-981", "CHG-1")
    assert link.known_at == datetime(2026, 11, 20, 14, tzinfo=UTC)
    assert opened.setting("source") == "jira"


def test_incidents_are_read_as_they_were_opened_and_resolved(
    site: Any, synced: Any, opened: Store
) -> None:
    issue = add(site, "INC-1", "2026-11-21T09:00:00.000+0000",
                issuetype={"name": "[System] Incident"}, priority={"name": "High"},
                resolutiondate="2026-11-21T09:00:00.000+0000")  # fmt: skip
    issue["changelog"] = {"histories": [{"created": "2026-11-21T09:00:00.000+0000", "items": [
        {"field": "resolution", "fieldId": "resolution", "fromString": None},
        {"field": "priority", "fieldId": "priority", "fromString": "Low"},
    ]}]}  # fmt: skip
    synced()
    first, second = sorted(facts(opened, Incident), key=lambda record: record.known_at)
    assert (first.priority, first.resolved_at, first.known_at.day) == (4, None, 19)
    assert (second.priority, second.resolved_at, second.known_at.day) == (2, second.known_at, 21)
    assert facts(opened, Change) == facts(opened, ChangeEvent) == []


def test_pages_are_all_read_though_many_share_a_minute(
    site: Any, synced: Any, opened: Store
) -> None:
    for number in range(1, 8):
        add(site, f"CHG-{number}", "2026-11-20T15:00:00.000+0100")
    for number in range(8, 12):
        add(site, f"CHG-{number}", f"2026-11-20T16:{number:02}:00.000+0100")
    synced()
    assert {record.change_id for record in facts(opened, Change)} == set(site.issues)


def test_a_second_run_reads_only_what_is_new(site: Any, synced: Any, opened: Store) -> None:
    add(site, "CHG-1", "2026-11-10T15:00:00.000+0100")
    other = add(site, "CHG-2", "2026-11-20T15:00:00.000+0100")
    synced()
    before = opened.counts()
    done = synced()
    assert not any(done.read.stored.values())
    assert done.read.rows["change"] == 1  # of the overlap
    assert opened.counts() == before
    other["fields"] |= {"updated": "2026-11-21T15:00:00.000+0100", "summary": "Another"}
    other["changelog"] = {"histories": [{"created": "2026-11-21T15:00:00.000+0100", "items": [
        {"field": "summary", "fieldId": "summary",
         "fromString": "Upgrade PostgreSQL 15.4 to 15.8 on pay-db-01"}]}]}  # fmt: skip
    assert synced().read.stored["change_revision"] == 1


@pytest.mark.parametrize("trouble", [[(429, {"Retry-After": "1"})], [503], ["cut"], ["cut", 429]])
def test_limits_and_cuts_are_waited_out(
    site: Any, synced: Any, opened: Store, trouble: list[Any]
) -> None:
    add(site, "CHG-1", "2026-11-20T15:00:00.000+0100")
    site.disturb = [*trouble]
    synced()
    assert len(facts(opened, Change)) == 1


def test_a_run_that_breaks_off_is_resumed(site: Any, synced: Any, opened: Store) -> None:
    for number in range(1, 7):
        add(site, f"CHG-{number}", f"2026-11-{number:02}T15:00:00.000+0000")
    answer = site.answer
    site.answer = lambda method, path, query, body: (
        (500, {"errorMessages": ["asleep"]}, {})
        if site.count("GET", "search") > 2
        else answer(method, path, query, body)
    )
    with pytest.raises(VendorError, match="500: asleep"):
        synced()
    read = len(facts(opened, Change))
    assert 2 <= read < 6
    site.answer = answer
    begun = len(site.asked)
    synced()
    assert len({record.change_id for record in facts(opened, Change)}) == 6
    queries = [query["jql"] for _, path, query in site.asked[begun:] if "search" in path]
    assert "updated >=" in queries[0]


def test_an_account_that_is_refused_ends_the_run_and_stays_secret(
    site: Any, synced: Any, caplog: pytest.LogCaptureFixture
) -> None:
    site.refuses = lambda _headers: True
    with pytest.raises(VendorError, match="does not accept the account") as refused:
        synced()
    assert "s3cret" not in str(refused.value) + caplog.text


def test_a_token_without_a_user_is_a_personal_one(jira: Any, place: Path) -> None:
    place.mkdir()
    seen: list[str] = []
    jira.fields = example("fields")
    jira.refuses = lambda headers: seen.append(headers["Authorization"]) or False
    given = {"CHANGERISK_JIRA_URL": jira.url, "CHANGERISK_JIRA_TOKEN": "pat"}
    settings = Settings.from_environment({"CHANGERISK_HOME": str(place)})
    run(settings, "jira", given, now=lambda: NOW, progress=silent, since=NOW - timedelta(days=1))
    assert set(seen) == {"Bearer pat"}


def test_the_names_of_fields_serve_the_webhooks(site: Any, synced: Any, opened: Store) -> None:
    synced()
    add(site, "CHG-1", "2026-11-20T15:00:00.000+0100")
    synced()
    with opened.references() as references:
        assert references.of_kind("jira", "field")["customfield_10008"] == "Change start date"
