"""Every feature of the catalogue against its definition, counted in plain loops over records."""

from __future__ import annotations

import math
from contextlib import ExitStack
from datetime import datetime
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import answers, instants, overlap, table
from features.answers import EVIDENCE_SMOOTHING
from features.catalogue import BY_NAME, CATALOGUE, NAMES, Feature
from features.columns import Columns
from features.history import History
from features.policy import POLICIES
from features.records import Change, Incident, Link
from features.state import FeatureState
from features.store import Store
from features.synthetic import organisation
from features.table import Building, FeatureTable, build
from features.tallies import SMOOTHING

COUNTED = [feature for feature in CATALOGUE if feature.aggregate != "value"]


@settings(max_examples=80)
@given(data=st.data())
def test_every_feature_is_what_its_declaration_says(
    data, histories, moments, policies, counting, state_of, rows
):
    facts, policy = data.draw(histories), data.draw(policies)
    state = state_of(facts, policy)
    changes = [fact for fact in facts if isinstance(fact, Change)][:4]
    for as_of in data.draw(st.lists(moments, min_size=3, max_size=3)):
        table = rows(state, changes, as_of)
        expected_of = counting(facts, policy, as_of)
        wrong = {}
        for row, change in enumerate(changes):
            for feature in COUNTED:
                found = table.values[row, NAMES.index(feature.name)]
                expected = expected_of.value(feature, change)
                exact = feature.aggregate != "evidence"  # logarithms differ in the last digit
                if not np.allclose(
                    found, expected, rtol=0, atol=0 if exact else 1e-12, equal_nan=True
                ):
                    wrong[feature.name, change.change_id] = (float(found), expected)
        assert wrong == {}


@settings(max_examples=60)
@given(data=st.data())
def test_rows_in_the_order_of_time_are_those_of_each_alone(
    data, histories, moments, policies, state_of, rows, differences
):
    facts, policy = data.draw(histories), data.draw(policies)
    state = state_of(facts, policy)
    changes = [fact for fact in facts if isinstance(fact, Change)]
    as_of = data.draw(st.lists(moments, min_size=len(changes), max_size=len(changes)))
    alone = rows(state, changes, as_of)
    with ExitStack() as patched:
        patched.enter_context(mock.patch.multiple(table, MANY=1, CHUNK=3, OF_NEIGHBOURS=1))
        for module in (answers, overlap):
            patched.enter_context(mock.patch.object(module, "MANY", 1))
        assert differences(alone, rows(state, changes, as_of)) == {}
        building = Building(state.without_facts(), len(changes))
        # Moments that go back are answered, too.
        for low in range(0, len(changes), 2):
            part = Columns.from_records(Change, changes[low : low + 2])
            times = np.array([instants.to_micros(at) for at in as_of[low : low + 2]], np.int64)
            assert differences(alone.rows(low, low + 2), building.add(part, times)) == {}


@settings(max_examples=30)
@given(data=st.data())
def test_support_is_what_stands_behind_the_rate(
    data, histories, moments, policies, counting, state_of, rows
):
    facts, policy = data.draw(histories), data.draw(policies)
    as_of = data.draw(moments)
    changes = [fact for fact in facts if isinstance(fact, Change)][:4]
    table = rows(state_of(facts, policy), changes, as_of)
    expected_of = counting(facts, policy, as_of)
    for row, change in enumerate(changes):
        for name, (failed, decided) in table.support.items():
            feature = BY_NAME[name]
            if feature.aggregate == "evidence":
                assert_speaks(table, row, feature, change, expected_of)
                continue
            rates = [
                expected_of.rate(feature.entity, one, feature.window_days, change.change_id)
                for one in expected_of.names(change, feature.entity)
            ]
            behind = max(
                rates, key=lambda r: (-1 if math.isnan(r[0]) else r[0], r[2]), default=None
            )
            expected = behind[1:] if behind else (math.nan, math.nan)
            found = (failed[row], decided[row])
            assert np.array_equal(found, expected, equal_nan=True), (name, found, expected)
            assert not table.values[row, NAMES.index(name)] > 1


