"""Short campaigns of chaos: nothing acknowledged is lost, and everything recovers by itself.

All acts, for as long as one likes: ``make chaos``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.postgres import NO_SERVER, programs

ACTS = {
    "sqlite": ("worker killed", "disk full", "database gone", "champion moved"),
    "postgres": ("rolling restart", "disk full", "database gone"),
}


@pytest.mark.slow
@pytest.mark.parametrize("store", sorted(ACTS))
def test_a_short_campaign(store: str) -> None:
    if store == "postgres" and programs(os.environ.get("PATH", "")) is None:
        pytest.skip(NO_SERVER)
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "1", "--store", store, "--json"]
    for act in ACTS[store]:
        command += ["--act", act]
    ran = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert ran.stdout, ran.stderr[-3_000:]
    found = orjson.loads(ran.stdout)
    assert ran.returncode == 0, found
    assert found["lost"] == found["altered"] == 0
    assert found["acknowledged"] > 0
    assert set(found["acts"]) == set(ACTS[store])
