"""What the command line shows: results on stdout, progress and all else on stderr."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
import rich_click as click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

err = Console(stderr=True, highlight=False)


def pairs(values: Mapping[str, object]) -> str:
    """Names and values in one line."""
    shown = (f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in values.items())
    return ", ".join(shown) or "nothing"


def show(result: object, as_json: bool, lines: Sequence[str]) -> None:
    """The result on stdout, as one JSON object or as lines for people."""
    if as_json:
        click.echo(orjson.dumps(result, default=str, option=orjson.OPT_NON_STR_KEYS))
    else:
        click.echo("\n".join(lines))


def tell(line: str) -> None:
    """A line for people on stderr, as it is: neither wrapped nor read as markup."""
    err.print(line, markup=False, soft_wrap=True)


STEP = 10_000
"""After how many of an unknown number progress is told again."""


class Bars:
    """Progress on stderr: a bar a stage on a terminal; elsewhere a line a stage and each tenth, or
    each ``STEP`` where nobody knows how much there is.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._said = ("", -1)
        self._task: TaskID | None = None

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that a stage has come so far."""
        fresh = stage != self._said[0]
        if self._bars.console.is_terminal:
            if self._task is None or fresh:
                self._finish()
                self._task = self._bars.add_task(stage, total=total)
            self._bars.update(self._task, completed=done, total=total)
            self._said = (stage, 0)
            return
        reached = 10 * done // total if total else done // STEP
        if fresh or reached > self._said[1]:
            told = f"{stage}: {done:,} of {total:,}" if total else f"{stage}: {done:,}"
            err.print(told if done or total else stage)
            self._said = (stage, reached)

    def _finish(self) -> None:
        """Stop the clock of the stage before, whether or not its length was known."""
        if self._task is not None:
            self._bars.stop_task(self._task)


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Bars that stand on stderr while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err) as bars:
        yield Bars(bars)
