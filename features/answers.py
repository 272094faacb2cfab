"""Answers: one value a change for every way the catalogue counts over its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from features import request
from features.asked import Asked, Floats, Questions
from features.asking import Asking, Met, at_least
from features.calendar import Calendar
from features.catalogue import Feature
from features.columns import MANY, Array, Columns
from features.entities import ENTITIES
from features.segment import NONE, Ints, distinct
from features.state import FeatureState
from features.streams import schedule_of
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
    found, failed, decided = _evidence_of_each(feature, asking)
    if asking.behind.kept:
        behind = asking.behind

        def counts() -> tuple[Floats, Floats]:
            place = _told(feature, asked, found, decided)
            return asked.at(place, failed), asked.at(place, decided)

        def words() -> Array:
            place = _told(feature, asked, found, decided)
            return _words(asking, place, (decided + failed)[place] > 0)

        behind.counts.when_asked(feature.name, counts)
        behind.words.when_asked(feature.name, words)
    return asked.reduced(found, feature.across)


def _evidence_of_each(feature: Feature, asking: Asking) -> tuple[Floats, Ints, Ints]:
    """Evidence of every name, and the failed and decided changes behind it; worked out once for
    features that differ only in what they make of a change's names.
    """
    weight = EVIDENCE_SMOOTHING.get(feature.entity, SMOOTHING)
    key = feature.window_days, weight
    if key not in asking.evidences:
        failed = asking.count("failed", feature.window_days)
        decided = at_least(asking.count("decided", feature.window_days), failed)
        known = np.where(asking.usual > 0, asking.usual, np.nan)[asking.asked.row]
        smoothed = (failed + weight * known) / (decided + weight)
        asking.evidences[key] = np.log(smoothed / known), failed, decided
    return asking.evidences[key]


def _told(feature: Feature, asked: Asked, found: Floats, decided: Ints) -> Ints:
    """Place of the word told of for each change."""
    if feature.across == "sum":
        lowest = asked.reduced(found, "sum")[asked.row] < 0
        found = np.where(lowest, -found, found)
    return asked.highest(-found if feature.across == "min" else found, decided)


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
    if len(asking.changes) < MANY:
        return _reschedules_of_few(asking)
    nobody = asked.owners * 0 - 1
    everything = state.events("planned_starts", "change")
    had = everything.counts(asked.codes, asked.times, [None], nobody)[None]
    own = ENTITIES["planned_start"].read(asking.changes)
    codes = own.found_in(state.vocabulary("planned_start"))
    same = state.events("planned_starts", "planned_start")
    had[own.row] -= same.counts(codes, asked.times[own.row], [None], nobody[own.row])[None]
    return had.astype(np.float64)


def _reschedules_of_few(asking: Asking) -> Floats:
    """The same, from the planned starts one by one, which versions of a change share."""
    asked, state = asking.asked, asking.state
    events, starts = state.events("planned_starts", "change"), state.vocabulary("planned_start")
    had: dict[tuple[int, int], set[int]] = {}
    found = np.zeros(len(asking.changes))
    names = ENTITIES["planned_start"].read.each(asking.changes)
    for row, *pair in zip(
        *(part.tolist() for part in (asked.row, asked.codes, asked.times)), strict=True
    ):
        code, time = pair
        if code >= 0 and (code, time) not in had:
            had[code, time] = {start for _, start in events.newest(code, time, None, -1)}
        others = had.get((code, time), set())
        own = starts.find(names[row]).tolist() if others else ()
        found[row] = len(others.difference(own))
    return found


def _overlaps(_: Feature, asking: Asking) -> Floats:
    """How many other changes are planned at the same time on any of the names, each once."""
    rows, others = _met_by_many(asking) if asking.met is None else asking.met[:2]
    if not len(rows):
        return asking.if_planned(np.zeros(len(asking.changes)))
    if len(asking.changes) == 1:
        return asking.if_planned(np.array([float(len({*others.tolist()}))]))
    width = int(others.max(initial=0)) + 1
    pairs = distinct(rows * width + others)
    counts = np.bincount(pairs // width, minlength=len(asking.changes))
    return asking.if_planned(counts.astype(np.float64))


def _met_by_many(asking: Asking) -> tuple[Ints, Ints]:
    """Changes and the others that they meet."""
    asked, schedule = asking.asked, schedule_of(asking.vocabulary)
    of_all = schedule | asked.codes, asked.codes, asked.times, asked.owners
    questions = _planned(asking.changes, asked.row, *of_all)
    found = [index.others(*questions) for index in asking.state.schedule]
    query, others = (np.concatenate(part) for part in zip(*found, strict=True))
    return asked.row[query], others


def _planned(
    changes: Columns, row: Ints, names: Ints, codes: Ints, times: Ints, owners: Ints
) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
    """Questions about planned windows, by names as the schedule numbers them."""
    unknown, starts, ends = request.planned(changes)
    return np.where(unknown[row] | (codes < 0), -1, names), row, starts, ends, times, owners


_CALENDAR: Mapping[str, Callable[..., Floats]] = {
    "inside": Calendar.inside,
    "covered": Calendar.covered,
    "days_until": Calendar.days_until,
}


def _calendar(feature: Feature, asking: Asking) -> Floats:
    """What the calendar says of the planned window."""
    if not asking.state.calendar.holds(feature.stream):
        nothing = np.nan if feature.aggregate == "days_until" else 0.0
        return asking.if_planned(np.full(len(asking.changes), nothing))
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


def overlapping(changes: Columns, asked: Questions, state: FeatureState) -> dict[str, Met]:
    """Planned windows that overlap, by entity.

    Parameters
    ----------
    asked : Questions
        What the changes ask about each entity.
    """
    row, last = asked.row, asked.ends.tolist()
    schedules = np.array([schedule_of(ENTITIES[one].vocabulary) for one in asked], np.int64)
    names = np.repeat(schedules, asked.ends[1:] - asked.ends[:-1]) | asked.codes
    moments = asked.as_of[row], asked.owner[row]
    questions = _planned(changes, row, names, asked.codes, *moments)
    found = [index.pairs(*questions) for index in state.schedule]
    found = [pairs for pairs in found if len(pairs[0])]
    if not found:
        return dict.fromkeys(asked, (NONE, NONE, NONE))
    query, others, overlap = (np.concatenate(part) for part in zip(*found, strict=True))
    met = {}
    for entity, low, high in zip(asked, last, last[1:], strict=False):
        mine = np.flatnonzero((query >= low) & (query < high))
        met[entity] = row[query[mine]], others[mine], overlap[mine]
    return met
