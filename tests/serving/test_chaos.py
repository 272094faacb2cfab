"""A minute of chaos: nothing acknowledged is lost, and everything recovers by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.postgres import programs


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_a_campaign(store: str) -> None:
    if store == "postgres" and programs(os.environ.get("PATH", "")) is None:
        pytest.skip("PostgreSQL is not installed here")
    command = [sys.executable, "-m", "tests.chaos", "--seconds", "60", "--store", store, "--json"]
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
    assert len(found["acts"]) == 8
