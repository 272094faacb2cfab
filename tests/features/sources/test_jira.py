"""Jira's issues to records: fields by name, texts from wiki and ADF, all bodies Jira sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import people
from features.records import Change, ChangeEvent, Incident, Link
from features.sources.connections import NAME, load
from features.sources.jira_text import MOST_NODES, of_document, of_wiki
from features.sources.jira_webhook import delivery, references
from features.sources.vendor import Delivery, DeliveryError

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
NOW = datetime(2026, 11, 20, 14, 3, 12, tzinfo=UTC)
CONNECTION = load()["jira"]
EXPECTED = Change(
    change_id="CHG-412",
    known_at=NOW,
    change_type="normal",
    category="Upgrade",
    short_description="Upgrade PostgreSQL 15.4 to 15.8 on pay-db-01",
    description="Minor version upgrade of the payments primary",
    implementation_plan="1. Upgrade replica\n2. Switch over",
    backout_plan="Switch back (15 min)",
    ci="payments",
    affected_cis=("payments",),
    service="Payments",
    impacted_services=("Payments",),
    requested_by="557058:1f…",
    declared_risk="moderate",
    priority="3",
    submitted_at=datetime(2026, 11, 19, 9, 12, 44, 318_000, tzinfo=UTC),
    planned_start=datetime(2026, 11, 24, 22, tzinfo=UTC),
    planned_end=datetime(2026, 11, 24, 23, 30, tzinfo=UTC),
)


def example(name: str) -> Any:
    return json.loads((EXAMPLES / f"jira-{name}.json").read_text(encoding="utf-8"))


NAMES = {entry["id"]: entry["name"] for entry in example("fields")}


def read(body: object, known: dict[str, str] | None = None) -> Delivery:
    return delivery(body, CONNECTION, NAMES if known is None else known, now=NOW)


def webhook(**changed: object) -> dict[str, Any]:
    body = example("webhook")
    body["issue"]["fields"].update(changed)
    return body


def adf(*paragraphs: str) -> dict[str, Any]:
    return {
        "type": "doc",
        "version": 1,
        "content": [
            {"type": "paragraph", "content": [{"type": "text", "text": text}]}
            for text in paragraphs
        ],
    }


def test_the_webhook_gives_the_neutral_change() -> None:
    found = read(example("webhook"))
    assert found.change == EXPECTED
    assert found.oddities == ()
    (link,) = found.records
    assert isinstance(link, Link)
    assert (link.incident_id, link.change_id, link.kind) == ("INC-981", "CHG-412", "caused_by")


def test_both_automation_payloads_give_the_same() -> None:
    bare = example("automation")
    jira_format = {"issue": example("webhook")["issue"], "timestamp": 1_795_183_392_000}
    assert read(bare) == read(jira_format) == read(example("webhook"))


def test_texts_of_rest_v3_are_documents() -> None:
    body = webhook(
        description=adf("Minor version upgrade of the payments primary"),
        customfield_10031=adf("1. Upgrade replica", "2. Switch over"),
        customfield_10032=adf("Switch back (15 min)"),
    )
    assert read(body).change == EXPECTED


def test_names_may_come_with_the_issue() -> None:
    body = example("webhook")
    body["issue"]["names"] = NAMES
    found = read(body, {})
    assert found.change == EXPECTED
    learnt = {reference.ref_id: reference.name for reference in found.references}
    ana = people.reference_id("557058:1f…")
    last = {"updated:CHG-412": "2026-11-20T14:03:10.002000+00:00"}
    assert learnt == {**NAMES, "184233": "CHG-412", ana: people.digest("Ana Ruiz"), **last}
    assert ana in references(body)
    beside = {**example("webhook"), "names": NAMES}
    assert read(beside, {}).change == EXPECTED


def test_fields_without_a_name_are_told() -> None:
    found = read(example("webhook"), {})
    assert found.change is not None
    assert found.change.planned_start is None
    assert {oddity.code for oddity in found.oddities} == {"unnamed_field"}


def test_fields_set_by_id_need_no_name(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('[jira.change]\nplanned_start = "customfield_10008"\n')
    told = {oddity.field for oddity in read(example("webhook"), {}).oddities}
    set_ = delivery(example("webhook"), load(tmp_path)["jira"], {}, now=NOW)
    assert told - {oddity.field for oddity in set_.oddities} == {"customfield_10008"}


def test_fields_may_be_set_by_id(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('[jira.change]\nplanned_start = "customfield_10008"\n')
    found = delivery(example("webhook"), load(tmp_path)["jira"], {}, now=NOW)
    assert found.change is not None
    assert found.change.planned_start == EXPECTED.planned_start


@pytest.mark.parametrize(
    ("field", "given", "ours", "code"),
    [
        ("customfield_10005", {"value": "Notfall"}, "Notfall", "unknown_value"),
        ("customfield_10005", "Emergency", "emergency", None),
        ("customfield_10006", {"value": "Critical"}, "very high", None),
        ("customfield_10006", {"self": {}}, None, "unreadable_value"),
        ("priority", {"name": "Highest"}, "1", None),
        ("priority", None, None, None),
        ("customfield_10008", "2026-11-24T22:00:00.000+0000", EXPECTED.planned_start, None),
        ("customfield_10008", "2026-11-24T22:00:00Z", EXPECTED.planned_start, None),
        ("customfield_10008", 1_795_557_600_000, EXPECTED.planned_start, None),
        ("customfield_10008", "2026-11-24", None, "unreadable_value"),
        ("customfield_10008", {"x": 1}, None, "unreadable_value"),
        ("assignee", {"accountId": "a1", "displayName": "B"}, "a1", None),
        ("components", [{"name": "a"}, {"name": "b"}, {"name": "a"}], ("a", "b"), None),
    ],
)
def test_values_and_what_becomes_of_odd_ones(
    field: str, given: object, ours: object, code: str | None
) -> None:
    name = {
        "customfield_10005": "change_type", "customfield_10006": "declared_risk",
        "customfield_10008": "planned_start", "assignee": "implementer",
        "components": "affected_cis",
    }.get(field, field)  # fmt: skip
    found = read(webhook(**{field: given}))
    assert getattr(found.change, name) == ours
    assert [oddity.code for oddity in found.oddities] == ([code] if code else [])


def test_an_incident_is_told_from_a_change_and_names_its_cause() -> None:
    kind = {"id": "77120", "type": {"name": "Causes", "outward": "causes"}}
    body = webhook(
        issuetype={"name": "[System] Incident"},
        issuelinks=[
            {**kind, "inwardIssue": {"key": "CHG-9", "fields": {}}},
            {**kind, "outwardIssue": {"key": "CHG-8"}},
            {**kind, "inwardIssue": {"key": "BUG-1", "fields": {"issuetype": {"name": "Bug"}}}},
        ],
    )
    found = read(body)
    assert found.change is None
    opened, current, *links = found.records
    assert isinstance(opened, Incident)
    assert isinstance(current, Incident)
    assert (opened.priority, opened.known_at, current.known_at) == (3, EXPECTED.submitted_at, NOW)
    assert [(link.change_id, link.kind) for link in links] == [("CHG-9", "caused_by")]


def test_a_link_that_fixes_is_never_a_cause() -> None:
    entry = {"type": {"outward": "Fixes"}, "outwardIssue": {"key": "INC-1"}}
    links = read(webhook(issuelinks=[entry])).records
    assert [link.kind for link in links] == ["fixed_by"]


def test_closed_canceled_and_deleted_changes() -> None:
    closed = read(
        webhook(resolutiondate="2026-11-25T08:00:00.000+0100", resolution={"name": "Done"})
    )
    assert not closed.withdrawn
    assert [(e.kind, e.code) for e in closed.records if isinstance(e, ChangeEvent)] == [
        ("closed", "Done")
    ]
    deleted = {**webhook(), "webhookEvent": "jira:issue_deleted"}
    for body in (webhook(status={"name": "Canceled"}), deleted):
        found = read(body)
        assert found.withdrawn
        assert [e.kind for e in found.records if isinstance(e, ChangeEvent)] == ["canceled"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (None, ""),
        ([], ""),
        ({}, "/issue/key"),
        ({"issue": []}, "/issue"),
        ({"issue": {"key": " "}}, "/issue/key"),
        ({"key": 3}, "/issue/key"),
    ],
)
def test_a_body_without_an_issue_is_refused_with_its_place(body: object, pointer: str) -> None:
    with pytest.raises(DeliveryError) as refused:
        read(body)
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    ("markup", "plain"),
    [
        ("Plain text, a_b_c and 3*4*5", "Plain text, a_b_c and 3*4*5"),
        ("{code:sql}SELECT 1{code}", "SELECT 1"),
        ("*bold* _it_ {{mono}} [~ana]", "bold it mono @ana"),
        ("* one\n** two\n- three", "one\ntwo\nthree"),
        ("||head||\n|cell|", "head\n cell"),
        ("!shot.png|thumbnail! after", "after"),
    ],
)
def test_wiki_marks_go(markup: str, plain: str) -> None:
    assert of_wiki(markup) == plain


def test_documents_of_any_make() -> None:
    item = {"type": "listItem", "content": [adf("x")["content"][0]]}
    document = {
        "type": "doc",
        "content": [
            {"type": "heading", "content": [{"type": "text", "text": "Plan"}]},
            {"type": "bulletList", "content": [item, item]},
            {"type": "paragraph", "content": [
                {"type": "mention", "attrs": {"text": "@ana"}}, {"type": "hardBreak"},
                {"type": "emoji", "attrs": {"shortName": ":ok:"}}, {"type": "status"}, 7, None,
            ]},
        ],
    }  # fmt: skip
    assert of_document(document) == "Plan\nx\nx\n@ana\n:ok:"


def test_depth_and_size_of_a_document_are_no_trouble() -> None:
    node: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(5_000):
        node = {"type": "paragraph", "content": [node]}
    assert of_document({"type": "doc", "content": [node]}) == "deep"
    many = {"type": "doc", "content": [{"type": "text", "text": "x"}] * (2 * MOST_NODES)}
    assert len(of_document(many)) == MOST_NODES - 1


def test_long_texts_take_no_time() -> None:
    for text in (
        " " * 100_000 + "x",
        "*" * 100_000,
        "[" * 100_000,
        "_a " * 30_000,
        "{code:" * 9_000,
    ):
        of_wiki(text)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["2026-11-24T22:00:00.000+0100", "causes", "[System] Incident"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "content", "text", "value", "name", "key", "id", "outward", "outwardIssue",
             "inwardIssue", "fields", "issuetype", "attrs"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(example("webhook")["issue"]["fields"])), ODD), ODD)
def test_odd_values_never_raise(changed: dict[str, object], names: object) -> None:
    body = webhook(**changed)
    body["issue"]["names"] = names
    found = read(body)
    assert found.number == "CHG-412"
    references(body)
    for whole in ({"issue": names}, {"key": "A-1", "fields": names}):
        try:
            read(whole)
        except DeliveryError as refused:
            assert refused.pointer.startswith("/issue")  # noqa: PT017 - either is what is needed
