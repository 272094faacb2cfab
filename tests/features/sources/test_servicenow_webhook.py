"""Rows of ServiceNow's other tables: items, relations, affected items, schedules, their spans."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.records import CalendarEntry, Item, Relation
from features.sources.connections import NAME, load
from features.sources.servicenow_post import references
from features.sources.servicenow_webhook import delivery
from features.sources.vendor import Affects, Delivery, DeliveryError

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NOW = datetime(2026, 11, 20, 14, 3, 12, tzinfo=UTC)
DB, WEB = "1b0c7d22c6112276018f7705562f9cb0", "2c1d8e33d7223387129a8816673a0dc1"
TASK, KIND = "4f3a9c1e97d2f110b5c8f6c3f153af21", "1a9cb166f1571100a92eb60da2bce5c5"
SCHEDULE = "3a6e1f7797d2f110b5c8f6c3f153afb8"
NAMES = {DB: "pay-db-01", WEB: "pay-web-01", TASK: "CHG0031874", KIND: "Depends on::Used by"}
BLACKOUT = {f"schedule:{SCHEDULE}": '["blackout", "Europe/Berlin", false]'}
CONNECTION = load()["servicenow"]
TABLES = ("item", "relation", "affected", "blackout", "schedule")

ITEM = Item(
    ci="pay-db-01", known_at=datetime(2026, 11, 18, 7, 40, 2, tzinfo=UTC),
    ci_class="cmdb_ci_db_instance", criticality=1,
)  # fmt: skip
_CREATED = datetime(2026, 11, 18, 7, 45, 10, tzinfo=UTC)
RELATION = Relation(
    parent="pay-web-01", child="pay-db-01", kind="depends_on",
    occurred_at=_CREATED, known_at=_CREATED,
)  # fmt: skip
ENTRY = CalendarEntry(
    entry_id="7f2b9c6697d2f110b5c8f6c3f153af3d", kind="blackout", scope="*",
    starts_at=datetime(2026, 12, 19, 23, tzinfo=UTC),
    ends_at=datetime(2027, 1, 2, 22, 59, 59, tzinfo=UTC),
    known_at=datetime(2026, 11, 2, 9, tzinfo=UTC),
)  # fmt: skip
AFFECTS = Affects("CHG0031874", "pay-web-01", WEB, removed=False)


def example(name: str, /, **changed: Any) -> Any:
    body = json.loads((EXAMPLES / f"servicenow-{name}.json").read_text(encoding="utf-8"))
    body["record"] |= changed
    return body


def deleted(name: str, /, **changed: Any) -> Any:
    return {**example(name, **changed), "operation": "delete"}


def read(body: object, known: dict[str, str] | None = None, connection: Any = CONNECTION) -> Any:
    return delivery(body, connection, {**NAMES, **BLACKOUT} if known is None else known, now=NOW)


def codes(found: Delivery) -> set[tuple[str, str]]:
    return {(oddity.code, oddity.field) for oddity in found.oddities}


def serialised(body: Any) -> Iterator[Any]:
    """The same row as plain values, with links, and with both kinds of values."""
    for how in ("plain", "links", "all"):
        made = copy.deepcopy(body)
        for column, cell in made["record"].items():
            value = cell["value"] if isinstance(cell, dict) else cell
            is_reference = value in NAMES or value == SCHEDULE
            link = f"https://example.service-now.com/api/now/table/x/{value}"
            shown = NAMES.get(value, value)
            made["record"][column] = {
                "plain": value,
                "links": {"link": link, "value": value} if is_reference else value,
                "all": {"display_value": shown, "value": value},
            }[how]
        yield made


@pytest.mark.parametrize("name", ["item", "relation", "affected", "blackout"])
def test_every_serialisation_gives_the_same(name: str) -> None:
    expected = {"item": ITEM, "relation": RELATION, "blackout": ENTRY}.get(name)
    for body in serialised(example(name)):
        found = read(body)
        assert found.records == (() if expected is None else (expected,))
        assert found.affects == (AFFECTS if name == "affected" else None)
        assert (found.oddities, found.change) == ((), None)
        assert found.number


@pytest.mark.parametrize("name", ["relation", "affected", "blackout"])
def test_a_bare_row_is_known_by_its_columns(name: str) -> None:
    whole, row = read(example(name)), example(name)["record"]
    for body in (row, {"result": row}, {"result": [row]}):
        found = read(body)
        assert (found.records, found.affects) == (whole.records, whole.affects)


@pytest.mark.parametrize(
    "table", ["cmdb_ci", "cmdb_ci_server", "CMDB_CI", "service_offering", "u_cmdb_ci_robot"]
)
def test_an_item_is_known_by_its_table_or_class(table: str) -> None:
    row = example("item", sys_class_name=table)["record"]
    for body in ({"record": row, "table": table}, {"result": row}):
        (found,) = read(body).records
        assert found == replace(ITEM, ci_class=table)


def test_tables_called_otherwise_are_known_by_the_connections_file(tmp_path: Path) -> None:
    text = '[servicenow.tables]\nrelation = "u_needs"\n[servicenow.item]\nci = "u_label"\n'
    (tmp_path / NAME).write_text(text)
    connection = load(tmp_path)["servicenow"]
    body = {**example("relation"), "table": "u_needs"}
    assert read(body, connection=connection).records == (RELATION,)
    (found,) = read(example("item", u_label="db of payments"), connection=connection).records
    assert found.ci == "db of payments"


@pytest.mark.parametrize("name", ["item", "blackout"])
def test_nothing_is_known_after_its_arrival(name: str) -> None:
    (ahead,) = read(example(name, sys_updated_on="2026-11-20 14:04:00")).records
    assert ahead.known_at == NOW, "a clock a minute ahead is no news"
    for when, code in (
        ("2031-01-01 00:00:00", "time_ahead"), ("", "missing_field"), ("soon", "unreadable_value"),
    ):  # fmt: skip
        found = read(example(name, sys_updated_on=when))
        assert [record.known_at for record in found.records] == [NOW]
        assert (code, "sys_updated_on") in codes(found)


def test_an_item_is_learnt_by_its_id_and_stays_when_it_is_deleted() -> None:
    found = read(example("item"), {})
    assert [(ref.kind, ref.ref_id, ref.name) for ref in found.references] == [
        ("cmdb_ci", DB, "pay-db-01")
    ]
    gone = read(deleted("item"))
    assert (gone.records, codes(gone)) == ((), {("item_stays", "operation")})


def test_a_relation_that_is_deleted_ends_on_arrival() -> None:
    since, end = read(deleted("relation")).records
    assert since == RELATION
    assert end == replace(RELATION, known_at=NOW, ended_at=NOW)
    timeless = deleted("relation", sys_created_on="", sys_updated_on="")
    (end,) = read(timeless).records
    assert (end.occurred_at, end.ended_at) == (NOW, NOW)


def test_the_type_of_a_relation_may_come_as_an_id() -> None:
    (unknown,) = read(example("relation", type=KIND), {DB: "a", WEB: "b"}).records
    assert unknown.kind == "depends_on", "the usual one"
    (known,) = read(
        example("relation", type="e" * 32), {**NAMES, "e" * 32: "Runs on::Runs"}
    ).records
    assert known.kind == "runs_on"


def test_an_item_is_taken_from_a_change() -> None:
    assert read(deleted("affected")).affects == replace(AFFECTS, removed=True)


@pytest.mark.parametrize(
    ("before", "removed", "after"),
    [
        ((), False, ("a",)),
        (("b", "a"), False, ("b", "a")),
        (("id", "b"), False, ("b", "a")),  # its name is known now
        (("id", "b"), True, ("b",)),
        (("a", "b"), True, ("b",)),
        (("b",), True, ("b",)),
    ],
)
def test_affected_items_after_one_came_or_went(
    before: tuple[str, ...], removed: bool, after: tuple[str, ...]
) -> None:
    assert Affects("CHG1", "a", "id", removed).applied(before) == after


def test_references_nobody_has_named_stand_in_or_are_told() -> None:
    found = read(example("affected", task=TASK, ci_item=WEB), {})
    assert found.affects == Affects(TASK, WEB, WEB, removed=False)
    assert codes(found) == {("unresolved_reference", "cmdb_ci")}
    with pytest.raises(DeliveryError, match="whose name is known") as refused:
        read(example("relation", parent=WEB), {})
    assert refused.value.pointer == "/record/parent"


def test_a_span_is_read_with_the_schedule_it_came_with_or_that_is_known() -> None:
    alone = {k: v for k, v in example("blackout").items() if k != "schedule"}
    assert read(alone).records == (ENTRY,)
    learnt = {ref.ref_id: ref.name for ref in read(example("schedule"), {}).references}
    assert read(alone, learnt).records == (ENTRY,)
    learnt = {ref.ref_id: ref.name for ref in read(example("blackout"), {}).references}
    assert read(alone, learnt).records == (ENTRY,)
    dotted = copy.deepcopy(alone)
    dotted["record"] |= {"schedule.type": "blackout", "schedule.time_zone": "Europe/Berlin"}
    assert read(dotted, {}).records == (ENTRY,)
    assert f"schedule:{SCHEDULE}" in references(alone)
    row = example("schedule", type="")["record"]
    of_class = {"record": row, "table": "cmn_schedule_blackout"}
    assert {ref.name for ref in read(of_class, {}).references} == set(BLACKOUT.values())


def test_a_schedule_that_is_not_known_may_be_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('[servicenow]\ndisplay_zone = "Europe/Berlin"\n')
    in_berlin = load(tmp_path)["servicenow"]
    body = {k: v for k, v in example("blackout").items() if k != "schedule"}
    for name, kind in (("Change freeze, EMEA", "blackout"), ("Maintenance of core", "maintenance")):
        body["record"]["schedule"] = {"display_value": name, "value": "d" * 32}
        found = read(body, {}, in_berlin)
        assert found.records == (replace(ENTRY, kind=kind),)
        assert codes(found) == {("schedule_by_name", "schedule")}
    body["record"]["schedule"] = {"display_value": "On call", "value": "d" * 32}
    with pytest.raises(DeliveryError, match="send its row") as refused:
        read(body, {}, in_berlin)
    assert refused.value.pointer == "/record/schedule"


@pytest.mark.parametrize(
    ("schedule", "span"),
    [
        ({"type": "on_call"}, {}),
        ({"type": ""}, {}),
        ({"condition": "assignment_group=x"}, {}),
        ({}, {"repeat_type": "weekly"}),
    ],
)
def test_spans_that_are_no_entry_are_left_out_and_told(schedule: Any, span: Any) -> None:
    body = example("blackout", **span)
    body["schedule"] |= schedule
    found = read(body)
    assert found.records == ()
    assert {code for code, _ in codes(found)} == {"schedule_left_out"}


@pytest.mark.parametrize(
    ("given_", "starts"),
    [
        ("20261220T000000Z", datetime(2026, 12, 20, tzinfo=UTC)),
        ("2026-12-20 00:00:00", datetime(2026, 12, 19, 23, tzinfo=UTC)),
        ("2026-12-20T01:00:00+01:00Z", None),
        ("2026-12-20T00:00:00Z", datetime(2026, 12, 20, tzinfo=UTC)),
        ({"value": "20261220T000000", "display_value": "x"}, ENTRY.starts_at),
        ({"display_value": "2026-12-20 00:00:00"}, None),
        ("", None), ("soon", None), ("20990101T000000", None), ([], None),
    ],
)  # fmt: skip
def test_times_of_a_span(given_: Any, starts: datetime | None) -> None:
    body = example("blackout", start_date_time=given_)
    if starts is None:
        with pytest.raises(DeliveryError) as refused:
            read(body)
        assert refused.value.pointer in ("/record/start_date_time", "/record/end_date_time")
    else:
        assert [record.starts_at for record in read(body).records] == [starts]


def test_floating_times_need_a_zone(tmp_path: Path) -> None:
    body = example("blackout")
    for zone in ("floating", "", "Mars/Olympus", "/etc/passwd"):
        body["schedule"]["time_zone"] = zone
        with pytest.raises(DeliveryError, match="time zone") as refused:
            read(body)
        assert refused.value.pointer == "/record/start_date_time"


def test_a_span_that_is_deleted_is_cancelled() -> None:
    (gone,) = read(deleted("blackout", schedule="f" * 32), {}).records
    assert (gone.entry_id, gone.known_at) == (ENTRY.entry_id, NOW)
    assert gone.ends_at <= gone.starts_at


@pytest.mark.parametrize(
    ("name", "missing", "pointer"),
    [
        ("item", "name", "/record/name"),
        ("relation", "parent", "/record/parent"),
        ("relation", "child", "/record/child"),
        ("affected", "task", "/record/task"),
        ("affected", "ci_item", "/record/ci_item"),
        ("blackout", "sys_id", "/record/sys_id"),
        ("blackout", "end_date_time", "/record/end_date_time"),
        ("schedule", "sys_id", "/record/sys_id"),
    ],
)
def test_what_makes_a_row_one_is_needed(name: str, missing: str, pointer: str) -> None:
    for value in ("", None, {"value": ""}, ["x"]):
        with pytest.raises(DeliveryError) as refused:
            read(example(name, **{missing: value}))
        assert refused.value.pointer == pointer


def test_names_are_bounded() -> None:
    (found,) = read(example("item", name="é" * 5_000)).records
    assert len(found.ci) == 500


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(["20261224T220000Z", "2026-11-24 22:00:00", DB, "delete", "blackout"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["value", "display_value", "link", "type", "time_zone"]), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TABLES), st.data())
def test_odd_values_never_raise(name: str, data: st.DataObject) -> None:
    body = example(name)
    columns = st.sampled_from(sorted({*body["record"], "schedule.type"}))
    body["record"] |= data.draw(st.dictionaries(columns, ODD, max_size=6))
    beside = st.sampled_from(["operation", "schedule", "affected_cis"])
    body |= data.draw(st.dictionaries(beside, ODD, max_size=2))
    references(body)
    try:
        found = read(body)
    except DeliveryError as refused:
        assert refused.pointer.startswith("/record/")  # noqa: PT017 - all that is refused
        return
    assert found.change is None
    assert all(record.known_at <= NOW for record in found.records)
