"""The command line: it teaches, and says what is wrong without a traceback."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

import changerisk
from tests.cli.running import DEMO, Run

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


def test_an_interrupt_that_python_ignores_comes_again() -> None:
    class Clearing:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    def work() -> None:
        Clearing()
        time.sleep(10)

    with changerisk.insisting(), pytest.raises(KeyboardInterrupt):
        work()