def assert_speaks(
    table: FeatureTable, row: int, feature: Feature, change: Change, expected_of: Any
) -> None:
    """The word of an evidence is one of the title's, its support its own, and none speaks more."""
    word, total = table.words[feature.name][row], table.values[row, NAMES.index(feature.name)]
    each = {
        name: expected_of.evidence(feature.entity, name, change.change_id)
        for name in expected_of.names(change, feature.entity)
    }
    support = [float(part[row]) for part in table.support[feature.name]]
    if not each:
        assert word is None
        assert np.isnan(support).all()
        return
    behind = (0.0, 0, 0) if word is None else each[word]  # a word nobody has used says nothing
    assert support == list(behind[1:])
    if not math.isnan(total):
        lowest = feature.across == "min" or (feature.across == "sum" and total < 0)
        best = (min if lowest else max)(value for value, _, _ in each.values())
        assert behind[0] == pytest.approx(best, abs=1e-12)


# one row, many rows, rows of the store -----------------------------------------------------------


@settings(max_examples=30)
@given(data=st.data())
def test_a_row_alone_equals_the_row_in_a_batch(
    data, histories, moments, policies, state_of, rows, differences
):
    facts, policy = data.draw(histories), data.draw(policies)
    state = state_of(facts, policy)
    changes = [fact for fact in facts if isinstance(fact, Change)][:6]
    times = [data.draw(moments) for _ in changes]
    batch = rows(state, changes, times)
    alone = [rows(state, [change], moment) for change, moment in zip(changes, times, strict=True)]
    names = batch.support
    together = FeatureTable(
        batch.change_ids,
        batch.as_of,
        np.concatenate([one.values for one in alone]),
        {
            name: tuple(np.concatenate([one.support[name][at] for one in alone]) for at in (0, 1))
            for name in names
        },
        words={name: np.concatenate([one.words[name] for one in alone]) for name in batch.words},
    )
    assert differences(batch, together) == {}
    assert together.values.tobytes() == batch.values.tobytes()


@settings(max_examples=8)
@given(data=st.data())
def test_facts_from_the_store_give_the_rows_of_the_facts_themselves(
    data, histories, moments, policies, state_of, differences, tmp_path_factory
):
    facts, policy = data.draw(histories), data.draw(policies)
    cut = data.draw(st.integers(0, len(facts)))
    as_of = data.draw(moments)
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/history.db")
    for part in (facts[:cut], facts[cut:]):
        with store.write("test", now=as_of) as writer:
            writer.add(part)
    kept = store.load()
    store.close()
    known = History.from_records(facts)
    times = np.full(len(known[Change]), instants.to_micros(as_of))
    left = build(known[Change], times, state_of(facts, policy))
    right = build(kept[Change], times, FeatureState(kept, policy))
    assert differences(left, right) == {}
    assert left.values.tobytes() == right.values.tobytes()


def test_any_features_can_be_had_without_the_others(day):
    """Byte for byte what they are in the whole table."""
    made = organisation(seed=1, until=day(400), changes=300, days=100)
    history = History.from_records(made.records)
    state = FeatureState(history, POLICIES["incident"])
    some = history[Change].take(np.arange(40))
    times = some.times("known_at")
    whole = build(some, times, state).values
    assert build(some, times, state, features=()).values.shape == (40, 0)
    for column, feature in enumerate(CATALOGUE):
        alone = build(some, times, state, features=(feature,)).values
        assert alone.tobytes() == whole[:, column].tobytes(), feature.name


# worked examples ---------------------------------------------------------------------------------


def failed_link(change_id: str, on: datetime, linked: datetime) -> list[Any]:
    incident = Incident(incident_id=f"I{change_id}", occurred_at=on, known_at=on)
    cause = {"kind": "caused_by", "source": "explicit", "confidence": 1.0}
    moment = {"occurred_at": linked, "known_at": linked}
    return [incident, Link(incident_id=f"I{change_id}", change_id=change_id, **cause, **moment)]


