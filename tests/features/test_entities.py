"""Names read off changes, and the numbers they get."""

from __future__ import annotations

import string
import time
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.catalogue import CATALOGUE
from features.columns import MANY, Columns
from features.entities import EMITTED, ENTITIES, ORGANISATION
from features.names import Named, Vocabulary
from features.records import PERSON_FIELDS, Change
from features.texts import masked_title

NAMES = st.lists(st.sampled_from(["", "a", "b", "c", "*", "é"]), max_size=8)


@pytest.fixture
def read(day: Any) -> Any:
    """The names one entity reads off changes, a list for each change."""

    def read(entity: str, *changes: dict[str, Any]) -> list[list[str]]:
        known_at: datetime = day(0)
        rows = [Change(change_id="CHG-10", known_at=known_at, **fields) for fields in changes]
        named = ENTITIES[entity].read(Columns.from_records(Change, rows))
        assert named.row.tolist() == sorted(named.row.tolist())
        found: list[list[str]] = [[] for _ in changes]
        for row, name in zip(named.row, named.names, strict=True):
            found[row].append(name)
        return found

    return read


@pytest.mark.parametrize(
    ("entity", "field"),
    [
        ("ci", "ci"),
        ("service", "service"),
        ("team", "assignment_group"),
        ("category", "category"),
        ("change_model", "change_model"),
    ],
)
def test_a_single_name_is_read_where_it_is_given(read, entity, field):
    assert read(entity, {field: "x"}, {field: None}, {field: ""}, {field: "y"}) == [
        ["x"],
        [],
        [],
        ["y"],
    ]
    assert read(entity) == []


@pytest.mark.parametrize(
    ("ci", "affected", "names"),
    [
        ("a", (), ["a"]),
        ("a", ("b", "a", "b", ""), ["a", "b"]),
        (None, ("c", "b", "c"), ["c", "b"]),
        ("", ("", ""), []),
    ],
)
def test_affected_items_are_each_named_once_the_first_one_first(read, ci, affected, names):
    assert read("affected", {"ci": ci, "affected_cis": affected}, {"ci": "z"}) == [names, ["z"]]


def test_references_are_each_named_once(read):
    assert read("reference", {"references": ("T2", "", "T1", "T2")}, {}) == [["T2", "T1"], []]


def test_a_team_on_an_item_needs_both(read):
    both, swapped = {"assignment_group": "a", "ci": "b"}, {"assignment_group": "b", "ci": "a"}
    found = read(
        "team_ci", both, swapped, {"ci": "b"}, {"assignment_group": "a"}, {**both, "ci": ""}
    )
    assert [len(names) for names in found] == [1, 1, 0, 0, 0]
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("ci", "affected", "names"),
    [
        ("a", (), []),
        ("a", ("b", "a", "c", "b", ""), ["b", "c"]),
        (None, ("c", "b"), ["c", "b"]),
        ("b", ("b",), []),
    ],
)
def test_further_items_are_all_but_the_one_it_is_about(read, ci, affected, names):
    found = read("further", {"ci": ci, "affected_cis": affected}, {"ci": "c"}, {"ci": "a"})
    assert found == [names, [], []]


def test_what_is_done_to_an_item_needs_the_item(read):
    named = {"short_description": "Restart disk, restart", "ci": "web-01"}
    bare = {**named, "ci": None}, {**named, "ci": ""}, {"ci": "web-01"}
    other = {**named, "ci": "db-01"}
    done, elsewhere, *nothing = read("action_ci", named, other, *bare)
    assert done == ["restart\x1fweb-01"]
    assert done != elsewhere
    assert nothing == [[], [], []]


