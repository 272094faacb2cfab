"""The command line: what commands do, and exit codes that can be relied on."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from features.commands import SOURCE_NAMES
from features.sources import SOURCES
from features.store import Store
from serving.keys import create
from tests.cli.running import DEMO, Run

LONG_AGO, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1)


# without success: 1 ------------------------------------------------------------------------------


def test_an_empty_store_has_no_labels_and_no_model(run: Run) -> None:
    for command in (("labels",), ("build", "--out", "table.parquet"), ("train",)):
        ran = run(*command, "--json")
        assert (ran.code, ran.out) == (1, "")
        assert "import" in ran.err


def test_too_little_to_learn_from(filled: Run) -> None:
    ran = filled("train", "--json")
    assert (ran.code, ran.out) == (1, "")
    assert "at least 10 are needed" in ran.err
    ran = filled("train", "--label", "failed", "--as-of", "2024-06-01")
    assert ran.code == 1


def test_an_interruption(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("serving.commands.store_of", interrupt)
    ran = run("keys", "list")
    assert (ran.code, ran.out) == (130, "")
    assert "interrupted" in ran.err


def test_the_sources_named_are_those_that_can_be_read() -> None:
    assert sorted(SOURCES) == list(SOURCE_NAMES)


def test_help_does_not_load_what_it_does_not_need() -> None:
    words = "import sys, changerisk; print([m for m in ('pandas', 'sqlalchemy', 'sklearn') "
    words += "if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# success: 0 --------------------------------------------------------------------------------------


def test_a_demo_is_made_once(run: Run, tmp_path: Path) -> None:
    ran = run(*DEMO, "--json")
    assert ran.code == 0
    assert ran.value["synthetic"] is True
    assert ran.value["stored"]["change_revision"] >= 300
    assert "SYNTHETIC" in ran.value["description"]
    assert "draw changes" in ran.err, "progress is on stderr"
    home = tmp_path / "home"
    lines = (home / "upcoming.jsonl").read_bytes().splitlines()
    assert all(orjson.loads(line)["change_id"] for line in lines)
    before = counts(home)

    assert run(*DEMO).code == 1
    ran = run(*DEMO, "--if-empty", "--json")
    assert (ran.code, ran.value) == (0, {"synthetic": True, "kept": True})
    assert counts(home) == before


def counts(home: Path) -> dict[str, int]:
    store = Store(f"sqlite:///{home}/history.db")
    found = store.counts()
    store.close()
    return found


def test_a_demo_in_another_store(run: Run, tmp_path: Path) -> None:
    ran = run(*DEMO, STORE_URL=f"sqlite:///{tmp_path}/elsewhere/history.db")
    assert ran.code == 0
    assert (tmp_path / "home" / "upcoming.jsonl").is_file()


def test_labels_are_counted(filled: Run) -> None:
    ran = filled("labels", "--json")
    assert ran.code == 0
    assert isinstance(ran.value, dict)
    assert filled("labels", "--label", "failed", "--as-of", "2025-01-01").code == 0
    assert filled("labels", "--window-days", "3", "--max-priority", "2").code == 0


def test_a_table_is_written_and_told(filled: Run, tmp_path: Path) -> None:
    out = tmp_path / "table.parquet"
    ran = filled("build", "--out", str(out), "--as-of", "2025-05-01", "--json")
    assert ran.code == 0
    table = pq.read_table(out)
    told = ran.value
    assert told["rows"] == table.num_rows == sum(told["outcomes"].values())
    assert (told["engine"], told["label"]) == ("local", "incident")
    assert told["as_of"] == "2025-05-01T00:00:00+00:00"
    assert max(table["as_of"].to_pylist()) <= datetime(2025, 5, 1, tzinfo=UTC)
    assert filled("build", "--out", str(out)).code == 2, "what is there is never overwritten"
    assert [path.name for path in tmp_path.iterdir() if "table" in path.name] == ["table.parquet"]


def test_an_import_is_told(run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (export / "changes.csv").write_text("change_id,known_at\nC1,2025-01-01T00:00:00Z\nC2,x\n")
    ran = run("import", "csv", str(export), "--json")
    assert ran.code == 0
    assert ran.value["stored"]["change_revision"] == 1
    assert list(ran.value["rejected"].values()) == [1]
    ran = run("import", "csv", str(export))
    assert ran.code == 0
    assert "new: nothing" in ran.out


def test_an_import_of_nothing_but_bad_rows_fails(run: Run, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (export / "changes.csv").write_text("change_id,submitted_at\nC1,2025-01-01 09:00\nC2,x\n")
    ran = run("import", "csv", str(export), "--json")
    assert ran.code == 2
    assert sum(ran.value["rejected"].values()) == 2
    assert "all 2 were rejected" in ran.err
    assert "the mapping names no timezone" in ran.err
    kept = tmp_path / "home" / "rejected" / "csv.jsonl"
    assert str(kept) in ran.err
    assert len(kept.read_bytes().splitlines()) == 2
    (export / "changes.csv").write_text("change_id,submitted_at\n")
    assert run("import", "csv", str(export)).code == 0, "an empty export is no fault"


def test_the_life_of_a_key(run: Run) -> None:
    assert run("keys", "list").out == "no key yet: changerisk keys create NAME\n"
    made = run("keys", "create", "ServiceNow", "--role", "service", "--days", "30", "--json").value
    key = made["key"]
    assert key.startswith("crk_")
    shown = run("keys", "list", "--json")
    (row,) = shown.value["keys"]
    assert (row["name"], row["role"], row["revoked_at"]) == ("ServiceNow", "service", None)
    assert "digest" not in row
    assert key not in shown.out
    assert run("keys", "revoke", row["key_id"], "--json").value == {
        "key_id": row["key_id"],
        "revoked": True,
    }
    assert "revoked" in run("keys", "list").out
    assert run("keys", "revoke", row["key_id"]).code == 2


def test_the_list_of_keys_says_until_when_they_are_good(run: Run, tmp_path: Path) -> None:
    run("keys", "create", "forever")
    run("keys", "create", "short", "--days", "2")
    store = Store(f"sqlite:///{tmp_path}/home/history.db")
    create(store, name="gone", role="service", now=LONG_AGO, expires_at=LONG_AGO + DAY)
    store.close()
    said = {
        line.split("  ")[2]: line.split("  ")[3] for line in run("keys", "list").out.splitlines()
    }
    assert said["forever"] == "never expires"
    assert re.fullmatch(r"expires 20\d\d-\d\d-\d\d \d\d:\d\d UTC", said["short"])
    assert said["gone"] == "expired 2025-01-02 00:00 UTC"


def test_an_empty_journal_verifies(run: Run) -> None:
    ran = run("audit", "verify", "--json")
    assert (ran.code, ran.value["entries"], ran.value["fault"]) == (0, 0, None)
    ran = run("audit", "replay", "nothing")
    assert ran.code == 1
    assert "no score 'nothing'" in ran.err