@pytest.fixture(scope="session")
def value(rows, state_of):
    """One feature of a change at a moment."""

    def value(name: str, change: Change, facts: list[Any], as_of: datetime) -> float:
        table = rows(state_of(facts, POLICIES["incident"]), [change], as_of)
        return float(table.values[0, NAMES.index(name)])

    return value


def test_a_rate_leans_on_the_usual_rate_by_ten_imagined_changes(day, value):
    facts: list[Any] = []
    for number in range(4):
        item = "web-01" if number < 2 else "db-01"
        facts.append(Change(change_id=f"C{number}", known_at=day(0), planned_start=day(1), ci=item))
    facts += failed_link("C0", day(2), day(3))
    asked = Change(change_id="C9", known_at=day(20), ci="web-01")
    usual = 1 / 4
    found = value("ci_failure_rate_30d", asked, facts, day(20))
    assert found == (1 + SMOOTHING * usual) / (2 + SMOOTHING)
    new = Change(change_id="C9", known_at=day(20), ci="never seen")
    assert value("ci_failure_rate_30d", new, facts, day(20)) == usual
    nameless = Change(change_id="C9", known_at=day(20))
    assert math.isnan(value("ci_failure_rate_30d", nameless, facts, day(20)))
    # The change's own outcome is left out, of its item's rate and of the usual one.
    assert value("ci_failure_rate_30d", facts[0], facts, day(20)) == 0.0


@pytest.mark.parametrize(("as_of", "expected"), [(15, math.nan), (16, 0.0), (40, 0.0), (40.5, 1.0)])
def test_a_change_counts_as_clean_until_its_late_link_is_known(day, value, as_of, expected):
    change = Change(change_id="C1", known_at=day(0), planned_start=day(1), ci="web-01")
    facts = [change, *failed_link("C1", day(2), day(40))]
    asked = Change(change_id="C2", known_at=day(0), ci="web-01")
    found = value("organisation_failure_rate_90d", asked, facts, day(as_of))
    assert np.array_equal(found, expected, equal_nan=True)


@pytest.mark.parametrize("late", [1, 12])
def test_a_rate_is_never_more_than_all(day, rows, state_of, late):
    """Failures whose links came after the verdicts, in a week that holds no verdict."""
    facts: list[Any] = []
    for number in range(late):
        name = f"CHG-{number + 10}"
        facts += [Change(change_id=name, known_at=day(0), planned_start=day(1), ci="web-01")]
        facts += failed_link(name, day(2), day(60))
    asked = Change(change_id="CHG-99", known_at=day(0), ci="web-01")
    table = rows(state_of(facts, POLICIES["incident"]), [asked], day(61))
    failed, decided = table.support["ci_failure_rate_7d"]
    assert (failed[0], decided[0]) == (late, late)
    assert table.values[0, NAMES.index("ci_failure_rate_7d")] == 1.0


def test_evidence_adds_up_over_the_words_of_a_title(day, rows, state_of):
    """Two changes restart something, one of them failed; two do not, and none of them failed."""
    facts: list[Any] = [
        Change(change_id=f"C{n}", known_at=day(0), planned_start=day(1), short_description=title)
        for n, title in enumerate(["Restart mail", "Restart web", "Add web", "Add disk"])
    ]
    facts += failed_link("C0", day(2), day(3))
    asked = Change(change_id="C9", known_at=day(20), short_description="Restart disk, quietly")
    table = rows(state_of(facts, POLICIES["incident"]), [asked], day(20))
    usual, weight = 1 / 4, EVIDENCE_SMOOTHING["title_word"]
    restart = math.log((1 + weight * usual) / (2 + weight) / usual)
    disk = math.log((0 + weight * usual) / (1 + weight) / usual)
    found = {name: values[0] for name, values in zip(NAMES, table.values.T, strict=True)}
    assert found["title_word_evidence_sum"] == pytest.approx(restart + disk)
    assert found["title_word_evidence_max"] == pytest.approx(restart)
    assert found["title_word_evidence_min"] == pytest.approx(disk)
    assert table.words["title_word_evidence_sum"][0] == "restart"
    assert table.words["title_word_evidence_min"][0] == "disk"
    assert [float(n[0]) for n in table.support["title_word_evidence_sum"]] == [1, 2]


