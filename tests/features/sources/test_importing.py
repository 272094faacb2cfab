"""Importing as a whole: all or nothing, an account of everything, and the store's settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from features.records import Change, Incident, Link, Record
from features.sources import SOURCES, ImportReport, Reading, SourceError, import_source
from features.sources import importing as importing_module
from features.sources.importing import Reader, Source
from features.sources.reading import coverage
from features.store import Store, StoreUnavailableError
from features.store.writing import CHUNK, Writer

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def change(number: int, **given: Any) -> Change:
    return Change(change_id=f"C{number}", known_at=NOW + number * DAY, **given)


def incident(number: int) -> Incident:
    return Incident(incident_id=f"I{number}", occurred_at=NOW, known_at=NOW)


def link(number: int) -> Link:
    return Link(
        incident_id=f"I{number}",
        change_id="C1",
        kind="fixed_by",
        source="explicit",
        confidence=1.0,
        occurred_at=NOW,
        known_at=NOW,
    )


class World:
    """One source whose reader the test gives, and one store."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.url = f"sqlite:///{folder}/history.db"
        self.store = Store(self.url)
        self.folder = folder
        self._monkeypatch = monkeypatch

    def run(self, read: Reader, **given: Any) -> ImportReport:
        source = Source(read=read, label="failed", means="a test", history_from="2020-01-01")
        self._monkeypatch.setitem(SOURCES, "test", source)
        rejects = self.folder / "rejected"
        return import_source(self.store, "test", self.folder, now=NOW, rejects=rejects, **given)

    def rows(self) -> int:
        """Facts in the store, seen through a new connection."""
        again = Store(self.url)
        rows = sum(again.counts().values())
        again.close()
        return rows


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    opened = World(tmp_path, monkeypatch)
    yield opened
    opened.store.close()


def reader(*records: Record) -> Reader:
    def read(path: Path, reading: Reading) -> Iterator[Record]:
        yield from records

    return read


def test_the_report_accounts_for_everything(world: World) -> None:
    def read(path: Path, reading: Reading) -> Iterator[Record]:
        reading.rows_read["a.csv"] = 5
        reading.notes.append("something odd")
        reading.reject("a.csv", 3, "no id", {"id": None, "when": NOW, "size": float("nan")})
        reading.reject("a.csv", 4, "no id", {"id": ""})
        yield from (change(1, ci="db"), change(2), incident(1), incident(2), link(1))

    report = world.run(read)
    assert report.rows_read == {"a.csv": 5}
    assert report.records_read == {"Change": 2, "Incident": 2, "Link": 1}
    assert report.stored == {
        "change_revision": 2,
        "incident": 2,
        "link": 1,
        "change_event": 0,
        "item": 0,
        "relation": 0,
        "calendar_entry": 0,
    }
    assert report.rejected == {"no id": 2}
    assert report.notes == ["something odd"]
    assert report.incidents_linked == 0.5
    assert report.coverage["Change"]["ci"] == 0.5
    assert report.coverage["Change"]["change_id"] == 1.0
    assert report.coverage["Change"]["affected_cis"] == 0.0


def test_the_same_facts_are_stored_once(world: World) -> None:
    assert world.run(reader(change(1), change(1), change(2))).stored["change_revision"] == 2
    assert world.store.watermark() == 1
    assert sum(world.run(reader(change(2), change(1))).stored.values()) == 0
    assert world.store.watermark() == 1, "an import that brings nothing is no write"
    assert world.run(reader(change(1), change(3))).stored["change_revision"] == 1
    assert world.store.watermark() == 2


def test_a_revision_read_again_later_keeps_its_first_known_at(world: World) -> None:
    world.run(reader(change(1)))
    world.run(reader(replace(change(1), known_at=NOW + 99 * DAY)))
    (known,) = (world.store.load()[Change].record(0),)
    assert known == change(1)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SourceError, RuntimeError])
def test_an_import_that_breaks_off_leaves_nothing(world: World, error: type[BaseException]) -> None:
    def read(path: Path, reading: Reading) -> Iterator[Record]:
        reading.reject("a.csv", 2, "no id", {})
        yield change(1)
        raise error("stop")

    with pytest.raises(error, match="stop"):
        world.run(read)
    assert world.rows() == 0
    assert world.store.watermark() == 0
    assert world.store.setting("source") is None
    assert not (world.folder / "rejected").exists()
    assert sum(world.run(reader(change(1))).stored.values()) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_import_stopped_while_it_stores_leaves_nothing(
    world: World, error: type[BaseException]
) -> None:
    told: list[int] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        if stage == "store" and done:
            told.append(done)
            raise error("stop")

    many = [incident(number) for number in range(2 * CHUNK)]
    with pytest.raises(error, match="stop"):
        world.run(reader(change(1), *many), progress=progress)
    assert told == [1], "the change was already written"
    assert world.rows() == 0
    assert sum(world.run(reader(change(1), *many)).stored.values()) == 2 * CHUNK + 1


