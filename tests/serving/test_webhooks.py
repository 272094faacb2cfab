"""Vendor bodies as they come: scored by the same scorer, recorded, or refused and kept."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.records import Change, ChangeEvent, Incident, Link
from features.sources.connections import NAME
from serving.kept import MOST, Kept, blank_people

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NOW = datetime(2025, 6, 2, tzinfo=UTC)
PATHS = ["/v1/webhooks/servicenow", "/v1/webhooks/jira", "/v1/webhooks/rt"]


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def change_row(number: str, **fields: object) -> dict[str, Any]:
    """A change still to come for the test's clock, of items the organisation has."""
    row = example("servicenow-change")["result"]
    opened = "2025-06-01 09:12:44"
    moved = {"start_date": "2025-06-04 22:00:00", "end_date": "2025-06-04 23:30:00",
             "opened_at": opened, "sys_created_on": opened}  # fmt: skip
    return (
        {**row, "sys_id": number.encode().hex().rjust(32, "0"), "number": number} | moved | fields
    )


def incident_row(**fields: object) -> dict[str, Any]:
    """An incident that was opened before the test's clock."""
    moved = {"opened_at": "2025-06-01 10:00:00", "sys_created_on": "2025-06-01 10:00:00",
             "resolved_at": "", "sys_updated_on": "2025-06-01 11:00:00"}  # fmt: skip
    return {"result": example("servicenow-incident")["result"] | moved | fields}


@pytest.fixture
def kept(service: Any) -> Callable[[], list[Any]]:
    return lambda: list(Kept(service.home / "rejected" / "webhooks").bodies())


def posted(service: Any, body: object, path: str = PATHS[0], role: str = "service") -> Any:
    return service.ask("POST", path, json=body, role=role)


def test_a_change_gets_the_answer_of_the_neutral_route(service: Any) -> None:
    answer = posted(service, {"result": change_row("CHG1")}).json()
    assert answer["status"] in ("scored", "degraded")
    assert (answer["change_id"], answer["revision"]) == ("CHG1", "6")
    entry = service.journal()[-1]
    neutral = {k: v for k, v in entry["payload"].items() if v not in (None, [], {})}
    again = service.score({**neutral, "change_id": "CHG1"})
    for field in ("incident_probability", "risk_band", "factors", "input_hash"):
        if field != "input_hash":  # the moment differs
            assert again[field] == answer[field]


def test_odd_values_are_warnings_of_the_answer_and_of_the_journal(service: Any) -> None:
    answer = posted(service, change_row("CHG2", risk="purple", start_date="soon")).json()
    codes = {(warning["code"], warning["field"]) for warning in answer["warnings"]}
    assert {("unknown_value", "declared_risk"), ("unreadable_value", "start_date")} <= codes
    assert service.journal()[-1]["answer"]["warnings"] == answer["warnings"]


def test_what_is_odd_about_a_field_is_said_once(service: Any) -> None:
    answer = posted(service, change_row("CHG8", type="purple")).json()
    odd = [warning for warning in answer["warnings"] if warning["field"] == "change_type"]
    assert [warning["code"] for warning in odd] == ["unknown_value"]


def test_an_incident_without_its_time_says_that_it_counts_from_now_on(service: Any) -> None:
    def warned(**fields: object) -> set[tuple[str, str]]:
        reply = posted(service, incident_row(**fields)).json()
        return {(warning["code"], warning["field"]) for warning in reply["warnings"]}

    timeless = {"opened_at": "", "sys_created_on": ""}
    assert ("missing_field", "occurred_at") in warned(number="INC8", **timeless)
    assert ("missing_field", "occurred_at") not in warned(number="INC9")


def test_names_learnt_from_one_body_serve_the_next(service: Any) -> None:
    posted(service, example("servicenow-change-all"))
    answer = posted(service, {"result": change_row("CHG3")}).json()
    assert service.journal()[-1]["payload"]["ci"] == "pay-db-01"
    assert "unresolved_reference" not in {warning["code"] for warning in answer["warnings"]}


def test_an_incident_becomes_history_and_names_its_cause(service: Any) -> None:
    posted(service, example("servicenow-change-all"))
    before = service.store.counts()
    reply = posted(service, example("servicenow-incident"))
    assert reply.json()["status"] == "recorded"
    assert reply.json()["number"] == "INC0098213"
    assert reply.json()["new"] == {"incident": 1, "link": 1}
    history = service.store.load()
    (link,) = [history[Link].record(row) for row in range(len(history[Link]))
               if history[Link]["incident_id"][row] == "INC0098213"]  # fmt: skip
    assert (link.change_id, link.kind) == ("CHG0031874", "caused_by")
    after = service.store.counts()
    assert after["incident"] == before["incident"] + 1


