"""The pages about features: the list is what is declared, and the example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from features.catalogue import CATALOGUE
from features.catalogue.reference import counted, example, markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_list_of_features_is_what_is_declared():
    told = (DOCS / "features.md").read_text()
    assert told == markdown(), "run: changerisk features --markdown > docs/features.md"
    for feature in CATALOGUE:
        assert told.count(f"\n| `{feature.name}` |") == 1


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_every_feature_can_be_shown(feature):
    assert "|" not in example(feature) + counted(feature) + feature.missing
    assert not re.search(r"\bnan\b|[{}]", example(feature))


def test_the_example_of_a_new_feature_runs():
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(DOCS / "adding-a-feature.md")
    examples = list(document.examples())
    for one in examples:
        one.evaluate()
    assert len(examples) == 5