@pytest.mark.parametrize(
    "title",
    [
        "Move db-01 to PostgreSQL 16",
        'Revert "Move db-02 to PostgreSQL 15"',
        'Revert "Revert "Move db-01 to PostgreSQL 16""',
        "Re-apply move db to postgresql",
        "Rollback of: Move db to PostgreSQL",
        "Back out: Move db to PostgreSQL",
    ],
)
def test_a_title_is_the_same_when_it_is_tried_again_or_taken_back(read, title):
    assert read("attempt", {"short_description": title}) == [["move db to postgresql"]]


@pytest.mark.parametrize(
    ("title", "names"),
    [("Reverting proxy", ["proxy"]), ("Reverts", ["reverts"]), ("12:30", []), ("", []), (None, [])],
)
def test_a_title_of_nothing_else_is_itself(read, title, names):
    assert read("attempt", {"short_description": title}) == [names]


def test_every_change_belongs_to_the_organisation(read):
    assert read("organisation", {}, {}) == [[ORGANISATION], [ORGANISATION]]


def test_the_masked_title_stands_in_for_a_model(read):
    title = {"short_description": "Patch web-01.example.com 2024-03"}
    [model, alike, stood_in, nothing, masked] = read(
        "change_model",
        {**title, "change_model": "patching"},
        title,
        {"short_description": "patch db-02.example.com 2025-11"},
        {},
        {"short_description": "2024 12:30"},
    )
    assert model == ["patching"]
    assert alike == stood_in == ["~patch"]
    assert nothing == masked == []


@pytest.mark.parametrize(
    ("title", "masked"),
    [
        ("Deploy 3f2a9bc1 to prod", "deploy to prod"),
        ("CHG0031874: restart", "chg restart"),
        ("Renew *.shop.example.com", "renew"),
        ("  Größe  ändern ", "größe ändern"),
        ("12.5 / 7", ""),
    ],
)
def test_numbers_hashes_and_dotted_names_are_masked(title, masked):
    assert masked_title(title) == masked


@pytest.mark.parametrize(
    ("title", "action"),
    [
        ("Upgrade PostgreSQL", ["upgrade"]),
        ("web-01: restart it", ["restart"]),
        ("[EMERGENCY] [db] Fail over", ["fail"]),
        ("puppet: role/mail: Add a relay", ["add"]),
        ("db-02:Move", ["move"]),
        ("  12 new racks", ["new"]),
        ("Rollout:", ["rollout"]),
        ("A", []),
        ("更新", []),
        ("", []),
        (None, []),
    ],
)
def test_the_action_is_the_first_word_after_a_heading(read, title, action):
    assert read("action", {"short_description": title}) == [action]