def test_the_same_body_again_is_no_news(service: Any) -> None:
    posted(service, incident_row())
    service.clock.now += timedelta(hours=1)
    counts = service.store.counts()
    assert posted(service, incident_row()).json()["new"] == {}
    assert service.store.counts() == counts
    assert posted(service, incident_row(priority="1")).json()["new"] == {"incident": 1}


def test_a_resolution_is_a_fact_of_its_own(service: Any) -> None:
    opened = incident_row(number="INC7", caused_by="")
    assert posted(service, opened).json()["new"] == {"incident": 1}
    resolved = incident_row(number="INC7", caused_by="", resolved_at="2025-06-02 09:00:00")
    assert posted(service, resolved).json()["new"] == {"incident": 1}
    incidents = service.store.load()[Incident]
    known = sorted(
        incidents.record(row).known_at
        for row in range(len(incidents))
        if incidents["incident_id"][row] == "INC7"
    )
    assert known == [datetime(2025, 6, 1, 10, tzinfo=UTC), service.clock.now]


@pytest.mark.parametrize("how", [{"state": "4"}, {"state": "Canceled"}])
def test_a_canceled_change_is_recorded_and_not_scored(service: Any, how: dict[str, str]) -> None:
    answer = posted(service, change_row("CHG4", **how)).json()
    assert answer["status"] == "not_scored"
    assert "withdrawn" in {warning["code"] for warning in answer["warnings"]}
    events = service.store.load()[ChangeEvent]
    mine = events["change_id"] == "CHG4"
    assert events["kind"][mine].tolist() == ["canceled"]
    service.clock.now += timedelta(minutes=1)
    posted(service, change_row("CHG4", **how))
    assert (service.store.load()[ChangeEvent]["change_id"] == "CHG4").sum() == 1


def queued(service: Any, change_id: str) -> bool:
    items = service.ask("GET", "/v1/changes", params={"limit": 200}).json()["items"]
    return change_id in {item["change_id"] for item in items}


def met(service: Any, number: str, **row: object) -> set[str]:
    service.clock.now += timedelta(seconds=1)
    answer = posted(service, change_row(number, **row)).json()
    return {found["change_id"] for found in answer["collisions"]}


def test_a_withdrawn_change_gives_its_window_back_until_it_is_taken_up_again(
    service: Any, person_of: Any
) -> None:
    posted(service, change_row("CHG40", sys_mod_count="3"))
    assert "CHG40" in met(service, "CHG41")
    service.clock.now += timedelta(minutes=1)
    posted(service, change_row("CHG40", sys_mod_count="4", state="4"))
    assert not queued(service, "CHG40")
    assert "CHG40" not in met(service, "CHG41", sys_mod_count="7")
    service.clock.now += timedelta(minutes=1)
    late = posted(service, change_row("CHG40", sys_mod_count="3")).json()
    assert "superseded" in {warning["code"] for warning in late["warnings"]}
    assert not queued(service, "CHG40")
    read = person_of(service, "approver")
    assert "withdrawn" in read("/changes/CHG40").lower()
    posted(service, change_row("CHG40", sys_mod_count="5", state="-5"))
    assert queued(service, "CHG40")
    assert "CHG40" in met(service, "CHG41", sys_mod_count="8")
    assert "withdrawn" not in read("/changes/CHG40").lower()


def test_an_issue_taken_up_again_as_it_was_has_its_window_again(service: Any) -> None:
    body = example("jira-webhook")
    fields = body["issue"]["fields"]
    fields["Change start date"] = "2025-06-05T22:00:00.000+0000"
    posted(service, body, PATHS[1])
    service.clock.now += timedelta(minutes=1)
    status, fields["status"] = fields["status"], {"name": "Canceled"}
    assert posted(service, body, PATHS[1]).json()["status"] == "not_scored"
    service.clock.now += timedelta(minutes=1)
    fields["status"] = status
    again = posted(service, body, PATHS[1]).json()
    assert again["revision"] == "3", "withdrawn, it had a revision of its own"
    table = service.store.load()[Change]
    starts = [
        (table.record(row).revision, table.record(row).planned_start is not None)
        for row in range(len(table))
        if table["change_id"][row] == "CHG-412"
    ]
    assert starts == [("1", True), ("2", False), ("3", True)]


