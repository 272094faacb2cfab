"""The moment a change is scored for, and what is odd about its times."""

from __future__ import annotations

from datetime import datetime

from features.language import say
from serving.contract import ChangeIn, Warned


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
    warnings = []
    start, end, submitted = change.planned_start, change.planned_end, change.submitted_at
    if start is not None and end is not None and end < start:
        text = say("The planned end lies before the planned start")
        warnings.append(Warned(code="impossible_window", field="planned_end", text=text))
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
