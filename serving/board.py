"""When and how the change advisory board meets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from features.settings import SettingsError

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

OWN_VIEWS = ("off", "ask")
"""Whether approvers say what they expect of a change in the high bands before its page shows the
score.
"""

_MEETING = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, kw_only=True)
class Board:
    """The board's habits.

    Parameters
    ----------
    timezone : ZoneInfo
        ``CHANGERISK_TIMEZONE``: moments on the pages are shown in it. Default UTC.
    weekday, at : int and time
        ``CHANGERISK_BOARD_MEETS``, such as ``Tue 14:00``, the default.
    minutes : int
        ``CHANGERISK_BOARD_MINUTES``: length of a meeting. Default 60.
    own_view : str
        ``CHANGERISK_OWN_VIEW``: ``ask`` (the default) or ``off``, see ``OWN_VIEWS``.
    """

    timezone: ZoneInfo
    weekday: int
    at: time
    minutes: int
    own_view: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Board:
        """The board's habits from environment variables.

        Raises
        ------
        SettingsError
            If one cannot be read; the message names it.
        """
        zone = environment.get("CHANGERISK_TIMEZONE") or "UTC"
        try:
            timezone = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                f"CHANGERISK_TIMEZONE: expected a time zone such as Europe/Amsterdam, got {zone!r}"
            ) from error
        meets = environment.get("CHANGERISK_BOARD_MEETS") or "Tue 14:00"
        found = _MEETING.fullmatch(meets)
        if found is None:
            raise SettingsError(
                f"CHANGERISK_BOARD_MEETS: expected a day and time such as Tue 14:00, got {meets!r}"
            )
        minutes = environment.get("CHANGERISK_BOARD_MINUTES") or "60"
        if not re.fullmatch(r"[1-9]\d{0,2}", minutes):
            raise SettingsError(f"CHANGERISK_BOARD_MINUTES: expected 1 to 999, got {minutes!r}")
        own_view = environment.get("CHANGERISK_OWN_VIEW") or "ask"
        if own_view not in OWN_VIEWS:
            raise SettingsError(
                f"CHANGERISK_OWN_VIEW: expected {' or '.join(OWN_VIEWS)}, got {own_view!r}"
            )
        return cls(
            timezone=timezone,
            weekday=WEEKDAYS.index(found[1]),
            at=time(int(found[2]), int(found[3])),
            minutes=int(minutes),
            own_view=own_view,
        )

    def next_meeting(self, now: datetime) -> datetime:
        """The first meeting that has not begun.

        Examples
        --------
        >>> from datetime import UTC
        >>> board = Board.from_environment({"CHANGERISK_TIMEZONE": "Europe/Amsterdam"})
        >>> board.next_meeting(datetime(2026, 11, 24, 13, tzinfo=UTC)).isoformat()
        '2026-12-01T14:00:00+01:00'
        """
        local = now.astimezone(self.timezone)
        day = local.date() + timedelta(days=(self.weekday - local.weekday()) % 7)
        meeting = datetime.combine(day, self.at, self.timezone)
        if meeting <= now:
            meeting = datetime.combine(day + timedelta(days=7), self.at, self.timezone)
        return meeting
