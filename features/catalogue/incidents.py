"""Declarations of the incidents on the items and the service of a change."""

from __future__ import annotations

from features.catalogue.feature import WINDOWS, Feature

_ON_ONE = "on the affected item that has most"
"""Said of a count that is the highest of any item, not one over all of them."""


def _incidents(entity: str, where: str, most: str | None = None) -> list[Feature]:
    """Counted on all items together, but the major and the open ones on that with most of them."""
    most = most or where
    features = [
        Feature(
            name=f"{entity}_incidents_{window}d",
            group="incidents",
            stream="incidents",
            aggregate="count",
            entity=entity,
            window_days=window,
            across="sum" if entity == "affected" else "max",
            unit="incidents",
            sentence=f"{{value:incident}} {where} in {{window}}",
            missing=f"No incident {where} on record",
        )
        for window in WINDOWS
    ]
    for name, stream, aggregate, window, unit, sentence in (
        ("major_incidents_90d", "major_incidents", "count", 90, "incidents",
         f"{{value:major incident}} {most} in {{window}}"),
        ("open_incidents", "incidents", "open", None, "incidents",
         f"{{value:open incident}} {most} now"),
        ("days_since_incident", "incidents", "days_since", None, "days",
         f"The last incident {where} was {{value:days}} ago"),
    ):  # fmt: skip
        features.append(
            Feature(
                name=f"{entity}_{name}",
                group="incidents",
                stream=stream,
                aggregate=aggregate,
                entity=entity,
                window_days=window,
                across="min" if aggregate == "days_since" else "max",
                unit=unit,
                sentence=sentence,
                missing=f"No incident {where} on record",
            )
        )
    return features


def _open_major(entity: str, where: str, most: str | None = None) -> Feature:
    return Feature(
        name=f"{entity}_open_major_incidents",
        group="incidents",
        stream="major_incidents",
        aggregate="open",
        entity=entity,
        unit="incidents",
        sentence=f"{{value:open major incident}} {most or where} now",
        missing=f"No incident {where} on record",
    )


_TEAM = tuple(
    Feature(
        name=name,
        group="team_track_record",
        stream="incidents",
        aggregate=aggregate,
        entity="team",
        window_days=window,
        unit="incidents",
        sentence=sentence,
        missing="No incident of team {team} on record",
    )
    for name, aggregate, window, sentence in (
        ("team_incidents_30d", "count", 30, "{value:incident} came to team {team} in {window}"),
        ("team_open_incidents", "open", None, "{value:open incident} with team {team} now"),
    )
)
"""What else the team has on its hands."""

INCIDENTS: tuple[Feature, ...] = (
    *_incidents("affected", "on the affected items", _ON_ONE),
    *_incidents("service", "on service {service}"),
    _open_major("affected", "on the affected items", _ON_ONE),
    _open_major("service", "on service {service}"),
    _open_major("organisation", "in the whole organisation"),
    *_TEAM,
)
