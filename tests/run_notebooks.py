"""Runs every notebook as a notebook: ``python -m tests.run_notebooks``.

On BPIC14 where its files are found (under ``CHANGERISK_REAL_DATA`` or ``../shared/data``), else on
the synthetic organisation. Executed notebooks are kept under ``dist/notebooks``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
OUT = ROOT / "dist" / "notebooks"


def main() -> int:
    """Run them; the number that failed to is the exit code."""
    data = Path(os.environ.get("CHANGERISK_REAL_DATA") or ROOT.parent / "shared" / "data")
    if (data / "bpic14").is_dir():
        os.environ.setdefault("NOTEBOOK_BPIC14", str(data / "bpic14"))
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        print(path.stem, file=sys.stderr, flush=True)  # noqa: T201
        notebook = jupytext.read(path)
        client = NotebookClient(notebook, timeout=1_800, kernel_name="python3")
        try:
            client.execute(cwd=str(ROOT))
        except Exception as error:  # noqa: BLE001 - the next notebook is run all the same
            print(error, file=sys.stderr)  # noqa: T201
            failed += 1
        jupytext.write(notebook, OUT / f"{path.stem}.ipynb")
    return failed


if __name__ == "__main__":
    sys.exit(main())
