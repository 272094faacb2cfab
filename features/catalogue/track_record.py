"""Declarations of what became of earlier changes on the same items, by the same team, of a kind."""

from __future__ import annotations

from features.catalogue.feature import WINDOWS, Feature

# entity, group, words for "… on web-01"
_TRACKED = (
    ("ci", "ci_track_record", "on {ci}"),
    ("affected", "ci_track_record", "on the affected item that has most"),
    ("service", "service_track_record", "on service {service}"),
    ("team", "team_track_record", "by team {team}"),
    ("change_model", "model_track_record", "of this kind"),
    ("category", "model_track_record", "in category {category}"),
    ("action", "model_track_record", "whose title starts with “{action}”"),
    ("organisation", "organisation", "in the whole organisation"),
)


def _tracked(entity: str, group: str, where: str) -> list[Feature]:
    """Volume, smoothed failure rate and time since, for one entity over all windows."""
    features = []
    unknown = f"No outcome of a change {where} is known yet"
    if entity == "affected":  # that with most may be new, with the usual rate
        unknown = "On an affected item no change has a known outcome yet"
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
                missing=unknown,
            )
        )
    if entity == "organisation":
        return features
    nearest = "on the affected items" if entity == "affected" else where
    for stream, event in (("changes", "change"), ("failures", "failed change")):
        features.append(
            Feature(
                name=f"{entity}_days_since_{'change' if stream == 'changes' else 'failure'}",
                group=group,
                stream=stream,
                aggregate="days_since",
                entity=entity,
                across="min",
                unit="days",
                sentence=f"The last {event} {nearest} was {{value:days}} ago",
                missing=f"No earlier {event} {nearest} on record",
            )
        )
    return features


_RETRY = (
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
        name="reference_changes_1d",
        group="retry",
        stream="changes",
        aggregate="count",
        entity="reference",
        window_days=1,
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
)

_AGAIN = (
    Feature(
        name="attempt_days_since_change",
        group="retry",
        stream="changes",
        aggregate="days_since",
        entity="attempt",
        across="min",
        unit="days",
        sentence="The last change with this title, done or taken back, was {value:days} ago",
        missing="No earlier change with this title, done or taken back, on record",
    ),
    Feature(
        name="action_ci_evidence",
        group="ci_track_record",
        stream="outcomes",
        aggregate="evidence",
        entity="action_ci",
        unit="log ratio",
        sentence="{share} on {ci} whose title starts with “{action}” in {window} {means}",
        missing="No outcome of a change on {ci} whose title starts with “{action}” is known yet",
    ),
)
"""Whether it was done before: lately under the same title, or to the same item."""

_FURTHER = (
    *(
        Feature(
            name=f"further_changes{'' if window is None else f'_{window}d'}",
            group="ci_track_record",
            stream="changes",
            aggregate="count",
            entity="further",
            window_days=window,
            unit="changes",
            sentence="{value:change} on the further item that has most in {window}",
            missing="No change on a further item on record",
        )
        for window in (1, 30, None)
    ),
    *(
        Feature(
            name=f"further_days_since_{event}",
            group="ci_track_record",
            stream=stream,
            aggregate="days_since",
            entity="further",
            across="min",
            unit="days",
            sentence=f"The last {noun} on the further items was {{value:days}} ago",
            missing=f"No earlier {noun} on a further item on record",
        )
        for stream, event, noun in (
            ("changes", "change", "change"),
            ("failures", "failure", "failed change"),
        )
    ),
)
"""The items besides the one a change is about: files of a component, servers of a service. The one
it is about has more of everything, most often, and would hide them.
"""

_SOURCE = tuple(
    Feature(
        name=f"source_{stream}_60d",
        group="model_track_record",
        stream=stream,
        aggregate="count",
        entity="change_model",
        window_days=60,
        unit="changes",
        sentence=sentence,
        missing="No change of this kind on record",
    )
    for stream, sentence in (
        ("changes", "{value:change} of this kind in {window}"),
        ("failures", "{value:change} of this kind in {window} {means}"),
    )
)
"""Whether the model, template or pipeline a change comes from has earned trust of late."""


def _alike(entity: str, group: str, where: str, missing: str) -> list[Feature]:
    """Volume and failure rate of the changes that share a text, over a year."""
    return [
        Feature(
            name=f"{entity}_changes_365d",
            group=group,
            stream="changes",
            aggregate="count",
            entity=entity,
            window_days=365,
            unit="changes",
            sentence=f"{{value:other change}} {where} in {{window}}",
            missing=missing,
        ),
        Feature(
            name=f"{entity}_failure_rate_365d",
            group=group,
            stream="outcomes",
            aggregate="rate",
            entity=entity,
            window_days=365,
            unit="share of changes",
            sentence=f"{{share}} {where} in {{window}} {{means}}",
            missing=f"No outcome of a change {where} is known yet",
        ),
    ]


_ALIKE = (
    ("title_template", "model_track_record", "with a title like this one", "No title is given"),
    ("implementation_text", "model_track_record", "with the same implementation plan",
     "No implementation plan to compare"),
    ("backout_text", "model_track_record", "with the same backout plan",
     "No backout plan to compare"),
)  # fmt: skip

TRACK_RECORD: tuple[Feature, ...] = (
    *(feature for row in _TRACKED for feature in _tracked(*row)),
    *_RETRY,
    *_FURTHER,
    *_AGAIN,
    *_SOURCE,
    *(feature for row in _ALIKE for feature in _alike(*row)),
)