def test_a_number_with_a_line_break_is_refused_and_leaves_nothing(
    service: Any, kept: Callable[[], list[Any]]
) -> None:
    row = change_row("CHG\n1", state="4")  # canceled: that alone would be recorded
    before = service.rows()
    refused = posted(service, {"result": row})
    assert (refused.status_code, len(kept())) == (422, 1)
    assert "control characters" in refused.text
    assert service.rows() == before


def test_a_change_can_be_withdrawn_without_a_webhook(service: Any, ticket: Any) -> None:
    body = ticket()
    service.score(body)
    service.clock.now += timedelta(minutes=1)
    path = f"/v1/changes/{body['change_id']}/outcome"
    taken = service.ask("POST", path, json={"kind": "canceled"}, role="service")
    assert (taken.status_code, taken.json()["recorded"]) == (201, {"change_event": 1})
    assert not queued(service, body["change_id"])
    assert service.ask("POST", path, json={"kind": "canceled"}).status_code == 200, "no news"


def test_jira_counts_revisions_by_content(service: Any) -> None:
    body = example("jira-webhook")
    first = posted(service, body, PATHS[1]).json()
    assert first["change_id"] == "CHG-412"
    same = posted(service, body, PATHS[1]).json()
    body["issue"]["fields"]["summary"] = "Upgrade PostgreSQL 15.4 to 16.1 on pay-db-01"
    other = posted(service, body, PATHS[1]).json()
    assert [first["revision"], same["revision"], other["revision"]] == ["1", "1", "2"]


def test_an_issue_that_comes_after_a_later_state_of_it_does_not_stand(service: Any) -> None:
    service.clock.now = datetime(2026, 11, 21, tzinfo=UTC)
    body = example("jira-webhook")
    fields = body["issue"]["fields"]
    updated = {"updated": "2026-11-20T15:04:00.000+0100", "summary": "The later title"}
    later = {**body, "issue": {**body["issue"], "fields": {**fields, **updated}}}
    first = posted(service, later, PATHS[1]).json()
    late = posted(service, body, PATHS[1]).json()
    assert "superseded" in {warning["code"] for warning in late["warnings"]}
    current = service.ask("GET", "/v1/changes/CHG-412").json()["current"]
    assert (current["title"], current["score_id"]) == ("The later title", first["score_id"])
    fields["updated"] = "2026-11-20T15:05:00.000+0100"
    fields["status"] = {"name": "Review again"}
    assert posted(service, body, PATHS[1]).json()["revision"] == "2"


def test_a_site_whose_clock_is_ahead_holds_nothing_up(service: Any) -> None:
    body = example("jira-webhook")  # its last update is to come, by the clock of the test
    assert posted(service, body, PATHS[1]).json()["revision"] == "1"
    body["issue"]["fields"] |= {"updated": "2025-06-02T08:00:00.000+0000", "summary": "Corrected"}
    answer = posted(service, body, PATHS[1]).json()
    assert answer["revision"] == "2"
    assert "superseded" not in {warning["code"] for warning in answer["warnings"]}


def test_without_a_number_revisions_of_servicenow_are_counted(service: Any) -> None:
    marks = []
    for title in ("Upgrade", "Upgrade", "Upgrade and restart"):
        row = change_row("CHG42", short_description=title)
        del row["sys_mod_count"]
        marks.append(posted(service, row).json()["revision"])
    assert marks == ["1", "1", "2"]


