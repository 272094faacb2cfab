"""What a change's page shows, made from the answers on record and the history beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from features.store.chain import JournalEntry
from models.bands import Bands
from serving.contract import ChangeIn
from serving.pages import charts
from serving.pages.facts import ChangeFact, Facts, IncidentFact
from serving.pages.plans import Bar, strip
from serving.pages.site import page_of
from serving.pages.words import Times, counted, figure, moment, short
from serving.revisions import RevisionOut, revisions

ADDITIVE = 0.0005
"""Factors and score may differ by a twentieth of a point; beyond that the page warns."""

KINDS = {
    "freeze": "Freeze",
    "blackout": "Blackout",
    "same_ci": "Same item",
    "dependency": "Item that depends on it, or the other way round",
    "indirect_dependency": "The same over one item between",
    "same_service": "Same service",
    "same_team": "Same team",
}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A record a factor counted."""

    record_id: str
    title: str | None
    when: datetime | None
    href: str | None


@dataclass(frozen=True, kw_only=True)
class FactorRow:
    """One factor of a score: the fact, its part, its chart and what is behind it."""

    group: str
    heading: str
    fact: str
    usual: str
    direction: str
    points: float
    changeable: bool
    evidence: Sequence[Evidence]
    chart: Markup


@dataclass(frozen=True, kw_only=True)
class Factors:
    """The factor table, which is also the waterfall."""

    base: float
    first: Markup
    rows: Sequence[FactorRow]
    last: Markup
    total: float
    adds_up: bool


def factor_table(answer: Mapping[str, Any], facts: Facts) -> Factors | None:
    """The factors of an answer; None for one without a score."""
    if answer.get("incident_probability") is None or answer.get("base_log_odds") is None:
        return None
    base = 1 / (1 + math.exp(-answer["base_log_odds"]))
    found = answer["factors"]
    drawn = charts.waterfall(base, [factor["points"] for factor in found])
    total = float(answer["incident_probability"])
    gap = abs(base + sum(factor["points"] for factor in found) - total)
    rows = [_factor(factor, chart, facts) for factor, chart in zip(found, drawn[1:-1], strict=True)]
    return Factors(
        base=base,
        first=drawn[0],
        rows=rows,
        last=drawn[-1],
        total=total,
        adds_up=gap <= ADDITIVE,
    )


def _factor(factor: Mapping[str, Any], chart: Markup, facts: Facts) -> FactorRow:
    fact, _, usual = str(factor["text"]).partition("; usual: ")
    return FactorRow(
        group=factor["group"],
        heading=factor["heading"],
        fact=fact,
        usual=usual,
        direction=factor["direction"],
        points=factor["points"],
        changeable=factor["changeable"],
        evidence=[_evidence(record_id, facts) for record_id in factor["evidence"]],
        chart=chart,
    )


def _evidence(record_id: str, facts: Facts) -> Evidence:
    change = facts.change(record_id)
    if change is not None:
        href = page_of(record_id)
        return Evidence(record_id=record_id, title=change.title, when=change.start, href=href)
    incident = facts.incident(record_id)
    title = None if incident is None else incident.title
    when = None if incident is None else incident.occurred_at
    return Evidence(record_id=record_id, title=title, when=when, href=None)


@dataclass(frozen=True, kw_only=True)
class LeverRow:
    """Something that would lower the score, tickable as a condition."""

    text: str
    figure: str
    band: str
    chart: Markup
    together: bool


def lever_rows(
    answer: Mapping[str, Any], bands: Bands | None, times: Times
) -> tuple[list[LeverRow], LeverRow | None]:
    """The levers one by one, and all of them together where that was rescored."""
    now = answer.get("incident_probability")
    if now is None:
        return [], None
    cuts = [] if bands is None else [bands.moderate, bands.high, bands.very_high]
    rows = [
        LeverRow(
            text=_lever_text(lever, times),
            figure=figure(lever["incident_probability"], lever["risk_band"], bands),
            band=lever["risk_band"],
            chart=charts.dumbbell(now, lever["incident_probability"], cuts),
            together=lever["text"].startswith("All of these"),
        )
        for lever in answer.get("levers", ())
    ]
    together = next((row for row in rows if row.together), None)
    return [row for row in rows if not row.together], together


def _lever_text(lever: Mapping[str, Any], times: Times) -> str:
    """A lever in words; a moved window on the board's clock."""
    changed = lever["change"]
    if set(changed) <= {"planned_start", "planned_end"}:
        start, end = moment(changed.get("planned_start")), moment(changed.get("planned_end"))
        return f"Move the window to {times.window(start, end)}"
    shown = [str(value) for value in changed.values()]
    return f"{lever['text']} ({shown[0]})" if len(shown) == 1 else str(lever["text"])


@dataclass(frozen=True, kw_only=True)
class CollisionRow:
    """Another change at the same time, or a freeze or blackout with what it applies to."""

    change_id: str | None
    kind: str
    title: str | None
    window: str
    minutes: float


