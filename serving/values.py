"""Values of a body as people and machines write them: texts, times, flags, lists of names."""

from __future__ import annotations

import math
import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)

MOST_NAMES = 20_000
"""Names a list field may hold."""

_TIME = re.compile(r"[-0-9TtWZz:.,+ ]+")
"""What a time may be made of; Python's reader stops at a NUL and takes any sign for the ``T``."""

_EXPECTED_TIME = "expected a time as RFC 3339, such as 2026-11-24T22:00:00Z"

_YES, _NO = ("true", "yes", "y", "1"), ("false", "no", "n", "0")


def text_or_none(value: object) -> object:
    """A text; numbers are written out, blank is missing, NUL (no database keeps it) is marked.

    Raises
    ------
    ValueError
        If it cannot be one.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        value = f"{value:.17g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        value = value.strip().replace("\x00", "\ufffd")
        return value or None
    if value is None:
        return None
    raise ValueError("expected a text or a number")


def identifier(value: object) -> object:
    """The number of a record; a truth value is none.

    Raises
    ------
    ValueError
        If it cannot be one.
    """
    if isinstance(value, bool):
        raise ValueError("expected a text or a number")  # noqa: TRY004 - pydantic reads ValueError
    if isinstance(value, str) and "\ufffd" in value:  # two such could be taken for each other
        raise ValueError("expected whole characters, got one that was cut or could not be read")
    if isinstance(value, str) and controls(value.strip()):
        raise ValueError("expected no control characters, such as line breaks, within it")
    return text_or_none(value)


def controls(text: str) -> bool:
    """Whether a text holds characters that steer a terminal or break a line."""
    return any(unicodedata.category(one) in ("Cc", "Zl", "Zp") for one in text)


def _names(value: object) -> object:
    if value is None:
        return ()
    if isinstance(value, (str, int, float)):
        value = [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError("expected a list of names")  # noqa: TRY004 - pydantic reads ValueError
    if len(value) > MOST_NAMES:
        raise ValueError(f"expected at most {MOST_NAMES} names, got {len(value)}")
    return tuple(name for name in (text_or_none(entry) for entry in value) if name is not None)


def _flag(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    if word == "":
        return None
    raise ValueError("expected true or false")


def _moment(value: object) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str) and _TIME.fullmatch(value.strip()):
        try:
            moment = datetime.fromisoformat(value.strip().upper())
        except ValueError:
            raise ValueError(_EXPECTED_TIME) from None
    else:
        raise ValueError(_EXPECTED_TIME)
    if moment.tzinfo is None:
        raise ValueError("expected a time with its offset, such as 2026-11-24T22:00:00Z")
    if not EARLIEST <= moment < LATEST:
        raise ValueError("expected a time between 1970 and 2200")
    return moment.astimezone(UTC)


def _attributes(value: object) -> object:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > 200:
        raise ValueError("expected an object of at most 200 numbers")
    numbers = {}
    for name, number in value.items():
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ValueError(f"expected a number for {str(name)[:60]!r}")  # noqa: TRY004
        if not abs(number) <= 1e15:  # NaN is not, either
            raise ValueError(f"expected a number within ±1e15 for {str(name)[:60]!r}")
        numbers[str(name)] = float(number)
    return numbers


Text = Annotated[str | None, BeforeValidator(text_or_none)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Flag = Annotated[bool | None, BeforeValidator(_flag)]
Moment = Annotated[datetime | None, BeforeValidator(_moment)]
Numbers = Annotated[dict[str, float], BeforeValidator(_attributes)]
