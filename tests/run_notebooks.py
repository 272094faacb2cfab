"""Runs every notebook as a notebook: ``python -m tests.run_notebooks``.

On BPIC14 where its files are found (under ``CHANGERISK_REAL_DATA`` or ``../shared/data``), else on
the synthetic organisation. Executed notebooks are kept under ``dist/notebooks``. A cell that raises
or writes to stderr, as warnings do, fails its notebook.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import jupytext
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
OUT = ROOT / "dist" / "notebooks"


def main() -> int:
    """Run them; the number that failed to is the exit code."""
    data = Path(os.environ.get("CHANGERISK_REAL_DATA") or ROOT.parent / "shared" / "data")
    if (data / "bpic14").is_dir():
        os.environ.setdefault("NOTEBOOK_BPIC14", str(data / "bpic14"))
    os.environ["TQDM_DISABLE"] = "1"  # bars are for those who wait, not for those who read
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in sorted((ROOT / "notebooks").glob("*.py")):
        print(path.stem, file=sys.stderr, flush=True)  # noqa: T201
        notebook = jupytext.read(path)
        faults = executed(notebook)
        for fault in faults:
            print(fault, file=sys.stderr)  # noqa: T201
        failed += bool(faults)
        jupytext.write(notebook, OUT / f"{path.stem}.ipynb")
    return failed


def executed(notebook: NotebookNode) -> list[str]:
    """Run a notebook in place; what went wrong."""
    with tempfile.TemporaryDirectory() as sockets:
        manager = AsyncKernelManager(
            kernel_name="python3", transport="ipc", ip=str(Path(sockets, "kernel"))
        )
        client = NotebookClient(notebook, km=manager, timeout=1_800)
        try:
            client.execute(cwd=str(ROOT), cleanup_kc=True)
        except Exception as error:  # noqa: BLE001 - the next notebook is run all the same
            return [str(error)]
    return [
        f"cell {number} wrote to stderr: {output['text']}"
        for number, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr"
    ]


if __name__ == "__main__":
    sys.exit(main())