def test_support_is_of_the_item_with_the_highest_rate(day, rows, state_of):
    facts: list[Any] = [
        Change(change_id=f"C{n}", known_at=day(0), planned_start=day(1), ci="db-01")
        for n in range(50)
    ]
    facts += [Change(change_id="CX", known_at=day(0), planned_start=day(1), ci="web-01")]
    facts += failed_link("CX", day(2), day(3))
    asked = Change(change_id="CY", known_at=day(20), ci="db-01", affected_cis=("web-01", "new"))
    support = rows(state_of(facts, POLICIES["incident"]), [asked], day(20)).support
    assert [float(n[0]) for n in support["affected_failure_rate_30d"]] == [1, 1]  # not 1 of 50
    assert [float(n[0]) for n in support["ci_failure_rate_30d"]] == [0, 50]


def test_open_incidents_are_opened_and_not_yet_resolved(day, value):
    opened = {"incident_id": "I1", "occurred_at": day(0), "ci": "web-01"}
    facts = [
        Incident(known_at=day(1), **opened),
        Incident(known_at=day(5), resolved_at=day(4), **{**opened, "ci": "moved elsewhere"}),
    ]
    asked = Change(change_id="C1", known_at=day(0), ci="web-01")
    found = [value("affected_open_incidents", asked, facts, day(at)) for at in (1, 2, 5, 5.1)]
    assert found == [0, 1, 1, 0]


def test_an_incident_is_major_from_the_first_word_that_says_so(day, value):
    opened = {"incident_id": "I1", "occurred_at": day(0), "ci": "web-01"}
    facts = [
        Incident(known_at=day(1), priority=4, **opened),
        Incident(known_at=day(2), priority=2, **{**opened, "ci": "moved elsewhere"}),
        Incident(known_at=day(3), priority=1, **opened),
        Incident(incident_id="I2", known_at=day(1), occurred_at=day(1), ci="web-01"),
    ]
    asked = Change(change_id="C1", known_at=day(0), ci="web-01")
    found = [value("affected_major_incidents_90d", asked, facts, day(at)) for at in (2, 2.1, 9)]
    assert found == [0, 1, 1]


def test_two_changes_planned_for_the_same_moment_overlap_each_other(day, value):
    """A plan without an end lasts an instant, for the one asked and for the one found alike."""
    one, other, longer = (
        Change(
            change_id=f"C{n}",
            known_at=day(0),
            ci="web-01",
            affected_cis=("db-01",),
            planned_start=day(3),
            planned_end=end,
        )
        for n, end in enumerate([None, None, day(4)])
    )
    for asked in (one, other, longer):
        assert value("affected_overlapping_changes", asked, [one, other, longer], day(1)) == 2
    unplanned = Change(change_id="C9", known_at=day(0), ci="web-01")
    assert math.isnan(value("affected_overlapping_changes", unplanned, [one], day(1)))


def test_no_changes_make_an_empty_table(day, rows, state_of):
    table = rows(state_of([], POLICIES["failed"]), [], day(0))
    assert table.values.shape == (0, len(CATALOGUE))
    assert table.to_frame().empty


def test_a_table_as_a_frame_has_a_row_a_change_and_a_column_a_feature(day, rows, state_of):
    changes = [Change(change_id=name, known_at=day(0)) for name in ("C1", "C2")]
    frame = rows(state_of([], POLICIES["failed"]), changes, [day(1), day(2)]).to_frame()
    assert list(frame.columns) == ["as_of", *NAMES]
    assert frame.index.tolist() == ["C1", "C2"]
    assert frame.loc["C2", "as_of"] == day(2)
