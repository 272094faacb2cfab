"""The features, each declared once: training table, online row and sentence come from here.

A declaration says what is counted (``stream``), for whom (``entity``), over which window and how
(``aggregate``), to which factor it belongs (``group``), how people read it (``sentence``) and
whether the requester can change it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import orjson

from features.entities import ENTITIES
from features.records import FORBIDDEN_FIELDS, PERSON_FIELDS
from features.request import ATTRIBUTES, VALUES

WINDOWS = (7, 30, 90, 365)
"""Windows of the track record, days."""

STREAMS = ("request", "changes", "outcomes", "failures", "incidents", "major_incidents", "schedule")
"""What can be counted: see :mod:`features.streams`."""

AGGREGATES = ("value", "count", "rate", "days_since", "open", "overlap")

GROUPS: dict[str, str] = {
    "kind": "What kind of change it is",
    "size": "How much it touches",
    "declared": "What the form declares",
    "description": "How well it is described",
    "schedule": "When it is planned",
    "ci_track_record": "Earlier changes on these items",
    "service_track_record": "Earlier changes on this service",
    "team_track_record": "Earlier changes by this team",
    "model_track_record": "Earlier changes of this kind",
    "retry": "Earlier changes under the same ticket",
    "incidents": "Incidents on these items and this service",
    "concurrency": "Other changes at the same time",
    "organisation": "What the whole organisation sees",
}
"""Factor groups and their headings."""


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
        if self.stream == "request" and self.name not in VALUES:
            raise ValueError(f"feature {self.name!r}: features.request does not say how to read it")
        if self.stream != "request" and self.entity not in ENTITIES:
            raise ValueError(f"feature {self.name!r}: unknown entity {self.entity!r}")


def _request(
    name: str, group: str, unit: str, sentence: str, missing: str, *, changeable: bool = False
) -> Feature:
    return Feature(
        name=name,
        group=group,
        stream="request",
        aggregate="value",
        unit=unit,
        sentence=sentence,
        missing=missing,
        changeable=changeable,
    )


_REQUEST = (
    _request("affected_ci_count", "size", "items", "It affects {value:item}", "No item is named"),
    _request(
        "impacted_service_count",
        "size",
        "services",
        "It names {value:further impacted service}",
        "No impacted service is named",
    ),
    _request(
        "reference_count", "kind", "tickets", "It belongs to {value:ticket}", "No ticket is named"
    ),
    _request(
        "is_emergency",
        "kind",
        "yes/no",
        "It is {value:an|not an} emergency change",
        "The form does not say its change type",
    ),
    _request(
        "is_standard",
        "kind",
        "yes/no",
        "It is {value:a|not a} standard change",
        "The form does not say its change type",
    ),
    _request(
        "declared_risk_level",
        "declared",
        "level",
        "The form declares risk {declared_risk}",
        "The form declares no risk",
    ),
    _request(
        "impact_level", "declared", "level", "The form declares impact {impact}", "No impact given"
    ),
    _request(
        "urgency_level",
        "declared",
        "level",
        "The form declares urgency {urgency}",
        "No urgency given",
    ),
    _request(
        "priority_level",
        "declared",
        "level",
        "The form declares priority {priority}",
        "No priority given",
    ),
    _request(
        "cab_required",
        "declared",
        "yes/no",
        "The form says the board's approval is {value:needed|not needed}",
        "The form does not say whether the board's approval is needed",
    ),
    _request("title_words", "description", "words", "Its title has {value:word}", "No title"),
    _request(
        "description_words",
        "description",
        "words",
        "Its description has {value:word}",
        "No description",
        changeable=True,
    ),
    _request(
        "justification_words",
        "description",
        "words",
        "Its justification has {value:word}",
        "No justification",
        changeable=True,
    ),
    _request(
        "implementation_plan_words",
        "description",
        "words",
        "Its implementation plan has {value:word}",
        "No implementation plan",
        changeable=True,
    ),
    _request(
        "backout_plan_words",
        "description",
        "words",
        "Its backout plan has {value:word}",
        "No backout plan",
        changeable=True,
    ),
    _request(
        "test_plan_words",
        "description",
        "words",
        "Its test plan has {value:word}",
        "No test plan",
        changeable=True,
    ),
    _request(
        "missing_field_count",
        "description",
        "fields",
        "{value:field} of the form {value:is|are} empty",
        "The form is complete",
        changeable=True,
    ),
    _request(
        "lead_time_hours",
        "schedule",
        "hours",
        "It was submitted {value:hours} before its planned start",
        "No planned start or submission time",
        changeable=True,
    ),
    _request(
        "duration_hours",
        "schedule",
        "hours",
        "It is planned to take {value:hours}",
        "No planned end",
        changeable=True,
    ),
    _request(
        "start_hour",
        "schedule",
        "hour",
        "It starts in the hour from {value:clock} UTC",
        "No start",
        changeable=True,
    ),
    _request(
        "start_weekday",
        "schedule",
        "weekday",
        "It starts on a {value:weekday}",
        "No start",
        changeable=True,
    ),
    _request(
        "start_on_weekend",
        "schedule",
        "yes/no",
        "It starts {value:on a weekend|on a working day}",
        "No start",
        changeable=True,
    ),
    _request(
        "days_to_month_end",
        "schedule",
        "days",
        "It starts {value:day} before the end of the month",
        "No start",
        changeable=True,
    ),
)

_ATTRIBUTE_WORDS: dict[str, tuple[str, str, str]] = {
    "lines_added": ("size", "lines", "It adds {value:line}"),
    "lines_deleted": ("size", "lines", "It deletes {value:line}"),
    "files_changed": ("size", "files", "It changes {value:file}"),
    "components_changed": ("size", "components", "It touches {value:component}"),
    "new_files": ("size", "files", "It adds {value:new file}"),
    "binary_files": ("size", "files", "It changes {value:binary file}"),
    "message_lines": ("description", "lines", "Its message has {value:line}"),
    "depends_on": ("kind", "changes", "It depends on {value:other change}"),
    "is_revert": ("kind", "yes/no", "It {value:takes|does not take} an earlier change back"),
    "review_hours": ("schedule", "hours", "It was prepared {value:hours} before submission"),
    "planned_downtime_hours": ("schedule", "hours", "It plans a downtime of {value:hours}"),
}

_ATTRIBUTE_MISSING = {
    "is_revert": "It is not said whether it takes an earlier change back",
    "depends_on": "It is not said what it depends on",
    "review_hours": "It is not said how long it was prepared",
    "planned_downtime_hours": "No downtime is planned",
}

# entity, group, words for "… on web-01"
_TRACKED = (
    ("ci", "ci_track_record", "on {ci}"),
    ("affected", "ci_track_record", "on the affected item that has most"),
    ("service", "service_track_record", "on service {service}"),
    ("team", "team_track_record", "by team {team}"),
    ("change_model", "model_track_record", "of this kind"),
    ("category", "model_track_record", "in category {category}"),
    ("action", "model_track_record", "with a title that starts in “{action}”"),
    ("organisation", "organisation", "in the whole organisation"),
)


def _tracked(entity: str, group: str, where: str) -> list[Feature]:
    """Volume, smoothed failure rate and time since, for one entity over all windows."""
    features = []
    for window in WINDOWS:
        features.append(
            Feature(
                name=f"{entity}_changes_{window}d",
                group=group,
                stream="changes",
                aggregate="count",
                entity=entity,
                window_days=window,
                unit="changes",
                sentence=f"{{value:change}} {where} in {{window}}",
                missing=f"No change {where} on record",
            )
        )
        features.append(
            Feature(
                name=f"{entity}_failure_rate_{window}d",
                group=group,
                stream="outcomes",
                aggregate="rate",
                entity=entity,
                window_days=window,
                unit="share of changes",
                sentence=f"{{share}} {where} in {{window}} {{means}}",
                missing=f"No outcome of a change {where} is known yet",
            )
        )
    if entity == "organisation":
        return features
    for stream, event in (("changes", "change"), ("failures", "change that failed")):
        features.append(
            Feature(
                name=f"{entity}_days_since_{'change' if stream == 'changes' else 'failure'}",
                group=group,
                stream=stream,
                aggregate="days_since",
                entity=entity,
                across="min",
                unit="days",
                sentence=f"The last {event} {where} was {{value:day}} ago",
                missing=f"No earlier {event} {where} on record",
            )
        )
    return features


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


def _retry() -> list[Feature]:
    return [
        Feature(
            name="reference_changes_90d",
            group="retry",
            stream="changes",
            aggregate="count",
            entity="reference",
            window_days=90,
            unit="changes",
            sentence="{value:earlier change} under the same ticket in {window}",
            missing="No ticket is named",
        ),
        Feature(
            name="reference_failures_90d",
            group="retry",
            stream="failures",
            aggregate="count",
            entity="reference",
            window_days=90,
            unit="changes",
            sentence="{value:earlier change} under the same ticket in {window} {means}",
            missing="No ticket is named",
        ),
        Feature(
            name="team_ci_changes_365d",
            group="team_track_record",
            stream="changes",
            aggregate="count",
            entity="team_ci",
            window_days=365,
            unit="changes",
            sentence="{value:change} by team {team} on {ci} in {window}",
            missing="No team or no item is named",
        ),
    ]


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


def _declare() -> tuple[Feature, ...]:
    features = list(_REQUEST)
    for name in ATTRIBUTES:
        group, unit, sentence = _ATTRIBUTE_WORDS[name]
        spoken = name.replace("_", " ").capitalize()
        missing = _ATTRIBUTE_MISSING.get(name, f"{spoken} not given")
        features.append(_request(name, group, unit, sentence, missing))
    for entity, group, where in _TRACKED:
        features += _tracked(entity, group, where)
    features += _retry()
    features += _incidents("affected", "on the affected items")
    features += _incidents("service", "on service {service}")
    features += [
        _overlaps("affected", "on the same items"),
        _overlaps("service", "on service {service}"),
        _overlaps("team", "by team {team}"),
    ]
    return tuple(features)


CATALOGUE: tuple[Feature, ...] = _declare()
"""Every feature, in the order of the table's columns."""

NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOGUE)
BY_NAME: dict[str, Feature] = {feature.name: feature for feature in CATALOGUE}

if len(BY_NAME) != len(CATALOGUE):
    raise ValueError("two features of the catalogue share a name")


def fingerprint() -> str:
    """A digest of all declarations. A model fitted under another one must not be used."""
    declared = [asdict(feature) for feature in CATALOGUE]
    return hashlib.sha256(orjson.dumps(declared, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
