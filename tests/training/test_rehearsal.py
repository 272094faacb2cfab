"""The rehearsal of a policy: counts that add up, quarters, and what rules in shadow would do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from features.history import History
from features.policy import LabelPolicy
from models.bands import make_bands, rehearse
from models.policy_file import load, parsed
from models.routing import ROUTES, RoutingPolicy
from training.config import TrainingConfig
from training.figures import quarter_of
from training.judging import CHAMPION, Fold, Subject, judge, pooled
from training.rehearsal import lines, rehearsed

SMALL = TrainingConfig(estimator={"max_iter": 15})
OTHERWISE = {"route": "delegated_approver", "reasons": []}


@pytest.fixture(scope="module")
def subject(history: History, policy: LabelPolicy) -> Subject:
    return Subject.of(history, policy, SMALL)


@pytest.fixture(scope="module")
def folds(subject: Subject) -> list[Fold]:
    return judge(subject, folds=2, champion_only=True)


def a_policy(*rules: dict[str, Any], **said: Any) -> RoutingPolicy:
    content = {"mode": "advise", "bands": {}, "otherwise": OTHERWISE, **said}
    return parsed({**content, "rules": list(rules)}, "test")


def test_every_change_goes_one_way(subject: Subject, folds: list[Fold]) -> None:
    report = orjson.loads(orjson.dumps(rehearsed(subject, folds, [load()])))
    (one,) = report["policies"]
    assert set(one["routes"]) == set(ROUTES)
    for count in ("changes", "failures"):
        whole = report[count]
        assert sum(route[count] for route in one["routes"].values()) == whole > 0
        assert sum(rule[count] for rule in one["rules"]) == whole
        assert sum(quarter[count] for quarter in one["quarters"]) == whole
    board = one["board"]
    for share in (board["share_of_changes"], board["share_of_failures"], board["failure_rate"]):
        assert 0 <= share["low"] <= share["value"] <= share["high"] <= 1
    assert board["share_of_changes"]["value"] == board["changes"] / report["changes"]


def test_bands_alone_are_the_rehearsal_of_bands(subject: Subject, folds: list[Fold]) -> None:
    """Held to :func:`models.bands.rehearse`, which knows no rules."""
    only = a_policy({"name": "risky", "route": "cab", "band": ["high", "very_high"]})
    (one,) = rehearsed(subject, folds, [only])["policies"]
    board = 0
    for fold in folds:
        bands = make_bands(fold.fitted.window, fold.window.base_rate, SMALL.review_budget)
        times = quarter_of(fold.window.times)
        quarters = rehearse(bands, times, fold.said[CHAMPION], fold.window.failed)
        board += sum(quarter["to_board"] for quarter in quarters)
    assert one["board"]["changes"] == board


def test_a_wider_budget_sends_more_to_the_board(subject: Subject, folds: list[Fold]) -> None:
    narrow, wide = (a_policy(
        {"name": "risky", "route": "cab", "band": ["high", "very_high"]},
        bands={"review_budget": budget},
    ) for budget in (0.05, 0.3))  # fmt: skip
    few, many = rehearsed(subject, folds, [narrow, wide])["policies"]
    assert few["board"]["changes"] < many["board"]["changes"]
    assert few["board"]["failures"] <= many["board"]["failures"]


def test_facts_and_words_of_the_time_count(subject: Subject, folds: list[Fold]) -> None:
    rules = (
        {"name": "emergency", "route": "ecab", "change_type": "emergency"},
        {"name": "short notice", "route": "cab", "below": {"lead_time_hours": 24}},
    )
    (one,) = rehearsed(subject, folds, [a_policy(*rules)])["policies"]
    tested = np.concatenate([np.flatnonzero(fold.split.test) for fold in folds])
    kinds = subject.rows.changes["change_type"][tested]
    emergencies = sum(str(kind).lower() == "emergency" for kind in kinds)
    assert one["rules"][0]["changes"] == emergencies > 0
    assert one["rules"][1]["changes"] > 0


def test_a_rule_in_shadow_is_counted_apart(subject: Subject, folds: list[Fold]) -> None:
    tried = {"name": "tried", "route": "cab", "shadow": True}
    report = rehearsed(subject, folds, [a_policy(tried)])
    (one,) = report["policies"]
    assert one["board"]["changes"] == 0
    assert one["rules"][0]["would_have_decided"] == report["changes"]
    assert "rule 'tried' in shadow would have decided" in "\n".join(lines(report))


def test_a_policy_in_shadow_is_rehearsed_as_if_told(
    subject: Subject, folds: list[Fold], tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text('mode = "shadow"', encoding="utf-8")
    live, shadow = rehearsed(subject, folds, [load(), load(tmp_path)])["policies"]
    assert live["routes"] == shadow["routes"]


def test_in_words(subject: Subject, folds: list[Fold]) -> None:
    report = rehearsed(subject, folds, [load(), a_policy()])
    text = "\n".join(lines(report))
    assert "of the changes would have gone to the board, and" in text
    assert "of those that led to an incident were there" in text
    assert "with this policy 0 %" in text
    assert f"{len(pooled(folds)[1].failed):,} changes from" in text
    assert "nan" not in text
    assert "None" not in text
