"""Several at once, interruptions, opening and migrating: nothing is lost, nothing is half done."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from features.records import (
    Change,
    Record,
)
from features.store import Store, StoreError, StoreUnavailableError
from features.store.chain import GENESIS
from features.store.schema import metadata

NOW = datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


def add(store: Store, *records: Record) -> dict[str, int]:
    with store.write("test", now=NOW) as writer:
        return writer.add(records)


CHANGE = Change(change_id="C1", known_at=NOW)


# several at once ---------------------------------------------------------------------------------

WRITER = """
    import sys
    from datetime import UTC, datetime
    from features.records import Change
    from features.store import Store

    print("ready", flush=True)
    sys.stdin.readline()
    store = Store(sys.argv[1])
    for number in range(20):
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        with store.write(sys.argv[2], now=moment) as writer:
            writer.add([Change(change_id=f"{sys.argv[2]}-{number}", known_at=moment)])
            writer.append_journal(f"{sys.argv[2]}-{number}", "score", None, {})
    store.close()
    """


def check_nothing_is_lost(store: Store, writers: int) -> None:
    total = writers * 20
    changes = store.load()[Change]
    assert len(set(changes["change_id"])) == total
    assert sorted(changes["batch"]) == list(range(1, total + 1)), "every write its own number"
    assert store.watermark() == total
    entries = list(store.journal_entries())
    assert [entry.seq for entry in entries] == list(range(1, total + 1))
    before = [GENESIS, *(entry.hash for entry in entries)]
    assert all(e.previous_hash == p for e, p in zip(entries, before, strict=False))


def test_threads_lose_nothing(store: Store) -> None:
    failed: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(20):
                with store.write(name, now=NOW) as writer:
                    writer.add([Change(change_id=f"{name}-{number}", known_at=NOW)])
                    writer.append_journal(f"{name}-{number}", "score", None, {})
                store.set_setting("last", name)
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    check_nothing_is_lost(store, 2)
    assert store.setting("last") in ("a", "b")


def test_processes_lose_nothing_from_an_empty_database_on(url: str) -> None:
    code = textwrap.dedent(WRITER)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    store = Store(url)
    check_nothing_is_lost(store, 3)
    store.close()


def test_a_process_killed_while_it_writes_leaves_nothing(url: str) -> None:
    code = """
        import os, signal, sys
        from datetime import UTC, datetime
        from features.records import Change
        from features.store import Store

        moment = datetime(2026, 1, 1, tzinfo=UTC)
        with Store(sys.argv[1]).write("killed", now=moment) as writer:
            writer.add([Change(change_id=str(n), known_at=moment) for n in range(12_000)])
            os.kill(os.getpid(), signal.SIGKILL)
        """
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), url], cwd=ROOT, check=False, timeout=120
    )
    assert killed.returncode < 0
    store = Store(url)
    assert (store.watermark(), len(store.load())) == (0, 0)
    add(store, CHANGE)
    assert store.watermark() == 1
    store.close()


def test_readers_see_whole_writes_only(store: Store) -> None:
    with store.write("test", now=NOW) as writer:
        writer.add([CHANGE])
        assert store.watermark() == 0
        assert len(store.load()) == 0
    assert store.watermark() == 1


def test_a_store_can_be_opened_while_another_process_writes(store: Store, url: str) -> None:
    with store.write("test", now=NOW) as writer:
        writer.add([CHANGE])
        again = Store(url)
        assert again.watermark() == 0
        again.close()


def test_stores_opened_at_once_by_threads(url: str, tmp_path: Path) -> None:
    failed: list[BaseException] = []
    together = threading.Barrier(6)

    def work(where: str) -> None:
        together.wait()
        try:
            Store(where).close()
        except (StoreError, LookupError) as error:
            failed.append(error)

    places = [url, url, *(f"sqlite:///{tmp_path}/{name}.db" for name in "aabb")]
    threads = [threading.Thread(target=work, args=(where,)) for where in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


# opening and migrating ---------------------------------------------------------------------------


def test_migrations_lead_to_the_schema_in_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_opening_again_changes_nothing(store: Store, url: str) -> None:
    add(store, CHANGE)
    again = Store(url)
    assert again.counts() == store.counts()
    again.close()


def test_a_store_of_a_newer_version_is_not_touched(store: Store, url: str) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailableError, match=r"cannot open the store at .*9999"):
        Store(url)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "no url, secret",
        "postgresql+psycopg://user:secret@127.0.0.1:port/history",
        "postgresql+nothing://user:secret@127.0.0.1/history",
        "mysql://user:secret@127.0.0.1/history",
        "unheard-of://user:secret@127.0.0.1/history",
    ],
)
def test_a_url_that_makes_no_sense(bad: str) -> None:
    with pytest.raises(StoreUnavailableError, match="expected sqlite:///path") as caught:
        Store(bad)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_keeps_the_password_hidden() -> None:
    with pytest.raises(
        StoreUnavailableError, match=r"user:\*\*\*@127\.0\.0\.1:1/history"
    ) as caught:
        Store("postgresql+psycopg://user:secret@127.0.0.1:1/history")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"something else, and long enough to look at" * 99)
    with pytest.raises(StoreUnavailableError, match="file is not a database"):
        Store(f"sqlite:///{tmp_path}/history.db")


def test_none_is_made_where_none_may_be(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/history.db"
    with pytest.raises(StoreUnavailableError, match="unable to open database file"):
        Store(url, create=False)
    assert list(tmp_path.iterdir()) == []
    Store(url).close()
    Store(url, create=False).close()


def test_a_file_that_is_moved_away_is_waited_for(tmp_path: Path) -> None:
    path, away = tmp_path / "history.db", tmp_path / "away.db"
    store = Store(f"sqlite:///{path}")
    add(store, CHANGE)
    store.close()
    path.rename(away)
    for use in (store.watermark, lambda: add(store, CHANGE)):
        with pytest.raises(StoreUnavailableError, match="unable to open database file"):
            use()
    assert not path.exists(), "none is made in its place"
    away.rename(path)
    assert store.watermark() == 1
    store.close()


def test_a_file_that_is_replaced_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    store, other = Store(f"sqlite:///{path}"), Store(f"sqlite:///{tmp_path}/other.db")
    add(other, CHANGE)
    other.close()
    assert store.watermark() == 0, "its connection is open and waits in the pool"
    for name in ("history.db", "history.db-wal", "history.db-shm"):
        (tmp_path / name).rename(tmp_path / f"was-{name}")
    (tmp_path / "other.db").rename(path)
    assert store.watermark() == 1
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreUnavailableError, match="cannot make the folder of the store"):
        Store(f"sqlite:///{tmp_path}/file/history.db")


def test_a_store_that_goes_away(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/history.db")
    with store.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE setting"))
    with pytest.raises(StoreUnavailableError, match="check that the database runs"):
        store.setting("label")
    store.close()


def test_who_follows_the_watermark_misses_nothing_and_sees_nothing_twice(
    store: Store, url: str
) -> None:
    """Even where a write began before another and ends after it."""
    begun, done, failed = threading.Event(), threading.Event(), list[BaseException]()

    def slow() -> None:
        try:
            other = Store(url)
            with other.write("slow", now=NOW) as writer:
                writer.add([Change(change_id="slow-first", known_at=NOW)])
                begun.set()
                done.wait(0.5)
                writer.add([Change(change_id="slow-last", known_at=NOW)])
            other.close()
        except StoreError as error:
            failed.append(error)

    def quick() -> None:
        try:
            begun.wait(30)
            for number in range(10):
                add(store, Change(change_id=f"quick-{number}", known_at=NOW))
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for work in (slow, quick)]
    for thread in threads:
        thread.start()
    seen, watermark = list[str](), 0
    while any(thread.is_alive() for thread in threads) or watermark < store.watermark():
        newer = store.load(after=watermark)
        assert newer.watermark >= watermark
        seen, watermark = [*seen, *newer[Change]["change_id"]], newer.watermark
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(seen) == sorted(["slow-first", "slow-last", *(f"quick-{n}" for n in range(10))])
