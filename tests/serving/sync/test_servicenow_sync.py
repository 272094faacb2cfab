"""pysnc against a local Table API over TLS: pages, waits, cuts, resumption, what is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from features.progress import silent
from features.records import CalendarEntry, Change, ChangeEvent, Incident, Item, Link, Relation
from features.settings import Settings
from features.sources import patience
from features.sources.connections import NAME
from features.sources.patience import VendorError
from features.store import Store
from serving.synchronising import CredentialsError, Run, run

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.time, "sleep", lambda _seconds: None)


@pytest.fixture
def synced(servicenow: Any, place: Path, environment: Any) -> Callable[..., Run]:
    place.mkdir()
    (place / NAME).write_text("[servicenow]\npage = 2\n")

    def synced(**given: Any) -> Run:
        settings = Settings.from_environment({"CHANGERISK_HOME": str(place)})
        return run(
            settings,
            "servicenow",
            environment(servicenow),
            now=lambda: NOW,
            progress=silent,
            **given,
        )

    return synced


def change(server: Any, number: int, **row: str) -> dict[str, str]:
    usual = {
        "number": f"CHG{number:07}",
        "type": "normal",
        "state": "-4",
        "short_description": f"Change {number}",
        "opened_at": "2026-11-01 08:00:00",
        "start_date": "2026-12-01 22:00:00",
        "end_date": "2026-12-01 23:00:00",
    }
    return server.add("change_request", **usual | row)


def facts(store: Store, kind: type) -> list[Any]:
    table = store.load()[kind]
    return [table.record(row) for row in range(len(table))]


def numbers(store: Store) -> list[str]:
    return sorted({record.change_id for record in facts(store, Change)})


def test_a_clock_that_is_ahead_there_hides_nothing_that_comes_later(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    skewed = "2031-01-01 00:00:00"
    change(servicenow, 1, sys_updated_on=skewed, sys_created_on=skewed)
    synced()
    assert [record.known_at for record in facts(opened, Change)] == [NOW], "it was read by then"
    assert opened.setting("sync/servicenow/change") == {"until": NOW.isoformat()}
    change(servicenow, 2, sys_updated_on="2026-11-22 11:59:00")
    assert synced().read.stored["change_revision"] == 1, "the skewed one is no news"
    assert numbers(opened) == ["CHG0000001", "CHG0000002"]


def test_a_place_kept_in_the_future_is_not_waited_for(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    opened.set_setting("sync/servicenow/change", {"until": "2031-01-01T00:00:00+00:00"})
    change(servicenow, 1, sys_updated_on="2026-11-22 11:59:00")
    synced()
    assert numbers(opened) == ["CHG0000001"]


def test_all_tables_become_records(servicenow: Any, synced: Any, opened: Store) -> None:
    item = servicenow.add("cmdb_ci", name="pay-db-01", sys_class_name="cmdb_ci_db_instance",
                          business_criticality="1 - most critical")  # fmt: skip
    other = servicenow.add("cmdb_ci", name="pay-web-01")
    kind = servicenow.add("cmdb_rel_type", name="Depends on::Used by")
    servicenow.add("cmdb_rel_ci", parent=other["sys_id"], child=item["sys_id"], type=kind["sys_id"])
    made = change(servicenow, 1, cmdb_ci=item["sys_id"], risk="3")
    servicenow.add("task_ci", task=made["sys_id"], ci_item=other["sys_id"],
                   sys_created_on="2026-11-02 08:00:00",
                   sys_updated_on="2026-11-02 08:00:00")  # fmt: skip
    servicenow.add("incident", number="INC1", opened_at="2026-11-03 10:00:00", priority="2",
                   sys_created_on="2026-11-03 10:00:00", resolved_at="2026-11-03 12:00:00",
                   sys_updated_on="2026-11-05 09:00:00", caused_by=made["sys_id"],
                   sys_mod_count="4", cmdb_ci=item["sys_id"], rfc="")  # fmt: skip
    schedule = servicenow.add(
        "cmn_schedule", name="Year end", type="blackout", time_zone="Europe/Berlin"
    )
    servicenow.add("cmn_schedule_span", schedule=schedule["sys_id"],
                   start_date_time="20261220T000000", end_date_time="20270102T235959")  # fmt: skip
    servicenow.add("sys_audit_delete", tablename="change_request", documentkey=made["sys_id"],
                   sys_created_on="2026-11-20 08:00:00",
                   sys_updated_on="2026-11-20 08:00:00")  # fmt: skip
    done = synced()
    assert done.read.rows == {"item": 2, "relation": 1, "change": 1, "affected": 1,
                              "incident": 1, "blackout": 1, "deleted": 1}  # fmt: skip
    first, second, gone = sorted(facts(opened, Change), key=lambda record: record.known_at)
    assert (gone.planned_start, gone.planned_end) == (None, None), "its window is given back"
    assert gone.known_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert (first.ci, first.declared_risk, first.affected_cis) == ("pay-db-01", "moderate", ())
    assert second.affected_cis == ("pay-web-01",)
    assert second.known_at == datetime(2026, 11, 2, 8, tzinfo=UTC)
    assert {(i.ci, i.criticality) for i in facts(opened, Item)} == {
        ("pay-db-01", 1),
        ("pay-web-01", None),
    }
    (relation,) = facts(opened, Relation)
    assert (relation.parent, relation.child, relation.kind) == (
        "pay-web-01",
        "pay-db-01",
        "depends_on",
    )
    opening, later = sorted(facts(opened, Incident), key=lambda record: record.known_at)
    assert (opening.resolved_at, opening.known_at.hour) == (None, 10)
    assert later.known_at == datetime(2026, 11, 5, 9, tzinfo=UTC)
    (link,) = facts(opened, Link)
    assert (link.change_id, link.kind, link.known_at) == ("CHG0000001", "caused_by", later.known_at)
    (freeze,) = facts(opened, CalendarEntry)
    assert (freeze.kind, freeze.starts_at) == ("blackout", datetime(2026, 12, 19, 23, tzinfo=UTC))
    (gone,) = facts(opened, ChangeEvent)
    assert (gone.change_id, gone.kind) == ("CHG0000001", "canceled")
    assert opened.setting("source") == "servicenow"


def test_revisions_come_from_the_audit(servicenow: Any, synced: Any, opened: Store) -> None:
    row = change(servicenow, 1, backout_plan="Restore", sys_mod_count="3",
                 sys_updated_on="2026-11-10 09:00:00", priority="2")  # fmt: skip

    def audit(column: str, before: str, when: str, number: str) -> None:
        servicenow.add("sys_audit", tablename="change_request", documentkey=row["sys_id"],
                       fieldname=column, oldvalue=before, newvalue=row[column],
                       sys_created_on=when, record_checkpoint=number)  # fmt: skip

    audit("backout_plan", "", "2026-11-04 09:00:00", "1")
    audit("start_date", "2026-11-20 22:00:00", "2026-11-08 09:00:00", "2")
    synced()
    found = sorted(facts(opened, Change), key=lambda record: record.known_at)
    assert [(r.revision, r.known_at.day, r.backout_plan, r.planned_start.day) for r in found] == [
        ("0", 1, None, 20),
        ("1", 4, "Restore", 20),
        ("2", 8, "Restore", 1),
    ]


def test_when_a_cause_was_named_comes_from_the_audit(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    made = change(servicenow, 1)
    row = servicenow.add("incident", number="INC1", opened_at="2026-11-03 10:00:00", priority="1",
                         sys_created_on="2026-11-03 10:00:00", sys_updated_on="2026-11-09 09:00:00",
                         caused_by=made["sys_id"])  # fmt: skip
    for column, before, when in (("caused_by", "", "2026-11-06 09:00:00"),
                                 ("priority", "3", "2026-11-04 09:00:00")):  # fmt: skip
        servicenow.add("sys_audit", tablename="incident", documentkey=row["sys_id"],
                       fieldname=column, oldvalue=before, sys_created_on=when)  # fmt: skip
    synced()
    (link,) = facts(opened, Link)
    assert link.known_at == datetime(2026, 11, 6, 9, tzinfo=UTC)
    first, second = sorted(facts(opened, Incident), key=lambda record: record.known_at)
    assert [(first.priority, first.known_at.day), (second.priority, second.known_at.day)] == [
        (3, 3), (1, 4)
    ]  # fmt: skip


def test_rows_of_one_second_over_several_pages_are_all_read(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    for number in range(1, 8):
        change(servicenow, number)
    change(servicenow, 8, sys_updated_on="2026-11-01 08:00:01")
    done = synced()
    assert done.read.rows["change"] == 8
    assert len(numbers(opened)) == 8
    assert all(query["sysparm_offset"] == "0" for _, _, query in servicenow.asked)


def test_a_second_run_reads_what_is_new_and_stores_nothing_twice(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    old = change(servicenow, 1)
    change(servicenow, 2, sys_updated_on="2026-11-10 08:00:00")
    synced()
    before = opened.counts()
    assert not any(synced().read.stored.values())
    assert opened.counts() == before
    old |= {
        "short_description": "Another",
        "sys_updated_on": "2026-11-21 08:00:00",
        "sys_mod_count": "1",
    }
    change(servicenow, 3, sys_updated_on="2026-11-21 08:00:00")
    done = synced()
    assert done.read.stored["change_revision"] == 2
    assert done.read.rows["change"] == 3  # with the one of the overlap
    assert done.read.until["change"] == "2026-11-21T08:00:00+00:00"


def test_an_update_that_says_nothing_new_is_no_revision(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    row = change(servicenow, 1)
    synced()
    row |= {"sys_updated_on": "2026-11-21 08:00:00", "sys_mod_count": "1", "work_notes": "hello"}
    assert synced().read.stored["change_revision"] == 0


@pytest.mark.parametrize(
    "trouble", [[(429, {"Retry-After": "1"})], [429, 503, 502], ["cut"], ["cut", 429, "cut"]]
)
def test_limits_and_cuts_are_waited_out(
    servicenow: Any, synced: Any, opened: Store, trouble: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(servicenow, 1)
    servicenow.disturb = list(trouble)
    synced()
    assert numbers(opened) == ["CHG0000001"]
    assert servicenow.disturb == []


def test_what_a_server_asks_for_is_waited(
    servicenow: Any, synced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", waited.append)
    servicenow.disturb = [(429, {"Retry-After": "7"}), (429, {"Retry-After": "99999"})]
    synced()
    assert waited[:2] == [7, patience.LONGEST_WAIT]


def test_a_run_that_breaks_off_is_resumed(servicenow: Any, synced: Any, opened: Store) -> None:
    for number in range(1, 7):
        change(servicenow, number, sys_updated_on=f"2026-11-{number:02} 08:00:00")
    pages = 0
    answer = servicenow.answer

    def broken(method: str, path: str, query: Any, body: Any) -> Any:
        nonlocal pages
        if "change_request" in path:
            pages += 1
            if pages > 3:
                return 500, {"error": {"message": "the instance goes to sleep"}}, {}
        return answer(method, path, query, body)

    servicenow.answer = broken
    with pytest.raises(VendorError, match="goes to sleep"):
        synced()
    read = numbers(opened)
    assert 2 <= len(read) < 6
    assert opened.setting("sync/servicenow/change") == {
        "until": f"2026-11-{len(read):02}T08:00:00+00:00"
    }
    servicenow.answer = answer
    done = synced()
    assert len(numbers(opened)) == 6
    assert done.read.rows["change"] == 6 - len(read) + 1


def test_a_session_that_has_run_out_is_begun_anew(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    servicenow.stale_cookies = True
    change(servicenow, 1)
    synced()
    assert numbers(opened) == ["CHG0000001"]


def test_an_account_that_is_refused_ends_the_run_and_stays_secret(
    servicenow: Any, synced: Any, caplog: pytest.LogCaptureFixture
) -> None:
    servicenow.refuses = lambda _headers: True
    with pytest.raises(VendorError, match="does not accept the account") as refused:
        synced()
    assert refused.value.exit_code == 1
    assert "s3cret" not in str(refused.value) + caplog.text


def test_tables_that_may_not_be_read_are_left_out(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    servicenow.forbidden = {"cmdb_rel_ci", "sys_audit", "task_ci", "sys_audit_delete"}
    change(servicenow, 1, sys_updated_on="2026-11-09 08:00:00", sys_mod_count="2")
    done = synced()
    assert {note.split(" ")[0] for note in done.read.notes} == {"relation", "affected", "deleted"}
    assert any("no_audit" in odd for odd in done.read.odd)
    (record,) = facts(opened, Change)
    assert (record.known_at.day, record.revision) == (9, "2")


def test_without_an_audit_a_change_may_be_taken_as_opened(
    servicenow: Any, synced: Any, opened: Store, place: Path
) -> None:
    (place / NAME).write_text('[servicenow]\nwithout_audit = "opened"\naudit = false\n')
    row = change(servicenow, 1, sys_updated_on="2026-11-09 08:00:00")
    synced()
    assert [record.known_at.day for record in facts(opened, Change)] == [1]
    row |= {"short_description": "Another", "sys_updated_on": "2026-11-20 08:00:00"}
    synced()
    assert sorted(record.known_at.day for record in facts(opened, Change)) == [1, 20]
    assert servicenow.count("GET", "sys_audit") == servicenow.count("GET", "sys_audit_delete")


def test_a_dry_run_stores_nothing_and_goes_nowhere(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    change(servicenow, 1)
    done = synced(dry_run=True)
    assert done.read.stored["change"] == 1
    assert "would store" in "\n".join(done.lines())
    assert opened.watermark() == 0
    assert opened.setting("sync/servicenow/change") is None


def test_since_begins_elsewhere(servicenow: Any, synced: Any, opened: Store) -> None:
    change(servicenow, 1)
    change(servicenow, 2, sys_updated_on="2026-11-20 08:00:00")
    synced(since=NOW - timedelta(days=7))
    assert numbers(opened) == ["CHG0000002"]


def test_rows_that_are_no_records_are_told_and_left_out(
    servicenow: Any, synced: Any, opened: Store
) -> None:
    servicenow.add("change_request", number="", short_description="?")
    servicenow.add("incident", number="")
    servicenow.add("cmdb_ci", name="")
    change(servicenow, 1, start_date="soon", risk="purple")
    done = synced()
    assert numbers(opened) == ["CHG0000001"]
    codes = {odd.split(":")[0] for odd in done.read.odd}
    assert {"no_record", "unreadable_value", "unknown_value"} <= codes


@pytest.mark.parametrize("missing", ["URL", "USER", "PASSWORD"])
def test_what_the_environment_lacks_is_named(place: Path, missing: str) -> None:
    place.mkdir()
    given = {"CHANGERISK_SERVICENOW_URL": "https://127.0.0.1:1", "CHANGERISK_SERVICENOW_USER": "a",
             "CHANGERISK_SERVICENOW_PASSWORD": "b"}  # fmt: skip
    del given[f"CHANGERISK_SERVICENOW_{missing}"]
    settings = Settings.from_environment({"CHANGERISK_HOME": str(place)})
    with pytest.raises(CredentialsError, match=f"CHANGERISK_SERVICENOW_{missing}"):
        run(settings, "servicenow", given, now=lambda: NOW, progress=silent)


def test_only_https_is_spoken(place: Path) -> None:
    place.mkdir()
    given = {"CHANGERISK_SERVICENOW_URL": "http://127.0.0.1:1", "CHANGERISK_SERVICENOW_USER": "a",
             "CHANGERISK_SERVICENOW_PASSWORD": "b"}  # fmt: skip
    settings = Settings.from_environment({"CHANGERISK_HOME": str(place)})
    with pytest.raises(VendorError, match="https"):
        run(settings, "servicenow", given, now=lambda: NOW, progress=silent)


def test_a_certificate_nobody_vouches_for_is_refused(
    servicenow: Any, synced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(VendorError, match="certificate"):
        synced()


def test_the_command_line(servicenow: Any, place: Path, environment: Any, cli: Any) -> None:
    place.mkdir()
    change(servicenow, 1)
    ran = cli(place, "sync", "servicenow", "--json", **environment(servicenow))
    assert ran.code == 0, ran.err
    (content,) = ran.lines()
    assert content["read"]["stored"]["change_revision"] == 1
    assert content["written"] is None
    assert "s3cret" not in ran.out + ran.err
    servicenow.refuses = lambda _headers: True
    ran = cli(place, "sync", "servicenow", **environment(servicenow))
    assert ran.code == 1
    assert "does not accept the account" in ran.err
    assert cli(place, "sync", "jira").code == 2
    assert cli(place, "sync", "example").out.startswith("# How your ITSM's fields")
