"""The moment a change is scored for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import ChangeIn
from serving.moment import InputError, moment_of

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def change(**times: datetime | None) -> ChangeIn:
    return ChangeIn.model_validate({"change_id": "C1", **times})


def codes(found: tuple[datetime, list[Any]]) -> list[tuple[str, str | None]]:
    return [(warning.code, warning.field) for warning in found[1]]


CASES: dict[str, tuple[dict[str, datetime], datetime, list[str]]] = {
    "no times": ({}, NOW, []),
    "still to come": ({"submitted_at": NOW - DAY, "planned_start": NOW + DAY}, NOW, []),
    "starting now": ({"submitted_at": NOW - DAY, "planned_start": NOW}, NOW, []),
    "started": (
        {"submitted_at": NOW - DAY, "planned_start": NOW - HOUR}, NOW - DAY, ["retrospective"]
    ),
    "started, submission unknown": ({"planned_start": NOW - HOUR}, NOW - HOUR, ["retrospective"]),
    "submitted after it started": (
        {"submitted_at": NOW - HOUR, "planned_start": NOW - DAY}, NOW - HOUR, ["retrospective"]
    ),
    "submitted, no start": ({"submitted_at": NOW - DAY}, NOW - DAY, []),
    "submitted in the future": (
        {"submitted_at": NOW + HOUR, "planned_start": NOW + DAY}, NOW, ["impossible_time"]
    ),
    "submitted in the future, started": (
        {"submitted_at": NOW + HOUR, "planned_start": NOW - DAY}, NOW - DAY,
        ["impossible_time", "retrospective"],
    ),
    "ends before it starts": (
        {"planned_start": NOW + DAY, "planned_end": NOW + HOUR}, NOW, ["impossible_window"]
    ),
    "no time at all": (
        {"planned_start": NOW + DAY, "planned_end": NOW + DAY}, NOW, ["unusual_window"]
    ),
    "more than a year": (
        {"planned_start": NOW + DAY, "planned_end": NOW + 400 * DAY}, NOW, ["unusual_window"]
    ),
    "a month": ({"planned_start": NOW + DAY, "planned_end": NOW + 31 * DAY}, NOW, []),
    "a moment asked for": ({"planned_start": NOW + DAY, "as_of": NOW - DAY}, NOW - DAY, []),
    "a moment asked for, started": (
        {"planned_start": NOW - DAY, "as_of": NOW - HOUR}, NOW - HOUR, []
    ),
    "this very moment": ({"as_of": NOW}, NOW, []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_moment_and_what_is_odd(name: str) -> None:
    times, moment, warned = CASES[name]
    found = moment_of(change(**times), NOW)
    assert found[0] == moment
    assert [code for code, _ in codes(found)] == warned
    assert all(warning.text and warning.field in times for warning in found[1])


def test_a_moment_to_come_is_refused() -> None:
    with pytest.raises(InputError, match="/as_of: expected a moment that has passed"):
        moment_of(change(as_of=NOW + timedelta(microseconds=1)), NOW)


TIMES = st.none() | st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - the zone comes from timezones
    datetime(2199, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@given(submitted_at=TIMES, planned_start=TIMES, planned_end=TIMES)
def test_never_later_than_now(
    submitted_at: datetime | None, planned_start: datetime | None, planned_end: datetime | None
) -> None:
    asked = change(submitted_at=submitted_at, planned_start=planned_start, planned_end=planned_end)
    moment, _ = moment_of(asked, NOW)
    assert moment <= NOW
    if planned_start is None or planned_start < NOW:
        assert moment == NOW or moment in (submitted_at, planned_start)
    else:
        assert moment == NOW, "what is still to come is scored with all that is known"


def test_the_answer_tells_the_moment(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket(submitted_at="2025-03-03T10:00:00+01:00", planned_start="2025-03-05T10:00:00Z")
    body["planned_end"] = "2025-03-05T09:00:00Z"
    answer = shared.score(body)
    assert answer["as_of"] == "2025-03-03T09:00:00Z"
    assert {"retrospective", "impossible_window"} <= {w["code"] for w in answer["warnings"]}
    assert answer["levers"] == [], "nothing can be changed any more"


def test_what_came_after_the_moment_does_not_count(shared: Any, ticket: Callable[..., Any]) -> None:
    times = {"submitted_at": "2025-03-03T09:00:00Z", "planned_start": "2025-03-05T10:00:00Z"}
    body = {**ticket(**times), "planned_end": "2025-03-05T11:00:00Z"}
    first = shared.score(body)
    for _ in range(3):
        shared.score(ticket(ci=body["ci"], service=body["service"]))
    again = shared.score(body)
    assert again["factors"] == first["factors"]
    assert again["collisions"] == first["collisions"]
