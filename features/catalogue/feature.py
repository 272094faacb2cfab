"""The terms of a declaration: what can be counted, how, for which factor; and what one says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from features.calendar import KINDS
from features.entities import ENTITIES
from features.records import FORBIDDEN_FIELDS, PERSON_FIELDS
from features.request import LOCAL_VALUES, VALUES

WINDOWS = (7, 30, 90, 365)
"""Windows of the track record, days."""

STREAMS = (
    "request",
    "place",
    "changes",
    "outcomes",
    "failures",
    "planned_starts",
    "incidents",
    "major_incidents",
    "schedule",
    "items",
    "criticality",
    "dependents",
    "dependent_services",
    "dependent_criticality",
    *KINDS,
)
"""What can be counted: see :mod:`features.streams`, :mod:`features.topology` and
:mod:`features.calendar`. ``request`` and ``place`` are read off the ticket, the second with the
help of where the organisation is.
"""

AGGREGATES = (
    "value",
    "count",
    "rate",
    "evidence",
    "days_since",
    "open",
    "overlap",
    "reschedules",
    "inside",
    "covered",
    "days_until",
)
"""How it is counted. ``rate`` is a smoothed failure rate; ``evidence`` is the logarithm of a name's
smoothed rate over the usual one, so that the sum over a title's words is what a naive Bayes
classifier makes of them."""

GROUPS: dict[str, str] = {
    "kind": "What kind of change it is",
    "size": "How much it touches",
    "declared": "What the form declares",
    "description": "How well it is described",
    "schedule": "When it is planned",
    "calendar": "Freezes, maintenance windows and holidays",
    "ci_track_record": "Earlier changes on these items",
    "service_track_record": "Earlier changes on this service",
    "team_track_record": "Earlier changes by this team",
    "model_track_record": "Earlier changes of this kind",
    "wording": "Earlier changes with the same words in the title",
    "retry": "Earlier changes under the same ticket or title",
    "incidents": "Incidents on these items and this service",
    "topology": "What depends on these items, and what stands next to them",
    "concurrency": "Other changes at the same time",
    "organisation": "What the whole organisation sees",
}
"""Factor groups and their headings."""


_READERS: Mapping[str, Mapping[str, object]] = {"request": VALUES, "place": LOCAL_VALUES}


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number the model sees, and the fact it stands for.

    Parameters
    ----------
    name : str
        Column of the training table.
    group : str
        Factor group, one of ``GROUPS``.
    stream, entity, aggregate, window_days
        What is counted, for whom, how and over which window before the score time; None reaches
        back to the beginning.
    across : str
        How the values of several names of one change become one: ``max``, ``sum`` or ``min``.
    unit : str
        Unit of the value, for people.
    sentence : str
        The fact in words; see :mod:`features.sentences` for what may stand in braces.
    missing : str
        The sentence where the value is not known.
    changeable : bool
        Whether the requester can change it before the change goes in.
    """

    name: str
    group: str
    stream: str
    aggregate: str
    entity: str = "change"
    window_days: int | None = None
    across: str = "max"
    unit: str
    sentence: str
    missing: str
    changeable: bool = False

    def __post_init__(self) -> None:
        reads = {self.name, *self.name.split("__")}
        if reads & (FORBIDDEN_FIELDS | set(PERSON_FIELDS)):
            raise ValueError(
                f"feature {self.name!r} reads a field known only after the fact or a person's name"
            )
        if self.group not in GROUPS or self.stream not in STREAMS:
            raise ValueError(f"feature {self.name!r}: unknown group or stream")
        if self.aggregate not in AGGREGATES or self.across not in ("max", "sum", "min"):
            raise ValueError(f"feature {self.name!r}: unknown aggregate")
        readers = _READERS.get(self.stream)
        if readers is not None and self.name not in readers:
            raise ValueError(f"feature {self.name!r}: features.request does not say how to read it")
        if readers is None and self.entity not in ENTITIES:
            raise ValueError(f"feature {self.name!r}: unknown entity {self.entity!r}")
