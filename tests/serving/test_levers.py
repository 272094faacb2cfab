"""What a requester could change: never worse, never in the way of others, never an invention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from features import instants
from features.catalogue import NAMES
from features.columns import Columns
from features.history import History
from features.policy import POLICIES
from features.records import Change
from features.state import FeatureState
from features.table import build, combined
from models.bands import BANDS
from models.explanation import Explainer
from models.registry import Registered
from serving.answers import Asked, with_score
from serving.levers import DAYS_AHEAD, LEAST_GAIN, MOST, levers
from serving.scoring import score_one

PLANS = {"backout_plan", "test_plan", "implementation_plan", "justification", "description"}
WINDOW = {"planned_start", "planned_end"}
SPLIT = {"affected_cis"}


@pytest.fixture(scope="module")
def state(template: Any) -> FeatureState:
    """The history of the organisation."""
    return FeatureState(History.from_records(template.made.records), POLICIES["incident"])


@pytest.fixture(scope="module")
def asked(template: Any) -> list[tuple[Change, int]]:
    """Upcoming changes as they are, and poorer ones; all on one another's days."""
    moment = instants.to_micros(template.made.until)
    found = []
    for change in template.made.upcoming:
        found.append(change)
        found.append(
            replace(change, change_id=f"{change.change_id}b", backout_plan=None, test_plan="TBD")
        )
        nothing = dict.fromkeys(("implementation_plan", "description", "justification"))
        found.append(replace(change, change_id=f"{change.change_id}c", **nothing))
    return [(change, moment) for change in found]


def row(change: Change, as_of: int, state: FeatureState) -> Any:
    return build(Columns.from_records(Change, [change]), np.array([as_of]), state).values


def scored(change: Change, as_of: int, registered: Registered, state: FeatureState) -> float:
    return float(registered.model.probability(row(change, as_of, state))[0])


def test_levers_keep_their_promises(
    asked: list[tuple[Change, int]], registered: Registered, state: FeatureState
) -> None:
    model, seen = registered.model, set()
    for change, as_of in asked:
        probability = scored(change, as_of, registered, state)
        found = levers(change, as_of, probability, model, state)
        assert len(found) <= MOST + 1
        singles = [lever for lever in found if lever.text != "All of these together"]
        assert [v.probability for v in singles] == sorted(v.probability for v in singles)
        for lever in found:
            lower_band = BANDS.index(lever.band) < BANDS.index(model.bands.of(probability))
            assert lever.probability < probability
            assert lever.probability <= probability - LEAST_GAIN or lower_band
            assert lever.band == model.bands.of(lever.probability)
            assert set(lever.change) <= PLANS | WINDOW | SPLIT
            assert set(lever.change) <= {f.name for f in fields(Change)}
            seen |= set(lever.change)
            if "planned_start" in lever.change and "affected_cis" not in lever.change:
                check_slot(change, lever, as_of, state)
            if len(found) > len(singles):
                assert found[-1].text == "All of these together"
                assert found[-1].probability < singles[0].probability
                assert len(found[-1].change) >= max(len(v.change) for v in singles)
    assert seen & PLANS, "some plan helps"


def test_a_row_put_together_of_edits_is_the_row_built(
    asked: list[tuple[Change, int]], state: FeatureState
) -> None:
    told = {plan: f"{plan} in so many words that nobody wrote before" for plan in PLANS}
    edits: list[dict[str, Any]] = [{plan: text} for plan, text in told.items()]
    copied = told["backout_plan"]
    for days, (change, as_of) in enumerate(asked):
        moved = {name: getattr(change, name) + timedelta(days=days % 14) for name in WINDOW}
        some = [*edits[days % 3 :], moved, {"implementation_plan": copied}][:: 1 + days % 2]
        together = [{**change.__dict__}] + [{**change.__dict__, **edit} for edit in some]
        for edit in some:
            together[0] |= edit
        versions = [change, *(Change(**fields) for fields in together)]
        rows = np.vstack([row(version, as_of, state) for version in versions])
        put = combined(
            rows[:1], [rows[2:]], Columns.from_records(Change, versions[1:2]), state.place
        )
        assert put[0].tobytes() == rows[1].tobytes(), change.change_id


def check_slot(change: Change, lever: Any, as_of: int, state: FeatureState) -> None:
    start = datetime.fromisoformat(lever.change["planned_start"])
    assert timedelta(days=1) <= start - change.planned_start <= timedelta(days=DAYS_AHEAD)
    assert (start - change.planned_start) % timedelta(days=1) == timedelta(0), "same time of day"
    end = datetime.fromisoformat(lever.change["planned_end"])
    assert end - start == change.planned_end - change.planned_start
    moved = replace(change, planned_start=start, planned_end=end)
    overlaps = row(moved, as_of, state)[0, NAMES.index("affected_overlapping_changes")]
    assert not overlaps > 0, "free of other changes on its items"
    if lever.text != "All of these together":
        assert lever.text == f"Start on {start:%a %d %b %Y, %H:%M} UTC instead"


