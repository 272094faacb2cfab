"""What the requester could change, each rescored through the same code.

Levers are enumerated by rule: a missing plan written, the window moved to a day in the next two
weeks that is free of collisions and open to changes (which gives more notice too), several items
taken one change at a time. What changes is the score, as it was for changes like this one: an
association, not a promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.catalogue import NAMES
from features.columns import Columns
from features.entities import affected_cis
from features.language import say, say_count
from features.records import Change
from features.request import words
from features.sentences import number, spoken_moment
from features.state import FeatureState
from features.table import build
from models.bands import BANDS
from models.bundle import RiskModel

Floats = NDArray[np.float64]

LEAST_GAIN = 0.01
"""A lever must lower the probability by a point, or the band."""

DAYS_AHEAD = 14

MOST = 3
"""Levers shown one by one."""

_IN_THE_WAY = ("affected_overlapping_changes", "in_freeze", "in_blackout")
"""Features that must be zero on a day that is proposed."""

_IN_THE_WAY_COLUMNS = [NAMES.index(name) for name in _IN_THE_WAY]

MOST_PARTS = 20
"""Changes a change is split into at most."""

CAUTION = "Changes like that went wrong less often: an association, not a promise."
"""What must stand beside a lever."""

PLANS = {
    "backout_plan": "Write a backout plan",
    "test_plan": "Write a test plan",
    "implementation_plan": "Write an implementation plan",
    "justification": "Write a justification",
    "description": "Write a description",
}


@dataclass(frozen=True, kw_only=True)
class Lever:
    """A version of the change that would score lower."""

    text: str
    change: dict[str, Any]
    probability: float
    band: str


@dataclass(frozen=True)
class _Variant:
    """What is done instead: the other fields, for every change that it becomes."""

    text: str
    shown: dict[str, Any]
    parts: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Options:
    """What could be done instead with a change.

    Parameters
    ----------
    plans : int
        How many of the variants, the first ones, leave the planned window as it is.
    versions : list of Change
        The changes that the variants become, one variant after another.
    """

    change: Change
    variants: list[_Variant]
    plans: int
    versions: list[Change]

    @classmethod
    def of(cls, change: Change, as_of: int, model: RiskModel) -> Options:
        """All that the rules know."""
        plans = [*_plans(change, model), *_split(change)]
        variants = [*plans, *_slots(change, as_of, model)]
        return cls(change, variants, len(plans), _versions(change, variants))


def levers(
    change: Change, as_of: int, probability: float, model: RiskModel, state: FeatureState
) -> list[Lever]:
    """The levers that help, best first, and last all of them together if that helps more."""
    options = Options.of(change, as_of, model)
    if not options.versions:
        return []
    values = _values(options.versions, as_of, state)
    return best(options, values, as_of, probability, model, state)


def best(
    options: Options,
    values: Floats,
    as_of: int,
    probability: float,
    model: RiskModel,
    state: FeatureState,
) -> list[Lever]:
    """The levers that help among some options, whose features have been built.

    Parameters
    ----------
    values : ndarray of float64, shape (number of versions, number of features)
        The features of the options' versions.
    probability : float
        The score of the change as it is.
    """
    change, plans, variants = options.change, options.plans, options.variants
    if not variants:
        return []
    scores = _judged(variants, values, model)
    band = model.bands.of(probability)
    useful = [
        (score, number)
        for number, (score, free) in enumerate(scores)
        if (free or number < plans) and _helps(score, probability, band, model)
    ]
    useful.sort()
    chosen = [entry for entry in useful if entry[1] < plans]
    chosen += [entry for entry in useful if entry[1] >= plans][:1]
    chosen.sort()
    found = [_lever(variants[number], score, model) for score, number in chosen]
    if len(chosen) < 2:
        return found
    together = _together([variants[number] for _, number in chosen])
    versions = _versions(change, [together])
    combined, _ = _judged([together], _values(versions, as_of, state), model)[0]
    worthwhile = combined < chosen[0][0]
    return [*found[:MOST], *([_lever(together, combined, model)] if worthwhile else [])]


def _lever(variant: _Variant, score: float, model: RiskModel) -> Lever:
    return Lever(
        text=variant.text, change=variant.shown, probability=score, band=model.bands.of(score)
    )


def _helps(score: float, probability: float, band: str, model: RiskModel) -> bool:
    lower_band = BANDS.index(model.bands.of(score)) < BANDS.index(band)
    return score <= probability - LEAST_GAIN or (lower_band and score < probability)


def _plans(change: Change, model: RiskModel) -> list[_Variant]:
    """Texts that are missing or far shorter than usual, at their usual length."""
    found = []
    for name, text in PLANS.items():
        usual = model.reference.get(f"{name}_words", 0.0)
        if usual >= 1 and words(getattr(change, name)) < usual / 2:
            written = " ".join(["word"] * round(usual))
            shown = say_count(
                "about {number} word, as is usual",
                "about {number} words, as is usual",
                round(usual),
                number=number(round(usual)),
            )
            found.append(_Variant(say(text), {name: shown}, ({name: written},)))
    return found


def _split(change: Change) -> list[_Variant]:
    """Every item in a change of its own; the probability is that of trouble in any of them."""
    items = affected_cis(Columns.from_records(Change, [change]), 0)
    if not 2 <= len(items) <= MOST_PARTS:
        return []
    parts = tuple({"ci": item, "affected_cis": (item,)} for item in items)
    text = say("Split it into {number} changes of one item each", number=str(len(items)))
    return [_Variant(text, {"affected_cis": say("one item in each change")}, parts)]


def _slots(change: Change, as_of: int, model: RiskModel) -> list[_Variant]:
    """The planned window on each of the next days; only for changes still to come."""
    start, end = change.planned_start, change.planned_end
    seen = {"lead_time_hours", "start_weekday", "start_hour", "affected_overlapping_changes"}
    if start is None or instants.to_micros(start) <= as_of or not seen & set(model.columns):
        return []
    end = None if end is not None and end < start else end
    duration = timedelta(0) if end is None else end - start
    found = []
    for days in range(1, DAYS_AHEAD + 1):
        moved = start + timedelta(days=days)
        fields = {
            "planned_start": moved,
            "planned_end": None if end is None else moved + duration,
        }
        shown = {name: _iso(value) for name, value in fields.items() if value is not None}
        found.append(
            _Variant(
                say("Start on {moment} instead", moment=spoken_moment(moved)), shown, (fields,)
            )
        )
    return found


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _together(variants: Sequence[_Variant]) -> _Variant:
    shown: dict[str, Any] = {}
    parts: tuple[dict[str, Any], ...] = ({},)
    for variant in variants:
        shown.update(variant.shown)
        parts = tuple({**part, **other} for part in parts for other in variant.parts)
    return _Variant(say("All of these together"), shown, parts)


def _versions(change: Change, variants: Sequence[_Variant]) -> list[Change]:
    return [replace(change, **part) for variant in variants for part in variant.parts]


def _values(versions: Sequence[Change], as_of: int, state: FeatureState) -> Floats:
    table = Columns.from_records(Change, versions)
    return build(table, np.full(len(versions), as_of), state, support=False).values


def _judged(
    variants: Sequence[_Variant], values: Floats, model: RiskModel
) -> list[tuple[float, bool]]:
    """Probability that any change of every variant fails, and whether all of them are free of
    collisions on their items and outside every freeze and blackout known.
    """
    probability = model.probability(values)
    in_the_way = values[:, _IN_THE_WAY_COLUMNS]
    free = ~(in_the_way > 0).any(axis=1)
    sizes = np.array([len(variant.parts) for variant in variants])
    first = np.cumsum(sizes) - sizes
    # A change left whole keeps its probability to the last bit: 1 - (1 - p) would not.
    any_fails = 1 - np.multiply.reduceat(1 - probability, first)
    scores = np.where(sizes == 1, probability[first], any_fails)
    return list(zip(scores.tolist(), np.logical_and.reduceat(free, first).tolist(), strict=True))
