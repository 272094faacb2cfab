"""Earlier changes like one to be scored, why they are alike, and what followed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.entities import ENTITIES
from features.evidence import SHOWN, Question
from features.language import say, say_count
from features.likeness import Compared, Memory, Outcome
from features.state import FeatureState

CANDIDATES = 60
"""Earlier changes of each entity compared with a change."""


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
    candidates = _candidates(question, owner)
    memory = _remembered(question.state, candidates)
    (own,) = Compared.each(question.one())
    found = memory.most_alike(own, candidates, question.as_of, limit, outcome)
    incidents = _incidents_of(question, [compared.change_id for _, compared, _ in found])
    return [
        SimilarChange(
            change_id=compared.change_id,
            similarity=round(likeness, 3),
            outcome=followed,
            incidents=tuple(incidents[compared.change_id]),
            reasons=_in_common(own, compared),
        )
        for likeness, compared, followed in found
    ]


def _candidates(question: Question, owner: int) -> list[int]:
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
    return list(candidates)


def _outcomes(state: FeatureState, numbers: Sequence[int]) -> list[Outcome]:
    """The outcomes of some changes on record."""
    index = state.index
    streams = (index.stream(stream, "organisation") for stream in ("failures", "decided"))
    return [*map(Outcome, *(stream.own_times(0, numbers) for stream in streams))]


def outcome_of(state: FeatureState, change_id: str, as_of: int) -> str | None:
    """Outcome of a change on record, ``caused`` or ``clean``, as known then; else None.

    Parameters
    ----------
    as_of : int
        The moment, microseconds.
    """
    (number,) = state.vocabulary("change").find([change_id]).tolist()
    return None if number < 0 else _outcomes(state, [number])[0].told(as_of)


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


def _remembered(state: FeatureState, numbers: Sequence[int]) -> Memory:
    """The memory, with some changes on record in it."""
    memory, names = state.memory, state.vocabulary("change").names
    missing = {names[number]: number for number in memory.missing(numbers)}
    if missing:
        records = state.changes(list(missing))
        tables = {id(table): table for table, _ in records.values()}  # they share one
        read = {key: Compared.each(table) for key, table in tables.items()}
        outcomes = _outcomes(state, [missing[name] for name in records])
        for (name, (table, row)), outcome in zip(records.items(), outcomes, strict=True):
            memory.keep(missing[name], read[id(table)][row], outcome)
    return memory


def _in_common(one: Compared, other: Compared) -> tuple[str, ...]:
    """What two changes have in common in words, what weighs most first."""
    reasons = []
    if words := sorted(one.words & other.words):
        reasons.append(
            say_count(
                "the word “{words}” in both titles",
                "the words “{words}” in both titles",
                len(words),
                words=", ".join(words[:SHOWN]),
            )
        )
    if items := [item for item in one.items if item in other.items]:
        shown = ", ".join(items[:SHOWN])
        reasons.append(
            say_count("the same item {items}", "the same items {items}", len(items), items=shown)
        )
    if one.team and one.team == other.team:
        reasons.append(say("the same team {team}", team=one.team))
    if one.model is not None and one.model == other.model:
        reasons.append(say("the same kind of change"))
    return tuple(reasons)
