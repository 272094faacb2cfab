"""The track record: honest sums, intervals, and "too few" where it is too few."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bands import BANDS
from models.explanation import heading
from serving import decisions
from serving.pages.record import FEW, Past, caught, make_record, reliability_groups, tally
from serving.pages.site import page_of

START = datetime(2025, 5, 1, tzinfo=UTC)

pasts = st.lists(
    st.builds(
        Past,
        change_id=st.text(min_size=1, max_size=4),
        start=st.integers(0, 90).map(lambda days: START + timedelta(days=days)),
        probability=st.floats(0.001, 0.9),
        band=st.sampled_from(BANDS),
        failed=st.booleans(),
        decision=st.sampled_from([None, "approve", "reject"]),
        override=st.booleans(),
        version=st.sampled_from([None, "1", "2"]),
    ),
    max_size=120,
)


@given(pasts, st.floats(0.01, 0.5))
def test_every_part_adds_up_to_the_whole(past: list[Past], budget: float) -> None:
    record = make_record(past, {}, {}, undecided=0, late=0, budget=budget, linked=(0, 0))
    for parts in (record.bands, record.months, record.versions):
        assert sum(part.changes for part in parts) == len(past)
        assert sum(part.happened for part in parts) == sum(p.failed for p in past)
        assert sum(p.expected for p in parts) == pytest.approx(record.total.expected)
    assert sum(group.changes for group in record.groups) in (0, len(past))
    found, every = caught(past, budget)
    assert 0 <= found <= min(every, round(budget * len(past)))


@given(st.integers(0, 60), st.integers(0, 60))
def test_intervals_hold_the_rate(failures: int, clean: int) -> None:
    past = [_past(True)] * failures + [_past(False)] * clean
    found = tally("all", past)
    low, high = found.interval
    assert 0 <= low <= found.rate + 1e-9
    assert found.rate <= high + 1e-9
    assert high <= 100
    assert found.few == (failures + clean < FEW)


def _past(failed: bool) -> Past:
    return Past(change_id="C", start=START, probability=0.1, band="low", failed=failed)


def test_wilson_as_published() -> None:
    # 1 of 10: 1.8 to 40.4 in 100 (Wilson score interval without continuity correction)
    low, high = tally("x", [_past(True)] + [_past(False)] * 9).interval
    assert (round(low, 1), round(high, 1)) == (1.8, 40.4)


def test_no_dot_of_fewer_than_twenty() -> None:
    assert reliability_groups([_past(True)] * (FEW - 1)) == []
    assert [g.changes for g in reliability_groups([_past(True)] * (2 * FEW + 1))] == [20, 21]


def test_without_outcomes_it_says_so_and_shows_the_test(approver: Any) -> None:
    said = approver.text("/track-record")
    assert "No change that was scored here before it began has a known outcome yet." in said
    assert "Before it was taken into use" in said
    assert "incidents of the period name the change that caused them" in said


def test_what_was_scored_and_what_followed_are_joined(
    desk_of: Callable[..., Any], person: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    service = desk_of()
    asked = [ticket(planned_start="2025-06-03T10:00:00Z") for _ in range(25)]
    answers = [service.score(body) for body in asked]
    late = ticket(planned_start="2025-06-02T08:00:00Z")
    service.score(late)
    board = person(service, "approver")
    for body, answer in zip(asked[:2], answers, strict=False):
        view = {"change_id": body["change_id"], "score_id": answer["score_id"], "expected": "high"}
        assert board.post("/views", view).status_code == 303
    etag = decisions.read(service.store, asked[0]["change_id"]).etag
    reason, group = "Looked at with the team.", answers[0]["factors"][0]["group"]
    data = {"change_id": asked[0]["change_id"], "etag": etag, "reason": reason,
            "decision": "approve", "not_useful": group, "looks": "too_low"}  # fmt: skip
    assert board.post("/decisions", data).status_code == 303
    for body in asked[:4]:
        incident = {
            "incident_id": f"INC-{body['change_id']}",
            "occurred_at": "2025-06-03T12:00:00Z",
            "caused_by": [body["change_id"]],
        }
        service.clock.now = datetime(2025, 6, 3, 13, tzinfo=UTC)
        assert service.ask("POST", "/v1/incidents", json=incident).status_code == 201
    service.clock.now = datetime(2025, 6, 6, tzinfo=UTC)
    early = person(service, "auditor").text("/track-record")
    assert "has a known outcome yet" in early, "failures wait for the clean ones of their week"
    service.clock.now = datetime(2025, 7, 10, tzinfo=UTC)
    said = person(service, "auditor").text("/track-record")
    assert "there were 4" in said
    expected = sum(answer["incident_probability"] for answer in answers)
    assert expected > 0
    assert "scored only after the start" in said
    assert "Jun 2025" in said
    assert re.search(r"What approvers expected themselves .* High 2 \d\.\d 2 too few", said)
    assert re.search(r"Too low 1 \d\.\d 1 too few", said)
    assert re.search(r"Approved 1 \d\.\d 1 too few", said)
    assert f"Factors called of no use {heading(group)} 1 time" in said
    led = person(service, "auditor").text(page_of(asked[0]["change_id"]))
    assert "It led to 1 incident" in led


def test_other_periods(approver: Any) -> None:
    assert "last 365 days" in approver.text("/track-record?days=365")
    assert "last 90 days" in approver.text("/track-record?days=7")
