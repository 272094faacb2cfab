"""Old entries: exported and verified elsewhere, removed on record, and never by hand."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.store import Store
from features.store.retention import KIND
from serving.journal import verify
from serving.retaining import (
    COLUMNS,
    ExportError,
    RetentionError,
    entries_between,
    retain,
    verify_export,
    write_csv,
    write_jsonl,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
YEARS = timedelta(days=730)
SECRET = "said by nobody else"


def filled(url: str, ages: list[tuple[str | None, int, str]]) -> Store:
    """A store with an entry for each change, age in days and kind, in this order."""
    store = Store(url)
    for number, (change_id, days, kind) in enumerate(ages):
        with store.write(kind, now=NOW - timedelta(days=days)) as writer:
            body = {"answer": {"n": number, "p": 0.1 + number / 7}, "text": f"{SECRET} {number}"}
            writer.append_journal(f"entry-{number}", kind, change_id, body)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two changes of long ago, one that goes on, a promotion, and one of yesterday."""
    store = filled(
        f"sqlite:///{tmp_path}/history.db",
        [
            ("OLD1", 900, "score"), ("LONG", 890, "score"), ("OLD2", 880, "score"),
            ("OLD2", 870, "decision"), (None, 860, "promotion"), (None, 850, "agenda"),
            ("OLD1", 800, "outcome"), ("LONG", 10, "score"), ("NEW", 1, "score"),
        ],
    )  # fmt: skip
    yield store
    store.close()


def removed(store: Store, **said: Any) -> Any:
    given_ = {"older_than": YEARS, "now": NOW, "by": "Ada", "reason": "two years are kept", **said}
    return retain(store, **given_)


def left(store: Store) -> list[str]:
    return [entry.entry_id for entry in store.journal_entries() if entry.kind != KIND]


# removing ----------------------------------------------------------------------------------------


def test_changes_go_whole_and_the_chain_holds(store: Store) -> None:
    before = verify(store)
    done = removed(store)
    assert left(store) == ["entry-1", "entry-4", "entry-7", "entry-8"]
    assert done.by_kind == {"score": 2, "decision": 1, "agenda": 1, "outcome": 1}
    assert (done.entries, done.changes) == (5, 2)
    found = verify(store)
    assert (found.fault, found.entries, found.removed) == (None, 5, 5)
    assert found.head == done.head != before.head
    entry = store.journal_entry(str(done.retention_id))
    assert entry is not None
    assert entry.body["by"] == {"name": "Ada"}
    assert (entry.body["reason"], entry.body["entries"]) == ("two years are kept", 5)


def test_a_dry_run_removes_nothing(store: Store) -> None:
    before = verify(store)
    done = removed(store, dry_run=True)
    assert (done.entries, done.head) == (5, None)
    assert verify(store) == before
    assert store.anchors() == []


def test_again_and_again(store: Store) -> None:
    removed(store, older_than=timedelta(days=885))
    assert removed(store, older_than=timedelta(days=885)).entries == 0
    removed(store)
    later = NOW + timedelta(days=3_000)
    removed(store, now=later)
    assert left(store) == ["entry-4"], "promotions stay"
    assert verify(store).fault is None
    with store.write("score", now=later) as writer:
        writer.append_journal("more", "score", "C9", {"answer": {}})
    assert verify(store).fault is None


def test_a_change_still_to_come_stays(store: Store) -> None:
    state = {
        "change_id": "OLD1", "seq": 1, "score_id": "entry-0", "revision": "1", "scored_at": 0,
        "status": "scored", "probability": 0.1, "band": "low", "change_type": None,
        "service": None, "ci": None, "assignment_group": None, "planned_end": None, "card": "{}",
        "planned_start": int((NOW + timedelta(days=1)).timestamp() * 1e6),
    }  # fmt: skip
    with store.write("x", now=NOW) as writer:
        writer.review.put_states([state, {**state, "change_id": "OLD2", "seq": 3,
                                          "planned_start": 0}])  # fmt: skip
    removed(store)
    assert "entry-0" in left(store)
    assert "entry-2" not in left(store)
    with store.review() as review:
        assert review.state("OLD1") is not None
        assert review.state("OLD2") is None, "what repeats a removed entry goes with it"


def test_younger_entries_are_never_removed(store: Store) -> None:
    with pytest.raises(RetentionError, match="at least 90 days"):
        removed(store, older_than=timedelta(days=89))
    assert len(left(store)) == 9


