"""The policy: which rule decides, what a file may say, and what is said about a wrong one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import NAMES
from features.records import Change
from models.bands import BANDS, Bands
from models.policy_file import DEFAULTS, PolicyError, load, parsed, read
from models.routing import BOARD_ROUTES, ROUTES, SHADOW, Case, Cuts, RoutingPolicy

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OTHERWISE = {"route": "delegated_approver", "reasons": []}


def case(band: str = "low", **said: Any) -> Case:
    facts = said.pop("facts", {})
    row = np.full(len(NAMES), np.nan)
    for name, number in facts.items():
        row[NAMES.index(name)] = number
    degraded, probability = said.pop("degraded", False), said.pop("probability", 0.05)
    change = Change(change_id="C1", known_at=NOW, **said)
    return Case(change=change, band=band, probability=probability, degraded=degraded, row=row)


def policy(*rules: dict[str, Any], **said: Any) -> RoutingPolicy:
    content = {"mode": "advise", "bands": {}, "otherwise": OTHERWISE, **said}
    return parsed({**content, "rules": list(rules)}, "test")


def told(policy: RoutingPolicy, case: Case) -> str | None:
    found, _ = policy.route(case)
    return None if found is None else found.rule or found.route


# the defaults ------------------------------------------------------------------------------------

DEFAULT_ROUTES = {
    ("low", "standard"): "pre_approved",
    ("low", "normal"): "delegated_approver",
    ("low", "emergency"): "delegated_approver",
    ("low", None): "delegated_approver",
    ("moderate", "standard"): "delegated_approver",
    ("moderate", "normal"): "delegated_approver",
    ("moderate", "emergency"): "delegated_approver",
    ("high", "standard"): "cab",
    ("high", "normal"): "cab",
    ("high", "emergency"): "ecab",
    ("very_high", " Emergency "): "ecab",
    ("very_high", None): "cab",
}


@pytest.mark.parametrize(("band", "kind"), DEFAULT_ROUTES)
def test_the_defaults(band: str, kind: str | None) -> None:
    found, tried = load().route(case(band, change_type=kind))
    assert found is not None
    assert found.route == DEFAULT_ROUTES[band, kind]
    assert ("It is an emergency change" in found.reasons) == (
        (kind or "").strip().lower() == "emergency"
    )
    assert tried is None


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("kind", ["standard", "normal", "emergency", None])
def test_by_default_a_degraded_score_never_shortens_the_way(band: str, kind: str | None) -> None:
    full, _ = load().route(case(band, change_type=kind))
    found, _ = load().route(case(band, change_type=kind, degraded=True))
    assert full is not None
    assert found is not None
    assert ROUTES.index(found.route) >= ROUTES.index(full.route)
    assert found.route in BOARD_ROUTES


def test_the_defaults_are_commented_and_hold_nothing_odd() -> None:
    text = DEFAULTS.read_text(encoding="utf-8")
    assert list(load().oddities()) == []
    for name in ("mode", "review_budget", "at_least", "shadow", "degraded", *ROUTES, *BANDS):
        assert name in text


# rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "fits", "not_fits"),
    [
        ({"change_type": "Emergency"}, {"change_type": " EMERGENCY"}, {"change_type": None}),
        ({"impact": 1}, {"impact": "1"}, {"impact": "2"}),
        ({"ci": ["a", "b"]}, {"ci": "x", "affected_cis": ("B",)}, {"ci": "x"}),
        ({"service": "Pay"}, {"impacted_services": ("pay",)}, {"service": "Payments"}),
        ({"cab_required": True}, {"cab_required": True}, {"cab_required": None}),
        ({"degraded": False}, {}, {"degraded": True}),
        ({"band": ["high"]}, {"band": "high"}, {"band": "very_high"}),
        ({"probability_at_least": 0.1}, {"probability": 0.1}, {"probability": 0.0999}),
        ({"probability_below": 0.1}, {"probability": 0.0999}, {"probability": 0.1}),
        ({"at_least": {"in_freeze": 1}}, {"facts": {"in_freeze": 1.0}}, {}),
        ({"below": {"lead_time_hours": 24}}, {"facts": {"lead_time_hours": 23.9}}, {}),
        (
            {"change_type": "standard", "service": "Pay"},
            {"change_type": "standard", "service": "pay"},
            {"change_type": "standard"},
        ),
    ],
)
def test_a_rule_fits_where_everything_it_names_is_so(
    rule: dict[str, Any], fits: dict[str, Any], not_fits: dict[str, Any]
) -> None:
    found = policy({"name": "it", "route": "cab", **rule})
    assert told(found, case(**fits)) == "it"
    assert told(found, case(**not_fits)) == "delegated_approver"


def test_the_first_rule_that_fits_decides() -> None:
    found = policy(
        {"name": "first", "route": "cab", "band": "high"}, {"name": "second", "route": "ecab"}
    )
    assert told(found, case("high")) == "first"
    assert told(found, case("low")) == "second"


def test_in_shadow_mode_nothing_is_told() -> None:
    found = policy({"name": "a", "route": "cab"}, mode=SHADOW)
    live, tried = found.route(case())
    assert live is None
    assert tried is not None
    assert (tried.rule, tried.route) == ("a", "cab")


def test_a_rule_in_shadow_lets_the_others_decide() -> None:
    tried_out = {"name": "try", "route": "cab", "band": "low", "shadow": True}
    found = policy(tried_out, {"name": "live", "route": "pre_approved", "band": ["low"]})
    live, tried = found.route(case("low"))
    assert live is not None
    assert tried is not None
    assert (live.rule, tried.rule) == ("live", "try")
    assert found.route(case("high"))[1] is None


WORDS = st.sampled_from(["a", "b", "c"])
CASES = st.builds(
    case,
    st.sampled_from(BANDS),
    change_type=st.none() | WORDS,
    service=st.none() | WORDS,
    degraded=st.booleans(),
    probability=st.floats(0, 1),
    facts=st.dictionaries(st.sampled_from(["in_freeze", "lead_time_hours"]), st.floats(0, 9)),
)
RULES = st.fixed_dictionaries(
    {"name": st.uuids().map(str), "route": st.sampled_from(ROUTES)},
    optional={
        "band": st.lists(st.sampled_from(BANDS), min_size=1, unique=True),
        "change_type": st.lists(WORDS, min_size=1),
        "service": st.lists(WORDS, min_size=1),
        "degraded": st.booleans(),
        "probability_at_least": st.floats(0, 0.4),
        "probability_below": st.floats(0.5, 1),
        "at_least": st.dictionaries(st.just("in_freeze"), st.floats(0, 9)),
        "below": st.dictionaries(st.just("lead_time_hours"), st.floats(0, 9)),
    },
)


@given(rules=st.lists(RULES, min_size=1, max_size=5), cases=st.lists(CASES, max_size=20))
def test_a_rule_that_is_covered_never_decides(
    rules: list[dict[str, Any]], cases: list[Case]
) -> None:
    found = policy(*rules)
    covered = {
        rule.name
        for place, rule in enumerate(found.rules)
        if any(one.covers(rule) for one in found.rules[:place])
    }
    for one in cases:
        assert told(found, one) not in covered


def test_what_was_hardly_meant_is_noted() -> None:
    found = policy(
        {"name": "all", "route": "pre_approved"}, {"name": "late", "route": "cab", "band": "high"}
    )
    notes = " | ".join(found.oddities())
    assert "'late' never decides: 'all' fits" in notes
    assert "of the band very_high go pre-approved" in notes
    assert "whose score is degraded" in notes
    loose = policy(otherwise={"route": "pre_approved", "reasons": []})
    assert len(list(loose.oddities())) == 3


# bands -------------------------------------------------------------------------------------------

OWN = Bands(
    moderate=0.02, high=0.06, very_high=0.2, review_budget=0.1, observed={"low": {"changes": 5}}
)
WINDOW = np.linspace(0, 1, 101)


def test_bands_stay_the_models_where_nothing_is_said() -> None:
    assert Cuts().of(OWN, 0.02, WINDOW) is OWN


def test_a_budget_cuts_anew() -> None:
    found = Cuts(review_budget=0.3).of(OWN, 0.02, WINDOW)
    assert found.high == pytest.approx(0.7)
    assert (found.review_budget, found.observed) == (0.3, {})


@given(
    given_=st.lists(st.none() | st.floats(0, 1), min_size=3, max_size=3),
    own=st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
)
def test_given_cuts_hold_and_the_others_give_way(
    given_: list[float | None], own: list[float]
) -> None:
    known = sorted(cut for cut in given_ if cut is not None)
    given_ = [None if cut is None else known.pop(0) for cut in given_]
    names = ("moderate", "high", "very_high")
    bands = Bands(**dict(zip(names, own, strict=True)), review_budget=0.1, observed={})
    found = Cuts(**dict(zip(names, given_, strict=True))).of(bands, 0.02, WINDOW)
    for cut, wanted in zip(found.cuts, given_, strict=True):
        assert wanted is None or cut == wanted


# the file ----------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, list[str]]] = {
    "a mode": ('mode = "shdow"', ["mode: expected one of advise, shadow, got 'shdow'; did"]),
    "a name": ("rulez = []", ["rulez: unknown name; did you mean 'rules'?"]),
    "a band": ("[bands]\nhihg = 0.1", ["bands.hihg: unknown name; did you mean 'high'?"]),
    "a cut": ("[bands]\nhigh = 2", ["bands.high: expected less than or equal to 1, got 2"]),
    "cuts": ("[bands]\nmoderate = 0.5\nhigh = 0.2", ["bands.high: expected at least moderate"]),
    "a table": ("otherwise = 3", ["otherwise: expected a table, got 3"]),
    "no list": ("[rules]\nname = 'x'", ["rules: expected a valid list"]),
    "two faults": (
        '[[rules]]\nname = "a"\nroute = "cabb"\nband = ["hgh"]',
        [
            "rules[0].route: expected one of pre_approved, delegated_approver, cab, ecab, got 'cab",
            "rules[0].band[0]: expected one of low, moderate, high, very_high, got 'hgh'; did you",
        ],
    ),
    "no route": ('[[rules]]\nname = "a"', ["rules[0].route: expected it to be set"]),
    "a condition": (
        '[[rules]]\nname = "a"\nroute = "cab"\nchange_typ = "x"',
        ["rules[0].change_typ: unknown name; did you mean 'change_type'?"],
    ),
    "a flag": (
        '[[rules]]\nname = "a"\nroute = "cab"\ndegraded = "yes"',
        ["rules[0].degraded: expected a valid boolean, got 'yes'"],
    ),
    "no words": (
        '[[rules]]\nname = "a"\nroute = "cab"\nci = []', ["rules[0].ci: expected at least one"]
    ),
    "a feature": (
        '[[rules]]\nname = "a"\nroute = "cab"\nat_least = {in_freze = 1}',
        ["rules[0].at_least.in_freze: unknown feature; did you mean 'in_freeze'?"],
    ),
    "no number": (
        '[[rules]]\nname = "a"\nroute = "cab"\nat_least = {in_freeze = "1"}',
        ["rules[0].at_least.in_freeze: expected a valid number, got '1'"],
    ),
    "one name twice": (
        '[[rules]]\nname = "a"\nroute = "cab"\n[[rules]]\nname = "a"\nroute = "ecab"',
        ["rules[1].name: 'a' is the name of an earlier rule"],
    ),
    "a span without room": (
        '[[rules]]\nname = "a"\nroute = "cab"\nprobability_at_least = 0.5\nprobability_below = 0.5',
        ["rules[0].probability_below: expected more than probability_at_least, 0.5"],
    ),
    "no TOML": ("mode = ", ["cannot be read: Invalid value"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_by_its_path(tmp_path: Path, name: str) -> None:
    text, expected = WRONG[name]
    (tmp_path / "policy.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as found:
        load(tmp_path)
    assert found.value.exit_code == 2
    assert len(found.value.faults) == len(expected)
    for fault, start in zip(found.value.faults, expected, strict=True):
        assert fault.startswith(start)
        assert str(tmp_path / "policy.toml") in str(found.value)


def test_a_file_replaces_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('mode = "shadow"\n', encoding="utf-8")
    found = load(tmp_path)
    assert found.mode == SHADOW
    assert found.rules == load().rules
    assert found.digest != load().digest


def test_the_version_is_of_what_is_said_not_of_how(tmp_path: Path) -> None:
    plain, spaced = tmp_path / "a.toml", tmp_path / "b.toml"
    plain.write_text('[[rules]]\nname = "a"\nroute = "cab"\nimpact = "1"\n', encoding="utf-8")
    spaced.write_text(
        '# why\n[[rules]]\nimpact = [ 1 ]\nroute = "cab"\nname = "a"\n', encoding="utf-8"
    )
    assert read(plain).version == read(spaced).version
    assert parsed(read(plain).content, "kept").version == read(plain).version


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        read(tmp_path / "none.toml")
