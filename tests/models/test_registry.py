"""The registry: bundles go into a real MLflow and come out the same, bit for bit."""

from __future__ import annotations

import re

import pytest

from models.bundle import BundleError, RiskModel
from models.explanation import Explainer
from models.registry import Registry, RegistryError
from training.rows import TrainingRows


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def registry(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A real registry; its first use makes the database, which takes seconds."""
    return Registry(uri, tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def saved(registry: Registry, model: RiskModel) -> str:
    return registry.save(
        model,
        params={"seed": 0, "placebo_days": (14,)},
        metrics={"roc_auc": 0.7},
        tags={"label": "incident"},
        alias="champion",
    )


@pytest.fixture(scope="module")
def second(registry: Registry, saved: str, bundle: RiskModel) -> str:
    """A later version without an alias."""
    return registry.save(bundle, params={}, metrics={}, tags={"label": "failed"})


def test_probabilities_and_explanations_come_back_bit_for_bit(
    registry: Registry,
    saved: str,
    model: RiskModel,
    rows: TrainingRows,
) -> None:
    again = registry.load("champion")
    assert (again.name, again.version) == ("change-risk", saved)
    values = rows.table.values
    assert again.model.probability(values).tobytes() == model.probability(values).tobytes()
    selected = model.select(values[:200])
    before, after = Explainer(model), Explainer(again.model)
    assert after.base_log_odds == before.base_log_odds
    assert after.parts(selected).groups.tobytes() == before.parts(selected).groups.tobytes()
    assert after.parts(selected).columns.tobytes() == before.parts(selected).columns.tobytes()
    for row in (0, 100, len(values) - 1):
        told = [e.factors(rows.table, rows.changes, row) for e in (before, after)]
        assert told[0] == told[1]
    assert again.model.facts() == model.facts()


def test_another_process_sees_the_same(registry: Registry, saved: str, uri: str) -> None:
    fresh = Registry(uri)
    assert fresh.version_of("champion") == saved
    assert fresh.load(saved).model.facts() == registry.load("champion").model.facts()


def test_versions_newest_first(registry: Registry, saved: str, second: str) -> None:
    found = registry.versions()
    assert [version.version for version in found] == [second, saved]
    assert found[1].aliases == ("champion",)
    assert found[0].aliases == ()
    assert [dict(version.tags) for version in found] == [{"label": "failed"}, {"label": "incident"}]
    assert all(version.run_id and version.created_at > 0 for version in found)


def test_an_alias_moves(registry: Registry, saved: str, second: str) -> None:
    registry.point("challenger", second)
    assert registry.version_of("challenger") == second
    registry.point("challenger", saved)
    assert registry.version_of("challenger") == saved
    assert registry.load("challenger").version == saved
    assert registry.version_of("champion") == saved


@pytest.mark.parametrize("name", ["nobody", "999"])
def test_missing_model(registry: Registry, saved: str, name: str) -> None:
    message = f"the registry has no model change-risk@{name}; train one with `changerisk train`"
    with pytest.raises(RegistryError, match=re.escape(message)):
        registry.load(name)


def test_missing_alias_is_no_error(registry: Registry, saved: str) -> None:
    assert registry.version_of("nobody") is None


def test_files_that_are_gone(
    registry: Registry, second: str, bundle: RiskModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.registry._FOLDER", "gone")
    with pytest.raises(BundleError, match=f"version {second} cannot be read"):
        registry.load(second)
