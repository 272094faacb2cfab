"""What changed between the scores of a change: its fields, and what that did to the factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from pydantic import BaseModel

from features.language import say, say_count
from features.records import LIST_FIELDS, TEXT_FIELDS, TIME_FIELDS
from features.request import words
from features.sentences import number, spoken_moment, within
from features.store.chain import JournalEntry
from models.bands import Bands
from serving.late import is_superseded
from serving.policy import BAND_WORDS

MOVED_LEAST = 0.05
"""Log-odds by which a factor must have moved to be told."""

MOST_FACTORS = 5

FIELDS = (*TEXT_FIELDS, *LIST_FIELDS, *TIME_FIELDS, "cab_required")
"""Fields that are compared."""

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


def revisions(
    entries: Sequence[JournalEntry], bands: Bands | None, zone: tzinfo = UTC
) -> list[RevisionOut]:
    """The score history of one change, newest first; the first score differs from nothing.

    Parameters
    ----------
    entries : sequence of JournalEntry
        The journal's scores of the change, in order.
    bands : Bands or None
        Where the bands begin; no score is rounded across that.
    zone : tzinfo
        Whose clock the moments in the sentences are on.
    """
    found, before = [], None
    for entry in entries:
        found.append(_revision(None if before is None else before.body, entry.body, bands, zone))
        if before is None or not is_superseded(entry.body["answer"]):
            before = entry
    return found[::-1]


def _revision(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    bands: Bands | None,
    zone: tzinfo,
) -> RevisionOut:
    answer = after["answer"]
    if before is not None and is_superseded(answer):  # nothing changed to what it says
        came = say(
            "Came after a later revision, which stands: {score}", score=_spoken(answer, bands)
        )
        return _told_so(answer, came, [], [])
    fields = [] if before is None else _fields(before["payload"], after["payload"], zone)
    factors = [] if before is None else _factors(before["answer"], answer)
    text = _sentence(None if before is None else before["answer"], answer, fields, factors, bands)
    return _told_so(answer, text, fields, factors)


def _told_so(
    answer: Mapping[str, Any], text: str, fields: list[FieldMoved], factors: list[FactorMoved]
) -> RevisionOut:
    return RevisionOut(
        score_id=answer["score_id"],
        revision=answer["revision"],
        scored_at=answer["scored_at"],
        incident_probability=answer["incident_probability"],
        risk_band=answer["risk_band"],
        model_version=_version(answer),
        text=text,
        fields=fields,
        factors=factors,
    )


def _version(answer: Mapping[str, Any]) -> str | None:
    return answer["model"]["version"] if answer.get("model") else None


def _sentence(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    fields: Sequence[FieldMoved],
    factors: Sequence[FactorMoved],
    bands: Bands | None,
) -> str:
    """The step from one score to the next, in words."""
    now = _spoken(after, bands)
    if before is None:
        return say("First score: {score}", score=now)
    then = _spoken(before, bands)
    step = say("Still {score}", score=now)
    if then != now:
        step = say("From {before} to {now}", before=then, now=now)
    reasons = [field.text for field in fields]
    if _version(before) != _version(after):
        new, old = str(_version(after)), str(_version(before))
        reasons.append(say("scored by model {new} instead of {old}", new=new, old=old))
    if not reasons and factors:
        moved = ", ".join(factor.heading for factor in factors)
        same = say("the record is the same, but not what is known of: {headings}", headings=moved)
        reasons.append(same)
    elif not reasons:
        reasons.append(say("the record is the same; what is known of the past has grown"))
    return f"{step}: {'; '.join(reasons)}"


def _spoken(answer: Mapping[str, Any], bands: Bands | None) -> str:
    if answer["incident_probability"] is None:
        return say("no score")
    band = BAND_WORDS[answer["risk_band"]]
    return say("{share} in 100 ({band})", share=share_told(answer, bands), band=say(band))


def share_told(answer: Mapping[str, Any], bands: Bands | None) -> str:
    """An answer's probability in 100, on its side of every band's beginning.

    Bands that would call it something else are not those it was given by, and are not looked at.
    """
    probability = answer["incident_probability"]
    fits = bands is not None and bands.of(probability) == answer["risk_band"]
    return within(probability, bands.cuts if bands is not None and fits else ())


def _fields(before: Mapping[str, Any], after: Mapping[str, Any], zone: tzinfo) -> list[FieldMoved]:
    return [
        FieldMoved(field=name, text=_told(name, before.get(name), after.get(name), zone))
        for name in FIELDS
        if before.get(name) != after.get(name)
    ]


def label(name: str) -> str:
    """A field of a change before a colon."""
    known = {"ci": "configuration item", "affected_cis": "affected items"}
    return known.get(name, name.replace("_", " "))


def _told(name: str, before: Any, after: Any, zone: tzinfo) -> str:
    return f"{say(label(name))}: {_moved(name, before, after, zone)}"


def _moved(name: str, before: Any, after: Any, zone: tzinfo) -> str:
    if name in _LONG:
        length, longer = words(before), words(after)
        return say_count(
            "{before} word before, {now} now",
            "{before} words before, {now} now",
            length,
            before=number(length),
            now=number(longer),
        )
    if name in LIST_FIELDS:
        added = [one for one in after or () if one not in (before or ())]
        gone = [one for one in before or () if one not in (after or ())]
        parts = [say("{names} added", names=", ".join(added[:5]))] * bool(added)
        parts += [say("{names} taken off", names=", ".join(gone[:5]))] * bool(gone)
        return ", ".join(parts) or say("in another order")
    then, now = _value(name, before, zone), _value(name, after, zone)
    return say("{before} before, {now} now", before=then, now=now)


def _value(name: str, value: Any, zone: tzinfo) -> str:
    if value is None:
        return say("none")
    if name in TIME_FIELDS:
        return spoken_moment(datetime.fromisoformat(value).astimezone(zone))
    if isinstance(value, bool):
        return say("yes") if value else say("no")
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
        return say("Not among the strongest any more: {fact}", fact=old["text"] if old else "")
    if old is None:
        return say("New among the strongest: {fact}", fact=new["text"])
    if old["text"] != new["text"]:
        return say("{fact} (before: {earlier})", fact=new["text"], earlier=old["text"])
    if new["log_odds"] > old["log_odds"]:
        return say("{fact} (counts more than before)", fact=new["text"])
    return say("{fact} (counts less than before)", fact=new["text"])
