"""What the requester could change, each rescored through the same code.

Levers are enumerated by rule: a missing plan written, the window moved to a day in the next two
weeks that is free of collisions and open to changes (which gives more notice too), several items
taken one change at a time. What changes is the score, as it was for changes like this one: an
association, not a promise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
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
from features.table import build, combined
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
    """What is done instead: the other fields, for every change that it becomes; put in words only
    where it helps.
    """

    text: Callable[[], str]
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

    @classmethod
    def none(cls, change: Change) -> Options:
        """None at all."""
        return cls(change, [], 0, [])


@dataclass(frozen=True, kw_only=True)
class Rescored:
    """A change's options, scored.

    Parameters
    ----------
    as_of : int
        The moment, microseconds.
    probability : float
        The score of the change as it is.
    own : ndarray of float64, shape (number of features,)
        The features of the change as it is.
    values : ndarray of float64, shape (number of versions, number of features)
        The features of the options' versions.
    probabilities : ndarray of float64, shape (number of versions,)
        Their scores.
    """

    options: Options
    as_of: int
    probability: float
    own: Floats
    values: Floats
    probabilities: Floats


def levers(
    change: Change, as_of: int, probability: float, model: RiskModel, state: FeatureState
) -> list[Lever]:
    """The levers that help, best first, and last all of them together if that helps more."""
    options = Options.of(change, as_of, model)
    if not options.versions:
        return []
    values = _values([change, *options.versions], [as_of] * (1 + len(options.versions)), state)
    rescored = Rescored(
        options=options,
        as_of=as_of,
        probability=probability,
        own=values[0],
        values=values[1:],
        probabilities=model.probability(values[1:]),
    )
    return best([rescored], model, state)[0]


def best(several: Sequence[Rescored], model: RiskModel, state: FeatureState) -> list[list[Lever]]:
    """The levers that help each of some changes: best first, and last all of a change's together if
    that helps more. What is to be scored for that is scored for all changes at once.
    """
    chosen = [_chosen(one, model) for one in several]
    together = {
        place: _Together(several[place], [number for _, number in picked])
        for place, picked in enumerate(chosen)
        if len(picked) > 1
    }
    combined = dict(zip(together, _combined([*together.values()], model, state), strict=True))
    found = []
    for place, picked in enumerate(chosen):
        variants = several[place].options.variants
        shown = [_lever(variants[number], score, model) for score, number in picked]
        if place in combined:
            shown = shown[:MOST]
            if combined[place] < picked[0][0]:
                shown.append(_lever(together[place].variant, combined[place], model))
        found.append(shown)
    return found


def _chosen(one: Rescored, model: RiskModel) -> list[tuple[float, int]]:
    """The variants that help, by score and number, best first: of the slots only the best."""
    plans, variants = one.options.plans, one.options.variants
    if not variants:
        return []
    scores = _judged(variants, one.values, one.probabilities)
    band = model.bands.of(one.probability)
    useful = [
        (score, number)
        for number, (score, free) in enumerate(scores)
        if (free or number < plans) and _helps(score, one.probability, band, model)
    ]
    useful.sort()
    chosen = [entry for entry in useful if entry[1] < plans]
    chosen += [entry for entry in useful if entry[1] >= plans][:1]
    return sorted(chosen)


class _Together:
    """Several of a change's variants at once."""

    def __init__(self, one: Rescored, numbers: Sequence[int]) -> None:
        self.one = one
        variants = one.options.variants
        self.variant = _together([variants[number] for number in numbers])
        self.versions = _versions(one.options.change, [self.variant])
        first = np.cumsum([0, *(len(variant.parts) for variant in variants)])
        self.alone = one.values[first[[*numbers]]]

    @property
    def whole(self) -> bool:
        """Whether it is still one change."""
        return len(self.versions) == 1


def _combined(together: Sequence[_Together], model: RiskModel, state: FeatureState) -> list[float]:
    """The score of each combination of variants."""
    found = [0.0] * len(together)
    for whole, values_of in ((True, _edited), (False, _built)):
        places = [place for place, one in enumerate(together) if one.whole == whole]
        if places:
            some = [together[place] for place in places]
            sizes = [len(one.versions) for one in some]
            scores = _any_fails(model.probability(values_of(some, state)), sizes).tolist()
            for place, score in zip(places, scores, strict=True):
                found[place] = score
    return found


