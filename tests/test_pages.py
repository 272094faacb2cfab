"""What the documentation shows is run: pages from top to bottom, every command, every example."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
import pandas as pd
import pytest

import changerisk
from features.history import History
from features.policy import POLICIES
from features.records import Change, Incident, Link
from features.settings import Settings
from features.synthetic import organisation
from models import estimator
from serving.contract import ChangeIn
from serving.decisions import DecisionIn
from serving.runtime import Runtime
from tests.pages_run import ROOT, blocks, commands, run
from training.lab import Lab

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

TREES = 20
"""Of the models trained here: the tests ask whether pages are right, not how good a model is."""


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        for name in ("STORE_URL", "MLFLOW_URI"):
            context.delenv(f"CHANGERISK_{name}", raising=False)
        context.setitem(estimator.DEFAULTS, "max_iter", TREES)
        context.setenv("TQDM_DISABLE", "1")
        yield context


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as somebody has it who comes to `first-score.md`: two files of another tool."""
    page = DOCS / "first-score.md"
    heads = [block.splitlines()[0].split(",") for block in blocks(page, "csv")]
    made = organisation(seed=11, until=datetime(2026, 11, 22, tzinfo=UTC), changes=2_000, days=500)
    history = History.from_records(made.records)
    changes = history.frame(Change).drop_duplicates("change_id")
    changes = changes[changes["planned_start"] < pd.Timestamp(NOW)]
    local = lambda times: times.dt.tz_convert("Europe/Berlin").dt.strftime("%Y-%m-%d %H:%M:%S")  # noqa: E731
    incidents = history.frame(Incident).drop_duplicates("incident_id")
    links = history.frame(Link).query("kind == 'caused_by'").drop_duplicates("incident_id")
    named = links.set_index("incident_id")
    folder = tmp_path_factory.mktemp("newcomer") / "export"
    folder.mkdir()
    table = pd.DataFrame(
        {
            "number": changes["change_id"],
            "opened": local(changes["known_at"]),
            "kind": changes["change_type"],
            "item": changes["ci"],
            "team": changes["assignment_group"],
            "title": changes["short_description"],
            "backout": changes["backout_plan"],
            "start": local(changes["planned_start"]),
            "end": local(changes["planned_end"]),
        }
    )
    assert list(table) == heads[0]
    table.to_csv(folder / "change_list.csv", index=False)
    linked = incidents["incident_id"].map(named["known_at"]).fillna(incidents["known_at"])
    table = pd.DataFrame(
        {
            "number": incidents["incident_id"],
            "opened": local(incidents["occurred_at"]),
            "updated": local(linked),
            "priority": [f"{level} - of five" for level in incidents["priority"]],
            "item": incidents["ci"],
            "caused_by": incidents["incident_id"].map(named["change_id"]),
        }
    )
    assert list(table) == heads[1]
    table.to_csv(folder / "ticket_list.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def followed(export: Path, patch: pytest.MonkeyPatch) -> Path:
    """The newcomer's folder once the files the page shows are written."""
    page = DOCS / "first-score.md"
    (mapping,) = blocks(page, "toml")
    (change,) = blocks(page, "json")
    (export / "mapping.toml").write_text(mapping, encoding="utf-8")
    (export.parent / "change.json").write_text(change, encoding="utf-8")
    return export.parent


def test_a_newcomer_comes_from_csv_to_a_score(
    followed: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patch.chdir(followed)
    for place in ("features.commands", "training.commands", "serving.commands"):
        patch.setattr(f"{place}.now", lambda: NOW)
    patch.setitem(Runtime.__init__.__kwdefaults__, "clock", lambda: NOW)
    said = {}
    for block in blocks(DOCS / "first-score.md", "console"):
        for line in commands(block):
            said[line] = run(line, patch, capsys)
    imported = said["changerisk import csv ./export"]
    assert "could not be read" not in imported
    assert "caused" in said["changerisk labels"]
    assert "registered version 1 as champion" in said["changerisk train"]
    assert "FAILURE" not in said["changerisk doctor"]
    score = said["changerisk score change.json"]
    assert re.search(r"About \d+(\.\d+)? in 100 changes like this one led to an incident", score)
    assert "The backout plan is missing" in score
    assert (followed / "first" / "history.db").is_file()


def test_the_tutorial_from_top_to_bottom(
    tmp_path: Path, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patch.chdir(tmp_path)
    lines = [line for block in blocks(DOCS / "tutorial.md", "console") for line in commands(block)]
    assert len(lines) == 8
    said = {}
    for line in lines:
        line = line.replace("/tmp/first", str(tmp_path / "home"))  # noqa: S108
        line = line.replace("--changes 6000", "--changes 1500")
        said[line] = run(line, patch, capsys)
    score = next(text for line, text in said.items() if "score" in line)
    assert "scored" in score
    assert "FAILURE" not in said["changerisk doctor"]


COMMANDS = [
    pytest.param(page.stem, line, id=f"{page.stem}: {line}"[:80])
    for page in PAGES
    for language in ("console", "text", "bash")
    for block in blocks(page, language)
    for line in commands(block)
    if line.startswith("changerisk ")
]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_every_command_shown_exists(page: str, line: str) -> None:
    """Its words are a command, its options are that command's, its values can be read."""
    words = shlex.split(re.split(r" [|>] ", line)[0].replace("…", "x"))[1:]
    command: click.Command = changerisk.cli
    context = click.Context(command, info_name="changerisk", **command.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{page}: there is no command {words[0]!r}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    # A command keeps the names of its help option from the first context it sees.
    command.make_context(command.name, list(words), parent=context.parent, resilient_parsing=True)
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert asked <= known | {"--help"}, page


def test_bodies_of_the_api_page_are_understood() -> None:
    change, decision = (orjson.loads(block) for block in blocks(DOCS / "api.md", "json"))
    assert ChangeIn.model_validate(change).change_id == "CHG0031874"
    assert DecisionIn.model_validate(decision).decision == "approve_with_conditions"


def test_python_blocks_run(patch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of the pages about notebooks and explanations, one after the other."""
    made = organisation(seed=11, until=datetime(2026, 11, 22, tzinfo=UTC), changes=1_500, days=400)
    history = History.from_records(made.records)
    settings = Settings.from_environment({"CHANGERISK_HOME": str(tmp_path)})
    lab = Lab(history, POLICIES["incident"], settings=settings, source="demo")
    first = lab.train()
    assert first.register("champion") == "1"
    known: dict[str, Any] = {}
    patch.setattr(Lab, "open", classmethod(lambda _, *__, **___: lab))
    patch.chdir(tmp_path)
    for block in blocks(DOCS / "notebooks.md", "python"):
        change = str(lab.rows.table.change_ids[-40])
        exec(compile(ast.parse(block.replace("CHG…", change)), "notebooks.md", "exec"), known)  # noqa: S102
    model, rows = known["run"].trained.model, lab.rows
    known |= {"model": model, "rows": rows}
    team = rows.changes["assignment_group"][rows.changes["change_type"] == "normal"][0]
    for block in blocks(DOCS / "explanations.md", "python"):
        exec(compile(block.replace("dba-core", str(team)), "explanations.md", "exec"), known)  # noqa: S102
    assert known["explainer"].base_log_odds != model.platt.intercept


# deployment ---------------------------------------------------------------------------------------


def test_every_fence_has_a_known_language() -> None:
    known = {"text", "console", "python", "json", "toml", "csv", "sh", "http"}
    for page in PAGES:
        fences = re.findall(r"^```(\w*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        opened = fences[::2]
        assert set(opened) <= known, page
        assert set(fences[1::2]) <= {""}, page


@pytest.mark.parametrize("unit", sorted((ROOT / "deploy").glob("*.service")), ids=lambda p: p.name)
def test_units_start_what_exists(unit: Path) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit.read_text())
    assert parser["Service"]["User"] == "changerisk"
    started = re.findall(r"^ExecStart=-?/opt/change-risk/\.venv/bin/(.*)$", unit.read_text(), re.M)
    assert started
    for line in started:
        test_every_command_shown_exists(unit.name, line)
    analyze = shutil.which("systemd-analyze")
    if analyze:
        ran = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True)
        ours = [line for line in ran.stderr.splitlines() if line.startswith(unit.name)]
        assert [line for line in ours if "is not executable" not in line] == []


def test_the_container_file_copies_what_is_there_and_drops_rights() -> None:
    text = (ROOT / "deploy" / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    known = [
        "FROM",
        "RUN",
        "COPY",
        "WORKDIR",
        "ENV",
        "VOLUME",
        "USER",
        "EXPOSE",
        "HEALTHCHECK",
        "CMD",
    ]
    assert {line[0] for line in lines} <= set(known)
    for line in lines:
        if line[0] == "COPY":
            assert all((ROOT / source).exists() for source in line[1:-1]), line
    names = [line[0] for line in lines]
    assert names.index("USER") < names.index("CMD")
    packages = {"features", "models", "training", "serving", "changerisk.py"}
    assert packages <= {word for line in lines if line[0] == "COPY" for word in line}
    assert "--require-hashes" in text
