"""The model card: from facts, the same in both forms, and never an empty section."""

from __future__ import annotations

import re
from dataclasses import replace

from training.card import Card, make_card
from training.fit import Trained

TAGS = {"source": "demo", "promoted_at": "2025-06-02", "promoted_by": "<b>ops</b>"}


def sections_are_full(card: Card) -> None:
    for section in card.sections:
        assert section.texts, section.heading
        assert all(text.strip() for text in section.texts)
        if section.table is not None:
            assert section.table.rows
            assert {len(row) for row in section.table.rows} == {len(section.table.head)}


def test_every_section_says_something(trained: Trained) -> None:
    sections_are_full(make_card(trained.model, version="3", tags=TAGS))


def test_a_model_nobody_measured_says_so(trained: Trained) -> None:
    bare = replace(trained.model, metrics={}, training={})
    card = make_card(bare, version="3", tags={})
    sections_are_full(card)
    assert card.markdown().count("Not measured: run `changerisk evaluate`") == 2


def test_both_forms_hold_the_same_and_nothing_foreign(trained: Trained) -> None:
    card = make_card(trained.model, version="3", tags=TAGS)
    page, text = card.html(), card.markdown()
    for section in card.sections:
        assert f"## {section.heading}" in text
    assert page.count("<h2>") == len(card.sections)
    assert "<b>ops</b>" not in page
    assert "&lt;b&gt;ops&lt;/b&gt;" in page
    assert not re.search(r"(src|href)=", page), "it fetches nothing"
    assert not re.search(r"\b(nan|None)\b", text)


def test_tables_are_markdown(trained: Trained) -> None:
    text = make_card(trained.model, version="3", tags=TAGS).markdown()
    heads = re.findall(r"^\|.*\|\n\|(?:---\|)+\n\|", text, flags=re.MULTILINE)
    assert len(heads) >= 4


def test_the_comparison_is_shown(trained: Trained) -> None:
    condition = {"code": "not_worse", "outcome": "passed", "sentence": "fine | really"}
    comparison = {"champion": "2", "window": {"changes": 1_234}, "conditions": [condition]}
    text = make_card(trained.model, version="3", tags=TAGS, comparison=comparison).markdown()
    assert "1,234 changes neither had seen" in text
    assert "fine \\| really" in text
