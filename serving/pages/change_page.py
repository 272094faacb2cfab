"""A change's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from features.store.chain import JournalEntry
from serving import decisions, outcomes
from serving.contract import ChangeIn
from serving.decisions import Decisions
from serving.keys import Caller
from serving.late import in_force
from serving.pages import change as parts
from serving.pages.agenda import DECIDED, Filters
from serving.pages.agenda_page import read_agenda
from serving.pages.charts import icon_array
from serving.pages.desk import Desk
from serving.pages.facts import ChangeFact, Facts
from serving.pages.panel import (
    CHOICES,
    LOOKS,
    Panel,
    history_lines,
    is_veiled,
    view_of,
)
from serving.pages.site import caller_of, swaps
from serving.pages.words import figure, moment, times

PLANS = {
    "description": "Description",
    "justification": "Justification",
    "implementation_plan": "Implementation plan",
    "backout_plan": "Backout plan",
    "test_plan": "Test plan",
}
"""Texts of a ticket that its page shows."""


def change(desk: Desk, request: Request) -> Response:
    """``GET /changes/{change_id}``: one change, all that is known of it, and the decision."""
    return page(desk, request, request.path_params["change_id"])


def page(
    desk: Desk, request: Request, change_id: str, *, status: int = 200, **said: Any
) -> Response:
    """The page of a change; after a form, with what came of it.

    Parameters
    ----------
    said : mapping
        Fields of the panel: what a form said, its faults, or that it was recorded.
    """
    with desk.store() as store:
        entries = list(store.journal_entries(change_id=change_id))
        scores = [entry for entry in entries if entry.kind == "score"]
        found = decisions.read(store, change_id) if scores else None
        followed = outcomes.followed(store, change_id)
    place, bands = _place(desk, change_id)
    with desk.facts() as facts:
        fact = facts.change(change_id)
        if found is None:
            return _unscored(desk, request, change_id, fact, blind=facts.state is None)
        shown = _shown(desk, scores, facts, fact, bands)
    panel = _panel(desk, caller_of(request), found, entries, shown["answer"], said)
    return desk.site.render(
        request,
        "_decision.html" if swaps(request) else "change.html",
        status=status,
        panel=panel,
        choices=CHOICES,
        looks=LOOKS,
        decided_words=DECIDED,
        history=history_lines(entries, desk.bands, panel.veiled),
        followed=followed["incidents"],
        **shown,
        **place,
    )


def _panel(
    desk: Desk,
    who: Caller | None,
    found: Decisions,
    entries: Sequence[JournalEntry],
    answer: Mapping[str, Any],
    said: Mapping[str, Any],
) -> Panel:
    own_view = desk.site.runtime.board.own_view
    view = None if who is None else view_of(entries, who)
    return Panel(
        decisions=found,
        may=who is not None and "decide" in who.permissions,
        veiled=who is not None and is_veiled(own_view, answer, who, view, found),
        view=view,
        **said,
    )


def _unscored(
    desk: Desk, request: Request, change_id: str, fact: ChangeFact | None, *, blind: bool
) -> Response:
    """The page of a change nobody asked a score for: what the history says of it, or a 404."""
    if fact is None:
        return desk.site.render(
            request, "missing.html", status=404, change_id=change_id, blind=blind
        )
    payload = ChangeIn.model_validate(
        {k: v for k, v in fact.fields.items() if k in ChangeIn.model_fields}
    ).payload()
    return desk.site.render(
        request,
        "past.html",
        change_id=change_id,
        title=fact.title,
        facts=parts.heading_facts(payload, desk.site.times()),
        fact=fact,
        ended=parts.ended_words(fact),
    )


def _shown(
    desk: Desk,
    scores: Sequence[JournalEntry],
    facts: Facts,
    fact: ChangeFact | None,
    bands_of: Mapping[str, str | None],
) -> dict[str, Any]:
    """Everything the template shows of a scored change."""
    clock, bands = desk.site.times(), desk.bands
    standing = in_force(scores)
    last = standing[-1]
    payload, answer = last.body["payload"], last.body["answer"]
    given = next((e for e in reversed(standing) if e.body["answer"]["incident_probability"]), None)
    answer = answer if given is None else given.body["answer"]
    stale = given is not None and given is not last
    own = parts.own_bar(
        answer["change_id"],
        moment(payload.get("planned_start")),
        moment(payload.get("planned_end")),
        answer.get("risk_band"),
    )
    crossing, strip = parts.collisions(answer, own, bands_of, facts, clock)
    alike, outcomes = parts.similar(answer, facts)
    levers, together = parts.lever_rows(answer, bands, clock)
    label = (answer.get("model") or {}).get("label")
    return {
        "change_id": answer["change_id"],
        "title": payload.get("short_description"),
        "facts": parts.heading_facts(payload, clock),
        "answer": answer,
        "shadow": (last if given is None else given).body.get("shadow"),
        "means": desk.means(label),
        "score": score_of(answer, desk),
        "factors": parts.factor_table(answer, facts),
        "levers": levers,
        "together": together,
        "collisions": crossing,
        "strip": strip,
        "similar": alike,
        "outcomes": outcomes,
        "incidents": facts.open_incidents(ChangeIn.model_validate(payload), desk.now),
        "revisions": parts.score_history(scores, bands, clock),
        "fact": fact,
        "ended": parts.ended_words(fact),
        "stale": last.body["answer"] if stale else None,
        "scored_at": given.written_at if given else last.written_at,
        "problem": desk.problem,
        "own_start": moment(payload.get("planned_start")),
        "plans": [(name, payload[key]) for key, name in PLANS.items() if payload.get(key)],
    }


def score_of(answer: Mapping[str, Any], desk: Desk) -> dict[str, Any] | None:
    """The figure, the sentence's numbers and the icon array; None without a score."""
    probability = answer.get("incident_probability")
    if probability is None:
        return None
    shown = figure(probability, answer["risk_band"], desk.bands)
    usual = figure(answer["base_rate"])
    count = 0 if shown.startswith("<") else round(float(shown))
    rings = 0 if usual.startswith("<") else int(usual)
    label = f"Of 100 changes like this one {shown}; of 100 changes in all {usual}."
    return {
        "figure": shown,
        "usual": usual,
        "times": times(probability / answer["base_rate"]),
        "icons": icon_array(count, rings, label),
    }


def _place(desk: Desk, change_id: str) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Where the change stands on the agenda with its neighbours there, and everybody's bands."""
    rows = read_agenda(desk, Filters(minutes=desk.site.runtime.board.minutes)).rows
    bands = {row.change_id: row.band for row in rows}
    number = next((n for n, row in enumerate(rows) if row.change_id == change_id), None)
    place: dict[str, Any] = {"place": None, "total": len(rows), "previous": None, "following": None}
    if number is not None:
        place["place"] = number + 1
        place["previous"] = rows[number - 1] if number else None
        place["following"] = rows[number + 1] if number + 1 < len(rows) else None
    return place, bands
