"""Declarations: complete, readable, and none that reads what may not be read."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from features import catalogue, request
from features.calendar import KINDS
from features.catalogue import (
    AGGREGATES,
    BY_NAME,
    CATALOGUE,
    GROUPS,
    NAMES,
    STREAMS,
    WINDOWS,
    Feature,
    fingerprint,
)
from features.entities import ENTITIES
from features.records import FORBIDDEN_FIELDS, PERSON_FIELDS, Change

COUNTED = {
    "name": "ci_changes_7d",
    "group": "kind",
    "stream": "changes",
    "aggregate": "count",
    "entity": "ci",
    "window_days": 7,
    "unit": "changes",
    "sentence": "{value:change} on {ci}",
    "missing": "No change",
}


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_every_feature_says_what_it_is(feature):
    for text in (feature.sentence, feature.missing, feature.unit):
        assert text
        assert text == text.strip()
    assert re.fullmatch(r"[a-z][a-z0-9_]*", feature.name)
    assert feature.sentence.count("{") == feature.sentence.count("}")
    assert not feature.sentence.endswith(".")
    assert not feature.missing.endswith(".")
    assert "{value" not in feature.missing
    assert isinstance(feature.changeable, bool)


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_every_feature_is_declared_in_known_terms(feature):
    assert feature.group in GROUPS
    assert feature.stream in STREAMS
    assert feature.aggregate in AGGREGATES
    assert (feature.stream in ("request", "place")) == (feature.aggregate == "value")
    assert feature.aggregate == "value" or feature.entity in ENTITIES
    assert feature.window_days is None or feature.window_days > 0
    # The longest window of a rate is the one of the usual rate it leans on.
    assert feature.aggregate != "rate" or feature.window_days <= max(WINDOWS) == 365


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_a_window_in_the_name_is_the_window_counted(feature):
    named = re.search(r"_(\d+)d$", feature.name)
    assert (int(named.group(1)) if named else None) == feature.window_days


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_every_field_a_sentence_names_exists(feature):
    names = {name.partition(":")[0] for name in re.findall(r"\{([^}]*)\}", feature.sentence)}
    known = {field.name for field in fields(Change)} | set(ENTITIES)
    assert names <= known | {"value", "window", "share", "means", "word"}
    assert not names & (set(PERSON_FIELDS) | FORBIDDEN_FIELDS)


def test_names_are_unique_and_in_order():
    assert [name for name, count in Counter(NAMES).items() if count > 1] == []
    assert tuple(feature.name for feature in CATALOGUE) == NAMES
    assert all(BY_NAME[name].name == name for name in NAMES)


def test_every_group_has_a_feature_and_every_rate_a_count_beside_it():
    assert {feature.group for feature in CATALOGUE} == set(GROUPS)
    rates = [feature for feature in CATALOGUE if feature.aggregate == "rate"]
    assert {rate.name.replace("failure_rate", "changes") for rate in rates} <= set(NAMES)
    assert {rate.window_days for rate in rates} == set(WINDOWS)


@pytest.mark.parametrize("name", sorted(FORBIDDEN_FIELDS | set(PERSON_FIELDS)))
@pytest.mark.parametrize("form", ["{}", "ci__{}", "{}__count"])
def test_a_feature_of_the_future_or_of_a_person_is_refused(name, form):
    message = "reads a field known only after the fact or a person's name"
    with pytest.raises(ValueError, match=f"feature '{form.format(name)}' {message}"):
        Feature(**{**COUNTED, "name": form.format(name)})
    with pytest.raises(ValueError, match=message):
        Feature(**{**COUNTED, "name": form.format(name), "stream": "request"})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"group": "luck"}, "'ci_changes_7d': unknown group or stream"),
        ({"stream": "calls"}, "'ci_changes_7d': unknown group or stream"),
        ({"aggregate": "median"}, "'ci_changes_7d': unknown aggregate"),
        ({"across": "mean"}, "'ci_changes_7d': unknown aggregate"),
        ({"entity": "person"}, "'ci_changes_7d': unknown entity 'person'"),
        ({"stream": "request"}, "'ci_changes_7d': features.request does not say how to read it"),
    ],
)
def test_a_declaration_in_unknown_terms_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Feature(**{**COUNTED, **changed})
    assert Feature(**COUNTED).across == "max"


def test_the_fingerprint_is_short_and_the_same_every_time():
    assert re.fullmatch("[0-9a-f]{16}", fingerprint())
    assert fingerprint() == fingerprint()


OTHER: dict[str, Any] = {
    "name": "another_name",
    "group": "organisation",
    "stream": "incidents",
    "aggregate": "open",
    "entity": "service",
    "window_days": 14,
    "across": "min",
    "unit": "weeks",
    "sentence": "Something else",
    "missing": "Nothing",
    "changeable": True,
}


@pytest.mark.parametrize("field", [field.name for field in fields(Feature)])
def test_the_fingerprint_changes_with_every_part_of_a_declaration(monkeypatch, field):
    before = fingerprint()
    place = NAMES.index("ci_changes_7d")
    changed = replace(CATALOGUE[place], **{field: OTHER[field]})
    assert asdict(changed) != asdict(CATALOGUE[place])
    monkeypatch.setattr(
        catalogue, "CATALOGUE", (*CATALOGUE[:place], changed, *CATALOGUE[place + 1 :])
    )
    assert fingerprint() != before


def test_the_fingerprint_changes_with_order_and_number(monkeypatch):
    before = fingerprint()
    monkeypatch.setattr(catalogue, "CATALOGUE", CATALOGUE[::-1])
    assert fingerprint() != before
    monkeypatch.setattr(catalogue, "CATALOGUE", CATALOGUE[:-1])
    assert fingerprint() != before


def test_what_can_be_changed_is_asked_on_the_form():
    """A lever must be in the requester's hands: a field of the form, or when it is planned."""
    for feature in CATALOGUE:
        told = feature.stream in ("request", "place", "schedule", *KINDS)
        assert not feature.changeable or told
    assert set(request.ATTRIBUTES) <= set(NAMES)
