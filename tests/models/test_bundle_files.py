"""A bundle's files: damaged or foreign ones are refused, and nothing in them is ever run."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import orjson
import pytest
import skops.io
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)

from models import forest_arrays
from models.bundle import BundleError, RiskModel
from models.bundle_files import ESTIMATOR, FACTS, TABLES, TREES, dump, load
from models.estimator_file import TRUSTED, check_bounds
from models.shapley import Tables
from models.shapley_arrays import to_bytes

Estimator: TypeAlias = HistGradientBoostingClassifier


@pytest.fixture
def folder(tmp_path: Path, bundle: RiskModel) -> Path:
    """A sound bundle's files, for a test to damage."""
    dump(bundle, tmp_path)
    return tmp_path


def seal(folder: Path, content: bytes, *, trees: bool = False) -> None:
    """Put in another estimator, with the digest an attacker would write; without trees beside it,
    as older bundles are, it is read at once.
    """
    (folder / ESTIMATOR).write_bytes(content)
    facts = orjson.loads((folder / FACTS).read_bytes())
    facts["estimator_sha256"] = hashlib.sha256(content).hexdigest()
    if not trees:
        facts.pop("trees_sha256", None)
    (folder / FACTS).write_bytes(orjson.dumps(facts))


def repacked(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """A skops archive with one member changed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        for member in old.namelist():
            inside = old.read(member)
            new.writestr(member, change(inside) if member == name else inside)
    return packed.getvalue()


def test_sound_files_load(folder: Path, bundle: RiskModel) -> None:
    again = load(folder)
    values = np.zeros((3, len(bundle.columns)))
    assert again.facts() == bundle.facts()
    assert again.margin(values).tobytes() == bundle.margin(values).tobytes()


def test_trusted_is_what_an_estimator_needs(bundle: RiskModel, model: RiskModel) -> None:
    for estimator in (bundle.estimator, model.estimator):
        found = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
        assert sorted(found) == sorted(TRUSTED)


def test_changed_estimator(folder: Path) -> None:
    content = bytearray((folder / ESTIMATOR).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / ESTIMATOR).write_bytes(content)
    with pytest.raises(BundleError, match="digest differs"):
        load(folder)


def test_changed_digest(folder: Path) -> None:
    facts = orjson.loads((folder / FACTS).read_bytes())
    (folder / FACTS).write_bytes(orjson.dumps({**facts, "estimator_sha256": "0" * 64}))
    with pytest.raises(BundleError, match="digest differs"):
        load(folder)


def test_what_scores_does_not_read_the_estimator(folder: Path, bundle: RiskModel) -> None:
    """Nor import what it would take; whoever asks for it finds it checked."""
    code = f"""
import sys
from pathlib import Path
from models.bundle_files import load
model = load(Path({str(folder)!r}))
assert not {{"sklearn", "skops"}} & set(sys.modules)
assert model.estimator.n_features_in_ == {len(bundle.columns)}
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    seal(folder, skops.io.dumps({"not": "trees"}), trees=True)
    model = load(folder)
    with pytest.raises(BundleError, match="expected gradient-boosted trees"):
        model.estimator  # noqa: B018


def test_read_and_written_again_it_is_the_same(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = tmp_path_factory.mktemp("again")
    dump(load(folder), again)
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }


def test_changed_trees(folder: Path, bundle: RiskModel) -> None:
    outside = bundle.trees.left.copy()
    outside[0] = len(outside)
    for content in (
        forest_arrays.to_bytes(replace(bundle.trees, left=outside)),
        forest_arrays.to_bytes(replace(bundle.trees, feature=bundle.trees.feature + 1_000)),
        b"no trees",
    ):
        (folder / TREES).write_bytes(content)
        with pytest.raises(BundleError, match=r"trees in trees.npz .* \(digest differs\)"):
            load(folder)
        facts = orjson.loads((folder / FACTS).read_bytes())
        sealed = {**facts, "trees_sha256": hashlib.sha256(content).hexdigest()}
        (folder / FACTS).write_bytes(orjson.dumps(sealed))
        with pytest.raises(BundleError, match=r"trees|tree points outside"):
            load(folder)
        (folder / FACTS).write_bytes(orjson.dumps(facts))


@pytest.mark.parametrize("name", [ESTIMATOR, TABLES, FACTS, TREES])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=r"cannot be read: .*No such file"):
        load(folder)


