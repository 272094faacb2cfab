"""Declarations of other changes at the same time."""

from __future__ import annotations

from features.catalogue.feature import Feature


def _overlaps(entity: str, where: str) -> Feature:
    return Feature(
        name=f"{entity}_overlapping_changes",
        group="concurrency",
        stream="schedule",
        aggregate="overlap",
        entity=entity,
        across="sum",
        unit="changes",
        sentence=f"{{value:other change}} planned {where} at the same time",
        missing="No planned window",
        changeable=True,
    )


CONCURRENCY: tuple[Feature, ...] = (
    _overlaps("affected", "on the same items"),
    _overlaps("service", "on service {service}"),
    _overlaps("team", "by team {team}"),
    _overlaps("neighbour", "on neighbouring items"),
)
