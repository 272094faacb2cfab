"""The decision panel: what stands, what may be done, and what a form said that was refused."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from features.store import Store
from features.store.chain import JournalEntry
from models.bands import BANDS, Bands
from models.explanation import heading
from serving.decisions import Decisions
from serving.keys import Caller
from serving.pages.words import BAND_WORDS
from serving.revisions import share_told

HIGH = ("high", "very_high")

CHOICES = {
    "approve": ("Approve", "go ahead as planned"),
    "approve_with_conditions": (
        "Approve with conditions",
        "those ticked, and any written below",
    ),
    "send_back": ("Send back", "requester changes it and resubmits"),
    "reject": ("Reject", "does not go ahead"),
}

LOOKS = {"too_low": "Too low", "about_right": "About right", "too_high": "Too high"}

SKIPPED = "skipped"
"""The view of somebody who asked for the score without saying."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a decision form said; empty for a fresh one."""

    decision: str = ""
    reason: str = ""
    further: str = ""
    conditions: Sequence[str] = ()
    looks: str = ""
    not_useful: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Panel:
    """What the decision panel shows.

    Parameters
    ----------
    may : bool
        Whether whoever looks may decide.
    veiled : bool
        The score is hidden until they have said what they expect.
    view : str or None
        The band they expected, ``skipped``, or None if they were not asked.
    faults : sequence of (str, str)
        Fields at fault and what was expected of them.
    clash : str
        What came first: somebody else ``decided``, whoever looks did in another window (``own``),
        the change was ``scored`` anew, or it has ``ended``.
    other : mapping or None
        In a conflict, the decision that stands.
    done : bool
        Something was recorded just now.
    """

    decisions: Decisions
    may: bool
    veiled: bool
    view: str | None
    given: Given = field(default_factory=Given)
    faults: Sequence[tuple[str, str]] = ()
    clash: str = ""
    other: Mapping[str, Any] | None = None
    done: bool = False


def view_of(entries: Sequence[JournalEntry], who: Caller) -> str | None:
    """The band somebody said they expected of a change, before they saw its score."""
    said = [
        str(entry.body["view"]["expected"])
        for entry in entries
        if entry.kind == "view" and entry.body["by"]["key_id"] == who.key_id
    ]
    return said[-1] if said else None


def is_veiled(
    own_view: str, answer: Mapping[str, Any], who: Caller, view: str | None, decisions: Decisions
) -> bool:
    """Whether a score stays hidden until somebody who is to decide says what they expect."""
    return (
        own_view == "ask"
        and answer.get("risk_band") in HIGH
        and "decide" in who.permissions
        and view is None
        and not decisions.history
    )


def record_view(
    store: Store, change_id: str, expected: str, score_id: str, by: Caller, *, now: datetime
) -> None:
    """Keep what somebody expected of a change before they saw its score.

    Raises
    ------
    ValueError
        If it is none of the bands.
    """
    if expected not in (*BANDS, SKIPPED):
        raise ValueError(f"expected a band, got {expected[:20]!r}")
    body = {"view": {"expected": expected, "score_id": score_id}, "by": by.signed()}
    with store.write("view", now=now) as writer:
        writer.append_journal(str(uuid.uuid4()), "view", change_id, body)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a change's history."""

    at: datetime
    who: str
    text: str
    hash: str


def history_lines(
    entries: Sequence[JournalEntry], bands: Bands | None, hide_scores: bool
) -> list[Line]:
    """What happened to a change here, oldest first."""
    lines = []
    for entry in entries:
        who = (entry.body.get("by") or {}).get("name", "")
        text = _told(entry, bands, hide_scores)
        if text:
            known = who or ("Workflow" if entry.kind == "score" else "")
            lines.append(Line(at=entry.written_at, who=known, text=text, hash=entry.hash[:8]))
    return lines


def _told(entry: JournalEntry, bands: Bands | None, hide_scores: bool) -> str:
    body = entry.body
    if entry.kind == "score":
        answer = body["answer"]
        if answer.get("incident_probability") is None:
            return f"Asked for a score of revision {answer['revision']}; none could be given"
        if hide_scores:
            return f"Asked for a score of revision {answer['revision']}"
        words = BAND_WORDS[answer["risk_band"]].lower()
        share = share_told(answer, bands)
        model = (answer.get("model") or {}).get("version")
        return f"Revision {answer['revision']} scored {share} in 100, {words}, by model {model}"
    if entry.kind == "decision":
        made = body["decision"]
        name = {**{k: v[0] for k, v in CHOICES.items()}, "reopen": "Reopened the decision"}
        override = ", against the score" if made["override"] else ""
        reason = f": {made['reason']}" if made["reason"] else ""
        return f"{name[made['decision']]}{override}{reason}"
    if entry.kind == "view":
        expected = body["view"]["expected"]
        if expected == SKIPPED:
            return "Looked at the score without a view of their own"
        return f"Expected {BAND_WORDS[expected].lower()} before seeing the score"
    if entry.kind == "feedback":
        said = body["feedback"]
        parts = [f"the score looks {LOOKS[said['score']].lower()}"] if said["score"] else []
        parts += [
            f"{factor['verdict'].replace('_', ' ')}: {heading(factor['group']).lower()}"
            for factor in said["factors"]
        ]
        return f"Said {', '.join(parts)}"
    if entry.kind == "outcome":
        return f"Reported: {body['outcome']['kind'].replace('_', ' ')}"
    if entry.kind == "incident":
        return f"Reported incident {body['incident']['incident_id']}"
    return ""
