from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from features import synthetic
from features.catalogue import NAMES
from features.history import History
from features.labels import label
from features.policy import POLICIES
from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Relation,
)
from features.request import BOILERPLATE
from features.state import FeatureState
from features.synthetic import COEFFICIENTS, Organisation, organisation
from features.table import build
from features.verdicts import Revisions

UNTIL = datetime(2026, 10, 15, 14, 30, tzinfo=UTC)
SMALL = {"until": UNTIL, "changes": 1500, "days": 365}


@pytest.fixture(scope="module")
def demo() -> Organisation:
    return organisation(seed=7, **SMALL)


@pytest.fixture(scope="module")
def noise() -> Organisation:
    return organisation(seed=7, noise_only=True, **SMALL)


@pytest.fixture(scope="module")
def labels(demo) -> pd.DataFrame:
    return label(History.from_records(demo.records), POLICIES["incident"], as_of=UNTIL)


def of(organisation: Organisation, kind: type) -> list:
    return [record for record in organisation.records if type(record) is kind]


def digest(organisation: Organisation) -> str:
    return hashlib.sha256(repr(organisation.records).encode()).hexdigest()


def auc(positive: np.ndarray, score: np.ndarray) -> float:
    positive = np.asarray(positive, bool)
    ranks, n = rankdata(score), positive.sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(positive) - n)))


def first_known(records: list, name: str) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for record in records:
        found.setdefault(getattr(record, name), record.known_at)
    return found


def last_revisions(organisation: Organisation) -> dict[str, Change]:
    return {change.change_id: change for change in of(organisation, Change)}


def test_the_same_seed_gives_the_same_records(demo):
    again = organisation(seed=7, **SMALL)
    assert digest(again) == digest(demo)
    assert again.upcoming == demo.upcoming
    pd.testing.assert_frame_equal(again.causes, demo.causes)


def test_another_seed_gives_others(demo):
    assert digest(organisation(seed=8, **SMALL)) != digest(demo)


def test_the_zone_of_until_does_not_matter(demo):
    there = UNTIL.astimezone(tz=datetime.strptime("+0530", "%z").tzinfo)
    assert digest(organisation(seed=7, **{**SMALL, "until": there})) == digest(demo)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"changes": 10}, "expected at least 300 changes over at least 60 days, got 10 over 365"),
        ({"days": 3}, "got 1500 over 3"),
        ({"until": datetime(2026, 1, 1)}, "expected a moment with a time zone"),  # noqa: DTZ001
    ],
)
def test_unusable_arguments_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        organisation(seed=1, **{**SMALL, **changed})


def test_progress_is_told_and_never_more_than_all():
    told = []
    organisation(seed=1, **SMALL, progress=lambda *step: told.append(step))
    assert {stage for stage, _, _ in told} == {
        "draw changes",
        "write changes",
        "write incidents",
    }
    assert all(0 <= done <= total for _, done, total in told)


def test_it_says_that_it_is_synthetic(demo, noise):
    assert "Synthetic" in demo.name
    assert "SYNTHETIC" in demo.describe()
    assert "1,500 changes" in demo.describe()
    assert "item_fragility +0.75" in demo.describe()
    assert "Causes are switched off" in noise.describe()


def test_there_are_as_many_as_asked_for(demo):
    changes = last_revisions(demo)
    incidents = first_known(of(demo, Incident), "incident_id")
    assert len(changes) == len(demo.causes) == 1500
    assert set(demo.causes["change_id"]) == set(changes)
    assert 2.9 < len(incidents) / len(changes) < 3.1
    assert min(changes) == "CHG0030001"
    assert min(incidents) == "INC0100001"


def test_every_clock_is_aware_and_ends_with_the_records(demo):
    known = [record.known_at for record in demo.records]
    assert known == sorted(known)
    assert known[-1] <= UNTIL
    assert all(moment.tzinfo is UTC for moment in known)


def test_nothing_is_known_before_it_happened(demo):
    for record in demo.records:
        if isinstance(record, Incident | Link | ChangeEvent | Relation):
            assert record.known_at >= record.occurred_at
        if isinstance(record, Incident) and record.resolved_at is not None:
            assert record.known_at >= record.resolved_at > record.occurred_at
        if isinstance(record, Change):
            assert record.known_at >= record.submitted_at
            assert record.submitted_at < record.planned_start < record.planned_end


def test_no_link_comes_before_both_its_sides(demo):
    incidents = first_known(of(demo, Incident), "incident_id")
    changes = first_known(of(demo, Change), "change_id")
    links = of(demo, Link)
    assert {link.kind for link in links} == {"caused_by", "fixed_by"}
    for link in links:
        assert link.known_at >= max(incidents[link.incident_id], changes[link.change_id])