def test_what_is_removed_is_not_in_the_file_any_more(store: Store, tmp_path: Path) -> None:
    def bytes_left() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.glob("history.db*"))

    assert f"{SECRET} 2".encode() in bytes_left()
    removed(store)
    found = bytes_left()
    for number in (0, 2, 3, 5, 6):
        assert f"{SECRET} {number}".encode() not in found
    assert f"{SECRET} 7".encode() in found


def test_an_archive_comes_first_and_verifies(store: Store, tmp_path: Path) -> None:
    archive = tmp_path / "old.jsonl"
    removed(store, archive=archive)
    lines = archive.read_bytes().splitlines()
    assert [json.loads(line)["entry_id"] for line in lines] == [
        "entry-0", "entry-2", "entry-3", "entry-5", "entry-6",
    ]  # fmt: skip
    found = verify_export(lines)
    assert (found.fault, found.entries, found.removed) == (None, 5, 2)
    anchors = {anchor.last_seq: anchor.hash for anchor in store.anchors()}
    kept = {json.loads(line)["seq"]: json.loads(line)["hash"] for line in lines}
    assert all(kept[seq] == digest for seq, digest in anchors.items()), "it is what was removed"


def test_without_its_archive_nothing_is_removed(store: Store, tmp_path: Path) -> None:
    archive = tmp_path / "old.jsonl"
    archive.write_text("mine", encoding="utf-8")
    with pytest.raises(RetentionError, match="cannot be written"):
        removed(store, archive=archive)
    assert archive.read_text(encoding="utf-8") == "mine"
    assert len(left(store)) == 9
    assert verify(store).fault is None


# by hand -----------------------------------------------------------------------------------------

BY_HAND = {
    "an anchor moved": ("UPDATE journal_anchor SET last_seq = last_seq + 1 WHERE first_seq = 6",
                        "entry 9 is missing"),
    "an anchor's hash": ("UPDATE journal_anchor SET hash = previous_hash WHERE first_seq = 3",
                         "entry 5"),
    "an anchor removed": ("DELETE FROM journal_anchor WHERE first_seq = 1", "entry 1 is missing"),
    "an anchor added": ("INSERT INTO journal_anchor VALUES (8, 8, 'x', 'y', 'z')",
                        "stands where nothing was removed"),
    "an entry removed with an anchor": (
        "INSERT INTO journal_anchor SELECT seq, seq, previous_hash, hash, 'z' FROM journal "
        "WHERE seq = 8; DELETE FROM journal WHERE seq = 8", "not as the journal tells"),
    "one removed under a known removal": (
        "INSERT INTO journal_anchor SELECT seq, seq, previous_hash, hash, (SELECT retention_id "
        "FROM journal_anchor LIMIT 1) FROM journal WHERE seq = 8; "
        "DELETE FROM journal WHERE seq = 8", "not as the journal tells"),
    "the removal's own entry": ("DELETE FROM journal WHERE kind = 'retention'",
                                "not as the journal tells"),
    "what the removal tells": (
        "UPDATE journal SET body = replace(body, 'two years', 'one') WHERE kind = 'retention'",
        "was changed"),
    "an entry that stayed": ("UPDATE journal SET change_id = 'X' WHERE seq = 2", "entry 2"),
    "an entry that stayed, removed": ("DELETE FROM journal WHERE seq = 5", "entry 5 is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_done_by_hand_shows(store: Store, tmp_path: Path, name: str) -> None:
    removed(store)
    statements, where = BY_HAND[name]
    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        connection.executescript(statements)
    found = verify(store)
    assert found.fault is not None
    assert where in found.fault


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ages=st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "C", "D", None]),
            st.integers(1, 2000),
            st.sampled_from(["score", "decision", "promotion"]),
        ),
        min_size=1,
        max_size=12,
    ),
    limits=st.lists(st.integers(90, 1500), min_size=1, max_size=3),
)
def test_whatever_is_removed_the_chain_holds(
    tmp_path_factory: pytest.TempPathFactory,
    ages: list[tuple[str | None, int, str]],
    limits: list[int],
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('any')}/history.db"
    store = filled(url, ages)
    for days in limits:
        removed(store, older_than=timedelta(days=days))
    found = verify(store)
    assert found.fault is None
    assert found.entries + found.removed == len(ages) + sum(
        entry.kind == KIND for entry in store.journal_entries()
    )
    youngest: dict[str | None, int] = {}
    for change_id, days, _ in ages:
        youngest[change_id] = min(days, youngest.get(change_id, days))
    for entry in store.journal_entries():
        if entry.kind == "score" and entry.change_id is not None:
            assert youngest[entry.change_id] <= min(limits), "no change is left in part"
    store.close()


