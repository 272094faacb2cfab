"""Declarations of what became of earlier changes whose titles share words with this one."""

from __future__ import annotations

from features.catalogue.feature import Feature


def _evidence(across: str) -> Feature:
    """Over all time: most words are too rare for a shorter window."""
    return Feature(
        name=f"title_word_evidence_{across}",
        group="wording",
        stream="outcomes",
        aggregate="evidence",
        entity="title_word",
        across=across,
        unit="log ratio",
        sentence="{share} with “{word}” in the title in {window} {means}",
        missing="No outcome of a change with these words in the title is known yet",
    )


WORDING: tuple[Feature, ...] = tuple(_evidence(across) for across in ("sum", "max", "min"))
