"""Rows of the store as tables, in little room."""

from __future__ import annotations

import numpy as np
import pytest

from features.chosen import numbered_in
from features.records import Change
from features.store import Store, database, rows
from tests.features.store.given import add, change, held


def test_many_facts_are_read_some_at_a_time_and_equal_texts_held_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [change(n, ci=f"ci-{n % 3}", affected_cis=("a", f"{n % 3}")) for n in range(40)]
    add(store, *given)
    for at_once, most in ((7, 100), (7, 2), (1000, 100)):
        monkeypatch.setattr(database, "AT_ONCE", at_once)
        monkeypatch.setattr(rows, "MOST_SHARED", most)
        assert held(store, Change) == given
        found = store.load()[Change]
        assert (len({id(ci) for ci in found["ci"]}) == 3) == (most == 100)
        assert (len({id(cis) for cis in found["affected_cis"]}) == 3) == (most == 100)


def test_the_texts_of_a_large_table_are_numbered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [change(n, ci=f"ci-{n % 3}" if n % 4 else None, service="mail") for n in range(40)]
    add(store, *given)
    plain = store.load()[Change]
    monkeypatch.setattr(rows, "LARGE", 40)
    for most, expected in ((2, None), (100, {"ci-0", "ci-1", "ci-2"})):
        monkeypatch.setattr(rows, "MOST_SHARED", most)
        table = store.load()[Change]
        assert [table.record(row) for row in range(len(table))] == given
        found = numbered_in(table.data, "ci")
        assert (None if found is None else {*found[1]}) == expected
        chosen = np.array([0, 5, 39])
        for name in ("change_id", "ci", "service", "category", "affected_cis"):
            assert table[name].tolist() == plain[name].tolist()
            assert table.take(chosen)[name].tolist() == plain[name][chosen].tolist()
    assert numbered_in(table.data, "service") is None  # one value, which takes no room
