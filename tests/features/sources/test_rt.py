"""Request Tracker's tickets to changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.sources.connections import load
from features.sources.rt import delivery, references
from features.sources.vendor import Delivery, DeliveryError

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CONNECTION = load()["rt"]
TICKET: dict[str, Any] = {
    "id": 4,
    "Type": "ticket",
    "Subject": "Upgrade PostgreSQL on pay-db-01",
    "Status": "new",
    "Queue": {"id": "3", "Name": "Changes"},
    "Owner": {"id": "Nobody", "type": "user"},
    "Requestor": [{"id": "ana", "type": "user"}],
    "Created": "2026-11-19T09:12:44Z",
    "Starts": "1970-01-01T00:00:00Z",
    "CustomFields": [
        {"id": "1", "name": "Change type", "values": ["Normal"]},
        {"id": "2", "name": "CI", "values": ["pay-db-01"]},
        {"id": "3", "name": "Planned start", "values": ["2026-11-24 22:00:00"]},
        {"id": "4", "name": "Backout plan", "values": []},
        {"id": "5", "name": "Risk", "values": ["Medium"]},
    ],
}


def read(body: object) -> Delivery:
    return delivery(body, CONNECTION, {}, now=NOW)


def test_a_ticket_gives_a_change() -> None:
    found = read(TICKET)
    change = found.change
    assert change is not None
    assert (change.change_id, change.change_type, change.ci) == ("RT-4", "normal", "pay-db-01")
    assert (change.declared_risk, change.assignment_group) == ("moderate", "Changes")
    assert change.backout_plan is None
    assert change.planned_start == datetime(2026, 11, 24, 22, tzinfo=UTC)
    assert change.submitted_at == datetime(2026, 11, 19, 9, 12, 44, tzinfo=UTC)
    assert change.requested_by == "ana"
    assert found.oddities == ()
    assert references(TICKET) == set()


def test_what_a_scrip_sends_gives_the_same() -> None:
    flat = {entry["name"]: (entry["values"] or [""])[0] for entry in TICKET["CustomFields"]}
    assert read({"ticket": {**TICKET, "id": "ticket/4", "CustomFields": flat}}) == read(TICKET)


def test_a_moment_that_is_not_set_is_none() -> None:
    custom = [entry for entry in TICKET["CustomFields"] if entry["name"] != "Planned start"]
    change = read({**TICKET, "CustomFields": custom}).change
    assert change is not None
    assert change.planned_start is None


def test_a_rejected_ticket_is_withdrawn() -> None:
    found = read({**TICKET, "Status": "rejected"})
    assert found.withdrawn
    assert [getattr(record, "kind", "") for record in found.records] == ["canceled"]


@pytest.mark.parametrize(
    "body", [None, [], {}, {"id": "x"}, {"id": True}, {"id": []}, {"ticket": 1}]
)
def test_a_body_without_a_ticket_is_refused(body: object) -> None:
    with pytest.raises(DeliveryError, match="id of the ticket"):
        read(body)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "Name", "name", "values"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(set(TICKET) - {"id"})), ODD))
def test_odd_values_never_raise(changed: dict[str, object]) -> None:
    assert read({**TICKET, **changed}).number == "RT-4"
