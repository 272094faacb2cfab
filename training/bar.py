"""Progress of long steps in notebooks and terminals."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

# Without the widgets tqdm.auto would warn in every notebook that they are not installed.
tqdm: Any = import_module("tqdm.auto" if find_spec("ipywidgets") else "tqdm").tqdm

FORMAT = "{desc}{n_fmt} of {total_fmt} |{bar:20}| {elapsed}"
"""No rate: the parts of a stage take very different times."""


class Bar:
    """One bar for a step whose stages follow one another, taken away at its end.

    ``TQDM_DISABLE=1`` shows nothing. Used as ``with Bar() as progress:``.
    """

    def __init__(self) -> None:
        self._bar: Any = tqdm(total=0, leave=False, bar_format=FORMAT)

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show how far a stage has come.

        Parameters
        ----------
        done, total : int
            Parts of it that are done, and all of them; None where nobody knows.
        """
        self._bar.total = total or 0
        self._bar.n = done
        self._bar.set_description(stage)

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
