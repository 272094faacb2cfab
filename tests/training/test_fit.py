"""Training end to end: what it reports, that it repeats itself, what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import orjson
import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features import instants
from features.history import History
from features.policy import POLICIES, LabelPolicy
from features.records import Change, Incident, Link, Record
from features.synthetic import Organisation
from models.baselines import BASELINES
from models.estimator import make_estimator
from models.trees import Forest
from training import fit
from training.config import TrainingConfig, TrainingError
from training.fit import STAGES, Trained, train
from training.folds import embargo
from training.related import Related
from training.report import lines
from training.rows import observed_until, training_rows
from training.splits import TemporalSplit

NOW = datetime.fromisoformat("2025-06-02T10:00:00+00:00")


# what comes out ----------------------------------------------------------------------------------


def test_report_is_plain_data(trained: Trained) -> None:
    assert orjson.loads(orjson.dumps(trained.report)) == trained.report
    assert set(trained.report) == {
        *("rows", "base_rate", "train", "calibrate", "test", "models", "placebo", "bands"),
    }
    assert set(trained.report["models"]) <= {"champion", *BASELINES}
    assert {"champion", "item_rate", "logistic_regression"} <= set(trained.report["models"])


def test_counts_agree(trained: Trained, history: History, policy: LabelPolicy) -> None:
    report, rows = trained.report, trained.report["rows"]
    assert rows["changes"] == len(set(history[Change]["change_id"]))
    assert rows["usable"] + rows["undecided"] + rows["left_out"] == rows["changes"]
    parts = [report[part]["changes"] for part in ("train", "calibrate", "test")]
    assert min(parts) > 0
    assert sum(parts) < rows["usable"]
    assert report["test"]["base_rate"] == report["test"]["failures"] / report["test"]["changes"]
    for figures in report["models"].values():
        assert figures["observed"] == report["test"]["failures"]
    bands = report["bands"]["observed"]
    assert sum(band["changes"] for band in bands.values()) == report["test"]["changes"]
    assert sum(band["failures"] for band in bands.values()) == report["test"]["failures"]


def test_learns(trained: Trained) -> None:
    champion = trained.report["models"]["champion"]
    assert champion["roc_auc"] > 0.6
    assert champion["recall_at"]["0.2"] > 0.3
    assert champion["ece"] < 0.03
    assert champion["expected"] == pytest.approx(champion["observed"], rel=0.5)


def test_bundle_scores_what_it_was_trained_for(trained: Trained, history: History) -> None:
    model = trained.model
    rows = training_rows(history, model.policy, as_of=model.history_until)
    probability = model.probability(rows.table.values)
    assert 0 < probability.min() < probability.max() < 1
    usable = rows.taught & rows.decided(instants.to_micros(model.history_until))
    assert probability[usable].mean() == pytest.approx(model.base_rate, rel=0.5)
    assert model.base_rate == trained.report["base_rate"]
    assert list(model.score_quantiles) == sorted(model.score_quantiles)
    assert set(model.reference) <= set(model.columns)
    assert set(model.coverage) == set(model.columns)
    assert model.metrics["models"] == trained.report["models"]


def test_same_digits_again(
    trained: Trained, history: History, policy: LabelPolicy, config: TrainingConfig
) -> None:
    again = train(history, policy, now=trained.model.trained_at, config=config)
    assert orjson.dumps(again.report) == orjson.dumps(trained.report)
    assert again.model.facts() == trained.model.facts()
    ours, theirs = again.model.forest, trained.model.forest
    assert ours.value.tobytes() == theirs.value.tobytes()
    assert ours.threshold.tobytes() == theirs.threshold.tobytes()


def test_same_digits_whatever_the_number_of_threads() -> None:
    """The estimator's own sums do not depend on it; training takes one thread for its speed."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5_000, 8))
    failed = values[:, 0] + 3 * rng.normal(size=5_000) > 3
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            estimator = make_estimator({"max_iter": 20}, rows=len(values))
            found.append(Forest.of(estimator.fit(values, failed)))
    assert found[0].value.tobytes() == found[1].value.tobytes()
    assert found[0].threshold.tobytes() == found[1].threshold.tobytes()


