"""Likeness found in numbers is that of the definition, name by name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.instants import NEVER
from features.likeness import Compared, Memory, Outcome

NAMES = st.sampled_from(["disk", "web", "mail", "düse", "db"])
AS_OF = 10

CHANGES = st.builds(
    Compared,
    change_id=st.sampled_from("ABCDE"),
    known_at=st.integers(0, 5),
    words=st.frozensets(NAMES),
    items=st.lists(NAMES, unique=True, max_size=3).map(tuple),
    team=st.sampled_from([None, "", "dba", "web"]),
    model=st.sampled_from([None, "patch", "disk"]),
)
MOMENTS = st.sampled_from([3, AS_OF - 1, AS_OF, NEVER])
OUTCOMES = st.builds(Outcome, MOMENTS, MOMENTS)


def alike(one: Compared, other: Compared) -> float:
    either = len(one.words | other.words)
    shared = len(one.words & other.words) / either if either else 0.0
    same_team = bool(one.team) and one.team == other.team
    same_model = bool(one.model) and one.model == other.model
    same_item = bool({*one.items} & {*other.items})
    return 0.5 * shared + 0.25 * same_item + 0.125 * same_team + 0.125 * same_model


@given(
    own=CHANGES,
    others=st.lists(st.tuples(CHANGES, OUTCOMES), max_size=12),
    forgotten=st.sets(st.integers(0, 11)),
    limit=st.integers(1, 4),
    outcome=st.sampled_from([None, "caused", "clean"]),
)
def test_the_most_alike_are_those_of_the_definition(own, others, forgotten, limit, outcome):
    memory = Memory()
    for number, (other, known) in enumerate(others):
        memory.keep(number, other, known)
    memory.forget(forgotten)
    found = memory.most_alike(own, range(len(others)), AS_OF, limit, outcome)
    left = [pair for number, pair in enumerate(others) if number not in forgotten]
    expected = [
        (alike(own, other), other, known.told(AS_OF))
        for other, known in left
        if known.told(AS_OF) is not None and outcome in (None, known.told(AS_OF))
    ]
    expected.sort(key=lambda entry: (-entry[0], -entry[1].known_at, entry[1].change_id))
    assert [entry[0] for entry in found] == [entry[0] for entry in expected[:limit]]
    keys = [(entry[1].known_at, entry[1].change_id) for entry in expected[:limit]]
    assert [(entry[1].known_at, entry[1].change_id) for entry in found] == keys


def test_what_is_forgotten_is_missing_and_kept_anew():
    memory = Memory()
    one = Compared("A", 1, frozenset({"disk"}), ("web",), None, None)
    memory.keep(7, one, Outcome(decided=3))
    assert memory.missing([7, 8]) == [8]
    memory.forget([7, 9])
    assert memory.missing([7, 8]) == [7, 8]
    memory.keep(7, one, Outcome(failed=3, decided=3))
    assert [entry[2] for entry in memory.most_alike(one, [7], AS_OF, 3, None)] == ["caused"]


def test_many_are_kept():
    memory = Memory()
    for number in range(1_000):
        words = frozenset({f"w{number % 50}", f"v{number}"})
        memory.keep(number, Compared(str(number), number, words, ("i",), "t", "m"), Outcome(3, 3))
    own = Compared("own", 0, frozenset({"w7", "v57"}), (), None, None)
    found = memory.most_alike(own, range(1_000), AS_OF, 2, None)
    assert [(entry[0], entry[1].change_id) for entry in found] == [(0.5, "57"), (0.5 / 3, "957")]
