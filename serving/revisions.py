"""What changed between the scores of a change: its fields, and what that did to the factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from pydantic import BaseModel

from features.records import LIST_FIELDS, TEXT_FIELDS, TIME_FIELDS
from features.request import words
from features.sentences import per_hundred
from features.store.database import JournalEntry

MOVED_LEAST = 0.05
"""Log-odds by which a factor must have moved to be told."""

MOST_FACTORS = 5

_LONG = (
    "description",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
)
"""Texts that are counted, not quoted."""


class FieldMoved(BaseModel):
    """A field that says something else."""

    field: str
    text: str


class FactorMoved(BaseModel):
    """A factor group whose part in the score is another; None where it was not among those told."""

    group: str
    heading: str
    before: float | None
    after: float | None
    text: str


class RevisionOut(BaseModel):
    """A score and what is different from the one before it.

    ``fields`` are those of the record that changed; ``factors`` those whose log-odds moved by more
    than 0.05, most moved first.
    """

    score_id: str
    revision: str
    scored_at: datetime
    incident_probability: float | None
    risk_band: str | None
    model_version: str | None
    text: str
    fields: list[FieldMoved]
    factors: list[FactorMoved]


def revisions(entries: Sequence[JournalEntry], zone: tzinfo = UTC) -> list[RevisionOut]:
    """The score history of one change, newest first; the first score differs from nothing.

    Parameters
    ----------
    entries : sequence of JournalEntry
        The journal's scores of the change, in order.
    zone : tzinfo
        Whose clock the moments in the sentences are on.
    """
    found, before = [], None
    for entry in entries:
        found.append(_revision(None if before is None else before.body, entry.body, zone))
        before = entry
    return found[::-1]


def _revision(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], zone: tzinfo
) -> RevisionOut:
    answer = after["answer"]
    fields = [] if before is None else _fields(before["payload"], after["payload"], zone)
    factors = [] if before is None else _factors(before["answer"], answer)
    return RevisionOut(
        score_id=answer["score_id"],
        revision=answer["revision"],
        scored_at=answer["scored_at"],
        incident_probability=answer["incident_probability"],
        risk_band=answer["risk_band"],
        model_version=_version(answer),
        text=_sentence(None if before is None else before["answer"], answer, fields),
        fields=fields,
        factors=factors,
    )


def _version(answer: Mapping[str, Any]) -> str | None:
    return answer["model"]["version"] if answer.get("model") else None


def _sentence(
    before: Mapping[str, Any] | None, after: Mapping[str, Any], fields: Sequence[FieldMoved]
) -> str:
    """The step from one score to the next, in words."""
    now = _spoken(after)
    if before is None:
        return f"First score: {now}"
    then = _spoken(before)
    step = f"Still {now}" if then == now else f"From {then} to {now}"
    reasons = [field.text for field in fields]
    if _version(before) != _version(after):
        reasons.append(f"scored by model {_version(after)} instead of {_version(before)}")
    if not reasons:
        reasons.append("the record is the same; what is known of the past has grown")
    return f"{step}: {'; '.join(reasons)}"


def _spoken(answer: Mapping[str, Any]) -> str:
    if answer["incident_probability"] is None:
        return "no score"
    band = str(answer["risk_band"]).replace("_", " ")
    return f"{per_hundred(answer['incident_probability'])} in 100 ({band})"


def _fields(before: Mapping[str, Any], after: Mapping[str, Any], zone: tzinfo) -> list[FieldMoved]:
    names = (*TEXT_FIELDS, *LIST_FIELDS, *TIME_FIELDS, "cab_required")
    return [
        FieldMoved(field=name, text=_told(name, before.get(name), after.get(name), zone))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _told(name: str, before: Any, after: Any, zone: tzinfo) -> str:
    label = {"ci": "configuration item", "affected_cis": "affected items"}.get(
        name, name.replace("_", " ")
    )
    if name in _LONG:
        return f"{label}: {words(before)} words before, {words(after)} now"
    if name in LIST_FIELDS:
        added = [one for one in after or () if one not in (before or ())]
        gone = [one for one in before or () if one not in (after or ())]
        parts = [f"{', '.join(added[:5])} added"] * bool(added)
        parts += [f"{', '.join(gone[:5])} taken off"] * bool(gone)
        return f"{label}: {', '.join(parts) or 'in another order'}"
    return f"{label}: {_value(name, before, zone)} before, {_value(name, after, zone)} now"


def _value(name: str, value: Any, zone: tzinfo) -> str:
    if value is None:
        return "none"
    if name in TIME_FIELDS:
        return f"{datetime.fromisoformat(value).astimezone(zone):%a %d %b %Y, %H:%M %Z}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return f"“{text[:80]}”" if len(text) <= 80 else f"“{text[:79]}…”"


def _factors(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FactorMoved]:
    then = {factor["group"]: factor for factor in before["factors"] if factor["group"] != "other"}
    now = {factor["group"]: factor for factor in after["factors"] if factor["group"] != "other"}
    found = []
    for group in {**now, **then}:
        old, new = then.get(group), now.get(group)
        shown = new or old
        moved = (new["log_odds"] if new else 0.0) - (old["log_odds"] if old else 0.0)
        if shown is not None and abs(moved) > MOVED_LEAST:
            factor = FactorMoved(
                group=group,
                heading=shown["heading"],
                before=old["log_odds"] if old else None,
                after=new["log_odds"] if new else None,
                text=_factor_text(old, new),
            )
            found.append((abs(moved), group, factor))
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    return [factor for _, _, factor in found[:MOST_FACTORS]]


def _factor_text(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> str:
    if new is None:
        return f"Not among the strongest any more: {old['text'] if old else ''}"
    if old is None:
        return f"New among the strongest: {new['text']}"
    if old["text"] == new["text"]:
        word = "more" if new["log_odds"] > old["log_odds"] else "less"
        return f"{new['text']} (counts {word} than before)"
    return f"{new['text']} (before: {old['text']})"
