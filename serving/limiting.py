"""How many calls a key may make: a moving window of each worker."""

from __future__ import annotations

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from features.settings import SettingsError


class Limiter:
    """Counts calls.

    Parameters
    ----------
    limit : str or None
        Such as ``600/minute``; None for no limit.

    Raises
    ------
    SettingsError
        If the limit cannot be read.
    """

    def __init__(self, limit: str | None) -> None:
        try:
            self._limit = None if limit is None else parse(limit)
        except ValueError as error:
            raise SettingsError(
                f"CHANGERISK_RATE_LIMIT: expected one such as 600/minute, got {limit!r}"
            ) from error
        self._calls = MovingWindowRateLimiter(MemoryStorage())

    def counted(self, client: str) -> tuple[bool, dict[str, str]]:
        """Count a call: whether it may go on, and the headers that say how it stands."""
        if self._limit is None:
            return True, {}
        allowed = self._calls.hit(self._limit, client)
        left = self._calls.get_window_stats(self._limit, client)
        seconds = max(math.ceil(left.reset_time - time.time()), 1)
        headers = {
            "RateLimit-Policy": f'"key";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"key";r={left.remaining};t={seconds}',
        }
        return allowed, headers if allowed else {**headers, "Retry-After": str(seconds)}
