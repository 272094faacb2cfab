"""The command line on homes of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import changerisk
from models.registry import Registry
from tests.cli.running import DEMO, Ran, Run


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
