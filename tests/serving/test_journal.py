"""The journal: every answer, chained; whatever is done to it by hand shows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.store import Store, StoreUnavailableError
from features.store.chain import GENESIS
from serving.journal import digest, verify
from serving.runtime import wall_clock

ENTRIES = 6


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store with six entries about three changes."""
    url = f"sqlite:///{tmp_path}/history.db"
    store = Store(url)
    for number in range(ENTRIES):
        with store.write("score", now=wall_clock()) as writer:
            body = {
                "answer": {"n": number, "p": 0.1 + number / 7, "none": None},
                "ä": [1, -0.0, 1e-300],
            }
            writer.append_journal(f"score-{number}", "score", f"C{number % 3}", body)
    store.close()
    return url


def edited(url: str, *statements: str) -> Any:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    store = Store(url)
    found = verify(store)
    store.close()
    return found


def test_an_untouched_journal_holds(url: str) -> None:
    found = edited(url)
    assert (found.entries, found.fault) == (ENTRIES, None)
    assert found.head != GENESIS


def test_an_empty_journal_holds(tmp_path: Path) -> None:
    found = edited(f"sqlite:///{tmp_path}/history.db")
    assert (found.entries, found.head, found.fault) == (0, GENESIS, None)


def test_every_letter_of_a_body_counts(url: str) -> None:
    """Also the last digit of a number that says no more, and a letter's case in an escape."""
    store = Store(url)
    with store.write("score", now=wall_clock()) as writer:
        writer.append_journal("last", "score", "C9", {"p": 0.026540852713628136, "t": "\x1f"})
    store.close()
    for before, after in (("28136", "28137"), ("\\u001f", "\\u001F"), (":", ": ")):
        swap = "UPDATE journal SET body = replace(body, '{}', '{}') WHERE entry_id = 'last'"
        assert (
            edited(url, swap.format(before, after)).fault
            == f"entry {ENTRIES + 1} (last) was changed"
        )
        assert edited(url, swap.format(after, before)).fault is None


OTHER_NUMBER = """UPDATE journal SET body = replace(body, '"n":2', '"n":7') WHERE seq = 3"""
RENUMBER = "UPDATE journal SET seq = seq - 1 WHERE seq > 3"
SWAP = (
    "UPDATE journal SET seq = -1 WHERE seq = 3",
    "UPDATE journal SET seq = 3 WHERE seq = 4",
    "UPDATE journal SET seq = 4 WHERE seq = -1",
)
TAMPERED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "a number in a body": (
        (OTHER_NUMBER,), 2, "entry 3"
    ),
    "a body that is no JSON": (("UPDATE journal SET body = 'x' WHERE seq = 3",), 2, "entry 3"),
    "a body of another kind": (("UPDATE journal SET body = '[]' WHERE seq = 3",), 2, "entry 3"),
    "whose change it was": (("UPDATE journal SET change_id = 'C9' WHERE seq = 5",), 4, "entry 5"),
    "no change": (("UPDATE journal SET change_id = NULL WHERE seq = 5",), 4, "entry 5"),
    "the kind": (("UPDATE journal SET kind = 'note' WHERE seq = 1",), 0, "entry 1"),
    "the id": (("UPDATE journal SET entry_id = 'other' WHERE seq = 2",), 1, "entry 2"),
    "the time": (("UPDATE journal SET written_at = written_at + 1 WHERE seq = 4",), 3, "entry 4"),
    "a time out of range": (("UPDATE journal SET written_at = 9e18 WHERE seq = 4",), 3, "entry 4"),
    "no time": (
        (f"UPDATE journal SET written_at = {-(2**63)} WHERE seq = 4",), 3, "entry 4"
    ),
    "the hash": (("UPDATE journal SET hash = upper(hash) WHERE seq = 4",), 3, "entry 4"),
    "a removed entry": (("DELETE FROM journal WHERE seq = 3",), 2, "entry 3 is missing"),
    "the first removed": (("DELETE FROM journal WHERE seq = 1",), 0, "entry 1 is missing"),
    "a removed entry, renumbered": (
        ("DELETE FROM journal WHERE seq = 3", RENUMBER), 2, "entry 3"
    ),
    "two swapped": (SWAP, 2, "entry 3"),
    "an entry twice": (
        (
            "INSERT INTO journal SELECT 7, 'score-9', kind, change_id, written_at, body, "
            "previous_hash, hash FROM journal WHERE seq = 6",
        ), 6, "entry 7"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_what_is_done_by_hand_shows(url: str, name: str) -> None:
    statements, holding, where = TAMPERED[name]
    found = edited(url, *statements)
    assert found.entries == holding, "those before it hold"
    assert where in found.fault


def test_a_shortened_journal_shows_in_its_head(url: str) -> None:
    head = edited(url).head
    found = edited(url, "DELETE FROM journal WHERE seq = 6")
    assert found.fault is None, "what is left is a journal"
    assert found.head != head, "but not the one whose head was kept elsewhere"


def test_a_store_that_is_gone_is_no_verdict(url: str) -> None:
    store = Store(url)
    store.close()
    Path(url.removeprefix("sqlite:///")).write_bytes(b"x" * 5000)
    with pytest.raises(StoreUnavailableError):
        verify(store)


def test_every_answer_is_in_the_journal_and_verifies(
    shared: Any, ticket: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    before = len(shared.journal())
    given = [shared.score(body) for body in (ticket(), {"change_id": "BARE"}, ticket())]
    shared.send(b"{")
    entries = list(shared.store.journal_entries())
    assert [e.body["answer"] for e in entries[before:]] == given
    assert [e.entry_id for e in entries[before:]] == [a["score_id"] for a in given]
    assert verify(shared.store).fault is None
    ran = cli(shared.home, "audit", "verify", "--json")
    assert ran.code == 0
    head = entries[-1].hash
    expected = {"entries": len(entries), "removed": 0, "head": head, "fault": None}
    assert ran.lines() == [expected]


def test_the_command_line_says_what_is_broken(
    home: Path, shared: Any, cli: Callable[..., Any], ticket: Callable[..., Any]
) -> None:
    answer = shared.score(ticket())
    ran = cli(shared.home, "audit", "replay", answer["score_id"])
    assert (ran.code, ran.out.strip()) == (0, f"{answer['score_id']}: equal, bit for bit")
    assert cli(home, "audit", "replay", "nothing").code == 1
    store = Store(f"sqlite:///{home}/history.db")
    with store.write("score", now=wall_clock()) as writer:
        writer.append_journal("s", "score", "C1", {})
    store.close()
    edited(f"sqlite:///{home}/history.db", "UPDATE journal SET kind = 'x'")
    ran = cli(home, "audit", "verify")
    assert ran.code == 1
    assert "broken: entry 1" in ran.out


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(value=st.dictionaries(st.text(), JSON, max_size=5), seed=st.randoms())
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, Any], seed: Any) -> None:
    items = list(value.items())
    seed.shuffle(items)
    assert digest(dict(items)) == digest(value)


def test_a_digest_tells_contents_apart() -> None:
    assert len({digest({"a": value}) for value in (0, 1, "1", 1.5, None, True, [], [1])}) == 8
