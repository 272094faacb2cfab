"""The features, each declared once: training table, online row and sentence come from here.

A declaration says what is counted (``stream``), for whom (``entity``), over which window and how
(``aggregate``), to which factor it belongs (``group``), how people read it (``sentence``) and
whether the requester can change it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import orjson

from features.catalogue.calendar import CALENDAR
from features.catalogue.concurrency import CONCURRENCY
from features.catalogue.feature import AGGREGATES, GROUPS, STREAMS, WINDOWS, Feature
from features.catalogue.incidents import INCIDENTS
from features.catalogue.ticket import TICKET
from features.catalogue.topology import TOPOLOGY
from features.catalogue.track_record import TRACK_RECORD
from features.catalogue.wording import WORDING

__all__ = [
    "AGGREGATES",
    "BY_NAME",
    "CATALOGUE",
    "GROUPS",
    "NAMES",
    "STREAMS",
    "WINDOWS",
    "Feature",
    "fingerprint",
]

CATALOGUE: tuple[Feature, ...] = (
    *TICKET,
    *CALENDAR,
    *TRACK_RECORD,
    *WORDING,
    *INCIDENTS,
    *TOPOLOGY,
    *CONCURRENCY,
)
"""Every feature, in the order of the table's columns."""

NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOGUE)
BY_NAME: dict[str, Feature] = {feature.name: feature for feature in CATALOGUE}

if len(BY_NAME) != len(CATALOGUE):
    raise ValueError("two features of the catalogue share a name")


def fingerprint() -> str:
    """A digest of all declarations. A model fitted under another one must not be used."""
    declared = [asdict(feature) for feature in CATALOGUE]
    return hashlib.sha256(orjson.dumps(declared, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
