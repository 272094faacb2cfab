"""The last weeks of a history gone through as they came: a service with a past of its own.

A model is fitted on what was known when the weeks began; every change is scored when it is
submitted, what happened is learnt every four weeks, and on the last day the pages have an agenda, a
track record and answers whose outcome is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from features.policy import LabelPolicy
from features.records import Change, Record
from features.store import Store
from models.registry import Registered
from serving import decisions, feedback
from serving.bulk import chunks, score_many
from serving.contract import Answer, ChangeIn, neutral
from serving.decisions import DecisionIn
from serving.feedback import FeedbackIn
from serving.keys import Caller
from serving.pages.panel import record_view
from serving.scorer import Scorer
from training.fit import train

WEEK = timedelta(days=7)

LEARNT = 4 * WEEK
"""How often what happened is taken in: each time the history is indexed anew."""

TOGETHER = timedelta(hours=6)
"""Changes submitted within this span are scored in one go."""

CHAIR = Caller(key_id="rehearsal", name="Adaeze Okafor", role="approver")


@dataclass(frozen=True)
class Rehearsed:
    """What came of it: the scorer, and the changes that are still to come."""

    scorer: Scorer
    upcoming: Sequence[ChangeIn]


def rehearse(
    records: Iterable[Record],
    policy: LabelPolicy,
    store: Store,
    *,
    until: datetime,
    weeks: int,
    board: bool,
    history_from: datetime | None = None,
) -> Rehearsed:
    """Go through the last weeks before a moment.

    Parameters
    ----------
    board : bool
        Whether somebody decides, by a rule of this file; only where the organisation is invented.
    """
    known = sorted((r for r in records if r.known_at < until), key=lambda r: r.known_at)
    begin = until - weeks * WEEK
    with store.write("rehearsal", now=begin) as writer:
        writer.add([record for record in known if record.known_at < begin])
    model = train(store.load(), policy, now=begin, history_from=history_from).model
    scorer = Scorer(store, Registered(model=model, name="rehearsal", version="1"))
    later = [record for record in known if record.known_at >= begin]
    upcoming: dict[str, ChangeIn] = {}
    for span, part in groupby(later, lambda record: (record.known_at - begin) // LEARNT):
        came = list(part)
        end = min(begin + (span + 1) * LEARNT, until)
        for now, asked in _submitted([r for r in came if isinstance(r, Change)], begin):
            coming = [change for change in asked if _is_open(change, until)]
            for change in coming:
                scorer.answer(change, now=now)
            for chunk in chunks(change for change in asked if not _is_open(change, until)):
                answers = score_many(scorer, chunk, now=now)
                if board:
                    _meet(store, answers, now)
            upcoming.update((change.change_id, change) for change in asked)
        with store.write("rehearsal", now=end) as writer:
            writer.add([record for record in came if not isinstance(record, Change)])
    return Rehearsed(
        scorer, [c for c in upcoming.values() if c.planned_start and c.planned_start > until]
    )


def _submitted(
    changes: Sequence[Change], begin: datetime
) -> Iterable[tuple[datetime, list[ChangeIn]]]:
    """Changes by the moment at which they are scored."""
    for span, part in groupby(changes, lambda change: (change.known_at - begin) // TOGETHER):
        bodies = [ChangeIn.model_validate_json(neutral(change)) for change in part]
        yield begin + (span + 1) * TOGETHER, bodies


def _is_open(change: ChangeIn, until: datetime) -> bool:
    """Whether a change is still under way or to come on the last day, and so on the agenda."""
    ends = change.planned_end or change.planned_start
    return ends is not None and ends > until


def _meet(store: Store, answers: Sequence[Answer], now: datetime) -> None:
    """The invented board decides about the high bands and, now and then, about others."""
    for answer in answers:
        drawn = _drawn(answer.change_id)
        high = answer.risk_band in ("high", "very_high")
        if answer.risk_band is None or not (high or drawn < 0.1):
            continue
        if decisions.read(store, answer.change_id).standing is not None:
            continue
        if high:
            expected = ("moderate", "high", "very_high")[int(3 * _drawn(answer.change_id, "view"))]
            record_view(store, answer.change_id, expected, answer.score_id, CHAIR, now=now)
        decisions.decide(store, answer.change_id, _decision(high, drawn), CHAIR, now=now)
        said: Any = ("about_right", "about_right", "too_high", "too_low")[int(4 * drawn) % 4]
        feedback.give(store, answer.change_id, FeedbackIn(score=said), CHAIR, now=now)


def _decision(high: bool, drawn: float) -> DecisionIn:
    """Some approval: every change of the history took place, so none was rejected."""
    if not high or drawn < 0.3:
        return DecisionIn(decision="approve", reason="The team has done this often.")
    return DecisionIn(
        decision="approve_with_conditions",
        reason="With the plan rehearsed.",
        conditions=["Rehearse the backout plan before the window"],
    )


def _drawn(change_id: str, what: str = "") -> float:
    """A number between 0 and 1 that is always the same for a change."""
    return int(hashlib.sha256(f"{what}{change_id}".encode()).hexdigest()[:8], 16) / 2**32
