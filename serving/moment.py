"""The moment a change is scored for, and what is odd about its times."""

from __future__ import annotations

from datetime import datetime

from features.language import say
from serving.contract import ChangeIn, Warned

LONGEST_DAYS = 30
"""Days from which on a planned window is told of: its end is mistyped more often than meant."""


class InputError(ValueError):
    """A field that cannot be used as it is.

    Parameters
    ----------
    pointer : str
        JSON pointer of the field.
    detail : str
        What was expected.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}")
        self.pointer = pointer
        self.detail = detail


def moment_of(change: ChangeIn, now: datetime) -> tuple[datetime, list[Warned]]:
    """The moment a change is scored for, and what is odd about its times.

    A change still to come is scored with all that is known now. One whose planned start has passed
    is scored with what was known when it was submitted, since what followed is no forecast.

    Raises
    ------
    InputError
        If ``as_of`` lies in the future.
    """
    start, end, submitted = change.planned_start, change.planned_end, change.submitted_at
    warnings = [] if start is None or end is None else _odd_window(start, end)
    if submitted is not None and submitted > now:
        text = say("The submission lies in the future")
        warnings.append(Warned(code="impossible_time", field="submitted_at", text=text))
        submitted = None
    if change.as_of is not None:
        if change.as_of > now:
            raise InputError("/as_of", "expected a moment that has passed")
        return change.as_of, warnings
    begins = start or submitted
    if begins is None or begins >= now:
        return now, warnings
    if start is not None:
        text = say("The planned start has passed: scored with what was known when it was submitted")
        warnings.append(Warned(code="retrospective", field="planned_start", text=text))
    return submitted or begins, warnings


def _odd_window(start: datetime, end: datetime) -> list[Warned]:
    """What can hardly be meant of a planned window."""
    code, days = "unusual_window", (end - start).days
    if end < start:
        code, text = "impossible_window", say("The planned end lies before the planned start")
    elif end == start:
        text = say("The planned window has no length: it ends when it starts")
    elif days > LONGEST_DAYS:
        text = say("The planned window is {number} days long", number=str(days))
    else:
        return []
    return [Warned(code=code, field="planned_end", text=text)]