def swapped(folder: Path, content: bytes) -> None:
    """Put in other explanation tables, with the digest an attacker would write."""
    (folder / TABLES).write_bytes(content)
    facts = orjson.loads((folder / FACTS).read_bytes())
    facts["explanation_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / FACTS).write_bytes(orjson.dumps(facts))


def test_changed_tables(folder: Path) -> None:
    content = bytearray((folder / TABLES).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / TABLES).write_bytes(content)
    with pytest.raises(BundleError, match=r"explanation tables .* \(digest differs\)"):
        load(folder)


def test_tables_that_are_none(folder: Path) -> None:
    swapped(folder, pickle.dumps([1]))
    with pytest.raises(BundleError, match="explanation tables cannot be read"):
        load(folder)


def test_tables_of_other_columns(folder: Path, model: RiskModel) -> None:
    swapped(folder, to_bytes(model.tables))
    with pytest.raises(BundleError, match="tables are those of other columns"):
        load(folder)


def test_tables_of_another_estimator(folder: Path, bundle: RiskModel) -> None:
    forest = replace(bundle.forest, value=bundle.forest.value * 1.01)
    swapped(folder, to_bytes(Tables.build(forest, bundle.groups)))
    with pytest.raises(BundleError, match="do not add up to the estimator's margin"):
        load(folder)


def test_a_bundle_of_the_first_layout_has_no_tables(folder: Path, bundle: RiskModel) -> None:
    (folder / TABLES).unlink()
    facts = orjson.loads((folder / FACTS).read_bytes())
    (folder / FACTS).write_bytes(orjson.dumps({**facts, "protocol": 1}))
    again = load(folder).tables
    assert again.kind == "path_dependent"
    assert again.groups.values.tobytes() == bundle.tables.groups.values.tobytes()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_facts_that_are_no_json(folder: Path, content: bytes) -> None:
    (folder / FACTS).write_bytes(content)
    with pytest.raises(BundleError, match="cannot be read"):
        load(folder)


@pytest.mark.parametrize("content", [b"[]", b"null", b"7"])
def test_facts_that_are_no_object(folder: Path, content: bytes) -> None:
    (folder / FACTS).write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json holds no object"):
        load(folder)


class Trap:
    """Leaves a trace wherever it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.trace,))


def test_never_unpickles(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trap = pickle.dumps(Trap(trace))
    pickle.loads(trap)  # noqa: S301 - the trap works
    trace.unlink()
    sound = (folder / ESTIMATOR).read_bytes()
    array = next(n for n in zipfile.ZipFile(io.BytesIO(sound)).namelist() if n.endswith(".npy"))
    objects = io.BytesIO()
    np.save(objects, np.array([Trap(trace)], dtype=object))
    for content in (
        trap,
        repacked(sound, "schema.json", lambda _: trap),
        repacked(sound, array, lambda _: trap),
        repacked(sound, array, lambda _: objects.getvalue()),
    ):
        (folder / ESTIMATOR).write_bytes(content)
        with pytest.raises(BundleError, match="digest differs"):
            load(folder)
        seal(folder, content)
        with pytest.raises(BundleError, match="the estimator cannot be read"):
            load(folder)
        assert not trace.exists()


def test_foreign_type(folder: Path, bundle: RiskModel) -> None:
    estimator = deepcopy(bundle.estimator)
    estimator.companion = Path.touch
    seal(folder, skops.io.dumps(estimator))
    with pytest.raises(BundleError, match=r"holds types that are not trusted: .*touch"):
        load(folder)


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x05\x06" + b"\0" * 18], ids=["empty", "text", "empty zip"]
)
def test_estimator_that_is_no_archive(folder: Path, content: bytes) -> None:
    seal(folder, content)
    with pytest.raises(BundleError, match="the estimator cannot be read"):
        load(folder)


def test_half_an_archive(folder: Path) -> None:
    content = (folder / ESTIMATOR).read_bytes()
    seal(folder, content[: len(content) // 2])
    with pytest.raises(BundleError, match="the estimator cannot be read"):
        load(folder)


@pytest.mark.parametrize("part", ["_predictors", "_baseline_prediction", "n_features_in_"])
def test_estimator_without_a_part(folder: Path, bundle: RiskModel, part: str) -> None:
    estimator = deepcopy(bundle.estimator)
    delattr(estimator, part)
    seal(folder, skops.io.dumps(estimator))
    with pytest.raises(BundleError, match="cannot be read: AttributeError"):
        load(folder)


@pytest.mark.parametrize(
    "other",
    [HistGradientBoostingRegressor(max_iter=1), RandomForestClassifier(n_estimators=1)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_another_estimator(folder: Path, other: Estimator) -> None:
    rng = np.random.default_rng(0)
    seal(folder, skops.io.dumps(other.fit(rng.normal(size=(60, 4)), rng.random(60) < 0.5)))
    with pytest.raises(BundleError, match=r"expected gradient-boosted trees|are not trusted"):
        load(folder)


def tampered(estimator: Estimator, field: str, place: int, value: int) -> Estimator:
    """The estimator with one number in its second tree changed; places count inner nodes."""
    copy = deepcopy(estimator)
    nodes = copy._predictors[1][0].nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    nodes[field][inner[place]] = value
    return copy


@pytest.mark.parametrize(
    ("field", "place", "value"),
    [
        ("left", 0, 10_000),
        ("right", -1, 2**32 - 1),
        ("left", 0, 0),  # its own child: a loop without end
        ("right", -1, 0),  # back to the root
        ("feature_idx", 0, 4),
        ("feature_idx", 0, -1),
        ("feature_idx", -1, 2**40),
        ("is_categorical", 0, 1),
        ("depth", 0, 2**32 - 1),
    ],
)
def test_tree_that_points_outside_itself(
    folder: Path, bundle: RiskModel, field: str, place: int, value: int
) -> None:
    seal(folder, skops.io.dumps(tampered(bundle.estimator, field, place, value)))
    with pytest.raises(BundleError, match="a tree of the estimator points outside itself"):
        load(folder)


def test_tree_without_nodes(bundle: RiskModel) -> None:
    estimator = deepcopy(bundle.estimator)
    tree = estimator._predictors[0][0]
    tree.nodes = tree.nodes[:0]
    with pytest.raises(BundleError, match="points outside itself"):
        check_bounds(estimator)


def test_sound_trees_pass(bundle: RiskModel, model: RiskModel) -> None:
    check_bounds(bundle.estimator)
    check_bounds(model.estimator)


@pytest.mark.parametrize("columns", [("lead_time_hours",), ("lead_time_hours",) * 5])
def test_wrong_number_of_columns(folder: Path, columns: tuple[str, ...]) -> None:
    facts = {**orjson.loads((folder / FACTS).read_bytes()), "columns": columns}
    (folder / FACTS).write_bytes(orjson.dumps(facts))
    with pytest.raises(BundleError, match=r"of other columns|not what they should be"):
        load(folder)
    del facts["trees_sha256"]
    (folder / FACTS).write_bytes(orjson.dumps(facts))
    message = f"the estimator takes 4 columns, the bundle names {len(columns)}"
    with pytest.raises(BundleError, match=message):
        load(folder)


def test_facts_are_checked_when_loaded(folder: Path) -> None:
    facts = orjson.loads((folder / FACTS).read_bytes())
    (folder / FACTS).write_bytes(orjson.dumps({**facts, "features": "another"}))
    with pytest.raises(BundleError, match="fitted on feature catalogue another"):
        load(folder)
