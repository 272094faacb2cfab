"""featuretools beside the engine: one of its features against our whole table, row for row.

python -m tests.benchmarks.featuretools_peer

Deep feature synthesis with cut-off times counts the incidents of a change's service in the thirty
days before it; the engine builds every column of the catalogue for the same changes. featuretools
needs an older pandas, so it runs in an environment of its own, which uv makes (it has to reach a
package index once). Both counts are compared before any time is told.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from features.catalogue import CATALOGUE, NAMES
from features.policy import POLICIES
from features.records import Change, Incident
from features.state import FeatureState
from features.table import build
from tests.benchmarks.engine import clocked
from tests.benchmarks.scale import Size, scale_history

SIZE = Size(20_000, 60_000)
ROWS = 300
PACKAGES = ("featuretools==1.31.0", "pandas<3", "numpy<2.3", "pyarrow", "setuptools<81")
COLUMN = "service_incidents_30d"


def main() -> int:
    """Both counts, their cost a row, and the ratio."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{Path.home()}/.local/bin") or "uv"
    history = scale_history(SIZE)
    changes, incidents = history[Change], history[Incident]
    first = np.unique(incidents["incident_id"].astype(str), return_index=True)[1]
    taken, state = clocked(lambda: FeatureState(history, POLICIES["incident"]))
    built, table = clocked(lambda: build(changes, changes.times("known_at"), state, support=False))
    chosen = np.sort(np.random.default_rng(1).choice(len(changes), ROWS, replace=False))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        micros = pd.to_datetime(incidents.times("known_at")[first], unit="us")
        pd.DataFrame({"name": incidents["service"][first], "time": micros}).to_parquet(
            place / "incidents"
        )
        asked = {"name": changes["service"][chosen], "row": np.arange(ROWS)}
        times = pd.to_datetime(changes.times("known_at")[chosen], unit="us")
        pd.DataFrame({**asked, "time": times}).to_parquet(place / "asked")
        packages = [part for name in PACKAGES for part in ("--with", name)]
        script = Path(__file__).with_name("featuretools_alone.py")
        command = [uv, "run", "--no-project", "--isolated", *packages, str(script), folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    theirs = orjson.loads(done.stdout)
    ours = table.values[chosen, NAMES.index(COLUMN)]
    if not np.array_equal(ours, np.array(theirs["counts"])):
        raise AssertionError(f"{COLUMN} differs from what featuretools counts")
    alone, whole = 1000 * theirs["cpu_s"] / ROWS, 1000 * (taken + built) / len(changes)
    say = sys.stdout.write
    say(f"featuretools, 1 column, ms a row            {alone:10.3f}\n")
    say(f"engine, {len(CATALOGUE)} columns and the index, ms a row {whole:9.3f}\n")
    say(f"times faster                                {alone / whole:10.1f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
