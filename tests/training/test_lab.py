"""The lab: every step shows itself, can be kept, and leaves what it should in the registry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from features.history import History
from features.policy import POLICIES
from features.settings import Settings
from features.store import Store
from features.synthetic import organisation
from models.registry import reached
from training import judging
from training.card import Card
from training.config import TrainingConfig, TrainingError
from training.judged import Judged
from training.lab import Lab
from training.run import Compared, Run
from training.views import NoPictureError, Shown, View

SMALL = TrainingConfig(estimator={"max_iter": 15})
UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
EARLIER = UNTIL - timedelta(days=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = organisation(seed=2, until=UNTIL, changes=1_500, days=200)
    home = tmp_path_factory.mktemp("lab")
    settings = Settings.from_environment({"CHANGERISK_HOME": str(home)})
    history = History.from_records(made.records)
    return Lab(history, POLICIES["incident"], settings=settings, source="demo")


@pytest.fixture(scope="module")
def judged(lab: Lab) -> Judged:
    return lab.evaluate(folds=2, config=SMALL)


@pytest.fixture(scope="module")
def run(lab: Lab) -> Run:
    return lab.train(SMALL)


@pytest.fixture(scope="module")
def compared(lab: Lab, run: Run) -> Compared:
    """The run beside a champion of two months before, and promoted against the rule's advice."""
    earlier = lab.at(lab.as_of - timedelta(days=60)).train(SMALL)
    assert earlier.register("champion") == "1"
    assert run.register("challenger") == "2"
    return lab.promote("challenger", reason="a try", by="me", override=True)


def shown(view: View | Shown, folder: Path) -> None:
    assert len(view.frame)
    drawn = view.plot()
    (axes,) = drawn.axes
    assert axes.has_data()
    assert axes.get_title(loc="left")
    text = view._repr_html_()
    assert text.count("<svg") == 1
    assert text.count("<table") == 1
    assert view.save(folder / "view.html").read_text() == text, "the same again"


def test_a_view_is_kept(lab: Lab, tmp_path: Path) -> None:
    view = lab.arrival()
    kept = {view.save(tmp_path / f"view.{end}") for end in ("csv", "html", "svg", "png", "pdf")}
    assert all(path.stat().st_size > 50 for path in kept)
    assert (tmp_path / "view.svg").read_text() == view.svg()
    with pytest.raises(ValueError, match=r"expected \.csv"):
        view.save(tmp_path / "view.pickle")


HISTORY = ("quality", "coverage", "labels", "outcomes", "arrival", "table")


@pytest.mark.parametrize("name", HISTORY)
def test_the_history_shows_itself(lab: Lab, name: str, tmp_path: Path) -> None:
    shown(getattr(lab, name)(), tmp_path)


JUDGED = ("table", "reliability", "gain", "windows", "over_time", "audits", "rehearse")


@pytest.mark.parametrize("name", JUDGED)
def test_an_evaluation_shows_itself(judged: Judged, name: str, tmp_path: Path) -> None:
    shown(getattr(judged, name)(), tmp_path)


def test_a_larger_budget_sees_more(judged: Judged) -> None:
    few, many = (judged.rehearse(budget).frame.sum() for budget in (0.05, 0.5))
    assert few["to_board"] < many["to_board"]
    assert few["failures_to_board"] <= many["failures_to_board"]
    with pytest.raises(ValueError, match="review budget"):
        judged.rehearse(1.0)


@pytest.mark.parametrize(
    "name", ["metrics", "reliability", "gain", "over_time", "bands", "importance"]
)
def test_a_run_shows_itself(run: Run, name: str, tmp_path: Path) -> None:
    shown(getattr(run, name)(), tmp_path)


def test_a_change_is_explained(run: Run, tmp_path: Path) -> None:
    name = str(run.lab.rows.table.change_ids[-50])
    for view in (
        run.explain(name),
        run.what_if(name, backout_plan="Restore the snapshot of 22:00."),
    ):
        shown(view, tmp_path)
    assert len(run.similar(name).frame) <= 3
    with pytest.raises(KeyError, match="no change 'CHG-NONE'"):
        run.explain("CHG-NONE")
    with pytest.raises(TypeError):
        run.what_if(name, phase_of_the_moon="full")


def test_dependence_speaks_the_unit_of_its_sentence(run: Run, tmp_path: Path) -> None:
    view = run.dependence(run.trained.model.columns[0])
    shown(view, tmp_path)
    (axes,) = view.plot().axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == view.frame["words"].tolist()
    with pytest.raises(ValueError, match="does not see"):
        run.dependence("phase_of_the_moon")


