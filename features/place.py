"""Where the organisation is: its time zone and its public holidays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import available_timezones

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import instants
from features.instants import MISSING

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the organisation is. What is not said is not guessed: its features stay empty.

    Parameters
    ----------
    country : str or None
        ISO 3166-1 alpha-2 code whose public holidays are kept, such as ``DE``.
    subdivision : str or None
        State or region with holidays of its own, ISO 3166-2 without the country, such as ``BY``.
    timezone : str or None
        IANA name, such as ``Europe/Berlin``.

    Raises
    ------
    ValueError
        If one of them is not known.

    Examples
    --------
    >>> Place(country="DE", timezone="Europe/Berlin").timezone
    'Europe/Berlin'
    """

    country: str | None = None
    subdivision: str | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if self.timezone is not None and self.timezone not in available_timezones():
            raise ValueError(
                f"unknown time zone {self.timezone!r}; expected a name such as 'Europe/Berlin'"
            )
        if self.subdivision is not None and self.country is None:
            raise ValueError(f"subdivision {self.subdivision!r} is given without its country")
        if self.country is not None:
            _check(self.country, self.subdivision)

    @classmethod
    def of(cls, setting: Mapping[str, str | None] | None) -> Place:
        """The place a store's setting ``place`` tells of; nowhere for None."""
        return cls(**(setting or {}))

    def local(self, moments: Ints) -> pd.DatetimeIndex | None:
        """Local times of moments in microseconds; None without a time zone."""
        if self.timezone is None:
            return None
        utc = pd.DatetimeIndex(moments.astype("datetime64[us]")).tz_localize("UTC")
        return utc.tz_convert(self.timezone).tz_localize(None)

    def holiday(self, moments: Ints) -> NDArray[np.float64]:
        """Whether each moment lies on a public holiday; NaN without a country or a moment.

        The day is the local one, where a time zone is known, else that of UTC.
        """
        if self.country is None:
            return np.full(len(moments), np.nan)
        local = self.local(moments)
        days = moments if local is None else local.as_unit("us").asi8
        days = np.where(moments == MISSING, MISSING, days // instants.DAY)
        years = np.unique(days[days != MISSING].astype("datetime64[D]").astype("datetime64[Y]"))
        free = [_holidays(self.country, self.subdivision, 1970 + int(y)) for y in years.astype(int)]
        found = np.isin(days, np.array(sorted(set().union(*free)), np.int64)).astype(np.float64)
        return np.where(moments == MISSING, np.nan, found)


NOWHERE = Place()
"""Nothing is known of where the organisation is."""


def _check(country: str, subdivision: str | None) -> None:
    import holidays  # half a second: only those who have a country pay

    known = holidays.list_supported_countries()
    if country not in known:
        raise ValueError(f"no holidays are known of country {country!r}; expected a code like 'DE'")
    if subdivision is not None and subdivision not in known[country]:
        raise ValueError(
            f"{country} has no subdivision {subdivision!r}; known are "
            f"{', '.join(known[country]) or 'none'}"
        )


@lru_cache(maxsize=256)
def _holidays(country: str, subdivision: str | None, year: int) -> frozenset[int]:
    """Public holidays of a year as days since 1970."""
    import holidays

    found = holidays.country_holidays(country, subdiv=subdivision, years=year)
    return frozenset(int(np.datetime64(day, "D").astype(np.int64)) for day in found)