def test_caused_by_links_are_late(demo):
    links = [link for link in of(demo, Link) if link.kind == "caused_by"]
    delays = [(link.known_at - link.occurred_at) / timedelta(hours=1) for link in links]
    assert 6 < np.median(delays) < 48
    assert max(delays) < 11 * 24


def test_a_repair_is_submitted_after_its_incident(demo):
    opened = first_known(of(demo, Incident), "incident_id")
    changes = last_revisions(demo)
    fixing = [link for link in of(demo, Link) if link.kind == "fixed_by"]
    assert len(fixing) > 20
    for link in fixing:
        assert changes[link.change_id].submitted_at > opened[link.incident_id]
        assert changes[link.change_id].change_type == "emergency"


def test_a_repaired_incident_names_its_change_and_is_no_cause(demo, labels):
    texts = [incident.description for incident in of(demo, Incident)]
    assert any("Repaired with CHG" in text for text in texts)
    assert any("It began after CHG" in text for text in texts)
    caused = set(labels.loc[labels["outcome"] == "caused", "change_id"])
    stated = {link.change_id for link in of(demo, Link) if link.kind == "caused_by"}
    true = set(demo.causes.loc[demo.causes["caused"], "change_id"])
    assert caused <= stated | true


def test_a_resolution_is_a_later_row(demo):
    rows = defaultdict(list)
    for incident in of(demo, Incident):
        rows[incident.incident_id].append(incident)
    assert all(found[0].resolved_at is None for found in rows.values())
    resolved = [found[-1] for found in rows.values() if len(found) > 1]
    assert len(resolved) > 0.9 * len(rows)
    assert {priority for found in rows.values() for priority in [found[0].priority]} == set(
        range(1, 6)
    )


def test_the_base_rate_is_that_of_a_real_organisation(labels):
    decided = labels[labels["outcome"] != "undecided"]
    assert 0.03 < (decided["outcome"] == "caused").mean() < 0.06
    assert set(labels["source"].dropna()) == {"explicit", "text"}


def test_labels_are_nearly_the_truth(demo, labels):
    both = labels[labels["outcome"] != "undecided"].merge(demo.causes, on="change_id")
    caused = both["outcome"] == "caused"
    assert 0.75 < caused[both["caused"]].mean() < 1
    assert 0 < (caused & ~both["caused"]).sum() < 0.2 * caused.sum()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_truth_ranks_well_but_not_perfectly(seed):
    causes = organisation(seed=seed, **{**SMALL, "changes": 6000}).causes
    assert 0.79 < auc(causes["caused"], causes["true_probability"]) < 0.87
    assert 0.04 < causes["true_probability"].mean() < 0.05


def test_contributions_add_up_to_the_probability(demo):
    causes = demo.causes
    log_odds = causes["base"] + causes[list(COEFFICIENTS)].sum(axis=1)
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), causes["true_probability"])
    assert (causes[list(COEFFICIENTS)].abs().sum() > 0).all()


def test_noise_only_has_no_causes(noise):
    assert noise.causes["true_probability"].nunique() == 1
    assert not noise.causes[list(COEFFICIENTS)].to_numpy().any()
    assert noise.causes["caused"].mean() == pytest.approx(0.041, abs=0.015)


def test_noise_only_has_the_same_shape(demo, noise):
    kinds = Counter(type(record) for record in demo.records)
    for kind, count in Counter(type(record) for record in noise.records).items():
        assert count == pytest.approx(kinds[kind], rel=0.25)
    assert noise.causes.shape == demo.causes.shape


def test_only_noise_leaves_the_known_causes_without_a_say():
    found = {True: [], False: []}
    for seed in range(2):
        for noise_only in found:
            drawn = organisation(seed=seed, noise_only=noise_only, **{**SMALL, "changes": 3000})
            last = last_revisions(drawn)
            changes = [last[name] for name in drawn.causes["change_id"]]
            score = np.array([change.change_type != "standard" for change in changes], float)
            score += [np.log(len(change.affected_cis)) for change in changes]
            found[noise_only].append(auc(drawn.causes["caused"], score))
    assert 0.44 < np.mean(found[True]) < 0.56
    assert np.mean(found[False]) > 0.60


