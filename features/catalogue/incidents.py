"""Declarations of the incidents on the items and the service of a change."""

from __future__ import annotations

from features.catalogue.feature import WINDOWS, Feature


def _incidents(entity: str, where: str) -> list[Feature]:
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
         f"{{value:major incident}} {where} in {{window}}"),
        ("open_incidents", "incidents", "open", None, "incidents",
         f"{{value:open incident}} {where} now"),
        ("days_since_incident", "incidents", "days_since", None, "days",
         f"The last incident {where} was {{value:day}} ago"),
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


INCIDENTS: tuple[Feature, ...] = (
    *_incidents("affected", "on the affected items"),
    *_incidents("service", "on service {service}"),
)
