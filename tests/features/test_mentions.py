"""Numbers in texts against the pattern they follow."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.coded import Coded
from features.columns import Columns
from features.mentions import mentioned_numbers, numbers_among
from features.records import Incident

PATTERN = re.compile(r"[A-Za-z]{1,10}-?\d{2,}")
TEXTS = st.none() | st.text(st.sampled_from("aZ@[`{-019 \né٣"), max_size=24)


@pytest.fixture
def incident(day) -> Incident:
    return Incident(incident_id="INC-1", occurred_at=day(0), known_at=day(0))


def found_in(table: Columns) -> list[tuple[int, str]]:
    parts = mentioned_numbers(table)
    return [pair for rows, names in parts for pair in zip(rows.tolist(), names, strict=True)]


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        (None, None, set()),
        ("", None, set()),
        ("CHG0031874 broke INC-12", None, {"CHG0031874", "INC-12"}),
        (None, "after chg0031874, before C00001707.", {"chg0031874", "C00001707"}),
        ("12 34", "CHG 10 CHG1", set()),
        ("CHG-1", "0", set()),  # title and text are not read as one word
        ("AB12-CD34", "a--12 a-1-22 wwwwwwwwwwwwww123", {"AB12", "CD34", "wwwwwwwwww123"}),
    ],
)
def test_numbers_in_a_text(incident, title, text, expected):
    row = replace(incident, short_description=title, description=text)
    found = found_in(Columns.from_records(Incident, [incident, row, incident]))
    assert set(found) == {(1, name) for name in expected}


@given(texts=st.lists(st.tuples(TEXTS, TEXTS), max_size=8), data=st.data())
def test_numbers_are_the_same_where_texts_are_numbered(incident_of, texts, data):
    plain = Columns.from_records(Incident, [incident_of(*pair) for pair in texts])
    titles = [*{title for title, _ in texts} - {None}]
    place = np.array([-1 if t is None else titles.index(t) for t, _ in texts], np.int32)
    others = {name: plain[name] for name in plain.data if name != "short_description"}
    table = Columns.of(Incident, Coded(others, {"short_description": (place, titles)}), len(texts))
    seen = found_in(plain)
    some = data.draw(st.sets(st.sampled_from(sorted({name for _, name in seen} | {"CHG1"}))))
    expected = [pair for pair in seen if pair[1] in some]
    for one in (plain, table):
        rows, numbers = numbers_among(one, some)
        pairs = [*zip(rows.tolist(), numbers, strict=True)]
        assert [row for row, _ in pairs] == [row for row, _ in expected]
        assert sorted(pairs) == sorted(expected)


@given(texts=st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
@example(texts=[("C٣٣ C12", None)])
def test_numbers_are_those_of_the_pattern(incident_of, texts):
    table = Columns.from_records(Incident, [incident_of(*pair) for pair in texts])
    expected = [
        (row, name)
        for row, pair in enumerate(texts)
        for text in pair
        for name in PATTERN.findall(text or "")
    ]
    assert found_in(table) == expected
    wanted = [name for _, name in expected[::2]]
    rows, names = numbers_among(table, wanted)
    few = [pair for pair in expected if pair[1] in wanted]
    assert list(zip(rows.tolist(), names, strict=True)) == few


@pytest.fixture(scope="module")
def incident_of(day):
    def incident_of(title: str | None, text: str | None) -> Incident:
        known = {"occurred_at": day(0), "known_at": day(0)}
        return Incident(incident_id="INC-1", short_description=title, description=text, **known)

    return incident_of
