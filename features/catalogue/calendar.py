"""Declarations of what the calendar says of the planned window, and of reschedules."""

from __future__ import annotations

from features.catalogue.feature import Feature

# name, stream, aggregate, unit, sentence, sentence where the value is not known
# fmt: off
_ENTRIES = (
    ("in_freeze", "freeze", "inside", "yes/no",
     "Its planned window meets {value:a|no} change freeze", "No planned start"),
    ("in_blackout", "blackout", "inside", "yes/no",
     "Its planned window meets {value:a|no} blackout", "No planned start"),
    ("in_maintenance_window", "maintenance", "covered", "yes/no",
     "It {value:lies|does not lie} within a maintenance window", "No planned start"),
    ("days_to_freeze", "freeze", "days_until", "days",
     "The next change freeze begins {value:days} after its planned start",
     "No change freeze is announced for the month after its start"),
    ("days_to_blackout", "blackout", "days_until", "days",
     "The next blackout begins {value:days} after its planned start",
     "No blackout is announced for the month after its start"),
)

# name, unit, sentence, sentence where the value is not known
_LOCAL = (
    ("local_start_hour", "hour", "It starts in the hour from {value:clock} local time",
     "Its local time is not known"),
    ("local_start_weekday", "weekday", "It starts on a {value:weekday} local time",
     "Its local time is not known"),
    ("start_on_holiday", "yes/no", "It starts on {value:a|no} public holiday",
     "Public holidays are not known"),
    ("holiday_next_day", "yes/no", "The day after its start {value:is|is not} a public holiday",
     "Public holidays are not known"),
)
# fmt: on

CALENDAR: tuple[Feature, ...] = (
    *(
        Feature(
            name=name,
            group="calendar",
            stream=stream,
            aggregate=aggregate,
            entity="scope",
            across="min" if aggregate == "days_until" else "max",
            unit=unit,
            sentence=sentence,
            missing=missing,
            changeable=True,
        )
        for name, stream, aggregate, unit, sentence, missing in _ENTRIES
    ),
    *(
        Feature(
            name=name,
            group="calendar",
            stream="place",
            aggregate="value",
            unit=unit,
            sentence=sentence,
            missing=missing,
            changeable=True,
        )
        for name, unit, sentence, missing in _LOCAL
    ),
    Feature(
        name="reschedule_count",
        group="schedule",
        stream="planned_starts",
        aggregate="reschedules",
        entity="change",
        unit="starts",
        sentence="It had {value:other planned start} before",
        missing="It was not rescheduled",
    ),
)