def _edited(together: Sequence[_Together], state: FeatureState) -> Floats:
    """The features of changes with several fields edited; most are those of one edit alone."""
    changes = Columns.from_records(
        Change, [version for one in together for version in one.versions]
    )
    own = np.array([one.one.own for one in together])
    return combined(own, [one.alone for one in together], changes, state.place)


def _built(together: Sequence[_Together], state: FeatureState) -> Floats:
    """The features of changes that become several; found as those of any others."""
    versions = [version for one in together for version in one.versions]
    moments = [one.one.as_of for one in together for _ in one.versions]
    return _values(versions, moments, state)


def _lever(variant: _Variant, score: float, model: RiskModel) -> Lever:
    return Lever(
        text=variant.text(),
        change={name: _shown(value) for name, value in variant.shown.items()},
        probability=score,
        band=model.bands.of(score),
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
            found.append(_Variant(partial(say, text), {name: shown}, ({name: written},)))
    return found


def _split(change: Change) -> list[_Variant]:
    """Every item in a change of its own; the probability is that of trouble in any of them."""
    items = affected_cis(Columns.from_records(Change, [change]), 0)
    if not 2 <= len(items) <= MOST_PARTS:
        return []
    parts = tuple({"ci": item, "affected_cis": (item,)} for item in items)
    shown = {"affected_cis": say("one item in each change")}
    count = str(len(items))
    return [
        _Variant(
            lambda: say("Split it into {number} changes of one item each", number=count),
            shown,
            parts,
        )
    ]


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
        shown = {name: value for name, value in fields.items() if value is not None}
        found.append(_Variant(partial(_start_on, moved), shown, (fields,)))
    return found


def _start_on(moment: datetime) -> str:
    return say("Start on {moment} instead", moment=spoken_moment(moment))


def _shown(value: object) -> object:
    """A field's value as JSON has it."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def _together(variants: Sequence[_Variant]) -> _Variant:
    shown: dict[str, Any] = {}
    parts: tuple[dict[str, Any], ...] = ({},)
    for variant in variants:
        shown.update(variant.shown)
        parts = tuple({**part, **other} for part in parts for other in variant.parts)
    return _Variant(lambda: say("All of these together"), shown, parts)


def _versions(change: Change, variants: Sequence[_Variant]) -> list[Change]:
    return [_version(change, part) for variant in variants for part in variant.parts]


def _version(change: Change, part: Mapping[str, Any]) -> Change:
    """A change with other values; a record checks nothing, and copying what it holds takes a tenth
    of the time of making one.
    """
    made = object.__new__(Change)
    vars(made).update(vars(change), **part)
    return made


def _values(versions: Sequence[Change], moments: Sequence[int], state: FeatureState) -> Floats:
    table = Columns.from_records(Change, versions)
    return build(table, np.array(moments, np.int64), state, support=False).values


def _judged(
    variants: Sequence[_Variant], values: Floats, probabilities: Floats
) -> list[tuple[float, bool]]:
    """Probability that any change of every variant fails, and whether all of them are free of
    collisions on their items and outside every freeze and blackout known.
    """
    in_the_way = values[:, _IN_THE_WAY_COLUMNS]
    free = ~(in_the_way > 0).any(axis=1)
    sizes = [len(variant.parts) for variant in variants]
    all_free = np.logical_and.reduceat(free, _first(sizes)).tolist()
    return list(zip(_any_fails(probabilities, sizes).tolist(), all_free, strict=True))


def _any_fails(probabilities: Floats, sizes: Sequence[int]) -> Floats:
    """Probability that any change of each group of changes fails, the groups one after another."""
    first = _first(sizes)
    # A change left whole keeps its probability to the last bit: 1 - (1 - p) would not.
    any_fails = 1 - np.multiply.reduceat(1 - probabilities, first)
    return np.where(np.array(sizes) == 1, probabilities[first], any_fails)


def _first(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Place of the first of each group, the groups one after another."""
    found: NDArray[np.int64] = np.cumsum([0, *sizes[:-1]])
    return found
