"""The files of a bundle: written once, and read without trusting anything in them.

The estimator in skops' format, trees and explanation tables as plain arrays, everything else as
JSON. Scoring needs the arrays alone; the estimator is read only by those who ask for it, for
scikit-learn takes seconds to import. Every index stays inside its arrays, types are on ``TRUSTED``,
and nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from models import estimator_file, forest_arrays
from models.bundle import BundleError, RiskModel
from models.shapley import Tables
from models.shapley_arrays import TablesError, from_bytes, to_bytes
from models.trees import Forest

ESTIMATOR, TABLES, FACTS = "estimator.skops", "explanation.npz", "bundle.json"
TREES, ADDITIVE = "trees.npz", "additive.npz"

TOLERANCE = 1e-9
"""Largest difference allowed between tables and trees, log-odds."""


def dump(model: RiskModel, folder: Path) -> None:
    """Write a bundle's files into a folder."""
    contents = {
        "estimator": (ESTIMATOR, _estimator_of(model)),
        "explanation": (TABLES, to_bytes(model.tables)),
        "trees": (TREES, forest_arrays.to_bytes(model.trees)),
    }
    if model.additive is not None:
        contents["additive"] = (ADDITIVE, forest_arrays.to_bytes(model.additive))
    facts = model.facts()
    for what, (name, content) in contents.items():
        (folder / name).write_bytes(content)
        facts[f"{what}_sha256"] = hashlib.sha256(content).hexdigest()
    (folder / FACTS).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))


def _estimator_of(model: RiskModel) -> bytes:
    if isinstance(model.fitted, bytes):
        return model.fitted
    return estimator_file.to_bytes(model.fitted)


def load(folder: Path) -> RiskModel:
    """Read a bundle from its files, trusting nothing in them.

    Raises
    ------
    BundleError
        If a file is missing, damaged, or holds a type or an index it must not.
    """
    try:
        facts = orjson.loads((folder / FACTS).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise BundleError(f"the bundle in {folder.name} cannot be read: {error}") from error
    if not isinstance(facts, dict):
        raise BundleError(f"the bundle's facts cannot be read: {FACTS} holds no object")
    content = _beside(folder, ESTIMATOR, facts, "estimator", "estimator is")
    columns = facts.get("columns")
    width = len(columns) if isinstance(columns, list) else 0
    trees = _forest(folder, TREES, facts, "trees", width)
    model = RiskModel.from_facts(
        facts,
        content if trees is not None else estimator_file.from_bytes(content),
        None if facts.get("protocol") == 1 else _tables(folder, facts),
        _forest(folder, ADDITIVE, facts, "additive", width),
        trees,
    )
    if trees is None and len(model.columns) != model.estimator.n_features_in_:
        raise BundleError(
            f"the estimator takes {model.estimator.n_features_in_} columns, "
            f"the bundle names {len(model.columns)}"
        )
    check_tables(model)
    return model


def _tables(folder: Path, facts: Mapping[str, Any]) -> Tables:
    """The explanation tables beside the facts."""
    content = _beside(folder, TABLES, facts, "explanation", "explanation tables are")
    try:
        return from_bytes(content)
    except TablesError as error:
        raise BundleError(str(error)) from error


def _forest(
    folder: Path, name: str, facts: Mapping[str, Any], what: str, columns: int
) -> Forest | None:
    """Trees beside the facts, over so many columns; None for a model that has none."""
    if f"{what}_sha256" not in facts:
        return None
    content = _beside(folder, name, facts, what, f"trees in {name} are")
    try:
        return forest_arrays.from_bytes(content, columns)
    except forest_arrays.ForestError as error:
        raise BundleError(str(error)) from error


def _beside(folder: Path, name: str, facts: Mapping[str, Any], what: str, spoken: str) -> bytes:
    """A file of a bundle that is the one it was made with."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise BundleError(f"the bundle in {folder.name} cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != facts.get(f"{what}_sha256"):
        raise BundleError(f"the {spoken} not what the bundle was made with (digest differs)")
    return content


def check_tables(model: RiskModel) -> None:
    """Check that the tables explain this model: on rows of every kind they add up to its margin.

    Raises
    ------
    BundleError
        If they are of other columns or groups, or do not add up.
    """
    tables, columns = model.tables, len(model.columns)
    if tables.tests.columns != columns or tables.names != tuple(dict.fromkeys(model.groups)):
        raise BundleError("the explanation tables are those of other columns")
    usual = [model.reference.get(name, np.nan) for name in model.columns]
    rows = np.array([usual, *([fill] * columns for fill in (np.nan, 0.0, 1.0, -np.inf, np.inf))])
    groups, by_column = tables.both(rows)
    for parts in (groups, by_column):
        if not np.abs(tables.base + parts.sum(axis=1) - model.margin(rows)).max() <= TOLERANCE:
            raise BundleError("the explanation tables do not add up to the estimator's margin")