def test_plans_are_written_missing_copied_or_say_nothing(demo):
    changes = list(last_revisions(demo).values())
    nothing = [c for c in changes if c.backout_plan and c.backout_plan.lower() in BOILERPLATE]
    empty = [c for c in changes if c.backout_plan is None]
    copied = [c for c in changes if c.backout_plan and c.backout_plan == c.implementation_plan]
    assert 0.06 < len(nothing) / len(changes) < 0.25
    assert 0.03 < len(empty) / len(changes) < 0.15
    assert 0.02 < len(copied) / len(changes) < 0.10
    assert any(c.description is None for c in changes)
    says_nothing = {c.change_id for c in nothing + empty}
    blamed = demo.causes.set_index("change_id")["no_backout_plan"] > 0
    assert set(blamed.index[blamed]) == says_nothing


def test_upcoming_changes_are_submitted_and_not_begun(demo):
    last = last_revisions(demo)
    assert 30 <= len(demo.upcoming) <= 60
    for change in demo.upcoming:
        assert change.known_at <= UNTIL < change.planned_start <= UNTIL + timedelta(days=14)
        assert last[change.change_id] == change
    later = {c.change_id for c in last.values() if c.planned_start > UNTIL}
    assert later == {change.change_id for change in demo.upcoming}


def test_a_rescheduled_change_is_known_before_its_first_start(demo):
    revisions = defaultdict(list)
    for change in of(demo, Change):
        revisions[change.change_id].append(change)
    moved = [found for found in revisions.values() if len(found) > 1]
    assert 0.03 < len(moved) / len(revisions) < 0.12
    for first, second in moved:
        assert (first.revision, second.revision) == ("1", "2")
        assert second.known_at < first.planned_start < second.planned_start


def test_a_retry_shares_the_ticket_of_an_earlier_change(demo):
    retries = set(demo.causes.loc[demo.causes["retry_after_failure"] > 0, "change_id"])
    assert len(retries) == pytest.approx(0.03 * 1500, abs=1)
    changes = last_revisions(demo)
    by_ticket = defaultdict(list)
    for change in changes.values():
        for reference in change.references:
            by_ticket[reference].append(change)
    for name in retries:
        again = changes[name]
        others = [c for c in by_ticket[again.references[0]] if c.ci == again.ci]
        assert min(c.submitted_at for c in others) < again.submitted_at


def test_the_year_end_freeze_is_known_and_nearly_kept(demo):
    entries = of(demo, CalendarEntry)
    assert {entry.kind for entry in entries} == {"freeze", "blackout"}
    freeze = next(e for e in entries if e.kind == "freeze" and e.starts_at.year == 2025)
    inside = sum(
        freeze.starts_at <= change.planned_start < freeze.ends_at
        for change in last_revisions(demo).values()
    )
    usual = 1500 * (freeze.ends_at - freeze.starts_at) / timedelta(days=365)
    assert 0 < inside < 0.4 * usual


def test_changes_touch_items_in_use(demo):
    born = first_known(of(demo, Item), "ci")
    assert 550 < len(born) <= 650
    for change in of(demo, Change):
        assert change.ci == change.affected_cis[0]
        assert all(born[ci] <= change.known_at for ci in change.affected_cis)
    for incident in of(demo, Incident):
        assert incident.ci is None or born[incident.ci] <= incident.occurred_at


def test_dependencies_never_run_in_a_circle(demo):
    children = defaultdict(set)
    for relation in of(demo, Relation):
        children[relation.parent].add(relation.child)
    done: set[str] = set()

    def visit(ci: str, path: tuple[str, ...]) -> None:
        assert ci not in path
        if ci not in done:
            for child in children[ci]:
                visit(child, (*path, ci))
            done.add(ci)

    for ci in list(children):
        visit(ci, ())
    assert len(done) > 500


def test_most_harmful_changes_are_closed_as_successful(demo):
    caused = set(demo.causes.loc[demo.causes["caused"], "change_id"])
    events = of(demo, ChangeEvent)
    codes = Counter(e.code for e in events if e.kind == "closed" and e.change_id in caused)
    assert codes["successful"] > 0.5 * codes.total()
    assert Counter(e.planned for e in events if e.kind == "backed_out").keys() == {True, False}


@pytest.mark.parametrize("as_noise", [False, True])
def test_features_are_built_from_it(demo, noise, as_noise):
    history = History.from_records((noise if as_noise else demo).records)
    state = FeatureState(history, POLICIES["incident"])
    revisions = Revisions.of(history[Change])
    changes = revisions.table.take(revisions.first)
    table = build(changes, changes.times("known_at"), state)
    assert table.values.shape == (1500, len(NAMES))
    filled = pd.Series(~np.isnan(table.values).all(axis=0), NAMES)
    assert filled["affected_incidents_90d"]
    assert filled["reference_failures_90d"]
    assert filled["planned_downtime_hours"]
    assert not np.isinf(table.values).any()


def test_every_public_name_is_there():
    assert all(hasattr(synthetic, name) for name in synthetic.__all__)