def test_a_write_that_fails_half_way_is_rolled_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = Writer._insert
    calls: list[int] = []

    def failing(self: Writer, table: sa.Table, rows: list[Any]) -> None:
        calls.append(len(rows))
        if len(calls) == 3:
            raise sa.exc.OperationalError("INSERT", {}, Exception("disk is full"))
        insert(self, table, rows)

    monkeypatch.setattr(Writer, "_insert", failing)
    many = [incident(number) for number in range(3 * CHUNK)]
    with pytest.raises(StoreUnavailableError, match=r"disk is full.*has room"):
        world.run(reader(change(1), *many))
    assert calls == [1, CHUNK, CHUNK]
    assert world.rows() == 0
    assert world.store.watermark() == 0
    monkeypatch.undo()
    assert sum(world.run(reader(change(1), *many)).stored.values()) == 3 * CHUNK + 1


def test_rejected_rows_are_written_replaced_and_removed(world: World) -> None:
    def rejecting(*ids: str) -> Reader:
        def read(path: Path, reading: Reading) -> Iterator[Record]:
            for row, name in enumerate(ids, start=2):
                reading.reject("a.csv", row, "bad", {"id": name, "at": NOW, "n": None})
            yield change(1)

        return read

    path = world.folder / "rejected" / "test.jsonl"
    report = world.run(rejecting("x", "ü\n"))
    assert report.rejected_file == str(path)
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert lines[1] == {
        "file": "a.csv",
        "row": 3,
        "reason": "bad",
        "content": {"id": "ü\n", "at": str(NOW), "n": None},
    }
    world.run(rejecting("y"))
    assert [orjson.loads(line)["content"]["id"] for line in path.read_bytes().splitlines()] == ["y"]
    assert world.run(rejecting()).rejected_file is None
    assert not path.exists()


def test_an_import_of_rejected_rows_alone_is_a_fault(world: World) -> None:
    def rejecting(*records: Record) -> Reader:
        def read(path: Path, reading: Reading) -> Iterator[Record]:
            reading.reject("a.csv", 2, "no id", {"id": None})
            reading.reject("a.csv", 3, "no time", {"id": "x"})
            yield from records

        return read

    fault = world.run(rejecting()).fault()
    assert fault is not None
    assert "all 2 were rejected: no id (1); no time (1)" in fault
    assert str(world.folder / "rejected" / "test.jsonl") in fault
    assert world.run(reader()).fault() is None, "no row came"
    partly = world.run(rejecting(change(1)))
    assert partly.fault() is None
    assert any("only a part was imported" in line for line in partly.lines())


def test_a_field_that_is_nearly_always_filled_is_not_said_to_be(world: World) -> None:
    many = [
        change(n, ci=None if n == 1 else "db", service="x" if n == 1 else None) for n in range(999)
    ]
    (line,) = [line for line in world.run(reader(*many)).lines() if "not always filled" in line]
    assert "ci >99%" in line
    assert "service <1%" in line
    assert "description 0%" in line
    assert "100%" not in line


def test_the_first_import_settles_the_label(world: World) -> None:
    world.run(reader())
    assert world.store.setting("label") is None, "nothing was read"
    world.run(reader(change(1)))
    assert world.store.setting("source") == "test"
    assert world.store.setting("label") == {"name": "failed"}
    assert world.store.setting("history_from") == "2020-01-01"

    world.store.set_setting("label", {"name": "incident", "window_days": 3})
    world.run(reader(change(2)))
    assert world.store.setting("label") == {"name": "incident", "window_days": 3}


def test_the_export_may_ask_for_another_label(world: World) -> None:
    def read(path: Path, reading: Reading) -> Iterator[Record]:
        reading.label = "incident"
        yield change(1)

    world.run(read)
    assert world.store.setting("label") == {"name": "incident"}


def test_settings_missed_by_an_import_broken_off_come_with_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Store, name: str, value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "set_setting", stop)
    with pytest.raises(KeyboardInterrupt):
        world.run(reader(change(1)))
    monkeypatch.undo()
    assert world.rows() == 1
    world.run(reader(change(1)))
    assert world.store.setting("label") == {"name": "failed"}


def test_progress_reaches_the_end(world: World) -> None:
    told: list[tuple[str, int, int | None]] = []
    world.run(reader(change(1), incident(1)), progress=lambda *said: told.append(said))
    assert told[0] == ("store", 0, 2)
    assert told[-1] == ("store", 2, 2)
    done = [said[1] for said in told]
    assert done == sorted(done)


def test_coverage_counts_what_is_filled() -> None:
    records: list[Record] = [
        change(1, short_description="", cab_required=False, attributes={"x": 1.0}),
        change(2, affected_cis=("a",)),
    ]
    found = coverage(records)["Change"]
    assert (found["short_description"], found["ci"], found["revision"]) == (0.0, 0.0, 1.0)
    assert (found["cab_required"], found["attributes"], found["affected_cis"]) == (0.5, 0.5, 0.5)
    assert coverage([]) == {}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_says_what_it_expects(tmp_path: Path, name: str) -> None:
    store = Store(f"sqlite:///{tmp_path}/history.db")
    with pytest.raises(SourceError, match=r"expected .*, found (neither|none)"):
        import_source(store, name, tmp_path, now=NOW, rejects=tmp_path)
    store.close()
    assert importing_module.SOURCES[name].means
