"""What is wrong with a file of settings: one sentence a fault, with the path of the wrong key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

MOST_LISTED = 30
"""Known names that are listed where none is near; more would bury the fault."""


def faults_of(error: ValidationError, content: object, model: type[BaseModel]) -> list[str]:
    """The faults of a file that does not fit its model.

    Parameters
    ----------
    content : object
        What was validated, to quote from.
    model : type
        What it was validated as, for the names there are.
    """
    return [_fault(fault, content, model) for fault in error.errors()]


def near(name: object, known: Sequence[str], *, listed: bool = True) -> str:
    """A hint at the name that was meant, else at all there are."""
    found = difflib.get_close_matches(str(name), list(known), 1)
    if found:
        return f"; did you mean {found[0]!r}?"
    return f"; known are {', '.join(known)}" if listed and len(known) < MOST_LISTED else ""


def _fault(fault: Mapping[str, Any], content: object, model: type[BaseModel]) -> str:
    place: Sequence[str | int] = fault["loc"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    path, given = path.removeprefix("."), _given(content, place)
    if fault["type"] == "extra_forbidden":
        return f"{path}: unknown name{near(place[-1], _names(model, place))}"
    if fault["type"] == "missing":
        return f"{path}: expected it to be set"
    if fault["type"] in ("model_type", "dict_type"):
        return f"{path}: expected a table, got {given!r}"
    if fault["type"] == "too_short":
        return f"{path}: expected at least one"
    message = re.sub(r"^(Input should be |Value error, )", "", str(fault["msg"]))
    if fault["type"] == "literal_error":
        known = re.findall(r"'([^']+)'", message)
        return (
            f"{path}: expected one of {', '.join(known)}, got {given!r}"
            f"{near(given, known, listed=False)}"
        )
    message = message.removeprefix("expected ")
    return f"{path}: expected {message[:1].lower()}{message[1:]}, got {given!r}"


def _names(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The names that there are where an unknown one stands."""
    for part in place[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _inside(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _inside(annotation: object) -> type[BaseModel] | None:
    """The model a field holds, by itself or in a list or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        if (found := _inside(part)) is not None:
            return found
    return None


def _given(content: object, place: Sequence[str | int]) -> object:
    """What stands at a place, or at the last place on the way to it that there is."""
    for part in place:
        known = dict(enumerate(content)) if isinstance(content, list) else content
        if not isinstance(known, Mapping) or part not in known:
            return content
        content = known[part]
    return content
