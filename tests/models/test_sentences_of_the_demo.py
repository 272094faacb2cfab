"""A golden file: how a person reads every feature of the demo organisation's newest changes.

``CHANGERISK_GOLDEN=write python -m pytest tests/models/test_sentences_of_the_demo.py`` writes it
anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from features.catalogue import CATALOGUE, NAMES
from models.bundle import RiskModel
from models.explanation import comparison, told
from training.rows import TrainingRows

GOLDEN = Path(__file__).with_name("golden_sentences.txt")


def spoken(model: RiskModel, rows: TrainingRows) -> dict[str, str]:
    """Every feature's sentence about the newest change in which it is known."""
    found = {}
    for feature in CATALOGUE:
        values = rows.table.values[:, NAMES.index(feature.name)]
        known = np.flatnonzero(~np.isnan(values))
        row = int(known[-1]) if len(known) else len(values) - 1
        reference = model.reference.get(feature.name)
        text = told(model, feature, rows.table, rows.changes, row)
        found[feature.name] = text + comparison(feature, float(values[row]), reference)
    return found


def test_sentences_read_as_a_person_would_write_them(model: RiskModel, rows: TrainingRows) -> None:
    found = spoken(model, rows)
    if os.environ.get("CHANGERISK_GOLDEN") == "write":
        GOLDEN.write_text("".join(f"{name}\t{text}\n" for name, text in found.items()))
    written = dict(line.split("\t") for line in GOLDEN.read_text().splitlines())
    assert {name: text for name, text in found.items() if name in written} == {
        name: text for name, text in written.items() if name in found
    }
    # A feature declared since has no line yet; its sentence is held to the same rules.
    for text in found.values():
        assert not re.search(r"\bnan\b|None|(?<![\d,.-])1 changes\b|; usual: $|[{}]", text)
