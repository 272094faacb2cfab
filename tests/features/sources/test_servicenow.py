"""ServiceNow's rows to records: three serialisations, one change; whatever is odd degrades."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import people
from features.records import FORBIDDEN_FIELDS, Change, ChangeEvent, Incident, Link
from features.sources.connections import NAME, load
from features.sources.servicenow_post import references
from features.sources.servicenow_rows import serialisation
from features.sources.servicenow_webhook import delivery
from features.sources.vendor import Delivery, DeliveryError

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NOW = datetime(2026, 11, 20, 14, 3, 12, tzinfo=UTC)
NAMES = {
    "1b0c7d22c6112276018f7705562f9cb0": "pay-db-01",
    "26da329f0a0a0bb400f69d8159bc753d": "Payments",
    "8a4dde73c6112278017a6a4baf547aa7": "dba-core",
    "007c4001c343101035ae3f52c1d3aeb2": "Normal",
    "4f3a9c1e97d2f110b5c8f6c3f153af21": "CHG0031874",
}
EXPECTED = Change(
    change_id="CHG0031874",
    known_at=NOW,
    revision="6",
    change_type="normal",
    category="Database",
    change_model="Normal",
    short_description="Upgrade PostgreSQL 15.4 to 15.8 on pay-db-01",
    description="Minor version upgrade of the payments primary; replica first.",
    justification="CVE fixes",
    implementation_plan="1. Upgrade replica\n2. Switch over\n3. Upgrade old primary",
    backout_plan="Switch back to old primary (15 min)",
    test_plan="Smoke test on staging 2026-11-18",
    ci="pay-db-01",
    service="Payments",
    assignment_group="dba-core",
    requested_by="46c6f9efa9fe198101ddf5eed9adf6e7",
    declared_risk="moderate",
    impact="2",
    urgency="3",
    priority="3",
    cab_required=True,
    submitted_at=datetime(2026, 11, 19, 9, 12, 44, tzinfo=UTC),
    planned_start=datetime(2026, 11, 24, 22, tzinfo=UTC),
    planned_end=datetime(2026, 11, 24, 23, 30, tzinfo=UTC),
)
CONNECTION = load()["servicenow"]


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"servicenow-{name}.json").read_text(encoding="utf-8"))


def read(body: object, known: dict[str, str] | None = None) -> Delivery:
    return delivery(body, CONNECTION, NAMES if known is None else known, now=NOW)


def row(**changed: object) -> dict[str, Any]:
    return {"result": {**example("change")["result"], **changed}}


@pytest.fixture
def in_berlin(tmp_path: Path) -> Any:
    (tmp_path / NAME).write_text('[servicenow]\ndisplay_zone = "Europe/Berlin"\n')
    return load(tmp_path)["servicenow"]


@pytest.mark.parametrize("name", ["change", "change-all", "change-api", "change-display"])
def test_every_serialisation_gives_the_same_change(name: str, in_berlin: Any) -> None:
    found = delivery(example(name), in_berlin, NAMES, now=NOW)
    assert found.change == EXPECTED
    assert found.oddities == ()
    assert found.records == ()


@pytest.mark.parametrize("name", ["change-all", "change-api", "change-display"])
def test_names_are_learnt_from_where_they_are_given(name: str, in_berlin: Any) -> None:
    found = delivery(example(name), in_berlin, {}, now=NOW)
    assert found.change == EXPECTED
    learnt = {ref.ref_id: ref.name for ref in found.references if ref.kind != people.PERSON}
    assert learnt == NAMES
    persons = {ref.ref_id: ref.name for ref in found.references if ref.kind == people.PERSON}
    assert EXPECTED.requested_by is not None
    assert persons == {people.reference_id(EXPECTED.requested_by): people.digest("ana  RUIZ")}
    assert "Ruiz" not in repr(found.references)


def test_links_may_be_left_out() -> None:
    """As pysnc asks for it: ``sysparm_exclude_reference_link=true``."""
    flat = {
        name: value["value"] if isinstance(value, dict) else value
        for name, value in example("change")["result"].items()
    }
    assert read({"result": flat}).change == EXPECTED
    both = copy.deepcopy(example("change-all"))
    for value in both["result"].values():
        value.pop("link", None)
    assert read(both).change == EXPECTED


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: inner,
        lambda inner: {"result": inner},
        lambda inner: {"result": [inner]},
        lambda inner: {"record": inner, "table": "change_request", "operation": "update"},
    ],
)
def test_a_row_may_be_bare_or_wrapped(wrap: Callable[[Any], Any]) -> None:
    assert read(wrap(example("change")["result"])).change == EXPECTED


def test_display_times_without_a_zone_are_not_used() -> None:
    found = read(example("change-display"))
    assert found.change is not None
    assert found.change.planned_start is None
    assert {oddity.field for oddity in found.oddities} == {
        "start_date", "end_date", "opened_at", "sys_created_on",
    }  # fmt: skip
    assert {oddity.code for oddity in found.oddities} == {"time_without_zone"}


def test_the_hour_that_comes_twice_is_its_first_coming(in_berlin: Any) -> None:
    body = example("change-display")
    body["result"]["start_date"] = "2026-10-25 02:30:00"
    found = delivery(body, in_berlin, NAMES, now=NOW)
    assert found.change is not None
    assert found.change.planned_start == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_an_id_without_a_name_stays_an_id_and_is_told() -> None:
    found = read(example("change"), {})
    assert found.change is not None
    assert found.change.ci == "1b0c7d22c6112276018f7705562f9cb0"
    assert {oddity.code for oddity in found.oddities} == {"unresolved_reference"}


@pytest.mark.parametrize("state", ["-4", -4, -4.0, "Assess"])
def test_numbers_in_any_dress_are_the_same(state: object) -> None:
    assert read(row(state=state)).oddities == ()


@pytest.mark.parametrize(
    ("field", "given", "ours", "code"),
    [
        ("risk", "4", "low", None),
        ("risk", {"display_value": "High", "value": "3"}, "high", None),
        ("risk", "purple", "purple", "unknown_value"),
        ("impact", {"display_value": "2 - Medium", "value": "2"}, "2", None),
        ("impact", "9", "9", "unknown_value"),
        ("type", "Expedited", "emergency", None),
        ("type", {"display_value": "Normale", "value": "normal"}, "normal", None),
        ("type", ["normal"], None, "unreadable_value"),
        ("type", "", None, None),
        ("cab_required", "perhaps", None, "unreadable_value"),
        ("start_date", "yesterday", None, "unreadable_value"),
        ("start_date", "1970-13-45 99:00:00", None, "unreadable_value"),
        ("start_date", "9999-12-31 23:59:59", None, "unreadable_value"),
        ("cmdb_ci", {"link": 7, "value": None}, None, None),
        ("cmdb_ci", "mail-01", "mail-01", None),
        ("short_description", "a\x00b\ud800", "a\ufffdb?", None),
    ],
)
def test_values_and_what_becomes_of_odd_ones(
    field: str, given: object, ours: object, code: str | None
) -> None:
    ours_name = {
        "risk": "declared_risk", "type": "change_type", "start_date": "planned_start",
        "cmdb_ci": "ci",
    }.get(field, field)  # fmt: skip
    found = read(row(**{field: given}))
    assert getattr(found.change, ours_name) == ours
    assert [oddity.code for oddity in found.oddities] == ([code] if code else [])


def test_own_words_replace_those_shipped(tmp_path: Path) -> None:
    text = '[servicenow.values.declared_risk]\n3 = "low"\n"Blau" = "high"\n'
    (tmp_path / NAME).write_text(text)
    connection = load(tmp_path)["servicenow"]
    for given_, ours in (("3", "low"), ("blau", "high"), ("2", "high")):
        found = delivery(row(risk=given_), connection, NAMES, now=NOW)
        assert found.change is not None
        assert found.change.declared_risk == ours


def test_nothing_known_only_afterwards_gets_into_the_change() -> None:
    after = {
        name: "2026-11-25 01:00:00" if name.endswith(("_at", "_start", "_end")) else "4"
        for name in FORBIDDEN_FIELDS - {"state", "sys_mod_count"}
    }
    assert read(row(**after, state="3")).change == EXPECTED


def test_what_happened_to_a_change_becomes_events() -> None:
    found = read(
        row(
            state="3",
            work_start="2026-11-24 22:05:00",
            closed_at="2026-11-25 08:00:00",
            close_code="successful_issues",
        )
    )
    assert not found.withdrawn
    assert [(e.kind, e.code) for e in found.records if isinstance(e, ChangeEvent)] == [
        ("started", None),
        ("closed", "successful_issues"),
    ]
    assert all(event.known_at >= NOW for event in found.records)


def test_a_canceled_or_deleted_change_is_withdrawn() -> None:
    deleted = {"record": example("change")["result"], "operation": "delete"}
    for body in (row(state="4"), row(state="Canceled"), deleted):
        found = read(body)
        assert found.withdrawn
        assert [e.kind for e in found.records if isinstance(e, ChangeEvent)] == ["canceled"]


def test_affected_items_may_stand_beside_the_record() -> None:
    body = {
        "record": example("change")["result"],
        "affected_cis": [
            "mail-01",
            {"value": "1b0c7d22c6112276018f7705562f9cb0", "link": ""},
            {"ci_item": {"display_value": "pay-db-02", "value": "f" * 32}},
            17,
            [],
        ],
    }
    found = read(body)
    assert found.change is not None
    assert found.change.affected_cis == ("mail-01", "pay-db-01", "pay-db-02", "17")


def test_an_incident_names_its_cause() -> None:
    found = read(example("incident"))
    assert found.change is None
    first, link = found.records
    assert isinstance(first, Incident)
    assert (first.incident_id, first.priority, first.ci) == ("INC0098213", 2, "pay-db-01")
    assert first.occurred_at == datetime(2026, 11, 24, 23, 41, 7, tzinfo=UTC)
    assert isinstance(link, Link)
    assert (link.change_id, link.kind, link.source) == ("CHG0031874", "caused_by", "explicit")


def test_the_change_that_fixes_is_never_a_cause() -> None:
    body = example("incident")
    body["result"]["rfc"], body["result"]["caused_by"] = body["result"]["caused_by"], ""
    links = [record for record in read(body).records if isinstance(record, Link)]
    assert [link.kind for link in links] == ["fixed_by"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (None, ""),
        ([], ""),
        ("CHG0031874", ""),
        ({}, "/number"),
        ({"result": []}, "/result"),
        ({"result": [{}, {}]}, "/result"),
        ({"record": 3}, "/record"),
        ({"result": {"number": ""}}, "/result/number"),
        ({"result": {"number": {"a": 1}, "sys_class_name": "incident"}}, "/result/number"),
        ({"result": [{"number": ""}]}, "/result/0/number"),
    ],
)
def test_a_body_without_a_record_is_refused_with_its_place(body: object, pointer: str) -> None:
    with pytest.raises(DeliveryError) as refused:
        read(body)
    assert refused.value.pointer == pointer


def test_references_of_a_body_are_found() -> None:
    assert references(example("change")) >= set(NAMES)
    assert references(example("change-display")) >= set(NAMES) - {
        "4f3a9c1e97d2f110b5c8f6c3f153af21"
    }


def test_serialisations_are_told_apart() -> None:
    assert serialisation(example("change")["result"]) == "value"
    assert serialisation(example("change-display")["result"]) == "display"
    assert serialisation(example("change-all")["result"]) == "both"
    assert serialisation({"state": "Assess"}) == "display"
    assert serialisation({}) == "value"


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
    | st.sampled_from(["2026-11-24 22:00:00", "1b0c7d22c6112276018f7705562f9cb0", "NaN", "-4.0"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["value", "display_value", "link", "x"]), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize("table", ["problem", "cmdb", "cmdb_cix", "foo", "sc_req_item"])
def test_rows_of_other_tables_are_refused(table: str) -> None:
    with pytest.raises(DeliveryError, match=f"got '{table}'") as refused:
        read({"record": example("change")["result"], "table": table})
    assert refused.value.pointer == "/table"


@pytest.mark.parametrize(
    "table", ["change_request", "Change Request", "task", "u_rfc", "x_a_b", ""]
)
def test_rows_of_own_tables_are_changes(table: str) -> None:
    found = read({"record": example("change")["result"], "table": table})
    assert found.change is not None


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted({*example("change")["result"], *example("incident")["result"]})),
        ODD,
        max_size=12,
    ),
    ODD,
)
def test_odd_values_never_raise(changed: dict[str, object], beside: object) -> None:
    body = {"record": {**example("change")["result"], **changed}, "affected_cis": beside}
    for whole in (body, {**body, "table": beside, "operation": beside}):
        try:
            found = read(whole)
        except DeliveryError as refused:
            assert refused.pointer in ("/record/number", "/table")  # noqa: PT017 - all that is refused
            continue
        assert found.change is None or replace(found.change, known_at=NOW) == found.change
        references(whole)
