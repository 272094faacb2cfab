"""How to train: one frozen object, checked before any work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from features.errors import ChangeRiskError


class TrainingError(ChangeRiskError):
    """Training cannot be done on this history; the message says why and what would help."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Settings of one training.

    Parameters
    ----------
    test_share : float
        Newest share of the mature changes, kept for the test.
    tested_share : float
        Newest share of the mature changes that the tests of a rolling evaluation hold together.
    calibration_share : float
        Newest share of the changes before the test, kept for the calibration.
    review_budget : float
        Share of changes the board can read; sets the bands.
    placebo_days : tuple of int
        By how many days the changes are moved back for the placebo.
    estimator : mapping
        Settings of the estimator that replace its defaults.
    seed : int
        Seed of the estimator.
    """

    test_share: float = 0.2
    tested_share: float = 0.4
    calibration_share: float = 0.15
    review_budget: float = 0.1
    placebo_days: tuple[int, ...] = (14,)
    estimator: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("test_share", "tested_share", "calibration_share", "review_budget"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise TrainingError(f"{name}: expected a share between 0 and 1, got {value}")

    def facts(self) -> dict[str, Any]:
        """The settings as plain data, from which ``from_facts`` makes them again."""
        return {**asdict(self), "placebo_days": list(self.placebo_days)}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> TrainingConfig:
        """The settings stored with a model.

        Parameters
        ----------
        facts : mapping
            As :meth:`facts` gave them.

        Raises
        ------
        TrainingError
            If they are not settings of this version.
        """
        try:
            return cls(**{**facts, "placebo_days": tuple(facts.get("placebo_days", ()))})
        except TypeError as error:
            raise TrainingError(f"the model's configuration cannot be read: {error}") from error

    def params(self) -> dict[str, Any]:
        """The settings flat, as a run records them."""
        plain = asdict(self)
        settings = plain.pop("estimator")
        return {**plain, **{f"estimator.{name}": value for name, value in settings.items()}}
