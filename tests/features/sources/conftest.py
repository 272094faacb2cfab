"""An empty folder to export to, the store beside it, and what the csv source makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.sources import ImportReport, Reading, import_source
from features.sources.table import read
from features.store import Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/var/history.db")
    yield opened
    opened.close()


@pytest.fixture
def run(tmp_path: Path, store: Store) -> Callable[..., ImportReport]:
    """Import the folder; what is given are options of the source."""

    def imported(**options: object) -> ImportReport:
        rejects = tmp_path / "var" / "rejected"
        return import_source(store, "csv", tmp_path, now=NOW, rejects=rejects, options=options)

    return imported


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """Write text files by table name; ``mapping`` is the mapping file."""

    def written(**files: str) -> None:
        for name, text in files.items():
            suffix = "toml" if name == "mapping" else "csv"
            (tmp_path / f"{name}.{suffix}").write_text(text, encoding="utf-8")

    return written


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., tuple[list[Any], Reading]]:
    """Everything read from the folder, or from another, and the account of it."""

    def found(folder: Path = tmp_path) -> tuple[list[Any], Reading]:
        reading = Reading()
        return list(read(folder, reading)), reading

    return found


@pytest.fixture
def one(
    write: Callable[..., None], records: Callable[..., tuple[list[Any], Reading]]
) -> Callable[..., Any]:
    """The only record of a table of one row."""

    def only(table: str, columns: str, row: str, mapping: str = "") -> Any:
        write(changes="change_id,submitted_at\n", mapping=mapping)
        write(**{table: f"{columns}\n{row}\n"})
        found, reading = records()
        assert reading.rejected == []
        assert len(found) == 1
        return found[0]

    return only