@pytest.mark.parametrize(
    ("title", "words"),
    [
        (
            "Enable wgFooAPI on db-12",
            "enable|wg|foo|api|on|db|enable wg|wg foo|foo api|api on|on db",
        ),
        ("HTMLParser: fix, fix", "html|parser|fix|html parser|parser fix|fix fix"),
        ("Größe ändern", "größe|ändern|größe ändern"),
        ("更新", "更新"),
        ("a 1 b", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_words_of_a_title_and_their_pairs(read, title, words):
    assert read("title_word", {"short_description": title}) == [words.split("|") if words else []]


@pytest.mark.parametrize(
    "title",
    ["1: " * 200, "1:       " * 100, "[1] " * 500, "a-" * 5_000, "a." * 5_000, "x" * 10_000],
)
def test_no_title_takes_long(read, title):
    """Whoever may send a change may send any title; the first of these took hours once."""
    start = time.process_time()
    read("action", {"short_description": title})
    read("change_model", {"short_description": title})
    read("title_word", {"short_description": title})
    read("attempt", {"short_description": title})
    read("attempt", {"short_description": "revert of " * 30})
    assert time.process_time() - start < 0.5


@settings(max_examples=100)
@given(title=st.text(string.ascii_letters + string.digits + " .:-/[]_é", max_size=60))
def test_a_masked_title_is_stable(title):
    masked = masked_title(title)
    assert masked_title(masked) == masked
    assert masked == masked.strip().lower()
    assert not any(character.isdigit() for character in masked)


TEXTS = st.sampled_from([None, "", "web-01", "Patch web-01", "patch 7 db-02", "a b c d", "*"])
LISTS = st.lists(st.sampled_from(["", "web-01", "db-02", "*"]), max_size=3).map(tuple)
STARTS = st.sampled_from([None, datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)])


@settings(max_examples=25)
@given(data=st.data())
def test_many_changes_bear_the_names_that_each_bears_alone(data):
    known_at = datetime(2026, 1, 1, tzinfo=UTC)
    texts = ("ci", "service", "assignment_group", "category", "change_model", "short_description")
    plans = ("implementation_plan", "backout_plan")
    lists = ("affected_cis", "impacted_services", "references")
    few = data.draw(
        st.lists(
            st.builds(
                Change,
                change_id=st.sampled_from(["CHG-1", "CHG-2"]),
                known_at=st.just(known_at),
                planned_start=STARTS,
                **dict.fromkeys((*texts, *plans), TEXTS),
                **dict.fromkeys(lists, LISTS),
            ),
            min_size=1,
            max_size=12,
        )
    )
    rows = [few[number % len(few)] for number in range(MANY + len(few))]
    many, alone = Columns.from_records(Change, rows), Columns.from_records(Change, few)
    again = alone.take(np.arange(len(rows)) % len(few))
    for name, entity in ENTITIES.items():
        expected = borne(entity.read(alone), alone)
        assert borne(entity.read(many), many) == [expected[n % len(few)] for n in range(len(rows))]
        for table in (many, again):
            parts = [table.part(low, low + MANY) for low in range(0, len(rows), MANY)]
            found = [names for part in parts for names in borne(entity.read(part), part)]
            assert found == borne(entity.read(many), many), name


def borne(named: Named, table: Columns) -> list[list[str]]:
    """The names of every row."""
    of_row: list[list[str]] = [[] for _ in range(len(table))]
    for row, word in zip(named.row.tolist(), named.names.tolist(), strict=True):
        of_row[row].append(word)
    return of_row


def test_no_entity_is_a_person(read):
    people = dict.fromkeys(PERSON_FIELDS, "jane.doe")
    for entity in ENTITIES:
        assert read(entity, people) == read(entity, {})


def test_a_change_enters_the_record_once_for_each_vocabulary_that_is_counted():
    emitted = [ENTITIES[entity].vocabulary for entity in EMITTED]
    assert len(set(emitted)) == len(emitted)
    counting = ("changes", "outcomes", "failures", "schedule")
    asked = {ENTITIES[f.entity].vocabulary for f in CATALOGUE if f.stream in counting}
    assert asked <= set(emitted)


@given(first=NAMES, second=NAMES)
def test_a_vocabulary_gives_each_name_one_number_and_keeps_it(first, second):
    vocabulary = Vocabulary()
    learned = vocabulary.learn(first)
    assert list(vocabulary.names) == list(dict.fromkeys(first))
    found = vocabulary.find(second)
    assert [code >= 0 for code in found] == [name in first for name in second]
    vocabulary.learn(second)
    assert vocabulary.find(first).tolist() == learned.tolist()
    assert [vocabulary.names[code] for code in vocabulary.find(second)] == second


def test_many_names_are_found_whether_or_not_they_are_those_learnt_last():
    names = [f"name {number}" for number in range(MANY)]
    others = [f"other {number}" for number in range(MANY)]
    vocabulary = Vocabulary()
    for every in (names, others):
        vocabulary.learn(every, again=True)
    for every, first in ((names, 0), (others, MANY), (list(others), MANY)):
        assert vocabulary.find(every).tolist() == list(range(first, first + MANY))
    assert vocabulary.find(others[::-1]).tolist() == list(range(2 * MANY - 1, MANY - 1, -1))
    assert vocabulary.find([*others[:-1], "nobody"])[-1] == -1
    assert list(vocabulary.names) == [*names, *others]