def test_what_is_related_to_a_tested_change_is_not_learnt(
    history: History, policy: LabelPolicy, config: TrainingConfig
) -> None:
    rows = training_rows(history, policy, as_of=NOW)
    usable = rows.taught & rows.decided(instants.to_micros(NOW))
    related = Related.of(rows.changes, rows.table.as_of)
    plain = TemporalSplit(
        test_share=config.test_share,
        calibration_share=config.calibration_share,
        gap=embargo(policy),
    ).split(rows.table.as_of[usable])
    split = fit._split(rows, usable, policy, config)
    near = related.to(split.test)
    assert near[usable][plain.learnt].any()  # there is something to leave out
    assert not near[split.learnt].any()
    assert split.test.sum() == plain.test.sum()


def test_order_of_the_records_does_not_matter(made: Organisation, policy: LabelPolicy) -> None:
    """Facts come from a store in the order written, not in the order known."""
    small = [r for r in made.records if r.known_at < NOW - timedelta(days=250)]
    config = TrainingConfig(estimator={"max_iter": 10})
    mixed = [small[at] for at in np.random.default_rng(0).permutation(len(small))]
    first, second = (
        train(History.from_records(records), policy, now=NOW, config=config)
        for records in (small, mixed)
    )
    assert first.report["rows"] == second.report["rows"]
    assert first.report["test"] == second.report["test"]
    champions = [one.report["models"]["champion"]["roc_auc"] for one in (first, second)]
    assert champions[0] == pytest.approx(champions[1], abs=1e-9)


def test_progress_is_told(history: History, policy: LabelPolicy) -> None:
    told: list[tuple[str, int, int | None]] = []
    config = TrainingConfig(estimator={"max_iter": 2})
    train(history, policy, now=NOW, config=config, progress=lambda *step: told.append(step))
    assert [stage for stage, _, _ in told] == [*STAGES, "done"]
    assert [done for _, done, _ in told] == list(range(len(STAGES) + 1))


def test_lines_for_people(trained: Trained) -> None:
    text = "\n".join(lines("7", "champion", trained.report))
    assert "registered version 7 as champion" in text
    for name in trained.report["models"]:
        assert re.search(rf"^{name} .*0\.\d{{3}}", text, re.MULTILINE)
    assert "fewer than 200 failures in the test: figures are directional" in text
    assert "placebo, the same changes moved back 14 days" in text
    assert "None" not in text
    assert "nan" not in text


def test_lines_without_a_failure_in_the_test(trained: Trained) -> None:
    champion = {**trained.report["models"]["champion"], "roc_auc": None, "average_precision": None}
    champion["recall_at"] = dict.fromkeys(champion["recall_at"])
    text = "\n".join(lines("1", "champion", {**trained.report, "models": {"champion": champion}}))
    assert re.search(r"^champion( +-){6} ", text, re.MULTILINE)


@pytest.mark.parametrize(("rate", "told"), [(0.9, True), (0.1, False)])
def test_a_simpler_one_that_ranks_better_is_named(
    trained: Trained, rate: float, told: bool
) -> None:
    models = trained.report["models"]
    models = {"champion": models["champion"], "one rate": {**models["champion"], "roc_auc": rate}}
    text = "\n".join(lines("1", "champion", {**trained.report, "models": models}))
    assert ("one rate ranks better here than champion" in text) == told


# what it may know --------------------------------------------------------------------------------


def test_as_of(history: History, policy: LabelPolicy) -> None:
    """Later facts change nothing: neither changes nor links nor incidents."""
    moment = NOW - timedelta(days=150)
    config = TrainingConfig(estimator={"max_iter": 10})
    late = train(history, policy, now=NOW, config=config, as_of=moment)
    then = train(history.as_of(moment), policy, now=NOW, config=config, as_of=moment)
    assert late.report == then.report
    assert late.model.facts() == then.model.facts()
    assert late.model.history_until == moment
    embargo = moment - policy.embargo
    assert datetime.fromisoformat(late.report["test"]["to"]) < embargo


def test_ends_where_the_record_of_failures_ends(
    trained: Trained, history: History, policy: LabelPolicy
) -> None:
    assert trained.model.history_until == observed_until(history, policy)


