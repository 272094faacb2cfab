"""Audits: each catches what it is there for, passes what is sound, says where it cannot tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from features.instants import DAY
from training.audits import AUDITS, Finding, audit
from training.figures import Window
from training.findings import Evidence, Part

GAP = 7 * DAY


def found(evidence: Evidence, code: str) -> Finding:
    return next(one for one in AUDITS if one.__name__ == code)(evidence)


def part(first: int, count: int, *, tickets: tuple[str, ...] = (), known: int = 7) -> Part:
    """A change a day from a day on, labels known after a week."""
    days = np.arange(first, first + count)
    return Part(
        ids=[f"CHG-{day}" for day in days],
        times=days * DAY,
        windows_end=(days + known) * DAY,
        tickets=[tickets] + [()] * (count - 1),
    )


@pytest.fixture
def sound() -> Evidence:
    """Two years of changes whose probabilities are right, and a model worth its keep."""
    rng = np.random.default_rng(0)
    rows = 40_000
    said = rng.beta(2, 38, rows)
    failed = rng.random(rows) < said
    values = np.column_stack([said + 0.05 * rng.normal(size=rows), rng.normal(size=rows)])
    return Evidence(
        learnt=[part(0, 90), part(0, 120)],
        tested=[part(100, 20), part(130, 20)],
        gap=GAP,
        columns=("ci_failure_rate_365d", "lead_time_hours"),
        values=values,
        failed=failed,
        gain={
            "over": "logistic_regression",
            "decided_by": "roc_auc",
            "roc_auc": {"value": 0.02, "low": -0.01, "high": 0.05},
        },
        said=said,
        window=Window(
            times=np.sort(rng.integers(0, 730 * DAY, rows)), failed=failed, base_rate=0.05
        ),
        calibrated=rng.beta(2, 38, 4_000),
        groups={"team": rng.choice(np.array(["dba", "network"], object), rows)},
        coverage={"dba": (400, 90), "network": (900, 180)},
        stability={"top_overlap": 0.8, "factor_jaccard": 0.8},
    )


def test_what_is_sound_passes_everywhere(sound: Evidence) -> None:
    findings = audit(sound)
    assert [finding.code for finding in findings] == [one.__name__ for one in AUDITS]
    assert [finding for finding in findings if finding.outcome != "passed"] == []
    for finding in findings:
        assert finding.sentence
        orjson.dumps(finding.plain(), option=orjson.OPT_SERIALIZE_NUMPY)


def test_nothing_handed_down_is_not_a_pass() -> None:
    assert {finding.outcome for finding in audit(Evidence())} == {"not_applicable"}
    assert all(finding.figure is None for finding in audit(Evidence()))


@pytest.mark.parametrize(
    ("learnt", "tested", "counted"),
    [
        (part(0, 101), part(100, 20), {"same": 1, "inside_gap": 7, "shared_ticket": 0}),
        (part(0, 98), part(100, 20), {"same": 0, "inside_gap": 4, "shared_ticket": 0}),
        (part(0, 90, known=30), part(100, 20), {"same": 0, "inside_gap": 19, "shared_ticket": 0}),
        (
            part(0, 90, tickets=("T1",)),
            part(100, 20, tickets=("T9", "T1")),
            {"same": 0, "inside_gap": 0, "shared_ticket": 1},
        ),
    ],
    ids=["same changes", "inside the gap", "labels not ripe", "same ticket"],
)
def test_an_overlapping_split_is_caught(
    sound: Evidence, learnt: Part, tested: Part, counted: dict[str, int]
) -> None:
    finding = found(replace(sound, learnt=[learnt], tested=[tested]), "time_overlap")
    assert finding.outcome == "failed"
    assert finding.details == counted


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_leaking_feature_is_caught(sound: Evidence, sign: float) -> None:
    """A column written after the outcome, either way round, and empty for some."""
    assert sound.values is not None
    assert sound.failed is not None
    rng = np.random.default_rng(1)
    leak = sign * (sound.failed + 0.3 * rng.normal(size=len(sound.failed)))
    leak[rng.random(len(leak)) < 0.01] = np.nan
    values = np.column_stack([sound.values, leak])
    columns = (*sound.columns, "days_to_close")
    finding = found(replace(sound, values=values, columns=columns), "golden_feature")
    assert finding.outcome == "failed"
    assert finding.details["suspects"] == ["days_to_close"]
    assert finding.figure is not None
    assert finding.figure > 0.95


def test_a_model_worse_than_the_baseline_is_caught(sound: Evidence) -> None:
    assert sound.gain is not None
    worse = {**sound.gain, "roc_auc": {"value": -0.01, "low": -0.03, "high": 0.01}}
    finding = found(replace(sound, gain=worse), "worse_than_baseline")
    assert finding.outcome == "failed"
    assert "logistic_regression: -0.010 (95 % -0.030 to +0.010)" in finding.sentence


def test_a_drifted_month_is_caught(sound: Evidence) -> None:
    """In one month of 24 three times as many changes fail as were expected."""
    assert sound.window is not None
    failed, rng = sound.window.failed.copy(), np.random.default_rng(2)
    june = (sound.window.times >= 151 * DAY) & (sound.window.times < 181 * DAY)
    failed |= june & (rng.random(len(failed)) < 0.1)
    window = replace(sound.window, failed=failed)
    finding = found(replace(sound, window=window), "drift")
    assert finding.outcome == "failed"
    assert [month["month"] for month in finding.details["months"]] == ["1970-06"]


def test_a_drifted_half_year_is_caught_though_no_month_is(sound: Evidence) -> None:
    assert sound.said is not None
    assert sound.window is not None
    failed, rng = sound.window.failed.copy(), np.random.default_rng(3)
    failed |= (sound.window.times >= 549 * DAY) & (rng.random(len(failed)) < 0.013)
    finding = found(replace(sound, window=replace(sound.window, failed=failed)), "drift")
    assert finding.outcome == "failed"
    assert "1971-H2" in finding.sentence


def test_moved_scores_are_caught_before_any_outcome_is_known(sound: Evidence) -> None:
    assert sound.calibrated is not None
    finding = found(replace(sound, calibrated=sound.calibrated / 3), "drift")
    assert finding.outcome == "failed"
    assert finding.details["stability_index"] > 0.25


def test_teams_that_do_not_link_are_caught(sound: Evidence) -> None:
    told = {**sound.coverage, "desktop": (300, 12), "new": (10, 0)}
    finding = found(replace(sound, coverage=told), "coverage")
    assert finding.outcome == "failed"
    assert finding.details["teams_below"] == ["desktop"]
    silent = dict.fromkeys(sound.coverage, (500, 0))
    assert found(replace(sound, coverage=silent), "coverage").outcome == "not_applicable"


def test_a_group_far_off_is_caught(sound: Evidence) -> None:
    assert sound.said is not None
    assert sound.window is not None
    network = sound.groups["team"] == "network"
    said = np.where(network, sound.said / 3, sound.said)
    finding = found(replace(sound, said=said), "group_gaps")
    assert finding.outcome == "failed"
    assert [one["group"] for one in finding.details["groups"]] == ["network"]
    nobody = {"team": np.array([None] * len(said), object)}
    assert found(replace(sound, groups=nobody), "group_gaps").outcome == "not_applicable"


@pytest.mark.parametrize("name", ["close_code", "requested_by", "reverted_at"])
def test_forbidden_columns_are_caught(sound: Evidence, name: str) -> None:
    finding = found(replace(sound, columns=(*sound.columns, name)), "forbidden_fields")
    assert finding.outcome == "failed"
    assert name in finding.sentence


@pytest.mark.parametrize(
    "stability",
    [
        {"top_overlap": 0.48, "factor_jaccard": 0.9},
        {"top_overlap": 0.9, "factor_jaccard": 0.46},
        {"top_overlap": 0.6},
    ],
)
def test_an_unstable_model_is_caught(sound: Evidence, stability: dict[str, float]) -> None:
    assert found(replace(sound, stability=stability), "instability").outcome == "failed"


def test_too_few_scores_have_no_distribution(sound: Evidence) -> None:
    few = replace(sound, latest=np.full(99, 0.9))
    assert found(few, "drift").details["stability_index"] is None
    assert found(replace(sound, calibrated=None), "drift").details["stability_index"] is None
