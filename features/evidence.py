"""The records behind a score: what a factor counted, what collides, what was done before."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from features import instants
from features.catalogue import Feature
from features.columns import Columns
from features.entities import ENTITIES, affected_cis, change_model
from features.index import Ints
from features.instants import MISSING
from features.state import FeatureState
from features.table import ask, overlapping

SHOWN = 5
"""Records named behind one factor."""

CANDIDATES = 60
"""Earlier changes of each entity compared with a change."""

_WORD = re.compile(r"[a-z]{2,}")

_KINDS = {"affected": "same_ci", "service": "same_service", "team": "same_team"}


@dataclass(frozen=True, kw_only=True)
class Collision:
    """Another change planned at the same time.

    Parameters
    ----------
    kind : str
        ``same_ci``, ``same_service`` or ``same_team``; the closest that applies.
    overlap_minutes : float
    """

    change_id: str
    kind: str
    overlap_minutes: float


@dataclass(frozen=True, kw_only=True)
class SimilarChange:
    """An earlier change of the same kind or on the same items, and what followed.

    Parameters
    ----------
    similarity : float
        Between 0 and 1: half for the words of the title, a quarter for a shared item, an eighth
        each for the same team and the same model.
    outcome : str
        ``caused`` or ``clean``, as known at the score time.
    incidents : tuple of str
        The incidents linked to it by then.
    """

    change_id: str
    similarity: float
    outcome: str
    incidents: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One change at one moment against the history.

    Parameters
    ----------
    changes : Columns
        A table that holds the change.
    row : int
        Its row.
    as_of : int
        The moment, microseconds.
    """

    changes: Columns
    row: int
    as_of: int
    state: FeatureState

    def one(self) -> Columns:
        """The change alone."""
        return self.changes.take(np.array([self.row]))

    def owner(self) -> Ints:
        """Number of the change itself, -1 where it is new."""
        return self.state.vocabulary("change").find([self.changes["change_id"][self.row]])


def records_behind(question: Question, feature: Feature) -> list[str]:
    """Ids of the records a feature counted, newest first, as known then."""
    state = question.state
    if feature.stream == "request":
        return []
    if feature.stream == "schedule":
        return [collision.change_id for collision in collisions(question)][:SHOWN]
    stream = "failures" if feature.aggregate == "rate" else feature.stream
    kind = "incident" if stream in ("incidents", "major_incidents") else "change"
    owner = int(question.owner()[0]) if kind == "change" else -1
    window = None if feature.window_days is None else feature.window_days * instants.DAY
    entity = ENTITIES[feature.entity]
    named = entity.read(question.one())
    index = state.events(stream, entity.vocabulary)
    found: list[int] = []
    for code in state.vocabulary(entity.vocabulary).find(named.names).tolist():
        if code >= 0:
            found += index.recent(code, question.as_of, window, owner, SHOWN)
    names = state.vocabulary(kind).names
    return [names[number] for number in dict.fromkeys(found)][:SHOWN]


def collisions(question: Question) -> list[Collision]:
    """Other changes planned at the same time on the same items, service or team, longest first."""
    one, as_of = question.one(), np.array([question.as_of])
    found: dict[int, Collision] = {}
    for entity, kind in _KINDS.items():
        asked = ask(one, as_of, question.owner(), entity, question.state)
        _, others, overlap = overlapping(one, ENTITIES[entity].vocabulary, asked, question.state)
        for other, micros in zip(others.tolist(), overlap.tolist(), strict=True):
            if other not in found:
                found[other] = Collision(
                    change_id=question.state.vocabulary("change").names[other],
                    kind=kind,
                    overlap_minutes=round(micros / (60 * instants.SECOND), 1),
                )
    return sorted(found.values(), key=lambda c: (-c.overlap_minutes, c.change_id))


def similar_changes(question: Question, limit: int = 3) -> list[SimilarChange]:
    """The most alike earlier changes whose outcome was known then."""
    owner = int(question.owner()[0])
    names = question.state.vocabulary("change").names
    found = []
    candidates = np.array(list(_candidates(question, owner)), np.int64)
    for other, outcome in zip(candidates.tolist(), _outcomes(question, candidates), strict=True):
        record = question.state.change(names[other])
        if outcome is not None and record is not None:
            likeness = _likeness(question.changes, question.row, *record)
            found.append((likeness, names[other], outcome))
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    return [
        SimilarChange(
            change_id=change_id,
            similarity=round(likeness, 3),
            outcome=outcome,
            incidents=tuple(_incidents_of(question, change_id)),
        )
        for likeness, change_id, outcome in found[:limit]
    ]


def _candidates(question: Question, owner: int) -> Iterable[int]:
    one = question.one()
    candidates: dict[int, None] = {}
    for entity in ("change_model", "ci", "action"):
        vocabulary = ENTITIES[entity].vocabulary
        index = question.state.events("decided", vocabulary)
        names = ENTITIES[entity].read(one).names
        for code in question.state.vocabulary(vocabulary).find(names).tolist():
            if code >= 0:
                recent = index.recent(code, question.as_of, None, owner, CANDIDATES)
                candidates.update(dict.fromkeys(recent))
    return candidates


def _outcomes(question: Question, others: Ints) -> list[str | None]:
    """Outcome of each of the changes, as known then; None where undecided."""
    everyone = np.zeros(len(others), np.int64)
    since, until = np.full(len(others), MISSING), np.full(len(others), question.as_of)
    failed, decided = (
        question.state.events(stream, "organisation").owned(everyone, others, since, until) > 0
        for stream in ("failures", "decided")
    )
    pairs = zip(failed.tolist(), decided.tolist(), strict=True)
    return ["caused" if bad else "clean" if known else None for bad, known in pairs]


def _incidents_of(question: Question, change_id: str) -> list[str]:
    """Incidents linked to a change as caused by it, by the score time."""
    links = question.state.links
    chosen = (
        (links["change_id"] == change_id)
        & (links["kind"] == "caused_by")
        & (links.times("known_at") < question.as_of)
    )
    return sorted(set(links["incident_id"][chosen]))[:SHOWN]


def _likeness(first: Columns, row: int, second: Columns, other: int) -> float:
    words, others = (
        set(_WORD.findall((table["short_description"][at] or "").lower()))
        for table, at in ((first, row), (second, other))
    )
    shared = len(words & others) / len(words | others) if words | others else 0.0
    items = set(affected_cis(first, row)) & set(affected_cis(second, other))
    team = first["assignment_group"][row]
    same_team = bool(team) and team == second["assignment_group"][other]
    same_model = bool(set(change_model(first, row)) & set(change_model(second, other)))
    return 0.5 * shared + 0.25 * bool(items) + 0.125 * same_team + 0.125 * same_model
