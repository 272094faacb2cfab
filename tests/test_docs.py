"""The documentation: complete against the code, and built without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from features import settings
from tests import cli_reference

ROOT = Path(__file__).parents[1]


def test_the_command_line_reference_is_the_present_one() -> None:
    written = cli_reference.PAGE.read_text(encoding="utf-8")
    assert written == cli_reference.page(), "run `python -m tests.cli_reference`"


def test_every_setting_is_in_the_reference() -> None:
    sources = [
        path.read_text()
        for folder in ("features", "models", "training", "serving")
        for path in (ROOT / folder).rglob("*.py")
    ]
    read = set(re.findall(r"\bCHANGERISK_[A-Z0-9]+(?:_[A-Z0-9]+)*\b", "\n".join(sources)))
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert settings.__doc__
    assert {name for name in read if name not in page} == set()


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
