"""Earlier changes like one to be scored: those known then, the most alike first, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.history import History
from features.records import Change, Record
from features.similar import similar_changes as similar
from tests.features.asked import caused, opened, planned, question

Day = Callable[[float], datetime]
SLOW_DRAWS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture
def precedents(day: Day) -> list[Record]:
    """Four earlier changes; the second broke something, which was linked on day 40."""
    titles = ("Patch web-01 now", "Patch web-01 again", "Move the rack", "Patch web-01 soon")
    changes = [
        planned(f"CHG-{n}", day(10 + n), ci="web-01", assignment_group="dba", short_description=t)
        for n, t in enumerate(titles)
    ]
    broken = opened("INC-1", day(12), ci="web-01")
    return [*changes, broken, caused("INC-1", "CHG-1", day(40))]


@pytest.fixture
def upcoming(day: Day) -> Change:
    return planned(
        "CHG-9", day(50), ci="web-01", assignment_group="dba", short_description="Patch web-01 now"
    )


def test_outcome_and_incidents_as_known_then(
    day: Day, precedents: list[Record], upcoming: Change
) -> None:
    def told(as_of: datetime) -> dict[str, tuple[str, tuple[str, ...]]]:
        asked = question(precedents, upcoming, as_of)
        return {s.change_id: (s.outcome, s.incidents) for s in similar(asked, limit=9)}

    assert told(day(20)) == {}  # nothing is decided yet
    clean = ("clean", ())
    assert told(day(39)) == dict.fromkeys(("CHG-0", "CHG-1", "CHG-2", "CHG-3"), clean)
    assert told(day(41)) == {
        **dict.fromkeys(("CHG-0", "CHG-2", "CHG-3"), clean),
        "CHG-1": ("caused", ("INC-1",)),
    }


def test_most_alike_first(day: Day, precedents: list[Record], upcoming: Change) -> None:
    found = similar(question(precedents, upcoming, day(41)), limit=9)
    likeness = [one.similarity for one in found]
    assert likeness == sorted(likeness, reverse=True)
    assert all(0 <= value <= 1 for value in likeness)
    assert (found[0].change_id, found[0].similarity) == ("CHG-0", 1.0)
    # Half of 2 shared words of 4, the item, the team; and for the rack only item and team.
    by_id = {one.change_id: one for one in found}
    assert by_id["CHG-1"].similarity == pytest.approx(0.5 * 2 / 4 + 0.25 + 0.125)
    assert by_id["CHG-2"].similarity == pytest.approx(0.25 + 0.125)


def test_why_they_are_alike(day: Day, precedents: list[Record], upcoming: Change) -> None:
    found = similar(question(precedents, upcoming, day(41)), limit=9)
    reasons = {one.change_id: one.reasons for one in found}
    place = ("the same item web-01", "the same team dba")
    assert reasons["CHG-1"] == ("the words “patch, web” in both titles", *place)
    assert reasons["CHG-2"] == place
    assert reasons["CHG-0"][-1] == "the same kind of change"


def test_letters_of_any_language_make_words(day: Day) -> None:
    title = "Überprüfung der Lüftung"
    facts = [planned("CHG-1", day(10), ci="web-01", short_description=title)]
    change = planned("CHG-2", day(50), ci="web-02", short_description=title)
    (found,) = similar(question(facts, change, day(49)))
    assert found.reasons[0] == "the words “der, lüftung, überprüfung” in both titles"


def test_no_more_than_asked_for(day: Day, precedents: list[Record], upcoming: Change) -> None:
    asked = question(precedents, upcoming, day(41))
    assert [len(similar(asked, limit=n)) for n in (0, 1, 3, 9)] == [0, 1, 3, 4]
    assert similar(asked) == similar(asked, limit=3)


def test_a_change_is_not_its_own_precedent(day: Day, precedents: list[Record]) -> None:
    again = precedents[0]
    assert isinstance(again, Change)
    found = similar(question(precedents, again, day(60)), limit=9)
    assert {one.change_id for one in found} == {"CHG-1", "CHG-2", "CHG-3"}


def test_the_same_answer_whatever_the_order_of_the_records(
    day: Day, precedents: list[Record], upcoming: Change
) -> None:
    twins = [
        planned(f"TWIN-{n}", day(15), ci="web-01", short_description="Patch web-01 now")
        for n in range(6)
    ]
    facts = [*precedents, *twins]
    expected = similar(question(facts, upcoming, day(60)), limit=4)
    assert [one.change_id for one in expected] == ["CHG-0", "TWIN-0", "TWIN-1", "TWIN-2"]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(facts))
        mixed = [facts[at] for at in order]
        assert similar(question(mixed, upcoming, day(60)), limit=4) == expected


def test_nothing_alike(day: Day, precedents: list[Record]) -> None:
    stranger = planned("CHG-9", day(50), ci="elsewhere", short_description="Buy paper")
    assert similar(question(precedents, stranger, day(49))) == []
    assert similar(question([], stranger, day(49))) == []


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_DRAWS)
@given(data=st.data())
def test_later_facts_make_no_other_precedents(
    data: st.DataObject,
    histories: st.SearchStrategy[list[Record]],
    moments: st.SearchStrategy[datetime],
) -> None:
    facts, as_of = data.draw(histories), data.draw(moments)
    change = next(fact for fact in facts if isinstance(fact, Change))
    known = [fact for fact in facts if fact.known_at < as_of]
    whole, then = (
        similar(question(records, change, as_of), limit=20) for records in (facts, known)
    )
    # A precedent is compared in its last revision on record, which may be a later one.
    assert {(one.change_id, one.outcome, one.incidents) for one in whole} == {
        (one.change_id, one.outcome, one.incidents) for one in then
    }
    assert change.change_id not in {one.change_id for one in whole}


def test_what_later_facts_turn_is_looked_at_anew(
    day: Day, precedents: list[Record], upcoming: Change
) -> None:
    """What is compared of a change is kept; a revision or an outcome after that counts all the
    same."""
    *known, link = precedents
    asked = question(known, upcoming, day(60))
    assert {one.outcome for one in similar(asked, limit=9)} == {"clean"}
    revised = planned("CHG-3", day(45), ci="web-02", short_description="Move it")
    later = [link, replace(revised, revision="2", planned_start=day(13))]
    asked.state.extended(History.from_records(later))
    anew = question([*known, *later], upcoming, day(60))
    found = similar(replace(asked), limit=9)
    assert found == similar(anew, limit=9)
    assert {one.change_id: one.outcome for one in found}["CHG-1"] == "caused"


@pytest.mark.parametrize("title", [None, "", "9"])
def test_a_change_without_words_is_like_others_on_its_item(
    title: str | None, day: Day, precedents: list[Record]
) -> None:
    bare = planned("CHG-9", day(50), ci="web-01", short_description=title)
    assert {one.similarity for one in similar(question(precedents, bare, day(41)))} == {0.25}
