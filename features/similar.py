"""Earlier changes like one to be scored, why they are alike, and what followed them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Columns
from features.entities import ENTITIES, affected_in, change_models
from features.evidence import SHOWN, Question
from features.language import say, say_count
from features.records import Change
from features.segment import Ints
from features.state import FeatureState

CANDIDATES = 60
"""Earlier changes of each entity compared with a change."""

REMEMBERED = 100_000
"""Changes of which what is compared is kept at most."""

_WORD = re.compile(r"[^\W\d_]{2,}")


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
    reasons : tuple of str
        What the two have in common, in words, what weighs most first.
    """

    change_id: str
    similarity: float
    outcome: str
    incidents: tuple[str, ...]
    reasons: tuple[str, ...]


def similar_changes(
    question: Question, limit: int = 3, outcome: str | None = None
) -> list[SimilarChange]:
    """The most alike earlier changes whose outcome was known then; of equals the newest.

    Parameters
    ----------
    outcome : str, optional
        ``caused`` or ``clean``: only those.
    """
    owner = int(question.owner()[0])
    candidates = list(_candidates(question, owner))
    followed = _outcomes(question, np.array(candidates, np.int64))
    known_of = dict(zip(candidates, followed, strict=True))
    chosen = [one for one, so in known_of.items() if so is not None and outcome in (None, so)]
    (own,) = _Compared.each(question.one())
    others = _compared(question.state, chosen)
    found = [
        (likeness, compared.known_at, compared.change_id, str(known_of[other]), compared)
        for likeness, (other, compared) in zip(
            own.likeness(others.values()), others.items(), strict=True
        )
    ]
    found.sort(key=lambda entry: (-entry[0], -entry[1], entry[2]))
    incidents = _incidents_of(question, [change_id for _, _, change_id, _, _ in found[:limit]])
    return [
        SimilarChange(
            change_id=change_id,
            similarity=round(likeness, 3),
            outcome=followed,
            incidents=tuple(incidents[change_id]),
            reasons=own.in_common(compared),
        )
        for likeness, _, change_id, followed, compared in found[:limit]
    ]


def _candidates(question: Question, owner: int) -> Iterable[int]:
    """Earlier changes of the same kind or items; where there are few, of the service and team."""
    candidates: dict[int, None] = {}
    for entity in ("change_model", "ci", "action", "affected", "service", "team"):
        if entity in ("affected", "service", "team") and len(candidates) >= CANDIDATES:
            break
        vocabulary = ENTITIES[entity].vocabulary
        index = question.state.events("decided", vocabulary)
        for code in question.codes(entity):
            recent = index.recent(code, question.as_of, None, owner, CANDIDATES)
            candidates.update(dict.fromkeys(recent))
    return candidates


def _outcomes(question: Question, others: Ints) -> list[str | None]:
    """Outcome of each of the changes, as known then; None where undecided."""
    index, organisation = question.state.index, np.zeros(len(others), np.int64)
    slots = [index.slots[stream, "organisation"] for stream in ("failures", "decided")]
    until = np.full(len(others), question.as_of)
    failed, decided = index.owned(slots, organisation, others, until) > 0
    pairs = zip(failed.tolist(), decided.tolist(), strict=True)
    return ["caused" if bad else "clean" if known else None for bad, known in pairs]


def outcome_of(state: FeatureState, change_id: str, as_of: int) -> str | None:
    """Outcome of a change on record, ``caused`` or ``clean``, as known then; else None.

    Parameters
    ----------
    as_of : int
        The moment, microseconds.
    """
    number = state.vocabulary("change").find([change_id])
    if number[0] < 0:
        return None
    question = Question(Columns.empty(Change), 0, as_of, state)
    return _outcomes(question, np.asarray(number, np.int64))[0]


def _incidents_of(question: Question, change_ids: Sequence[str]) -> dict[str, list[str]]:
    """Incidents linked to each of some changes as caused by it, by the score time."""
    links = question.state.links(change_ids)
    chosen = (links["kind"] == "caused_by") & (links.times("known_at") < question.as_of)
    named: dict[str, set[str]] = {change_id: set() for change_id in change_ids}
    for change_id, incident in zip(
        links["change_id"][chosen], links["incident_id"][chosen], strict=True
    ):
        named[change_id].add(incident)
    return {change_id: sorted(incidents)[:SHOWN] for change_id, incidents in named.items()}


def _words_of(title: str) -> frozenset[str]:
    return frozenset(_WORD.findall(title.lower()))


def _compared(state: FeatureState, numbers: Sequence[int]) -> dict[int, _Compared]:
    """What is compared of changes on record, by number; remembered until they are revised."""
    remembered: dict[int, _Compared] = state.remembered
    if len(remembered) > REMEMBERED:
        remembered.clear()
    names = state.vocabulary("change").names
    new = {names[number]: number for number in numbers if number not in remembered}
    if new:
        records = state.changes(list(new))
        tables = {id(table): table for table, _ in records.values()}  # they share one
        read = {key: _Compared.each(table) for key, table in tables.items()}
        remembered.update((new[n], read[id(table)][row]) for n, (table, row) in records.items())
    return {number: remembered[number] for number in numbers if number in remembered}


@dataclass(frozen=True)
class _Compared:
    """What of a change is compared with others."""

    change_id: str
    known_at: int
    words: frozenset[str]
    items: tuple[str, ...]
    team: str | None
    model: str | None

    @classmethod
    def each(cls, changes: Columns) -> list[_Compared]:
        """Of every row of a table."""
        fields = ("change_id", "known_at", "short_description", "assignment_group")
        columns = [changes[field].tolist() for field in fields]
        rows = zip(*columns, affected_in(changes), change_models(changes), strict=True)
        return [
            cls(change_id, known_at, _words_of(title or ""), items, team, model)
            for change_id, known_at, title, team, items, model in rows
        ]

    def likeness(self, others: Iterable[_Compared]) -> Iterator[float]:
        """How like other ones it is, each between 0 and 1."""
        words, size, items = self.words, len(self.words), frozenset(self.items)
        team, model = self.team or "", self.model or ""
        for other in others:
            both = len(words & other.words)
            either = size + len(other.words) - both
            shared = both / either if either else 0.0
            same_item = not items.isdisjoint(other.items)
            same_team = team != "" and team == other.team
            same_model = model != "" and model == other.model
            yield 0.5 * shared + 0.25 * same_item + 0.125 * same_team + 0.125 * same_model

    def in_common(self, other: _Compared) -> tuple[str, ...]:
        """The same in words, what weighs most first."""
        reasons = []
        if words := sorted(self.words & other.words):
            reasons.append(
                say_count(
                    "the word “{words}” in both titles",
                    "the words “{words}” in both titles",
                    len(words),
                    words=", ".join(words[:SHOWN]),
                )
            )
        if items := [item for item in self.items if item in other.items]:
            shown = ", ".join(items[:SHOWN])
            reasons.append(
                say_count(
                    "the same item {items}", "the same items {items}", len(items), items=shown
                )
            )
        if self.team and self.team == other.team:
            reasons.append(say("the same team {team}", team=self.team))
        if self.model is not None and self.model == other.model:
            reasons.append(say("the same kind of change"))
        return tuple(reasons)
