"""The track record's page."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from features import instants
from features.store import Store
from features.store.chain import JournalEntry
from models.bands import BANDS, Bands
from models.explanation import heading
from serving.feedback import SCORE
from serving.pages import charts
from serving.pages.agenda import DECIDED
from serving.pages.desk import Desk
from serving.pages.panel import LOOKS
from serving.pages.record import Past, Tally, make_record

PERIODS = (90, 180, 365)

MOST_USELESS = 8
"""Factors listed that people found of no use."""


def track_record(desk: Desk, request: Request) -> Response:
    """``GET /track-record``: did the figures come true?"""
    asked = request.query_params.get("days", "")
    days = int(asked) if asked in map(str, PERIODS) else PERIODS[0]
    since, until = desk.now - timedelta(days=days), desk.now
    span = instants.to_micros(since), instants.to_micros(until)
    with desk.store() as store:
        with store.review() as review:
            states = review.past(*span)
            said, decided = review.feedback(), review.decisions()
        views = list(store.journal_entries(kind="view"))
        versions = {row["score_id"]: _version(desk, store, row["score_id"]) for row in states}
    early = [row for row in states if row["scored_at"] <= row["planned_start"]]
    early = [row for row in early if row["probability"] is not None]
    with desk.facts() as facts:
        found = facts.outcomes([row["change_id"] for row in early], until)
        linked = facts.links_in(*span)
    override = {row["change_id"] for row in decided if row["override"]}
    past = [
        _past(row, outcome == "caused", override, versions)
        for row, outcome in zip(early, found, strict=True)
        if outcome is not None
    ]
    bands, registered = desk.bands, desk.registered
    record = make_record(
        past,
        _said(said),
        _expected(views),
        undecided=len(early) - len(past),
        late=len(states) - len(early),
        budget=0.1 if bands is None else bands.review_budget,
        linked=linked,
    )
    return desk.site.render(
        request,
        "record.html",
        record=record,
        days=days,
        periods=PERIODS,
        plot=charts.reliability(
            record.groups, desk.noun(), "Predicted against happened; the table says the same"
        ),
        looks=LOOKS,
        decision_words=DECIDED,
        months={t.name: f"{date.fromisoformat(f'{t.name}-01'):%b\u00a0%Y}" for t in record.months},
        noun=desk.noun(),
        useless=_useless(said, *span),
        tested=_tested(bands),
        model=registered,
    )


def _past(
    row: Mapping[str, Any], failed: bool, override: set[str], versions: Mapping[str, str | None]
) -> Past:
    start = instants.from_micros(row["planned_start"])
    assert start is not None  # noqa: S101 - only changes that began are asked for
    return Past(
        change_id=row["change_id"],
        start=start,
        probability=row["probability"],
        band=row["band"],
        failed=failed,
        decision=row["decision"],
        override=row["change_id"] in override,
        version=versions[row["score_id"]],
    )


def _said(rows: list[Mapping[str, Any]]) -> dict[str, list[str]]:
    """How the score of each change looked to those who said so."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row["about"] == SCORE:
            found[row["change_id"]].append(row["verdict"])
    return found


def _expected(views: Sequence[JournalEntry]) -> dict[str, list[str]]:
    """The bands people expected of each change before they saw its score."""
    found: dict[str, list[str]] = defaultdict(list)
    for entry in views:
        if entry.change_id is not None:
            found[entry.change_id].append(entry.body["view"]["expected"])
    return found


def _useless(rows: Sequence[Mapping[str, Any]], since: int, until: int) -> list[tuple[str, int]]:
    """Headings of the factors most often called of no use in a period, and how often."""
    said = Counter(
        row["about"] for row in rows if row["about"] != SCORE and since <= row["given_at"] < until
    )
    return [(heading(group), count) for group, count in said.most_common(MOST_USELESS)]


def _tested(bands: Bands | None) -> list[Tally]:
    """What the test of the model in use found in each band, highest first."""
    if bands is None:
        return []
    return [
        Tally(
            name=name,
            changes=int(found["changes"] or 0),
            expected=math.nan,
            happened=int(found["failures"] or 0),
        )
        for name in BANDS[::-1]
        if (found := bands.observed.get(name)) is not None
    ]


def _version(desk: Desk, store: Store, score_id: str) -> str | None:
    """The model behind a score; scores never change, so it is looked up once."""
    if score_id not in desk.versions:
        entry = store.journal_entry(score_id)
        model = None if entry is None else entry.body["answer"].get("model")
        desk.versions[score_id] = None if model is None else str(model["version"])
    return desk.versions[score_id]
