"""Declarations of what the ticket itself says; :mod:`features.request` reads the values."""

from __future__ import annotations

from features.catalogue.feature import Feature
from features.request import ATTRIBUTES

# name, factor group, unit, sentence, sentence where the value is not known
# fmt: off
_GIVEN = (
    ("affected_ci_count", "size", "items", "It affects {value:item}", "No item is named"),
    ("impacted_service_count", "size", "services", "It names {value:further impacted service}",
     "No impacted service is named"),
    ("reference_count", "kind", "tickets", "It belongs to {value:ticket}", "No ticket is named"),
    ("is_emergency", "kind", "yes/no", "It is {value:an|not an} emergency change",
     "The form does not say its change type"),
    ("is_standard", "kind", "yes/no", "It is {value:a|not a} standard change",
     "The form does not say its change type"),
    ("declared_risk_level", "declared", "level", "The form declares risk {declared_risk}",
     "The form declares no risk"),
    ("impact_level", "declared", "level", "The form declares impact {impact}", "No impact given"),
    ("urgency_level", "declared", "level", "The form declares urgency {urgency}",
     "No urgency given"),
    ("priority_level", "declared", "level", "The form declares priority {priority}",
     "No priority given"),
    ("cab_required", "declared", "yes/no",
     "The form says the board's approval is {value:needed|not needed}",
     "The form does not say whether the board's approval is needed"),
    ("target_fields_share", "description", "share of fields",
     "{value:percent} of the fields that say what is changed are filled", "The form is empty"),
    ("declared_fields_share", "declared", "share of fields",
     "{value:percent} of the fields that rate the change are filled", "The form is empty"),
    ("title_words", "description", "words", "Its title has {value:word}", "No title"),
)
"""What kind of change it is."""

_CHANGEABLE = (
    ("description_words", "description", "words", "Its description has {value:word}",
     "No description"),
    ("justification_words", "description", "words", "Its justification has {value:word}",
     "No justification"),
    ("implementation_plan_words", "description", "words",
     "Its implementation plan has {value:word}",
     "No implementation plan"),
    ("backout_plan_words", "description", "words", "Its backout plan has {value:word}",
     "No backout plan"),
    ("test_plan_words", "description", "words", "Its test plan has {value:word}", "No test plan"),
    ("text_fields_share", "description", "share of fields",
     "{value:percent} of its texts and plans are written", "The form is empty"),
    ("backout_copies_implementation", "description", "yes/no",
     "Its backout plan {value:only repeats|does not repeat} the implementation plan",
     "There are no two plans to compare"),
    ("missing_field_count", "description", "fields",
     "{value:field} of the form {value:is|are} empty",
     "The form is complete"),
    ("lead_time_hours", "schedule", "hours",
     "It was submitted {value:hours} before its planned start",
     "No planned start or submission time"),
    ("duration_hours", "schedule", "hours", "It is planned to take {value:hours}",
     "No planned end"),
    ("start_hour", "schedule", "hour", "It starts in the hour from {value:clock} UTC", "No start"),
    ("start_weekday", "schedule", "weekday", "It starts on a {value:weekday}", "No start"),
    ("start_on_weekend", "schedule", "yes/no", "It starts {value:on a weekend|on a working day}",
     "No start"),
    ("days_to_month_end", "schedule", "days", "It starts {value:day} before the end of the month",
     "No start"),
)
"""What the requester can change before it goes in."""
# fmt: on

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


def _said(
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


def _attribute(name: str) -> Feature:
    group, unit, sentence = _ATTRIBUTE_WORDS[name]
    spoken = name.replace("_", " ").capitalize()
    return _said(name, group, unit, sentence, _ATTRIBUTE_MISSING.get(name, f"{spoken} not given"))


TICKET: tuple[Feature, ...] = (
    *(_said(*row) for row in _GIVEN),
    *(_said(*row, changeable=True) for row in _CHANGEABLE),
    *map(_attribute, ATTRIBUTES),
)