def test_splitting_counts_trouble_in_any_part(
    asked: list[tuple[Change, int]], registered: Registered, state: FeatureState
) -> None:
    checked = 0
    for change, as_of in asked[:6]:
        items = tuple(dict.fromkeys([change.ci, *change.affected_cis, "new-1", "new-2"]))
        several = replace(change, affected_cis=items)
        for lever in levers(several, as_of, 1.0, registered.model, state):
            if lever.text == f"Split it into {len(items)} changes of one item each":
                parts = [replace(change, ci=item, affected_cis=(item,)) for item in items]
                fine = [1 - scored(part, as_of, registered, state) for part in parts]
                assert lever.probability == pytest.approx(1 - np.prod(fine), abs=1e-12)
                assert lever.change == {"affected_cis": "one item in each change"}
                checked += 1
        alone = replace(change, ci="only", affected_cis=("only",))
        found = levers(alone, as_of, 1.0, registered.model, state)
        assert not any("Split" in lever.text for lever in found)
    assert checked


def test_a_high_answer_says_what_it_lacks(
    service: Any, ticket: Callable[..., Any], registered: Registered
) -> None:
    """Something to change and three precedents, or words that there are none."""
    model = registered.model
    low = replace(model.bands, moderate=0.0, high=0.0)
    seen = set()
    scorer = service.runtime.scorer()
    scorer.registered = replace(registered, model=replace(model, bands=low))
    for number, body in enumerate([*(ticket() for _ in range(6)), {}, {"ci": "unheard-of"}]):
        answer = service.score({"change_id": f"C{number}", **body})
        assert answer["risk_band"] in ("high", "very_high")
        codes = {warning["code"] for warning in answer["warnings"]}
        changeable = any(factor["changeable"] for factor in answer["factors"])
        assert changeable == ("nothing_changeable" not in codes)
        assert (len(answer["similar_changes"]) >= 3) == ("few_precedents" not in codes)
        seen |= codes
    assert {"nothing_changeable", "few_precedents"} & seen


def test_an_answer_with_a_lever_and_no_changeable_fact_points_to_the_lever(
    template: Any, registered: Registered, state: FeatureState
) -> None:
    """Though none of the facts shown is the requester's to change."""
    model, moment = registered.model, template.made.until
    high = replace(
        registered, model=replace(model, bands=replace(model.bands, moderate=0.0, high=0.0))
    )
    explainer, checked = Explainer(high.model), 0
    for change in template.made.upcoming:
        poor = replace(change, backout_plan=None, known_at=moment)
        scored = score_one(poor, moment, high, state, explainer, options=True)
        fixed = [replace(factor, changeable=False) for factor in scored.factors]
        asked = Asked(record=poor, as_of=moment, now=moment, warnings=())
        answer = with_score(asked, replace(scored, factors=fixed), high, state)
        (told,) = (w.text for w in answer.warnings if w.code == "nothing_changeable")
        assert ("see what would lower it" in told) == bool(answer.levers)
        checked += bool(answer.levers)
    assert checked


def test_a_low_answer_needs_no_excuse(service: Any) -> None:
    answer = service.score({"change_id": "C1"})
    codes = {warning["code"] for warning in answer["warnings"]}
    assert answer["risk_band"] in ("low", "moderate")
    assert not codes & {"nothing_changeable", "few_precedents"}


def test_a_lever_tells_what_scoring_it_would_tell(
    service: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.levers.LEAST_GAIN", -1.0)  # the best slot, however little it helps
    checked = 0
    for _ in range(12):
        body = ticket()
        if body["planned_start"] < service.clock.now.isoformat():
            assert service.score(body)["levers"] == [], "it has begun"
            continue
        for lever in service.score(body)["levers"]:
            if set(lever["change"]) <= WINDOW:
                answer = service.score({**body, **lever["change"]})
                assert answer["incident_probability"] == lever["incident_probability"]
                assert answer["risk_band"] == lever["risk_band"]
                checked += 1
    assert checked


def test_no_slot_for_what_has_begun(
    asked: list[tuple[Change, int]], registered: Registered, state: FeatureState
) -> None:
    for change, _ in asked[:12]:
        late = instants.to_micros(change.planned_start)
        assert all(
            not WINDOW & set(lever.change)
            for lever in levers(change, late, 1.0, registered.model, state)
        )
        unplanned = replace(change, planned_start=None, planned_end=None)
        assert all(
            not WINDOW & set(lever.change)
            for lever in levers(unplanned, late, 1.0, registered.model, state)
        )


def test_an_impossible_window_is_not_moved_along(
    asked: list[tuple[Change, int]], registered: Registered, state: FeatureState
) -> None:
    for change, as_of in asked[:12]:
        odd = replace(change, planned_end=change.planned_start - timedelta(hours=3))
        for lever in levers(odd, as_of, 1.0, registered.model, state):
            assert "planned_end" not in lever.change
