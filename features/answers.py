"""Answers: one value a change for every way the catalogue counts over its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from features import request
from features.asked import Asked, Floats
from features.asking import Asking, Met, at_least
from features.calendar import Calendar
from features.catalogue import Feature
from features.columns import MANY, Array, Columns
from features.entities import ENTITIES
from features.segment import Ints, distinct
from features.state import FeatureState
from features.streams import scheduled
from features.tallies import SMOOTHING

EVIDENCE_SMOOTHING = {"title_word": 50.0}
"""Weight of the global rate in the evidence of a name: as many imagined changes with the usual
outcome. Of a word more than in a smoothed rate, for there are many, and most say nothing.

The evidence of a name is ``ln(smoothed rate / usual)``. Added up over the words of a title it is
the score of a naive Bayes classifier with words that are there or not [1]_.

.. [1] Manning, Raghavan and Schütze (2008), "Introduction to Information Retrieval", chapter 13.
"""

Mask = NDArray[np.bool_]


def _evidence(feature: Feature, asking: Asking) -> Floats:
    """Evidence of the title's words; the word told and what is behind it are kept."""
    asked = asking.asked
    failed = asking.count("failed", feature.window_days)
    decided = at_least(asking.count("decided", feature.window_days), failed)
    usual = asking.usual[asked.row]
    known = np.where(usual > 0, usual, np.nan)
    weight = EVIDENCE_SMOOTHING.get(feature.entity, SMOOTHING)
    smoothed = (failed + weight * known) / (decided + weight)
    found = np.log(smoothed / known)
    if asking.behind.kept:
        place = _told(feature, asked, found, decided)
        asking.behind.counts[feature.name] = asked.at(place, failed), asked.at(place, decided)
        asking.behind.words[feature.name] = _words(asking, place, (decided + failed)[place] > 0)
    return asked.reduced(found, feature.across)


def _told(feature: Feature, asked: Asked, found: Floats, decided: Ints) -> Ints:
    """Place of the word told of for each change."""
    lowest = np.full(len(found), feature.across == "min")
    if feature.across == "sum":
        lowest = asked.reduced(found, "sum")[asked.row] < 0
    return asked.highest(np.where(lowest, -found, found), decided)


def _words(asking: Asking, place: Ints, told: Mask) -> Array:
    """The words at one place a change; None where no outcome of theirs was known."""
    words = np.full(len(asking.changes), None, dtype=object)
    names = asking.state.vocabulary(asking.vocabulary).names
    codes = asking.asked.codes[place]
    named = zip(codes.tolist(), told.tolist(), strict=True)
    words[asking.asked.row[place]] = [names[code] if known else None for code, known in named]
    return words


def _reschedules(_: Feature, asking: Asking) -> Floats:
    """Planned starts the change had before, besides the one it has."""
    asked, state = asking.asked, asking.state
    if (asked.codes < 0).all():  # nobody had heard of them
        return np.zeros(len(asked.named))
    nobody = asked.owners * 0 - 1
    everything = state.events("planned_starts", "change")
    had = everything.counts(asked.codes, asked.times, [None], nobody)[None]
    own = ENTITIES["planned_start"].read(asking.changes)
    codes = own.found_in(state.vocabulary("planned_start"))
    same = state.events("planned_starts", "planned_start")
    had[own.row] -= same.counts(codes, asked.times[own.row], [None], nobody[own.row])[None]
    return had.astype(np.float64)


def _overlaps(_: Feature, asking: Asking) -> Floats:
    """How many other changes are planned at the same time on any of the names, each once."""
    entity, found = asking.plan.entity, asking.met
    if found is None:
        found = overlapping(asking.changes, {entity: asking.asked}, asking.state)[entity]
    rows, others = found[:2]
    if asking.behind.kept and len(asking.changes) < MANY:
        asking.behind.met[entity] = found
    if not len(rows):
        return asking.if_planned(np.zeros(len(asking.changes)))
    width = int(others.max(initial=0)) + 1
    pairs = distinct(rows * width + others)
    counts = np.bincount(pairs // width, minlength=len(asking.changes))
    return asking.if_planned(counts.astype(np.float64))


_CALENDAR: Mapping[str, Callable[..., Floats]] = {
    "inside": Calendar.inside,
    "covered": Calendar.covered,
    "days_until": Calendar.days_until,
}


def _calendar(feature: Feature, asking: Asking) -> Floats:
    """What the calendar says of the planned window."""
    found = _CALENDAR[feature.aggregate](
        asking.state.calendar, feature.stream, *asking.planned, asking.asked.times
    )
    return asking.if_planned(asking.asked.reduced(found, feature.across))


ANSWERS: Mapping[str, Callable[[Feature, Asking], Floats]] = {
    "evidence": _evidence,
    "overlap": _overlaps,
    "reschedules": _reschedules,
    **dict.fromkeys(_CALENDAR, _calendar),
}


def overlapping(
    changes: Columns, asked: Mapping[str, Asked], state: FeatureState
) -> dict[str, Met]:
    """Planned windows that overlap, by entity.

    Parameters
    ----------
    asked : mapping of str to Asked
        What the changes ask about each entity.
    """
    unknown, starts, ends = request.planned(changes)
    codes = [
        np.where(unknown[one.row], -1, scheduled(ENTITIES[entity].vocabulary, one.codes))
        for entity, one in asked.items()
    ]
    row = np.concatenate([one.row for one in asked.values()])
    times = np.concatenate([one.times for one in asked.values()])
    owners = np.concatenate([one.owners for one in asked.values()])
    questions = np.concatenate(codes), row, starts, ends, times, owners
    found = [index.pairs(*questions) for index in state.schedule]
    found = [pairs for pairs in found if len(pairs[0])] or found[:1]
    query, others, overlap = (np.concatenate(part) for part in zip(*found, strict=True))
    whose = np.cumsum([len(part) for part in codes]).searchsorted(query, "right")
    met = {}
    for number, entity in enumerate(asked):
        mine = np.flatnonzero(whose == number)
        met[entity] = row[query[mine]], others[mine], overlap[mine]
    return met