def test_what_a_group_is_worth(lab: Lab, tmp_path: Path) -> None:
    shown(lab.ablate(["ci_track_record"], config=SMALL), tmp_path)
    with pytest.raises(ValueError, match="no such factor group: weather"):
        lab.ablate(["weather"])


def test_an_interrupted_evaluation_goes_on(
    lab: Lab, judged: Judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = lab._kept()
    assert kept is not None
    first = min(kept.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
    first.write_bytes(first.read_bytes()[:1_000])  # cut off, as by a full disk
    fitted = []
    original = judging.fit_split

    def fit_split(*arguments: Any) -> Any:
        fitted.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(judging, "fit_split", fit_split)
    again = lab.evaluate(folds=2, config=SMALL)
    assert len(fitted) == 1
    assert again.report == judged.report
    rows, split = lab.rows, judged.evaluation.folds[0].split
    names = {kept.key(rows, split, one, True) for one in (SMALL, TrainingConfig())}
    names |= {kept.key(rows, split, SMALL, False), kept.key(lab.at(EARLIER).rows, split, SMALL)}
    assert len(names) == 4, "whatever differs is another fold"


def test_a_run_leaves_everything_in_mlflow(lab: Lab, run: Run, compared: Compared) -> None:
    assert lab.settings is not None
    with reached(lab.settings) as registry:
        version = {one.version: one for one in registry.versions()}["2"]
        kept = registry._client.get_run(version.run_id)
        papers = {
            name: registry.document("2", name)
            for name in ("report.json", "table.json", "card.html", "card.md", "comparison.json",
                         "reliability.svg", "gain.svg", "months.svg")
        }  # fmt: skip
    assert {"seed", "label", "watermark", "estimator.max_iter"} <= set(kept.data.params)
    assert kept.data.metrics["roc_auc"] == run.trained.report["models"]["champion"]["roc_auc"]
    (data,) = kept.inputs.dataset_inputs
    assert data.dataset.digest == run.trained.model.training["table"][:32]
    columns = [one["name"] for one in orjson.loads(data.dataset.schema)["mlflow_colspec"]]
    assert columns == list(run.trained.model.columns)
    assert orjson.loads(data.dataset.profile)["changes"] == len(run.lab.rows.start)
    for name, content in papers.items():
        assert content, name
    table = orjson.loads(papers["table.json"] or b"")
    assert [one["name"] for one in table] == columns
    assert all(one["unit"] for one in table)


def test_promoted_with_a_reason_and_rolled_back(
    lab: Lab, compared: Compared, tmp_path: Path
) -> None:
    shown(compared, tmp_path)
    assert lab.settings is not None
    with reached(lab.settings) as registry:
        assert registry.version_of("champion") == "2"
        assert registry.version_of("previous") == "1"
    for reason in ("", " "):
        with pytest.raises(TrainingError, match="say why"):
            lab.promote("challenger", reason=reason)
        with pytest.raises(TrainingError, match="say why"):
            lab.roll_back(reason=reason)
    assert lab.roll_back(reason="it was a try", by="me") == "1"
    store = Store(lab.settings.store_url)
    said = [entry.body for entry in store.journal_entries() if entry.kind == "promotion"]
    store.close()
    assert [(one["version"], one["before"], one["reason"]) for one in said] == [
        ("2", "1", "a try"),
        ("1", "2", "it was a try"),
    ]
    watched = lab.monitor("champion")
    shown(watched, tmp_path)
    shown(watched.drift(), tmp_path)


def test_without_settings_nothing_is_registered(lab: Lab, run: Run) -> None:
    bare = Lab(lab.history, lab.policy)
    with pytest.raises(TrainingError, match="no registry"):
        bare.promote(reason="why not")
    with pytest.raises(TrainingError, match="no registry"):
        Run(lab=bare, trained=run.trained, config=SMALL).register()


def test_a_card_is_kept(run: Run, tmp_path: Path) -> None:
    card: Card = run.card()
    assert card._repr_html_() == card.save(tmp_path / "card.html").read_text()
    assert card.markdown() == card.save(tmp_path / "card.md").read_text()
    assert len(card.frame) == len(card.sections)
    with pytest.raises(ValueError, match=r"expected \.html or \.md"):
        card.save(tmp_path / "card.pdf")


def test_a_table_without_a_picture(run: Run) -> None:
    with pytest.raises(NoPictureError, match=r"use \.frame"):
        View(title="A table", frame=run.frame).plot()
