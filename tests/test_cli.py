"""The command line: it teaches, its exit codes can be relied on, and it never shows a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson
import pyarrow.parquet as pq
import pytest

import changerisk
from features.commands import SOURCE_NAMES
from features.sources import SOURCES
from features.store import Store
from models.registry import Registry
from serving.keys import create

SPEAK_OTHERWISE = (
    "changerisk serve",
    "changerisk openapi",
    "changerisk audit export",
    "changerisk sync example",
    "changerisk policy example",
    "changerisk webhooks secret",
)
"""Commands that give no result, a JSON document, rows in a format chosen, a TOML file to edit, and
a secret."""

LONG_AGO, DAY = datetime(2025, 1, 1, tzinfo=UTC), timedelta(days=1)

DEMO = ("demo", "--changes", "300", "--until", "2025-06-02")


@dataclass(frozen=True)
class Ran:
    """What a run left."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """The one JSON object on stdout."""
        assert self.out.endswith("\n")
        return orjson.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A registry without models, set up once: that takes seconds."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    Registry(uri, folder / "artifacts")
    return uri


@pytest.fixture
def run(
    registry: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs the command line on an empty home."""
    monkeypatch.chdir(tmp_path)
    for name in ("STORE_URL", "HOST", "PORT", "MAX_BODY_BYTES"):
        monkeypatch.delenv(f"CHANGERISK_{name}", raising=False)
    monkeypatch.setenv("CHANGERISK_MLFLOW_URI", registry)
    monkeypatch.setenv("CHANGERISK_HOME", str(tmp_path / "home"))

    def run(*arguments: str, **environment: str) -> Ran:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(f"CHANGERISK_{name}", value)
            patch.setattr(sys, "argv", ["changerisk", *arguments])
            capsys.readouterr()
            code: object = 0
            try:
                changerisk.main()
            except SystemExit as end:
                code = end.code or 0
            found = Ran(int(str(code)), *capsys.readouterr())
            assert "Traceback" not in found.out + found.err
            return found

    return run


@pytest.fixture
def filled(run: Run) -> Run:
    """The same on a home with a small demo in it."""
    assert run(*DEMO).code == 0
    return run


# help --------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, click.Command]]:
    def below(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                yield from below(f"{name} {inner.name}", inner)

    yield from below("changerisk", changerisk.cli)


COMMANDS = dict(commands())
LEAVES = [name for name, command in COMMANDS.items() if not isinstance(command, click.Group)]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_teaches(run: Run, name: str, flag: str) -> None:
    ran = run(*name.split()[1:], flag)
    assert (ran.code, ran.err) == (0, "")
    assert f"Usage: {name}" in " ".join(ran.out.split())
    command = COMMANDS[name]
    assert len((command.help or "").split()) >= 5
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in ran.out
            assert parameter.help, f"{parameter.opts[0]} explains nothing"


def test_the_first_help_shows_the_way(run: Run) -> None:
    text = run("--help").out
    for command in ("demo", "import", "labels", "train", "score", "serve"):
        assert f"changerisk {command}" in text
    assert "CHANGERISK_HOME" in text
    assert run().out == text or "Usage" in run().out + run().err


@pytest.mark.parametrize("name", [n for n in LEAVES if n not in SPEAK_OTHERWISE])
def test_every_command_speaks_json(name: str) -> None:
    assert "--json" in [option for p in COMMANDS[name].params for option in p.opts]


def test_the_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.err) == (0, "")
    assert "0." in ran.out


