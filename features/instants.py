"""Moments as whole microseconds since 1970 in UTC: exact, comparable, the same in every store.

SQLite drops time zones and floats lose microseconds, so inside the engine and the store a moment is
an ``int64``; outside it is an aware ``datetime``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MISSING: int = np.iinfo(np.int64).min
"""The value of a moment that is not known; equal to pandas' NaT seen as an integer."""

NEVER: int = np.iinfo(np.int64).max
"""A moment that has not come."""

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime | None) -> int:
    """Microseconds since 1970 of an aware moment; ``MISSING`` for None.

    Raises
    ------
    ValueError
        If the moment has no time zone.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> to_micros(datetime(1970, 1, 2, tzinfo=UTC)) == DAY
    True
    """
    if moment is None:
        return MISSING
    if moment.tzinfo is None:
        raise ValueError(f"expected a moment with a time zone, got {moment!r} without one")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int | None) -> datetime | None:
    """The aware UTC moment of microseconds since 1970; None for None or ``MISSING``."""
    if micros is None or micros == MISSING:
        return None
    return _EPOCH + timedelta(microseconds=int(micros))


def series_to_micros(moments: pd.Series) -> NDArray[np.int64]:
    """Microseconds since 1970 of a column of aware moments; ``MISSING`` where it is empty.

    Raises
    ------
    ValueError
        If the column has no time zone.
    """
    if not isinstance(moments.dtype, pd.DatetimeTZDtype):
        raise ValueError(  # noqa: TRY004 - the type is right, its zone is missing
            f"expected moments with a time zone, got a column of {moments.dtype}"
        )
    micros = moments.dt.tz_convert("UTC").dt.as_unit("us").astype("int64")
    return np.asarray(micros, np.int64)


def micros_to_series(micros: NDArray[np.int64]) -> pd.Series:
    """A column of UTC moments from microseconds; ``MISSING`` becomes NaT."""
    return pd.Series(micros.astype("datetime64[us]")).dt.tz_localize("UTC")


def to_iso(micros: int) -> str:
    """A moment as ISO 8601 with its offset; empty for a missing one."""
    moment = from_micros(micros)
    return "" if moment is None else moment.isoformat()
