"""The bundle: all that is needed to score a change, and what is known about how well it does."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.catalogue import BY_NAME, NAMES, fingerprint
from features.errors import ChangeRiskError
from features.place import NOWHERE, Place
from features.policy import LabelPolicy
from models.bands import Bands
from models.calibration import Platt
from models.shapley import Tables
from models.trees import Forest
from models.usual import Usual

if TYPE_CHECKING:  # importing it takes seconds, which a server's first process does not need
    from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]

PROTOCOL = 3
"""Version of the bundle's layout; readers of older ones are kept."""

READ = (1, 2, PROTOCOL)
"""Layouts that can be read; the first had no explanation tables, the second no additive half."""

PERCENTILES = tuple(np.linspace(0, 1, 1001).tolist())


class BundleError(ChangeRiskError):
    """A bundle is damaged, does not fit this version, or holds what it must not."""


@dataclass(frozen=True, kw_only=True)
class RiskModel:
    """A fitted model with its calibration, bands and facts.

    Parameters
    ----------
    fitted : HistGradientBoostingClassifier or bytes
        The estimator fitted on ``columns`` of the feature table, or the content of its file.
    columns : tuple of str
        Features the model sees.
    platt : Platt
        From the estimator's margin to calibrated log-odds.
    bands : Bands
        Cuts and observed rates.
    base_rate : float
        Share of failures among the mature changes it was fitted and calibrated on.
    reference : mapping of str to float
        Median of every column over the training rows: what a factor is compared with.
    coverage : mapping of str to float
        Share of the training rows in which every column was known.
    score_quantiles : tuple of float
        Calibrated probabilities at every thousandth of the calibration window.
    policy : LabelPolicy
        What the probability is a probability of.
    trained_at, history_until : datetime
        When the training ran, and the last moment whose facts it saw.
    metrics : mapping
        The evaluation of the same configuration on a later window.
    training : mapping
        How to train it again: ``config``, ``watermark`` (the last write of the store it saw) and
        ``history_from``.
    features : str
        Which features it was made with; another catalogue cannot serve it.
    tables : Tables, optional
        What explanations are looked up in; by default those of path-dependent values, which need no
        rows to be made of.
    place : Place
        Where the organisation was when it was fitted: local hours and holidays are those of then.
    additive : Forest, optional
        The additive half of the score, whose margin is averaged with the estimator's.
    trees : Forest, optional
        The estimator's trees; by default they are read off it.
    """

    fitted: HistGradientBoostingClassifier | bytes = field(repr=False)
    columns: tuple[str, ...]
    platt: Platt
    bands: Bands
    base_rate: float
    reference: Mapping[str, float]
    coverage: Mapping[str, float]
    score_quantiles: tuple[float, ...]
    policy: LabelPolicy
    trained_at: datetime
    history_until: datetime
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    features: str = field(default_factory=fingerprint)
    tables: Tables = field(default=None, repr=False)  # type: ignore[assignment]
    place: Place = NOWHERE
    additive: Forest | None = None
    trees: Forest = field(default=None, repr=False)  # type: ignore[assignment]
    forest: Forest = field(init=False, repr=False)
    usual: Usual = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.trees is None:
            object.__setattr__(self, "trees", Forest.of(self.estimator))
        trees, half = self.trees, self.additive
        forest = trees if half is None else Forest.averaged([trees, half])
        object.__setattr__(self, "forest", forest)
        usual = Usual(columns=self.columns, reference=self.reference, coverage=self.coverage)
        object.__setattr__(self, "usual", usual)
        if self.features != fingerprint():
            raise BundleError(
                f"the model was fitted on feature catalogue {self.features}, this version has "
                f"{fingerprint()}: train again with `changerisk train --alias champion`"
            )
        if foreign := sorted(set(self.columns) - set(NAMES)):
            raise BundleError(f"the catalogue has no feature {', '.join(map(str, foreign))}")
        if self.tables is None:
            object.__setattr__(self, "tables", Tables.build(self.forest, self.groups))

    @cached_property
    def estimator(self) -> HistGradientBoostingClassifier:
        """The fitted estimator; where it is in its file yet, it is read, which takes seconds.

        Raises
        ------
        BundleError
            If it cannot be read, or holds what it must not.
        """
        if not isinstance(self.fitted, bytes):
            return self.fitted
        from models.estimator_file import from_bytes

        return from_bytes(self.fitted)

    @property
    def groups(self) -> list[str]:
        """Factor group of every column."""
        return [BY_NAME[name].group for name in self.columns]

    @cached_property
    def _places(self) -> NDArray[np.int64]:
        """Where the model's columns stand in the catalogue."""
        return np.array([NAMES.index(name) for name in self.columns], np.int64)

    def against(self, values: Floats) -> RiskModel:
        """The same model, its scores explained against the given rows of a feature table.

        Parameters
        ----------
        values : ndarray, shape (n, columns of the catalogue)
            Rows of a feature table.

        Raises
        ------
        ValueError
            If there are no rows.
        DepthError
            If a tree is too deep.
        """
        background = self.select(values)
        return replace(self, tables=Tables.build(self.forest, self.groups, background))

    def select(self, values: Floats) -> Floats:
        """The model's columns of a feature table, unknown groups taken as usual; contiguous.

        Parameters
        ----------
        values : ndarray, shape (n, columns of the catalogue)
            Rows of a feature table.
        """
        selected = np.ascontiguousarray(values[:, self._places])
        return self.usual.filled(selected)

    def unknown_groups(self, values: Floats) -> list[str]:
        """Factor groups of one row of which nothing is known, though most changes have them.

        Parameters
        ----------
        values : ndarray, shape (1, columns of the catalogue)
            One row of a feature table.
        """
        return [group for group, rows in self.unknown_by_group(values).items() if rows[0]]

    def unknown_by_group(self, values: Floats) -> Mapping[str, NDArray[np.bool_]]:
        """For every factor group that most changes have, the rows where nothing of it is known.

        Parameters
        ----------
        values : ndarray, shape (n, columns of the catalogue)
            Rows of a feature table.
        """
        return self.usual.unknown(values[:, self._places])

    def margin(self, selected: Floats) -> Floats:
        """Raw margins of rows of the model's columns.

        Parameters
        ----------
        selected : ndarray, shape (n, columns of the model)
            Rows as :meth:`select` gives them.
        """
        return self.forest.margin(selected)

    def probability(self, values: Floats) -> Floats:
        """Calibrated probability for rows of the feature table, shape (n,).

        Parameters
        ----------
        values : ndarray, shape (n, columns of the catalogue)
            Rows of a feature table.
        """
        return self.platt.probability(self.margin(self.select(values)))

    def percentile(self, probability: float) -> int:
        """How many in 100 changes of the calibration window scored lower.

        Parameters
        ----------
        probability : float
            Between 0 and 1.
        """
        rank = bisect_left(self.score_quantiles, probability)
        return int(100 * (rank / len(self.score_quantiles)))

    def facts(self) -> dict[str, Any]:
        """Everything but estimator, additive half and tables, as plain data."""
        return {
            "protocol": PROTOCOL,
            "features": self.features,
            "columns": list(self.columns),
            "platt": asdict(self.platt),
            "bands": asdict(self.bands),
            "base_rate": self.base_rate,
            "reference": dict(self.reference),
            "coverage": dict(self.coverage),
            "score_quantiles": list(self.score_quantiles),
            "policy": asdict(self.policy),
            "place": asdict(self.place),
            "trained_at": self.trained_at.isoformat(),
            "history_until": self.history_until.isoformat(),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
        }

    @classmethod
    def from_facts(
        cls,
        facts: Mapping[str, Any],
        fitted: HistGradientBoostingClassifier | bytes,
        tables: Tables | None = None,
        additive: Forest | None = None,
        trees: Forest | None = None,
    ) -> RiskModel:
        """The bundle of an estimator and the facts stored beside it.

        Parameters
        ----------
        facts : mapping
            As :meth:`facts` gave them.
        fitted : HistGradientBoostingClassifier or bytes
            The fitted estimator, or the content of its file.
        tables : Tables, optional
            What explanations are looked up in.
        additive : Forest, optional
            The additive half of the score.
        trees : Forest, optional
            The estimator's trees; by default they are read off it.

        Raises
        ------
        BundleError
            If a fact is missing or the layout is not one this version reads.
        """
        if facts.get("protocol") not in READ:
            raise BundleError(
                f"expected a bundle of layout {PROTOCOL}, got {facts.get('protocol')!r}"
            )
        try:
            policy = {**facts["policy"], "sources": tuple(facts["policy"]["sources"])}
            return cls(
                fitted=fitted,
                columns=tuple(facts["columns"]),
                platt=Platt(**{k: float(v) for k, v in facts["platt"].items()}),
                bands=Bands(**facts["bands"]),
                base_rate=float(facts["base_rate"]),
                reference={k: float(v) for k, v in facts["reference"].items()},
                coverage={k: float(v) for k, v in facts["coverage"].items()},
                score_quantiles=tuple(float(v) for v in facts["score_quantiles"]),
                policy=LabelPolicy(**policy),
                trained_at=datetime.fromisoformat(facts["trained_at"]),
                history_until=datetime.fromisoformat(facts["history_until"]),
                metrics=facts["metrics"],
                training=dict(facts.get("training", {})),
                place=Place.of(facts.get("place")),
                features=facts["features"],
                tables=tables,  # type: ignore[arg-type]
                additive=additive,
                trees=trees,  # type: ignore[arg-type]
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"the bundle's facts cannot be read: {error!r}") from error
