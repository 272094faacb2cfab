"""In an invented language nothing of an explanation is left in English: no text bypasses the
catalogue of messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from features.catalogue import CATALOGUE, GROUPS
from features.columns import Columns
from features.language import speaking
from features.records import Change
from features.sentences import LONGEST_NAME, reference_words, sentence
from models.explanation import comparison, heading, others
from tests import messages

ENGLISH = re.compile(r"[A-Za-z]")
KNOWN = datetime(2025, 1, 1, tzinfo=UTC)
READ = ("summary", "text", "other_text", "heading")
"""Keys of an answer under which people read texts; its other strings are names of the contract."""


@pytest.fixture
def invented() -> Iterator[None]:
    with speaking(messages.compiled(messages.pseudo)):
        yield


def left(text: str, names: Iterable[str]) -> str:
    """The English left in a text, the names of the change and of the time zone taken out."""
    quoted = re.sub("“[^”]*”|UTC", "", text)
    for name in sorted(filter(None, names), key=len, reverse=True):
        quoted = quoted.replace(name, "")
    return quoted if ENGLISH.search(quoted) else ""


def texts(found: Any) -> Iterator[str]:
    """Everything of a response that people read."""
    if isinstance(found, list):
        for one in found:
            yield from texts(one)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key in READ and isinstance(value, str):
                yield value
            elif key == "reasons":
                yield from value
            elif key != "change":
                yield from texts(value)


def names_of(fields: Mapping[str, Any]) -> list[str]:
    """Every name and text of a change, as a sentence shows it."""
    lists = [value if isinstance(value, list | tuple) else [value] for value in fields.values()]
    shown = (" ".join(str(one).split()) for values in lists for one in values if one)
    return [one for name in shown for one in (name, f"{name[: LONGEST_NAME - 1]}…")]


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0, 3.5, 60.0, np.nan])
def test_every_feature(invented: None, value: float) -> None:
    """For a change that has everything, and for one that has nothing."""
    known = {"ci": "1", "service": "2", "assignment_group": "3", "category": "4", "urgency": "5"}
    named = {
        **known,
        "short_description": "6",
        "declared_risk": "7",
        "impact": "8",
        "priority": "9",
    }
    for given in ({}, named):
        record = Change(change_id="1", known_at=KNOWN, **given)  # type: ignore[arg-type]
        about = Columns.from_records(Change, [record])
        for feature in CATALOGUE:
            for support in (None, (1.0, 9.0), (0.0, 1.0)):
                told = sentence(
                    feature, value, change=about, support=support, word="1", means="were backed out"
                )
                assert not ENGLISH.search(told), told
            if not np.isnan(value):
                told = reference_words(feature, value) + comparison(feature, value, 1000.0)
                assert not ENGLISH.search(told), told


def test_headings(invented: None) -> None:
    told = [*map(heading, [*GROUPS, "other"]), others(1), others(4)]
    assert [text for text in told if ENGLISH.search(text)] == []


def unmarked(text: str) -> str:
    """What stands outside the marks of every message."""
    while (inner := re.sub("⟦[^⟦⟧]*⟧", "", text)) != text:
        text = inner
    return text if ENGLISH.search(text) else ""


def test_answers_contrasts_and_revisions(
    service: Any, template: Any, ticket: Callable[..., Any], invented: None
) -> None:
    """Factors, levers, warnings, precedents, differences: marked, and but for names not English."""
    names = {name for record in template.made.records for name in names_of(vars(record))}
    seen: set[str] = set()
    for number in range(3):
        body = ticket(change_id=f"900{number}")
        if number == 1:
            body.update(backout_plan=None, test_plan="1", affected_cis=["1", "2"])
        if number == 2:
            body.update(change_type="emergency", assignment_group=None, category="9", ci="8")
        other = {**body, "change_type": "emergency", "backout_plan": "1 " * 40, "urgency": "1"}
        path = f"/v1/changes/{body['change_id']}"
        shown = [service.score(body), service.score(other)]
        shown.append(service.ask("GET", path).json()["revisions"])
        for against in ("average", "team", "revision", "similar"):
            found = service.ask("GET", f"{path}/contrast?against={against}")
            shown += [found.json()] if found.status_code == 200 else []
        names |= {*names_of(body), *names_of(other)}
        seen.update(texts(shown))
    assert len(seen) > 50
    everything = "\n".join(seen)
    named = [name for name in names if name in everything]
    assert [text for text in seen if unmarked(text) or left(text, named)] == []


def test_nothing_known(service: Any, invented: None) -> None:
    """A bare change, one that is over, and one of impossible times: their warnings too."""
    past = {"planned_start": "2024-01-02T00:00:00Z", "planned_end": "2024-01-01T00:00:00Z"}
    for body in ({"change_id": "1"}, {"change_id": "2", **past}):
        answer = service.score(body)
        assert answer["warnings"]
        assert [text for text in texts(answer) if left(text, ())] == []


def test_english_otherwise(service: Any, ticket: Callable[..., Any]) -> None:
    assert service.score(ticket())["summary"].startswith("About ")
    assert "⟦" not in "".join(texts(service.score(ticket())))
