"""The documentation: complete against the code, and built without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import api_reference, cli_reference

ROOT = Path(__file__).parents[1]


def test_the_command_line_reference_is_the_present_one() -> None:
    written = cli_reference.PAGE.read_text(encoding="utf-8")
    assert written == cli_reference.page(), "run `python -m tests.cli_reference`"


@pytest.mark.parametrize("name", sorted(api_reference.PAGES))
def test_the_other_references_are_the_present_ones(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == api_reference.PAGES[name](), "run `python -m tests.api_reference`"


def test_every_setting_is_in_the_reference_once() -> None:
    folders = ("features", "models", "training", "serving", "notebooks", "tests", "deploy")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    sources = [path.read_text() for path in files if path.suffix in (".py", ".service", "")]
    names = r"\b(?:CHANGERISK|NOTEBOOK)_[A-Z0-9]+(?:_[A-Z0-9]+)*\b"
    read = set(re.findall(names, "\n".join([*sources, (ROOT / "Makefile").read_text()])))
    secret = "CHANGERISK_WEBHOOK_SECRET"  # and the name of an endpoint
    read = {secret if name.startswith(secret) else name for name in read}
    page = (ROOT / "docs" / "configuration.md").read_text()
    cells = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]
    told = [name for cell in cells for name in re.findall(names, cell.replace("_…", ""))]
    assert len(told) == len(set(told))
    theirs = {"CHANGERISK_URL", "CHANGERISK_KEY", "CHANGERISK_SECRET"}  # read by who calls us
    assert read - set(told) - theirs == set()


def test_every_page_is_in_the_navigation() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert config.count(f"- {page.name}\n") == 1, page.name


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        fetched = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page.read_text()
        )
        assert [url for url in fetched if "canonical" not in url] == [], page