def test_a_ticket_of_rt_is_scored(service: Any) -> None:
    answer = posted(service, {"id": 4, "Subject": "Upgrade", "CustomFields": []}, PATHS[2]).json()
    assert answer["change_id"] == "RT-4"
    assert answer["status"] in ("scored", "degraded")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("content", "status", "pointer"),
    [
        (b"{", 400, None),
        (b"\xff\xfe", 400, None),
        (b"[]", 422, None),
        (b"{}", 422, None),
        (b'{"result": [], "issue": [], "ticket": []}', 422, None),
    ],
)
def test_a_bad_body_is_refused_and_kept(
    shared: Any, path: str, content: bytes, status: int, pointer: str | None
) -> None:
    journal = shared.rows()["journal"]
    reply = shared.send(content, path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    if pointer is not None:
        assert reply.json()["errors"][0]["pointer"] == pointer
    *_, last = Kept(shared.home / "rejected" / "webhooks").bodies()
    assert last.vendor == path.rsplit("/", 1)[1]
    assert last.problem == reply.json()["detail"]
    assert (orjson.dumps(last.body) if last.raw is None else last.raw) == content.replace(b" ", b"")
    assert stat.S_IMODE(last.path.stat().st_mode) == 0o600
    assert shared.rows()["journal"] == journal


def test_a_body_of_another_kind_is_refused_and_kept(service: Any, kept: Any) -> None:
    reply = service.send(b"number=CHG1", PATHS[0], headers={"Content-Type": "text/plain"})
    assert reply.status_code == 415
    assert kept()[0].raw == b"number=CHG1"


def test_people_are_blanked_in_what_is_kept(service: Any, kept: Any) -> None:
    posted(
        service,
        {"result": {"number": "", "requested_by": {"value": "ana"}, "x": [{"reporter": "b"}]}},
    )
    assert kept()[0].body == {"result": {"number": "", "requested_by": "", "x": [{"reporter": ""}]}}


def test_what_was_kept_is_understood_after_a_correction(service: Any, kept: Any, cli: Any) -> None:
    row = change_row("")
    row["u_ticket"] = "CHG9"
    assert posted(service, row).status_code == 422
    (service.home / NAME).write_text('[servicenow.change]\nchange_id = "u_ticket"\n')
    listed = cli(service.home, "sync", "rejected", "--json")
    assert [entry["outcome"] for entry in listed.lines()[0]["bodies"]] == [
        "the record could not be understood"
    ]
    again = cli(service.home, "sync", "rejected", "--replay")
    assert "CHG9: " in again.out
    assert kept() == []
    assert service.journal()[-1]["answer"]["change_id"] == "CHG9"


def test_the_folder_never_grows_beyond_its_bound(tmp_path: Path) -> None:
    folder = Kept(tmp_path)
    for number in range(MOST + 5):
        folder.keep("jira", b"%d" % number, {"detail": "x"}, NOW)
    left = [body.body for body in folder.bodies()]
    assert left == list(range(5, MOST + 5))


def test_a_deep_or_wide_body_is_kept_without_its_content() -> None:
    deep: Any = {}
    for _ in range(5_000):
        deep = {"x": deep}
    assert blank_people(deep)
    assert not blank_people([[1, 2]] * 20_000)


@pytest.mark.parametrize(("role", "status"), [("service", 200), ("admin", 200), ("requester", 403),
                                              ("auditor", 403), (None, 401)])  # fmt: skip
def test_who_may_send(shared: Any, role: str | None, status: int) -> None:
    assert posted(shared, change_row("CHG5"), role=role).status_code == status


def test_own_settings_are_read_while_the_service_runs(service: Any) -> None:
    path = service.home / NAME
    path.write_text('[servicenow.change]\nbackout_plan = "u_way_back"\n')
    posted(service, change_row("CHG6", u_way_back="Restore the snapshot"))
    assert service.journal()[-1]["payload"]["backout_plan"] == "Restore the snapshot"
    path.write_text("[servicenow.chang]\n")
    answer = posted(service, change_row("CHG7", u_way_back="Restore the snapshot")).json()
    assert "connections_unreadable" in {warning["code"] for warning in answer["warnings"]}
    assert service.journal()[-1]["payload"]["backout_plan"] == "Restore the snapshot"


def test_without_a_store_incidents_are_to_be_sent_again(service: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(service.runtime, "scorer", lambda: None)
    from serving.inbox import VENDORS, Inbox

    inbox = Inbox(service.runtime)
    answer = inbox.receive(VENDORS["servicenow"], change_row("CHG8"), service.runtime.answer)
    assert answer.status == "not_scored"
    from features.store import StoreError

    with pytest.raises(StoreError):
        inbox.receive(VENDORS["servicenow"], example("servicenow-incident"), service.runtime.answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["number", "result", "issue", "fields", "key", "id", "summary", "value",
                         "display_value", "link", "CustomFields", "state", "issuelinks", "type"]),
        inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(JSON, st.sampled_from(PATHS))
def test_no_body_makes_a_5xx(shared: Any, body: object, path: str) -> None:
    assert shared.send(orjson.dumps(body), path).status_code in (200, 422)
