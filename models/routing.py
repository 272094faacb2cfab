"""The policy: where bands begin, and which way a change of a band might take.

Rules are asked in order and the first that fits decides, as in the risk rules of ITSM products. The
file they come from is read by :mod:`models.policy_file`. A policy advises; people decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from features.catalogue import NAMES
from features.records import Change
from models.bands import BANDS, Bands, make_bands
from models.bundle import RiskModel

Floats = NDArray[np.float64]

ROUTES = ("pre_approved", "delegated_approver", "cab", "ecab")
"""Ways a change may take, from the shortest on."""

BOARD_ROUTES = ("cab", "ecab")
"""Routes that lead to the board."""

ADVISE, SHADOW = "advise", "shadow"
MODES = (ADVISE, SHADOW)
"""Whether routes are told, or only kept and shown as what would have been."""

WORD_FIELDS = (
    "change_type",
    "change_model",
    "category",
    "service",
    "ci",
    "assignment_group",
    "declared_risk",
    "impact",
    "urgency",
    "priority",
)
"""Fields of a change a rule may name words of."""

_FURTHER = {"ci": "affected_cis", "service": "impacted_services"}
"""Lists whose names count beside the field's own."""

_COLUMN = {name: column for column, name in enumerate(NAMES)}


@lru_cache(maxsize=20_000)
def word(text: str) -> str:
    """A word of a ticket or a rule in the form in which the two are compared."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a rule looks at.

    Parameters
    ----------
    band : str
        Under the policy's own cuts.
    degraded : bool
        Whether something the score usually rests on was missing.
    row : ndarray, shape (features,)
        The change's row of the feature table, NaN where a fact is not known.
    """

    change: Change
    band: str
    probability: float
    degraded: bool
    row: Floats

    def words(self, name: str) -> set[str]:
        """The change's words of a field."""
        said = [getattr(self.change, name), *getattr(self.change, _FURTHER.get(name, ""), ())]
        return {word(text) for text in said if text}

    def fact(self, feature: str) -> float:
        """A number of the feature table."""
        return float(self.row[_COLUMN[feature]])


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: everything it names must fit; see ``policy.toml`` for what each name means.

    Parameters
    ----------
    words : mapping of str to frozenset of str
        By field of the change, in the form of :func:`word`.
    at_least, below : mapping of str to float
        By feature of the catalogue.
    shadow : bool
        Whether it is only rehearsed: the rules after it decide.
    """

    name: str
    route: str
    reasons: tuple[str, ...] = ()
    band: frozenset[str] = frozenset()
    words: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cab_required: bool | None = None
    degraded: bool | None = None
    probability_at_least: float | None = None
    probability_below: float | None = None
    at_least: Mapping[str, float] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)
    shadow: bool = False

    def fits(self, case: Case) -> bool:
        """Whether everything the rule names is so."""
        return (
            (not self.band or case.band in self.band)
            and (self.degraded is None or case.degraded == self.degraded)
            and (self.cab_required is None or case.change.cab_required == self.cab_required)
            and (self.probability_at_least or 0.0) <= case.probability
            and (self.probability_below is None or case.probability < self.probability_below)
            and all(words & case.words(name) for name, words in self.words.items())
            and all(case.fact(name) >= number for name, number in self.at_least.items())
            and all(case.fact(name) < number for name, number in self.below.items())
        )

    def covers(self, other: Rule) -> bool:
        """Whether this rule surely fits wherever another one does."""
        least, most = self.probability_at_least or 0.0, self.probability_below
        return (
            (not self.band or (other.band or frozenset(BANDS)) <= self.band)
            and self.degraded in (None, other.degraded)
            and self.cab_required in (None, other.cab_required)
            and least <= (other.probability_at_least or 0.0)
            and (most is None or (other.probability_below or np.inf) <= most)
            and all(
                name in other.words and other.words[name] <= words
                for name, words in self.words.items()
            )
            and all(other.at_least.get(n, -np.inf) >= least for n, least in self.at_least.items())
            and all(other.below.get(n, np.inf) <= most for n, most in self.below.items())
        )


@dataclass(frozen=True, kw_only=True)
class Routed:
    """The way a policy names for one change.

    Parameters
    ----------
    rule : str or None
        Name of the rule that decided; None where none fitted.
    """

    route: str
    reasons: tuple[str, ...]
    rule: str | None


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Where the policy lets bands begin; None leaves it to the model."""

    review_budget: float | None = None
    moderate: float | None = None
    high: float | None = None
    very_high: float | None = None

    def of(self, bands: Bands, base_rate: float, window: Floats) -> Bands:
        """A model's bands as the policy cuts them.

        A cut of the model's own gives way where one of the policy's would stand on its other side.
        Where a cut moves, what was observed in the bands is no longer known and is left out.

        Parameters
        ----------
        window : ndarray
            Probabilities of the window the model's own cuts come from, or its quantiles.
        """
        budget = self.review_budget or bands.review_budget
        own = bands if self.review_budget is None else make_bands(window, base_rate, budget)
        given = (self.moderate, self.high, self.very_high)
        cuts = []
        for place, (cut, wanted) in enumerate(zip(own.cuts, given, strict=True)):
            low = max((one for one in given[:place] if one is not None), default=0.0)
            high = min((one for one in given[place:] if one is not None), default=1.0)
            cuts.append(min(max(cut, low), high) if wanted is None else wanted)
        moderate, high, very_high = cuts
        if tuple(cuts) == bands.cuts and budget == bands.review_budget:
            return bands
        return Bands(
            moderate=moderate,
            high=high,
            very_high=very_high,
            review_budget=budget,
            observed={},
        )