# usage: 2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing",), "No such command 'nothing'"),
        (("demo", "--nothing"), "No such option"),
        (("demo", "--changes", "many"), "not a valid integer"),
        (("demo", "--changes", "10"), "expected at least 300 changes"),
        (("demo", "--seed", "-1"), "not in the range"),
        (("demo", "--until", "soon"), "does not match the format"),
        (("import", "nothing", "."), "is not one of 'bpic14', 'csv'"),
        (("import", "csv", "no/such/folder"), "does not exist"),
        (("import", "csv", "."), "changes"),
        (("import", "bpic14", ".", "--mapping", __file__), "source csv only"),
        (("place", "--country", "Atlantis"), "no holidays are known of country 'Atlantis'"),
        (("place", "--nowhere", "--country", "DE"), "--nowhere goes with none of the others"),
        (("labels", "--label", "nothing"), "there is no label 'nothing'; known are"),
        (("labels", "--min-confidence", "2"), "not in the range"),
        (("build",), "Missing option '--out'"),
        (("build", "--out", "."), "exists already: name another file or remove it"),
        (("build", "--out", "t.parquet", "--master", "yarn"), "go with --engine spark only"),
        (("build", "--out", "t.parquet", "--label", "nothing"), "there is no label 'nothing'"),
        (("train", "--label", "nothing"), "there is no label 'nothing'"),
        (("score", "no/such/file.json"), "No such file"),
        (("score",), "Missing argument"),
        (("serve", "--port", "0"), "not in the range"),
        (("serve", "--port", "65536"), "not in the range"),
        (("keys", "create", "x", "--role", "root"), "there is no role 'root'; known are"),
        (("keys", "create", "x", "--days", "0"), "not in the range"),
        (("keys", "revoke", "nothing"), "there is no live key 'nothing'"),
    ],
)
def test_wrong_usage_is_said(run: Run, arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in " ".join(ran.err.replace("│", " ").split())


@pytest.mark.parametrize("value", ["abc", "0", "65536", "-1", "3e3", "²", "٣", "9" * 5000, "80 "])
def test_a_setting_that_is_no_number(run: Run, value: str) -> None:
    ran = run("model", "list", PORT=value)
    assert (ran.code, ran.out) == (2, "")
    assert "CHANGERISK_PORT: expected a whole number from 1 to 65535, got" in ran.err


def test_without_spark_it_is_said_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "table.parquet"
    for name, words in (
        ("pyspark", "requirements-spark.lock"),
        ("java", "openjdk-17-jre-headless"),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "pyspark", None if name == "pyspark" else sys)
            patch.setenv("PATH", "/nowhere")
            patch.delenv("JAVA_HOME", raising=False)
            ran = run("build", "--out", str(out), "--engine", "spark")
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err
    assert not out.exists()


# out of reach: 4 ---------------------------------------------------------------------------------

POSTGRES = "postgresql+psycopg://somebody:hush-hush@127.0.0.1:9/changes"


@pytest.mark.parametrize(
    "arguments",
    [
        DEMO,
        ("import", "csv", "."),
        ("labels",),
        ("build", "--out", "table.parquet"),
        ("train",),
        ("score", "change.json"),
        ("keys", "create", "me"),
        ("keys", "list"),
        ("keys", "revoke", "x"),
        ("audit", "verify"),
        ("audit", "replay", "x"),
    ],
)
def test_a_store_out_of_reach(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "change.json").write_text('{"change_id": "C1"}')
    (tmp_path / "changes.csv").write_text("change_id,known_at\nC1,2025-01-01T00:00:00Z\n")
    begun = time.monotonic()
    ran = run(*arguments, STORE_URL=POSTGRES, MLFLOW_URI=f"sqlite:///{tmp_path}/no/such/db")
    assert time.monotonic() - begun < 60
    assert (ran.code, ran.out) == (4, "")
    assert "cannot open the store" in ran.err
    assert "hush-hush" not in ran.err


@pytest.mark.parametrize("url", ["sqlite:////proc/no/history.db", "mysql://h/d", "nonsense", "://"])
def test_a_store_that_is_none(run: Run, url: str) -> None:
    ran = run("keys", "list", STORE_URL=url)
    assert (ran.code, ran.out) == (4, "")
    assert "store" in ran.err


def test_a_home_that_is_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run("keys", "list", HOME=str(tmp_path / "file")).code == 4


def test_a_registry_that_is_none(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"this is not a database " * 100)
    ran = run("model", "list", MLFLOW_URI=f"sqlite:///{path}")
    assert (ran.code, ran.out) == (4, "")
    assert "the model registry could not be used: " in ran.err


def test_a_registry_out_of_reach(run: Run) -> None:
    begun = time.monotonic()
    ran = run("model", "list", MLFLOW_URI="http://somebody:hush-hush@127.0.0.1:9")
    assert time.monotonic() - begun < 60
    assert (ran.code, ran.out) == (4, "")
    assert "hush-hush" not in ran.err


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
