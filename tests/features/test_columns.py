"""Tables of records: one array a field, and the records back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import instants
from features.chosen import LONG, joined
from features.columns import RECORD_TYPES, Columns, array_of, kinds, once_each
from features.records import Change, Incident, Item, Link


@pytest.mark.parametrize(
    ("record_type", "field", "kind"),
    [
        (Change, "change_id", "text"),
        (Change, "category", "text"),
        (Change, "affected_cis", "list"),
        (Change, "attributes", "map"),
        (Change, "cab_required", "flag"),
        (Change, "known_at", "time"),
        (Change, "planned_end", "time"),
        (Incident, "priority", "number"),
        (Link, "confidence", "number"),
        (Item, "criticality", "number"),
    ],
)
def test_the_kind_of_a_field_is_read_off_its_type(record_type, field, kind):
    assert kinds(record_type)[field] == kind


@settings(max_examples=40)
@given(data=st.data())
def test_records_survive_the_way_there_and_back(data, histories):
    facts = data.draw(histories)
    for record_type in RECORD_TYPES:
        rows = [fact for fact in facts if type(fact) is record_type]
        table = Columns.from_records(record_type, rows)
        assert len(table) == len(rows)
        assert [table.record(row) for row in range(len(rows))] == rows


@settings(max_examples=40)
@given(data=st.data())
def test_taking_and_joining_rows_keeps_them(data, histories):
    rows = [fact for fact in data.draw(histories) if isinstance(fact, Change)]
    table = Columns.from_records(Change, rows)
    cut = data.draw(st.integers(0, len(rows)))
    parts = [table.take(np.arange(len(rows)) < cut), table.take(np.arange(cut, len(rows)))]
    joined = Columns.concatenate(parts)
    assert [joined.record(row) for row in range(len(joined))] == rows
    assert {array.dtype for array in joined.data.values()} == {
        array.dtype for array in table.data.values()
    }


@pytest.mark.parametrize("value", ["all", None, ()])
def test_a_column_that_says_one_thing_takes_no_room(value):
    kind = "list" if value == () else "text"
    column, other = array_of(kind, [value] * LONG), array_of(kind, ["other"])
    assert column.strides == (0,)
    assert column.tolist() == [value] * LONG
    assert joined([column, array_of(kind, [value])]).strides == (0,)
    assert joined([column, other]).tolist() == [*[value] * LONG, "other"]
    place, values = once_each(column)
    assert [values[at] if at >= 0 else None for at in place] == [value] * LONG


def test_only_columns_that_all_have_are_joined(day):
    plain = Columns.from_records(Change, [Change(change_id="C1", known_at=day(0))])
    stored = Columns(Change, {**plain.data, "batch": np.array([1.0])})
    assert "batch" in Columns.concatenate([stored, stored]).data
    assert "batch" not in Columns.concatenate([stored, plain]).data
    assert "batch" not in Columns.concatenate([plain, stored]).data


@pytest.mark.parametrize("record_type", RECORD_TYPES)
def test_a_table_without_rows_has_every_field_in_its_kind(record_type):
    table = Columns.empty(record_type)
    assert len(table) == 0
    dtypes = {"time": np.int64, "number": np.float64, "flag": np.float64}
    for field, kind in kinds(record_type).items():
        assert table[field].dtype == dtypes.get(kind, object)
    assert table.to_frame().empty


@pytest.mark.parametrize("values", [[("a", "b"), ("c", "d")], [("a",)], [()], [(), ("a",)], []])
def test_lists_stay_lists_whatever_their_lengths(values):
    array = array_of("list", values)
    assert array.shape == (len(values),)
    assert array.tolist() == values


def test_missing_values_have_one_form_each(day):
    row = Change(change_id="C1", known_at=day(0))
    table = Columns.from_records(Change, [row])
    assert table["category"][0] is None
    assert np.isnan(table.numbers("cab_required")[0])
    assert table.times("planned_start")[0] == instants.MISSING
    assert (table["affected_cis"][0], table["attributes"][0]) == ((), {})


def test_a_frame_has_moments_for_people(day):
    rows = [Change(change_id="C1", known_at=day(0), planned_start=day(2)), None]
    rows[1] = Change(change_id="C2", known_at=day(1))
    frame = Columns.from_records(Change, rows).to_frame()
    assert frame["known_at"].tolist() == [day(0), day(1)]
    assert frame["planned_start"][1] is pd.NaT


@pytest.mark.parametrize("value", ["2024-01-01", 1.5, np.int64(3)])
def test_a_moment_of_another_type_is_refused(value: Any):
    with pytest.raises(TypeError, match="expected a datetime, microseconds or None, got"):
        array_of("time", [value])


def test_a_moment_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="expected a moment with a time zone"):
        array_of("time", [datetime(2024, 1, 1)])  # noqa: DTZ001


def test_a_table_needs_every_field_in_one_length(day):
    whole = Columns.from_records(Change, [Change(change_id="C1", known_at=day(0))]).data
    lacking = {name: array for name, array in whole.items() if name != "ci"}
    with pytest.raises(ValueError, match=r"Change: .*lengths \[1\], missing \['ci'\]"):
        Columns(Change, lacking)
    with pytest.raises(ValueError, match=r"got lengths \[0, 1\], missing \[\]"):
        Columns(Change, {**whole, "ci": whole["ci"][:0]})


def test_what_is_read_off_a_table_is_there_for_parts_of_what_was_taken_of_it(day):
    titles = [f"Restart host-{n % 700}" for n in range(2_000)]
    whole = Columns.from_records(
        Change,
        [
            Change(change_id=f"CHG{n}", known_at=day(0), short_description=t)
            for n, t in enumerate(titles)
        ],
    )
    asked: list[str] = []

    def read(title: str) -> str:
        asked.append(title)
        return title.upper()

    whole.read_once("short_description", read)
    newest = whole.take(np.arange(2_000)[::-1]).take(np.arange(100, 1_900))
    for low in range(0, 1_800, 600):
        place, made = (
            newest.part(low, low + 600).part(100, 400).read_once("short_description", read)
        )
        expected = [title.upper() for title in titles[::-1][low + 200 : low + 500]]
        assert [made[at] for at in place.tolist()] == expected
    assert len(asked) == 700
