"""Items, relations, affected items and blackouts over the webhook: kept once, counted by scores."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.catalogue import NAMES
from features.records import CalendarEntry, Change, Item, Relation

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PATH = "/v1/webhooks/servicenow"
TABLES = ("item", "relation", "affected", "blackout", "schedule")


def example(name: str, /, **changed: Any) -> Any:
    """An example moved before the clock of the test, columns of its record changed."""
    body = json.loads((EXAMPLES / f"servicenow-{name}.json").read_text(encoding="utf-8"))
    then = {"sys_created_on": "2025-05-30 08:00:00", "sys_updated_on": "2025-05-30 08:00:00"}
    body["record"] |= then | changed
    return body


def blackout(**changed: Any) -> Any:
    window = {"start_date_time": "20250604T000000", "end_date_time": "20250606T000000"}
    return example("blackout", **window | changed)


def change_of(number: str, **changed: Any) -> Any:
    body = json.loads((EXAMPLES / "servicenow-change-all.json").read_text(encoding="utf-8"))
    opened = "2025-06-01 09:12:44"
    moved = {"number": number, "sys_id": number.encode().hex().rjust(32, "0"),
             "start_date": "2025-06-04 22:00:00", "end_date": "2025-06-04 23:30:00",
             "opened_at": opened, "sys_created_on": opened}  # fmt: skip
    body["result"] |= moved | changed
    return body


def affected(number: str, item: str = "pay-web-01", **beside: Any) -> Any:
    return {**example("affected", task=number, ci_item=item), **beside}


@pytest.fixture
def post(service: Any) -> Any:
    """Sends a body a second after the last; gives the answer."""

    def post(body: object, status: int = 200) -> Any:
        service.clock.now += timedelta(seconds=1)
        reply = service.ask("POST", PATH, json=body, role="service")
        assert reply.status_code == status, reply.text
        return reply.json()

    return post


def facts(service: Any, kind: type) -> list[Any]:
    table = service.store.load()[kind]
    return [table.record(row) for row in range(len(table))]


def _known(record: Any) -> datetime:
    return record.known_at


def revisions(service: Any, number: str) -> list[tuple[str, tuple[str, ...]]]:
    mine = [one for one in facts(service, Change) if one.change_id == number]
    return [(one.revision, one.affected_cis) for one in mine]


def codes(answer: Any) -> set[str]:
    return {warning["code"] for warning in answer["warnings"]}


def value(service: Any, answer: Any, feature: str) -> float:
    """The value of a feature behind an answer."""
    entry = next(
        one for one in service.journal() if one["answer"]["score_id"] == answer["score_id"]
    )
    return float(entry["features"][NAMES.index(feature)])


@pytest.mark.parametrize("name", TABLES)
def test_the_same_body_twice_stores_nothing_new(service: Any, post: Any, name: str) -> None:
    post(change_of("CHG0031874"))
    first = post(example(name))
    counts, journal = service.store.counts(), len(service.journal())
    again = post(example(name))
    assert again["status"] == "recorded"
    assert again["new"] == {}
    assert service.store.counts() == counts
    assert len(service.journal()) == journal
    if name != "affected":
        kind = {"blackout": "calendar_entry"}.get(name, name)
        assert first["new"] == ({} if name == "schedule" else {kind: 1})
        assert (first["status"], first["warnings"]) == ("recorded", [])


def test_a_later_score_counts_a_new_relation_and_its_end(service: Any, post: Any) -> None:
    def counted(mark: str) -> float:
        return value(service, post(change_of("CHG50", sys_mod_count=mark)), "dependent_items")

    before, added = counted("6"), example("relation", parent="shop-web-77")
    post(added)
    assert counted("7") == before + 1
    gone = {**added, "operation": "delete"}
    assert post(gone)["new"] == {"relation": 1}
    assert post(gone)["new"] == {}
    assert post(added)["new"] == {}, "an insert that comes after its delete"
    assert counted("8") == before
    ours = [one for one in facts(service, Relation) if one.parent == "shop-web-77"]
    since, ended = sorted(ours, key=_known)
    assert since.known_at == datetime(2025, 5, 30, 8, tzinfo=UTC)
    assert ended.ended_at == ended.known_at > since.known_at


def test_a_later_score_counts_an_item_as_it_is_described_now(service: Any, post: Any) -> None:
    before = post(change_of("CHG51"))
    post(example("item", business_criticality="2 - somewhat critical"))
    after = post(change_of("CHG51", sys_mod_count="7"))
    known = "affected_criticality"
    assert value(service, before, known) != value(service, after, known) == 4
    last = max((one for one in facts(service, Item) if one.ci == "pay-db-01"), key=_known)
    assert (last.criticality, last.known_at) == (2, datetime(2025, 5, 30, 8, tzinfo=UTC))


def test_a_later_score_meets_a_new_blackout_until_it_is_cancelled(service: Any, post: Any) -> None:
    def met(mark: str) -> list[str]:
        answer = post(change_of("CHG52", sys_mod_count=mark))
        return [one["closed"]["entry_id"] for one in answer["collisions"] if one["closed"]]

    assert met("6") == []
    post(blackout())
    sys_id = blackout()["record"]["sys_id"]
    assert met("7") == [sys_id]
    later = {"start_date_time": "20250614T000000", "end_date_time": "20250616T000000",
             "sys_updated_on": "2025-06-01 09:00:00"}  # fmt: skip
    assert post(blackout(**later))["new"] == {"calendar_entry": 1}
    assert met("8") == []
    back = blackout(sys_updated_on="2025-06-01 10:00:00")
    assert post(back)["new"] == {"calendar_entry": 1}, "moved back"
    assert met("9") == [sys_id]
    gone = {**back, "operation": "delete"}
    assert [post(gone)["new"], post(gone)["new"]] == [{"calendar_entry": 1}, {}]
    assert met("10") == []


def test_a_span_without_its_schedule_is_understood_once_that_was_sent(
    service: Any, post: Any
) -> None:
    alone = {k: v for k, v in blackout().items() if k != "schedule"}
    refused = post(alone, 422)
    assert refused["errors"][0]["pointer"] == "/record/schedule"
    assert "cmn_schedule" in refused["errors"][0]["detail"]
    post(example("schedule"))
    assert post(alone)["new"] == {"calendar_entry": 1}
    assert post({**alone, "operation": "delete"})["new"] == {"calendar_entry": 1}
    assert len([one for one in facts(service, CalendarEntry) if one.scope == "*"]) >= 2


def test_an_item_comes_to_a_change_and_goes(service: Any, post: Any) -> None:
    post(change_of("CHG53"))
    added = post(affected("CHG53"))
    assert (added["change_id"], added["revision"]) == ("CHG53", "6+1")
    assert added["status"] in ("scored", "degraded")
    assert service.journal()[-1]["payload"]["affected_cis"] == ["pay-web-01"]
    assert post(affected("CHG53", "pay-web-02"))["revision"] == "6+2"
    assert post(affected("CHG53", operation="delete"))["revision"] == "6+3"
    assert post(affected("CHG53"))["revision"] == "6+4"
    found = revisions(service, "CHG53")
    assert found == [
        ("6", ()),
        ("6+1", ("pay-web-01",)),
        ("6+2", ("pay-web-01", "pay-web-02")),
        ("6+3", ("pay-web-02",)),
        ("6+4", ("pay-web-02", "pay-web-01")),
    ]
    current = service.ask("GET", "/v1/changes/CHG53").json()["current"]
    assert current["revision"] == "6+4"
    moments = [one.known_at for one in facts(service, Change) if one.change_id == "CHG53"]
    assert moments == sorted(moments)
    assert moments[-1] <= service.clock.now


def test_affected_items_stay_where_an_update_does_not_say_which(service: Any, post: Any) -> None:
    post(change_of("CHG54"))
    post(affected("CHG54"))
    again = post(change_of("CHG54"))
    assert again["revision"] == "6+1", "sent again it says nothing new"
    assert len(revisions(service, "CHG54")) == 2
    later = post(change_of("CHG54", sys_mod_count="7", short_description="Another"))
    assert (later["revision"], codes(later)) == ("7", set())
    assert revisions(service, "CHG54")[-1] == ("7", ("pay-web-01",))
    late = post(change_of("CHG54"))
    assert "superseded" in codes(late)
    told = {"record": change_of("CHG54")["result"] | {"sys_mod_count": "8"}, "affected_cis": []}
    assert post(told)["revision"] == "8"
    assert revisions(service, "CHG54")[-1] == ("8", ())


def test_what_belongs_to_the_same_update_counts_by_its_coming(service: Any, post: Any) -> None:
    post(change_of("CHG55"))
    post(affected("CHG55"))
    told = {"record": change_of("CHG55")["result"], "affected_cis": ["pay-web-01", "pay-web-02"]}
    assert post(told)["revision"] == "6+2"
    assert revisions(service, "CHG55")[-1] == ("6+2", ("pay-web-01", "pay-web-02"))
    assert post(told)["revision"] == "6+2"
    assert len(revisions(service, "CHG55")) == 3


def test_without_a_number_items_are_counted_on(service: Any, post: Any) -> None:
    row = change_of("CHG56", sys_mod_count="")
    assert post(row)["revision"] == "1"
    assert post(affected("CHG56"))["revision"] == "1+1"
    assert post(row)["revision"] == "1+1"
    changed = change_of("CHG56", sys_mod_count="", short_description="Another")
    assert post(changed)["revision"] == "3"


def test_items_added_at_once_are_all_there(service: Any, post: Any) -> None:
    post(change_of("CHG57"))

    def send(number: int) -> Any:
        body = affected("CHG57", f"web-{number}")
        return service.ask("POST", PATH, json=body, role="service").json()

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(send, range(6)))
    assert sorted(answer["revision"] for answer in answers) == [f"6+{n}" for n in range(1, 7)]
    current = service.ask("GET", "/v1/changes/CHG57").json()["current"]
    last = next(answer for answer in answers if answer["revision"] == "6+6")
    assert current["score_id"] == last["score_id"]
    assert "superseded" not in codes(last)
    standing = service.store.current("CHG57")
    assert sorted(standing.affected_cis) == [f"web-{number}" for number in range(6)]


def test_an_item_of_a_change_not_on_record_is_told_of(service: Any, post: Any) -> None:
    counts = service.store.counts()
    for task in ("CHG58", "f" * 32, {"display_value": "INC7", "value": "e" * 32}):
        answer = post(affected(task))
        assert (answer["status"], answer["new"]) == ("recorded", {})
        assert "unknown_change" in codes(answer)
    assert service.store.counts() == counts


def test_a_change_is_found_by_its_id_and_an_item_by_its_name(service: Any, post: Any) -> None:
    number = "CHG59"
    post(change_of(number))
    unknown = post(affected(number.encode().hex().rjust(32, "0"), "c" * 32))
    assert (unknown["change_id"], unknown["revision"]) == (number, "6+1")
    assert "unresolved_reference" in codes(unknown)
    assert revisions(service, number)[-1][1] == ("c" * 32,)
    post(example("item", sys_id="c" * 32, name="pay-web-09"))
    assert post(affected(number, "c" * 32))["revision"] == "6+2"
    assert revisions(service, number)[-1][1] == ("pay-web-09",)


def test_a_withdrawn_change_is_not_taken_up_by_its_items(service: Any, post: Any) -> None:
    post(change_of("CHG60"))
    post(affected("CHG60"))
    post(change_of("CHG60", sys_mod_count="7", state="4"))
    gone = post(affected("CHG60", operation="delete"))
    assert (gone["status"], gone["new"]) == ("recorded", {"change_revision": 1})
    assert codes(gone) == {"withdrawn"}
    ids = [one["change_id"] for one in service.ask("GET", "/v1/changes").json()["items"]]
    assert "CHG60" not in ids
    late = post(change_of("CHG60", sys_mod_count="5"))
    assert "superseded" in codes(late)


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_known_before_it_came(service: Any, post: Any, name: str) -> None:
    post(change_of("CHG0031874"))
    post(example(name, sys_created_on="2031-01-01 00:00:00", sys_updated_on="2031-01-01 00:00:00"))
    for kind in (Change, Item, Relation, CalendarEntry):
        ours = [one for one in facts(service, kind) if "pay-" in repr(one) or "7f2b9c" in repr(one)]
        assert all(one.known_at <= service.clock.now for one in ours)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"table": "problem", "record": {"number": "PRB1"}}, "/table"),
        ({"table": "cmdb_ci", "record": {}}, "/record/name"),
        ({"table": "cmdb_ci", "record": []}, "/record"),
        ({"table": "cmdb_rel_ci", "result": [{"parent": "a"}]}, "/result/0/child"),
        ({"table": "cmdb_rel_ci", "record": {"parent": "a", "child": "f" * 32}}, "/record/child"),
        ({"table": "task_ci", "record": {"task": "CHG1"}}, "/record/ci_item"),
        ({"table": "task_ci", "record": {"ci_item": "a"}}, "/record/task"),
        ({"table": "cmn_schedule_span", "record": {}}, "/record/sys_id"),
        ({"table": "cmn_schedule", "record": {"name": "x"}}, "/record/sys_id"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_place(
    shared: Any, body: Any, pointer: str
) -> None:
    reply = shared.ask("POST", PATH, json=body, role="service")
    assert reply.status_code == 422
    assert [fault["pointer"] for fault in reply.json()["errors"]] == [pointer]


@settings(max_examples=80, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.sampled_from(TABLES), st.data())
def test_no_body_makes_a_5xx(shared: Any, name: str, data: st.DataObject) -> None:
    body = example(name)
    odd = st.none() | st.integers(-9, 9) | st.text(max_size=9) | st.lists(st.text(max_size=3))
    odd |= st.sampled_from(["f" * 32, "x" * 9_000, "20261224T000000Z", {"value": 1}, {"link": "y"}])
    columns = st.sampled_from(sorted(body["record"]))
    body["record"] |= data.draw(st.dictionaries(columns, odd, max_size=4))
    body |= data.draw(st.dictionaries(st.sampled_from(["operation", "schedule"]), odd, max_size=2))
    assert shared.send(orjson.dumps(body), PATH).status_code in (200, 422)