# out ---------------------------------------------------------------------------------------------


def test_an_export_verifies_without_the_store(store: Store) -> None:
    file = io.BytesIO()
    assert write_jsonl(file, store.journal_entries()) == 9
    lines = file.getvalue().splitlines()
    found = verify_export(lines)
    assert (found.fault, found.entries, found.removed) == (None, 9, 0)
    assert found.head == verify(store).head
    for number in range(9):
        forged = json.loads(lines[number])
        forged["body"]["answer"]["p"] = 0.5
        fault = verify_export([*lines[:number], json.dumps(forged).encode(), *lines[number + 1 :]])
        assert f"entry {number + 1} " in str(fault.fault)
    assert verify_export([lines[1], lines[0]]).fault == "entry 1 is out of order"
    assert verify_export(lines[2:5] + lines[7:]).removed == 2


def test_a_file_that_is_no_export_is_refused(store: Store) -> None:
    file = io.BytesIO()
    write_jsonl(file, store.journal_entries())
    line = json.loads(file.getvalue().splitlines()[0])
    for wrong in (b"x", b"[]", b"{}", json.dumps({**line, "written_at": "2020-01-01"}).encode()):
        with pytest.raises(ExportError, match="line 1 is no exported entry"):
            verify_export([wrong])


def test_a_table_for_spreadsheets(store: Store) -> None:
    with store.write("score", now=NOW) as writer:
        writer.append_journal("=1+1", "score", "@SUM(A1)", {"answer": {"ä": 1}})
    file = io.BytesIO()
    assert write_csv(file, store.journal_entries()) == 10
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode())))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[-1]["entry_id"], rows[-1]["change_id"]) == ("'=1+1", "'@SUM(A1)")
    assert json.loads(rows[-1]["body"]) == {"answer": {"ä": 1}}


def test_a_span_a_kind_a_change(store: Store) -> None:
    def found(**asked: Any) -> list[str]:
        return [entry.entry_id[-1] for entry in entries_between(store, **asked)]

    since, until = NOW - timedelta(days=880), NOW - timedelta(days=860)
    assert found(since=since, until=until) == ["2", "3"]
    assert found(kinds=["decision", "promotion"]) == ["3", "4"]
    assert found(change_id="LONG") == ["1", "7"]


def test_a_journal_of_any_size_is_streamed(store: Store) -> None:
    class Watched(io.RawIOBase):
        written = 0

        def write(self, content: Any) -> int:
            self.written += 1
            return len(content)

    def endless() -> Iterator[Any]:
        entry = next(store.journal_entries())
        for number in range(100):
            assert file.written == number, "each is written before the next is read"
            yield entry

    file = Watched()
    assert write_jsonl(file, endless()) == 100  # type: ignore[arg-type]


# the command line --------------------------------------------------------------------------------


def test_the_commands(store: Store, cli: Callable[..., Any], tmp_path: Path) -> None:
    def ran(*arguments: str) -> Any:
        return cli(tmp_path, "audit", *arguments)

    out = tmp_path / "all.jsonl"
    assert ran("export", "--out", str(out)).code == 0
    assert len(out.read_bytes().splitlines()) == 9
    assert ran("export", "--out", str(out)).code == 2
    assert "9 entries, the chain holds" in ran("verify", str(out)).out
    assert ran("export", "--kind", "decision", "--format", "csv").out.count("entry-3") == 1
    assert ran("retain", "--older-than", "two years", "--dry-run").code == 2
    assert ran("retain", "--older-than", "10d", "--dry-run").code == 2
    assert ran("retain", "--older-than", "100d").code == 2
    (tried,) = ran("retain", "--older-than", "100d", "--dry-run", "--json").lines()
    assert (tried["entries"], tried["dry_run"]) == (5, True)
    done = ran("retain", "--older-than", "100d", "--reason", "kept long enough", "--by", "Ada")
    assert done.code == 0
    assert "removed 5 entries about 2 changes" in done.out
    assert "5 entries and 5 removed on record, the chain holds" in ran("verify").out
    (found,) = ran("verify", "--json").lines()
    assert (found["removed"], found["fault"]) == (5, None)
