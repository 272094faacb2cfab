"""Another champion takes over while the service runs, and a broken one does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from features.policy import POLICIES
from models.registry import Registered, Registry


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.runtime.FOLLOW_SECONDS", 0.2)


@pytest.fixture
def registry(home: Path, service: Any) -> Registry:
    settings = service.runtime.settings
    return Registry(settings.mlflow_uri, settings.artifacts)


@pytest.fixture
def service(serve: Callable[..., Any], home: Path) -> Any:
    """With a runtime that loads its model from the registry."""
    return serve(home)


def saved(registry: Registry, registered: Registered, **changed: Any) -> str:
    model = replace(registered.model, **changed)
    return registry.save(model, params={}, metrics={}, tags={}, alias="champion")


def version_in_use(service: Any, ticket: Callable[..., Any]) -> str:
    answer = service.score(ticket())
    assert answer["status"] in ("scored", "degraded")
    return answer["model"]["version"]


def test_a_promoted_model_takes_over(
    service: Any,
    registry: Registry,
    registered: Registered,
    ticket: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    assert version_in_use(service, ticket) == "1"
    version = saved(registry, registered)
    eventually(lambda: version_in_use(service, ticket) == version)
    registry.point("champion", "1")
    eventually(lambda: version_in_use(service, ticket) == "1")


def test_a_model_of_another_label_gets_an_index_of_its_own(
    service: Any,
    registry: Registry,
    registered: Registered,
    ticket: Callable[..., Any],
    eventually: Callable[..., Any],
) -> None:
    other = replace(POLICIES["incident"], window_days=3.0)
    assert version_in_use(service, ticket) == "1"
    version = saved(registry, registered, policy=other)
    eventually(lambda: version_in_use(service, ticket) == version)
    with service.runtime.scorer().reading() as state:
        assert state.policy == other


def test_a_damaged_model_does_not(
    service: Any,
    registry: Registry,
    registered: Registered,
    template: Any,
    ticket: Callable[..., Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert version_in_use(service, ticket) == "1"
    said: list[str] = []
    monkeypatch.setattr("serving.runtime._log.error", lambda text, *_: said.append(text))
    before = set(template.home.rglob("estimator.skops"))
    registry.save(registered.model, params={}, metrics={}, tags={})
    for path in set(template.home.rglob("estimator.skops")) - before:
        path.write_bytes(b"not a model")
    registry.point("champion", registry.versions()[0].version)
    eventually(lambda: version_in_use(service, ticket) and "does not take over" in "".join(said))
    assert version_in_use(service, ticket) == "1"
    assert service.ask("GET", "/readyz").status_code == 200
