"""A saved state answers like the one it was saved from, and is refused where it does not fit."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import names as naming
from features import saved
from features.columns import RECORD_TYPES, Columns
from features.history import History
from features.mapped import read_table, write_table
from features.policy import POLICIES, LabelPolicy
from features.records import Change, Incident, Link, Record
from features.saved import open_state
from features.state import FeatureState
from features.store import Store

Day = Callable[[float], datetime]
POLICY = POLICIES["incident"]


def written(store: Store, facts: list[Record], now: datetime) -> None:
    with store.write("test", now=now) as writer:
        writer.add(facts)


def facts_of(day: Day) -> list[Record]:
    return [
        Change(change_id="CHG-10", known_at=day(0), planned_start=day(1), ci="web-01",
               affected_cis=("db-01",), short_description="Pätch", attributes={"lines_added": 1.5}),
        Incident(incident_id="INC-1", occurred_at=day(2), known_at=day(2), ci="web-01", priority=1),
        Link(incident_id="INC-1", change_id="CHG-10", kind="caused_by", source="explicit",
             confidence=1.0, occurred_at=day(3), known_at=day(3)),
    ]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, day: Day) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/history.db")
    written(opened, facts_of(day), day(9))
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path, store: Store) -> Path:
    """Of saved states, with one in it."""
    open_state(store, POLICY, tmp_path / "index")
    return tmp_path / "index"


def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled with an entry for every state that is built."""
    calls: list[int] = []

    class Counting(FeatureState):
        def __init__(self, history: History, policy: LabelPolicy) -> None:
            calls.append(history.watermark)
            super().__init__(history, policy)

    monkeypatch.setattr(saved, "FeatureState", Counting)
    return calls


@settings(max_examples=8)
@given(data=st.data())
def test_a_saved_state_answers_and_grows_like_one_built_at_once(
    data, histories, moments, policies, state_of, rows, differences, tmp_path_factory
):
    facts, policy = data.draw(histories), data.draw(policies)
    cut = data.draw(st.integers(0, len(facts)))
    home, moment = tmp_path_factory.mktemp("saved"), data.draw(moments)
    store = Store(f"sqlite:///{home}/history.db")
    written(store, facts[:cut], moment)
    open_state(store, policy, home / "index")
    written(store, facts[cut:], moment)
    state = open_state(store, policy, home / "index")
    at_once = FeatureState(store.load(), policy)
    scored = [fact for fact in facts if isinstance(fact, Change)]
    for as_of in data.draw(st.lists(moments, min_size=2, max_size=2)):
        assert differences(rows(at_once, scored, as_of), rows(state, scored, as_of)) == {}
    assert state.watermark == at_once.watermark
    store.close()


@settings(max_examples=10)
@given(data=st.data())
def test_a_table_on_disk_is_the_table(data, histories, tmp_path_factory):
    history = History.from_records(data.draw(histories))
    path = tmp_path_factory.mktemp("mapped") / "table.arrow"
    for kind in RECORD_TYPES:
        write_table(history[kind], path)
        table, records = read_table(kind, path), range(len(history[kind]))
        expected = [history[kind].record(row) for row in records]
        assert [table.record(row) for row in records] == expected
        for row in list(records)[:3]:
            one = table.take(np.array([row]))
            assert [one.record(0)] == expected[row : row + 1]
        path.unlink()


def test_another_worker_opens_what_one_saved(store, folder, monkeypatch):
    calls = built(monkeypatch)
    state = open_state(store, POLICY, folder)
    assert calls == []
    assert not state.index.base.ranks.flags.owndata, "mapped, not read"
    assert state.facts.parts[0].watermark == state.watermark == 1


def test_only_what_came_since_is_read_from_the_store(store, folder, day, monkeypatch):
    written(store, [Change(change_id="CHG-11", known_at=day(10), ci="web-01")], day(10))
    asked: list[int] = []
    load = store.load
    monkeypatch.setattr(store, "load", lambda *, after=0: asked.append(after) or load(after=after))
    state = open_state(store, POLICY, folder)
    assert asked == [1]
    assert (state.watermark, len(state.history)) == (2, 4)
    assert set(state.changes(["CHG-10", "CHG-11"])) == {"CHG-10", "CHG-11"}


def test_where_much_came_since_it_is_built_anew_and_saved(store, folder, day, monkeypatch):
    monkeypatch.setattr(saved, "REBUILT_AFTER", 0)
    written(store, [Change(change_id="CHG-11", known_at=day(10))], day(10))
    calls = built(monkeypatch)
    open_state(store, POLICY, folder)
    open_state(store, POLICY, folder)
    assert calls == [2]


