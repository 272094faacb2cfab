"""Every notebook runs from top to bottom on a small synthetic organisation."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fast = {"CHANGES": "2000", "TREES": "30", "FOLDS": "2"}
    for name, value in fast.items():
        monkeypatch.setenv(f"NOTEBOOK_{name}", value)
    monkeypatch.delenv("NOTEBOOK_BPIC14", raising=False)
    runpy.run_path(str(notebook))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