@dataclass(frozen=True, kw_only=True)
class RoutingPolicy:
    """Everything the policy file says.

    Parameters
    ----------
    content : mapping
        The file as plain data, defaults filled in: what ``digest`` is of.
    source : str
        Where it was read.
    """

    mode: str
    cuts: Cuts
    rules: tuple[Rule, ...]
    otherwise: Rule
    content: Mapping[str, Any] = field(repr=False)
    source: str

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of what it says, independent of comments and order of keys."""
        text = orjson.dumps(self.content, option=orjson.OPT_SORT_KEYS)
        return f"sha256:{hashlib.sha256(text).hexdigest()}"

    @property
    def version(self) -> str:
        """The digest's first digits, for people."""
        return self.digest.removeprefix("sha256:")[:12]

    def bands_of(self, model: RiskModel) -> Bands:
        """A model's bands under this policy."""
        return self.cuts.of(model.bands, model.base_rate, np.array(model.score_quantiles))

    def route(self, case: Case) -> tuple[Routed | None, Routed | None]:
        """What is told, and what would have been told otherwise; None where there is nothing to
        tell, or nothing else.
        """
        fitting = [rule for rule in self.rules if rule.fits(case)]
        live = next((rule for rule in fitting if not rule.shadow), self.otherwise)
        tried = fitting[0] if fitting else self.otherwise
        if self.mode == SHADOW:
            return None, self._routed(tried)
        return self._routed(live), None if tried is live else self._routed(tried)

    def _routed(self, rule: Rule) -> Routed:
        name = None if rule is self.otherwise else rule.name
        return Routed(route=rule.route, reasons=rule.reasons, rule=name)

    def oddities(self) -> Iterator[str]:
        """What the policy can be read to say, but was hardly meant."""
        for place, rule in enumerate(self.rules):
            earlier = [one for one in self.rules[:place] if rule.shadow or not one.shadow]
            before = next((one for one in earlier if one.covers(rule)), None)
            if before is not None:
                yield f"rule {rule.name!r} never decides: {before.name!r} fits wherever it does"
            elif rule.route == "pre_approved":
                yield from self._bold(rule, earlier)
        if self.otherwise.route == "pre_approved":
            yield from self._bold(self.otherwise, [one for one in self.rules if not one.shadow])

    def _bold(self, rule: Rule, earlier: Sequence[Rule]) -> Iterator[str]:
        """Whether a rule lets changes through that the score warns of, or knows little about."""
        for band in ("high", "very_high"):
            if not rule.band or band in rule.band:
                asked = _narrowed(rule, band=frozenset({band}))
                if not any(one.covers(asked) for one in earlier):
                    yield f"rule {rule.name!r} lets changes of the band {band} go pre-approved"
        if rule.degraded is not False:
            asked = _narrowed(rule, degraded=True)
            if not any(one.covers(asked) for one in earlier):
                yield f"rule {rule.name!r} lets changes go pre-approved whose score is degraded"


def _narrowed(rule: Rule, **said: Any) -> Rule:
    return Rule(**{**vars(rule), **said})
