"""The service as it is, but for its clock, which a file can set ahead or back.

`bentoml serve tests.chaos.instance:ChangeRisk`; the file named by CHAOS_CLOCK holds seconds.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from features.settings import Settings
from serving.runtime import Runtime, wall_clock
from serving.service import create_service

CLOCK = "CHAOS_CLOCK"


def skewed_clock() -> datetime:
    """The time, off by as many seconds as the file says."""
    place = os.environ.get(CLOCK)
    try:
        offset = float(Path(place).read_text()) if place else 0.0
    except (OSError, ValueError):
        offset = 0.0
    return wall_clock() + timedelta(seconds=offset)


ChangeRisk = create_service(Runtime(Settings.from_environment(os.environ), clock=skewed_clock))