def test_old_ones_are_removed(store, folder, day, monkeypatch):
    monkeypatch.setattr(saved, "REBUILT_AFTER", 0)
    for number in range(4):
        written(store, [Change(change_id=f"CHG-2{number}", known_at=day(10))], day(10))
        open_state(store, POLICY, folder)
    assert sorted(place.name.split("-")[0] for place in folder.iterdir()) == ["4", "5"]


def test_a_draft_of_a_process_that_died_goes_and_one_being_written_stays(store, folder, day):
    for name, age in (("draft-dead", 2 * saved.ABANDONED_SECONDS), ("draft-live", 0.0)):
        (folder / name).mkdir()
        then = folder.stat().st_mtime - age
        os.utime(folder / name, (then, then))
    saved.save(FeatureState(store.load(), POLICY), folder, store.digest(1))
    assert {place.name for place in folder.glob("draft-*")} == {"draft-live"}


def damage_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_any_damaged_or_missing_file_is_noticed(store, folder):
    [place] = folder.iterdir()
    for path in sorted(place.iterdir()):
        content = path.read_bytes()
        for harm in (damage_bit, lambda path: path.write_bytes(b""), Path.unlink):
            harm(path)
            with pytest.raises((saved.SavedStateError, OSError)):
                saved._checked(place, POLICY, store.digest)
            path.write_bytes(content)
    assert saved._checked(place, POLICY, store.digest) == 1


def test_a_damaged_state_is_made_anew(store, folder, monkeypatch, caplog):
    [place] = folder.iterdir()
    damage_bit(place / "events.ranks.npy")
    calls = built(monkeypatch)
    with caplog.at_level(logging.WARNING):
        state = open_state(store, POLICY, folder)
    assert "events.ranks.npy is damaged" in caplog.text
    assert len(state.history) == 3
    open_state(store, POLICY, folder)
    assert calls == [1]


def test_a_state_of_another_history_is_refused(store, folder, tmp_path, day, monkeypatch):
    other = Store(f"sqlite:///{tmp_path}/other.db")
    written(other, [Change(change_id="CHG-99", known_at=day(0))], day(10))
    calls = built(monkeypatch)
    state = open_state(other, POLICY, folder)
    assert calls == [1]
    assert len(state.history) == 1
    other.close()


def test_a_state_of_another_label_is_no_candidate(store, folder, monkeypatch):
    calls = built(monkeypatch)
    open_state(store, replace(POLICY, window_days=3.0), folder)
    assert calls == [1]
    assert saved.fingerprint(POLICY) != saved.fingerprint(replace(POLICY, window_days=3.0))


def test_a_description_that_names_files_elsewhere_is_refused(store, folder, tmp_path):
    [place] = folder.iterdir()
    said = orjson.loads((place / "state.json").read_bytes())
    said["files"]["../../history.db"] = saved._sum_of(tmp_path / "history.db")
    (place / "state.json").write_bytes(orjson.dumps(said))
    with pytest.raises(saved.SavedStateError, match="damaged"):
        saved.load(place, POLICY, store.digest)


def test_a_folder_that_cannot_be_written_leaves_the_state_in_memory(store, tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        state = open_state(store, POLICY, tmp_path / "file")
    assert len(state.history) == 3
    assert "kept in memory" in caplog.text


def test_names_that_share_a_digest_are_told_apart(monkeypatch):
    monkeypatch.setattr(
        naming, "digests_of", lambda names: np.array([len(n) for n in names], np.uint64)
    )
    names = ["b", "a", "cc", "ab", "zz"]
    vocabulary = naming.Vocabulary(naming.SavedNames.of(names))
    assert vocabulary.find(["zz", "a", "ab", "x", "xx", "b"]).tolist() == [4, 1, 3, -1, -1, 0]
    assert vocabulary.learn(["new", "cc", "new"]).tolist() == [5, 2, 5]
    assert [vocabulary.names[n] for n in range(6)] == [*names, "new"]
    assert list(vocabulary.names[1:3]) == ["a", "cc"]


def test_a_table_of_nothing(tmp_path):
    write_table(Columns.empty(Change), tmp_path / "x.arrow")
    table: Any = read_table(Change, tmp_path / "x.arrow")
    assert len(table) == 0
    assert table["change_id"].tolist() == []
