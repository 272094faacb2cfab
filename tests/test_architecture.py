"""The direction of the imports, and one tool in one file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent

ONLY = {
    "mlflow": {"models/registry.py", "models/snapshot.py"},
    "skops": {"models/estimator_file.py"},
    "shap": set(),  # the oracle of the tests, and of notebooks
    "numba": {"features/ordering.py", "features/search.py"},
    "bentoml": {"serving/service.py"},
    "sqlalchemy": {"features/store"},
    "pyspark": {"training/spark.py"},
}


def test_import_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="pyproject.toml", no_cache=True) == 0


@pytest.mark.parametrize("tool", sorted(ONLY))
def test_one_tool_one_file(tool: str) -> None:
    imports = re.compile(rf"^\s*(?:import|from) {tool}\b", re.MULTILINE)
    folders = ("features", "models", "training", "serving")
    found = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if imports.search(path.read_text())
    }
    strangers = [name for name in found if not name.startswith(tuple(ONLY[tool]) or "-")]
    assert strangers == []
    assert bool(found) == bool(ONLY[tool])


def test_no_packages_under_tests() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-spark.lock"])
def test_lock_names_no_index(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    assert "--index" not in lock