def test_history_from(history: History, policy: LabelPolicy) -> None:
    moment = NOW - timedelta(days=300)
    config = TrainingConfig(estimator={"max_iter": 10})
    found = train(history, policy, now=NOW, config=config, history_from=moment).report
    first: dict[str, int] = {}
    for change_id, known in zip(
        history[Change]["change_id"], history[Change].times("known_at"), strict=True
    ):
        first.setdefault(change_id, known)
    before = sum(known < instants.to_micros(moment) for known in first.values())
    assert found["rows"]["left_out"] == pytest.approx(before, rel=0.05)  # few are revised across
    counts = found["rows"]
    assert counts["undecided"] > 0
    assert counts["usable"] + counts["undecided"] + counts["left_out"] == counts["changes"]
    assert counts["changes"] == len(first)


def test_links_made_after_the_fit_do_not_teach_it(
    made: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first fit sees the labels of the day calibration begins, the second those of the test."""
    policy = replace(POLICIES["incident"], sources=("explicit",))
    seen: list[int] = []
    real = fit._halves

    def spy(values: np.ndarray, failed: np.ndarray, config: TrainingConfig) -> object:
        seen.append(int(failed.sum()))
        return real(values, failed, config)

    monkeypatch.setattr(fit, "_halves", spy)
    config = TrainingConfig(estimator={"max_iter": 2})
    end = NOW - timedelta(days=1)

    def learnt(records: list[Record]) -> list[int]:
        seen.clear()
        train(History.from_records(records), policy, now=NOW, config=config, as_of=end)
        return seen.copy()

    prompt = learnt(made.records)
    delayed = learnt([_later(record, timedelta(days=60)) for record in made.records])
    assert len(prompt) == len(delayed) == 4
    assert all(late < soon for late, soon in zip(delayed, prompt, strict=True))


def _later(record: Record, by: timedelta) -> Record:
    return replace(record, known_at=record.known_at + by) if isinstance(record, Link) else record


# what it refuses ---------------------------------------------------------------------------------


def only(history: History, *kinds: type) -> History:
    empty = History.from_records([])
    return History({kind: (history if kind in kinds else empty)[kind] for kind in history.tables})


def test_empty_history(policy: LabelPolicy) -> None:
    message = (
        r"holds nothing that decides the label 'incident' \(sources explicit, text\); import "
        "incidents or back-outs, or choose another label"
    )
    with pytest.raises(TrainingError, match=message):
        train(History.from_records([]), policy, now=NOW)


def test_no_incidents(history: History, policy: LabelPolicy) -> None:
    with pytest.raises(TrainingError, match="holds nothing that decides the label 'incident'"):
        train(only(history, Change), policy, now=NOW)


def test_no_changes(history: History, policy: LabelPolicy) -> None:
    with pytest.raises(TrainingError, match="there are no mature changes to train on"):
        train(only(history, Incident, Link), policy, now=NOW)


def test_no_failures(history: History) -> None:
    policy = replace(POLICIES["incident"], sources=("explicit",))
    message = (
        r"only 0 of the [\d]+ changes to learn from failed under the label 'incident'; at least "
        "10 are needed. A longer history, more links .* or a wider label would help"
    )
    with pytest.raises(TrainingError, match=message):
        train(only(history, Change, Incident), policy, now=NOW)


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (10, "there are no mature changes to train on"),
        (30, r"no changes are left for the train part: .* a gap of 14 days between training"),
        (75, r"only \d of the \d+ changes to learn from failed"),
    ],
)
def test_too_short(history: History, policy: LabelPolicy, days: int, message: str) -> None:
    first = instants.from_micros(int(history[Change].times("known_at").min()))
    assert first is not None
    with pytest.raises(TrainingError, match=message):
        train(history, policy, now=NOW, as_of=first + timedelta(days=days))


@pytest.mark.parametrize(
    "name", ["test_share", "tested_share", "calibration_share", "review_budget"]
)
@pytest.mark.parametrize("value", [0.0, 1.0, -0.2, 20])
def test_shares_are_checked_before_any_work(name: str, value: float) -> None:
    make: Callable[..., TrainingConfig] = TrainingConfig
    message = f"{name}: expected a share between 0 and 1, got {value}"
    with pytest.raises(TrainingError, match=re.escape(message)):
        make(**{name: value})


def test_settings_as_a_run_records_them() -> None:
    config = TrainingConfig(estimator={"max_iter": 5}, seed=3)
    assert config.params() == {
        "test_share": 0.2,
        "tested_share": 0.4,
        "calibration_share": 0.15,
        "review_budget": 0.1,
        "placebo_days": (14,),
        "seed": 3,
        "estimator.max_iter": 5,
    }
