"""Names of several vocabularies, looked up at once."""

from __future__ import annotations

from typing import Any

import pytest

from features import names
from features.names import SavedNames, Vocabulary, look_up


@pytest.fixture
def digested(monkeypatch) -> list[list[str]]:
    """The names that were digested, by call."""
    calls: list[list[str]] = []
    real = names.digests_of_all

    def spied(some: Any) -> Any:
        calls.append([*some])
        return real(some)

    monkeypatch.setattr(names, "digests_of_all", spied)
    return calls


def test_names_are_digested_all_together_and_only_once(digested):
    items, teams = (Vocabulary(SavedNames.of(saved)) for saved in (["a", "b"], ["dba", "b"]))
    digested.clear()
    look_up([(items, ["b", "x"]), (teams, ["b"]), (items, ["b", "a"])])
    assert digested == [["b", "x", "a", "b"]]
    assert items.codes(["a", "b", "x"]) == [0, 1, -1]
    assert teams.codes(["b"]) == [1]
    look_up([(items, ["a", "x"]), (teams, ["b"])])
    assert len(digested) == 1


def test_a_name_that_was_not_saved_is_numbered_after_those_that_were():
    items = Vocabulary(SavedNames.of(["a", "b"]))
    look_up([(items, ["b", "new"])])
    assert items.numbers(["new", "b", "newer", "new"]) == [2, 1, 3, 2]
    assert items.codes(["new", "newer", "a"]) == [2, 3, -1]
    assert items.find(["new", "newer", "a"]).tolist() == [2, 3, 0]


def test_a_vocabulary_without_saved_names_looks_nothing_up(digested):
    items = Vocabulary()
    items.learn(["a"])
    look_up([(items, ["a", "b"])])
    assert digested == []
    assert items.find(["a", "b"]).tolist() == [0, -1]
