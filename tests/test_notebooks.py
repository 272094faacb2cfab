"""Every notebook runs from top to bottom on a small synthetic organisation."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTEBOOK_CHANGES", "1500")
    runpy.run_path(str(notebook))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
