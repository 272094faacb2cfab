"""Synthetic organisations of the session, and what a training makes of the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.history import History
from features.policy import POLICIES, LabelPolicy
from features.synthetic import Organisation, organisation
from training.config import TrainingConfig
from training.fit import Trained, train

UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
T0 = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small fits, and a machine shared with others: more threads would only wait."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def day() -> Callable[[float], datetime]:
    """A moment by its distance from the first of January 2024, in days."""
    return lambda days: T0 + timedelta(days=days)


@pytest.fixture(scope="session")
def policy() -> LabelPolicy:
    return POLICIES["incident"]


@pytest.fixture(scope="session")
def made() -> Organisation:
    """An organisation in which changes cause incidents for known reasons."""
    return organisation(seed=2, until=UNTIL, changes=5_000, days=450)


@pytest.fixture(scope="session")
def history(made: Organisation) -> History:
    return History.from_records(made.records)


@pytest.fixture(scope="session")
def config() -> TrainingConfig:
    """Fewer trees than the default: the tests ask whether it learns, not how well."""
    return TrainingConfig(estimator={"max_iter": 80})


@pytest.fixture(scope="session")
def trained(history: History, policy: LabelPolicy, config: TrainingConfig) -> Trained:
    return train(history, policy, now=UNTIL, config=config)
