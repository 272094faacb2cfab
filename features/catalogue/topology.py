"""Declarations of what depends on a change's items, and of what happens next to them.

Neighbours are the items one relation away, whichever depends on the other; the next ones are two
relations away, both in one direction.
"""

from __future__ import annotations

from features.catalogue.feature import Feature

_DEPENDS = "on the affected item that has most, directly or over one other"

# name, stream, unit, sentence, sentence where there is none
# fmt: off
_STANDING = (
    ("dependent_items", "dependents", "items",
     f"{{value:item}} {{value:depends|depend}} {_DEPENDS}",
     "Nothing on record depends on the affected items"),
    ("dependent_services", "dependent_services", "services",
     f"{{value:service}} {{value:depends|depend}} {_DEPENDS}",
     "No service on record depends on the affected items"),
    ("dependent_criticality", "dependent_criticality", "level",
     "The most critical item that depends on the affected ones has criticality {value:criticality}",
     "No criticality of a dependent item is on record"),
    ("affected_criticality", "criticality", "level",
     "The most critical affected item has criticality {value:criticality}",
     "No criticality of the affected items is on record"),
)

# name, entity, stream, aggregate, window in days, across, sentence
_BESIDE = (
    ("neighbour_incidents_30d", "neighbour", "incidents", "count", 30, "sum",
     "{value:incident} on neighbouring items in {window}"),
    ("neighbour_incidents_90d", "neighbour", "incidents", "count", 90, "sum",
     "{value:incident} on neighbouring items in {window}"),
    ("neighbour_open_incidents", "neighbour", "incidents", "open", None, "sum",
     "{value:open incident} on neighbouring items now"),
    ("neighbour_major_incidents_90d", "neighbour", "major_incidents", "count", 90, "sum",
     "{value:major incident} on neighbouring items in {window}"),
    ("neighbour_failures_90d", "neighbour", "failures", "count", 90, "max",
     "{value:change} on the neighbouring item that has most in {window} {means}"),
    ("neighbour_failures_365d", "neighbour", "failures", "count", 365, "max",
     "{value:change} on the neighbouring item that has most in {window} {means}"),
    ("second_neighbour_incidents_30d", "second_neighbour", "incidents", "count", 30, "sum",
     "{value:incident} on items two steps away in {window}"),
    ("second_neighbour_failures_90d", "second_neighbour", "failures", "count", 90, "max",
     "{value:change} on the item two steps away that has most in {window} {means}"),
)
# fmt: on

TOPOLOGY: tuple[Feature, ...] = (
    *(
        Feature(
            name=name,
            group="topology",
            stream=stream,
            aggregate="count",
            entity="affected",
            unit=unit,
            sentence=sentence,
            missing=missing,
        )
        for name, stream, unit, sentence, missing in _STANDING
    ),
    Feature(
        name="affected_days_on_record",
        group="topology",
        stream="items",
        aggregate="days_since",
        entity="affected",
        across="min",
        unit="days",
        sentence="The newest affected item has been on record for {value:days}",
        missing="No affected item is described on record",
    ),
    *(
        Feature(
            name=name,
            group="topology",
            stream=stream,
            aggregate=aggregate,
            entity=entity,
            window_days=window,
            across=across,
            unit="changes" if stream == "failures" else "incidents",
            sentence=sentence,
            missing="No neighbouring item is on record",
        )
        for name, entity, stream, aggregate, window, across, sentence in _BESIDE
    ),
)