def collisions(
    answer: Mapping[str, Any],
    own: Bar | None,
    bands_of: Mapping[str, str | None],
    facts: Facts,
    times: Times,
) -> tuple[list[CollisionRow], Markup]:
    """Closed times and colliding changes in words, the changes also as a strip of windows."""
    rows, bars = [], []
    for found in answer.get("collisions", ()):
        if found["change_id"] is None:
            rows.append(_closed_row(found, times))
            continue
        other = facts.change(found["change_id"])
        start, end = (None, None) if other is None else (other.start, other.end)
        rows.append(
            CollisionRow(
                change_id=found["change_id"],
                kind=KINDS[found["kind"]],
                title=None if other is None else other.title,
                window=times.window(start, end),
                minutes=found["overlap_minutes"],
            )
        )
        if start is not None and end is not None and end > start:
            band = bands_of.get(found["change_id"])
            bars.append(_bar(found["change_id"], start, end, band))
    if own is None or not bars:
        return rows, Markup("")
    return rows, strip(own, bars[:8], times)


def _closed_row(found: Mapping[str, Any], times: Times) -> CollisionRow:
    closed = found["closed"]
    scope = "everything" if closed["scope"] == "*" else closed["scope"]
    return CollisionRow(
        change_id=None,
        kind=KINDS[found["kind"]],
        title=f"{scope} ({closed['entry_id']})",
        window=times.window(moment(closed["starts_at"]), moment(closed["ends_at"])),
        minutes=found["overlap_minutes"],
    )


def _bar(change_id: str, start: datetime, end: datetime, band: str | None) -> Bar:
    return Bar(
        row=change_id, start=start, end=end, band=band, label="", spoken="", href=page_of(change_id)
    )


def own_bar(
    change_id: str, start: datetime | None, end: datetime | None, band: str | None
) -> Bar | None:
    """The change's own window; None without one."""
    if start is None or end is None or end <= start:
        return None
    return _bar(change_id, start, end, band)


@dataclass(frozen=True, kw_only=True)
class SimilarRow:
    """An earlier change like this one, and what followed."""

    change_id: str
    title: str | None
    when: datetime | None
    similarity: int
    outcome: str
    incidents: Sequence[IncidentFact]
    reasons: str


def similar(answer: Mapping[str, Any], facts: Facts) -> tuple[list[SimilarRow], Markup]:
    """Similar past changes as rows, and their outcomes as a strip."""
    rows = []
    for found in answer.get("similar_changes", ()):
        other = facts.change(found["change_id"])
        outcome = found["outcome"]
        if outcome == "clean" and other is not None and other.backed_out:
            outcome = "backed_out"
        known = [facts.incident(i) or _unknown(i) for i in found["incidents"]]
        rows.append(
            SimilarRow(
                change_id=found["change_id"],
                title=None if other is None else other.title,
                when=None if other is None else (other.ended_at or other.start),
                similarity=round(100 * found["similarity"]),
                outcome=outcome,
                incidents=known,
                reasons="; ".join(found.get("reasons", ())),
            )
        )
    if not rows:
        return [], Markup("")
    bad = sum(row.outcome == "caused" for row in rows)
    label = f"{bad} of {counted(len(rows), 'similar change')} led to incidents"
    return rows, charts.outcomes([row.outcome for row in rows], label)


def _unknown(incident_id: str) -> IncidentFact:
    return IncidentFact(
        incident_id=incident_id, title=None, priority=None, occurred_at=None, resolved_at=None
    )


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One answer given about the change, and how far it lies from the one before."""

    told: RevisionOut
    figure: str | None
    difference: float | None


def score_history(
    scores: Sequence[JournalEntry], bands: Bands | None, times: Times
) -> list[Revision]:
    """Every answer, newest first; answers that changed nothing are told once."""
    kept: list[JournalEntry] = []
    for entry in scores:
        if not kept or not _same(kept[-1].body["answer"], entry.body["answer"]):
            kept.append(entry)
    told = revisions(kept, bands, times.zone)
    before = [*(one.incident_probability for one in told[1:]), None]
    return [
        Revision(
            told=one,
            figure=None
            if one.incident_probability is None
            else figure(one.incident_probability, one.risk_band, bands),
            difference=None
            if one.incident_probability is None or earlier is None
            else one.incident_probability - earlier,
        )
        for one, earlier in zip(told, before, strict=True)
    ]


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    keys = ("revision", "incident_probability", "risk_band", "status")
    return all(first.get(key) == second.get(key) for key in keys)


def heading_facts(payload: Mapping[str, Any], times: Times) -> list[tuple[str, str, str]]:
    """What the head of the page says: name, a value that is an id, and further words."""
    change = ChangeIn.model_validate(dict(payload))
    further = [ci for ci in change.affected_cis if ci != change.ci]
    item = change.ci or (further[0] if further else None)
    more = len(further) - (0 if change.ci else 1)
    facts = [
        ("Change", change.change_id, ""),
        ("Window", "", times.window(change.planned_start, change.planned_end)),
        ("Item", short(item, 60), f"and {more} more" if more > 0 else ""),
        ("Service", "", short(change.service, 60)),
        ("Type", "", short(change.change_type, 40).capitalize()),
        ("Team", "", short(change.assignment_group, 60)),
        ("Requester", "", short(change.requested_by, 60)),
    ]
    return [fact for fact in facts if fact[1] or fact[2]]


def ended_words(fact: ChangeFact | None) -> str | None:
    """How a change ended: ``withdrawn``, ``backed_out`` or ``closed``; None while it is open."""
    if fact is None or (fact.ended is None and not fact.backed_out):
        return None
    code = (fact.ended or "").lower()
    if fact.backed_out:
        return "backed_out"
    return "withdrawn" if any(word in code for word in ("withdr", "cancel")) else "closed"
