"""What a notebook sees: a table with a title, perhaps a picture, and a way to keep both."""

from __future__ import annotations

import html
import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE = (6.4, 3.6)
"""Width and height of a picture, inches."""

SHOWN = 30
"""Rows of a table shown in a notebook; ``frame`` has them all."""

PICTURES = (".svg", ".png", ".pdf")
"""Endings of files that hold a picture."""


class NoPictureError(ValueError):
    """A view that is only a table was asked for its picture."""


class Shown(ABC):
    """A result that shows itself by a view: it has the view's frame, picture and way to be kept."""

    @property
    @abstractmethod
    def view(self) -> View:
        """What is shown of it."""

    @property
    def frame(self) -> pd.DataFrame:
        """The numbers."""
        return self.view.frame

    def plot(self) -> Figure:
        """The picture; see :meth:`View.plot`."""
        return self.view.plot()

    def save(self, path: Path | str) -> Path:
        """Keep it; see :meth:`View.save`.

        Parameters
        ----------
        path : Path or str
            The file; its ending says what is kept.
        """
        return self.view.save(path)

    def _repr_html_(self) -> str:
        return self.view._repr_html_()


@dataclass(frozen=True, kw_only=True)
class View:
    """A result to look at.

    Parameters
    ----------
    title : str
        What it is.
    frame : DataFrame
        The numbers, all of them; a picture shows nothing that is not here.
    note : str
        How to read it, in a sentence or two.
    draw : callable, optional
        Draws the picture onto axes.
    size : tuple of float
        Width and height of the picture, inches.
    """

    title: str
    frame: pd.DataFrame
    note: str = ""
    draw: Callable[[Axes], None] | None = None
    size: tuple[float, float] = SIZE

    def plot(self) -> Figure:
        """The picture, free of any global state of matplotlib.

        Raises
        ------
        NoPictureError
            If the view has none.
        """
        if self.draw is None:
            raise NoPictureError(f"{self.title!r} is a table: use .frame")
        figure = Figure(figsize=self.size, layout="constrained")
        axes = figure.subplots()
        self.draw(axes)
        axes.set_title(self.title, loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    def svg(self) -> str:
        """The picture as SVG; the same view gives the same characters.

        Raises
        ------
        NoPictureError
            If the view has none.
        """
        target = io.StringIO()
        # Without a date and with fixed ids.
        with rc_context({"svg.hashsalt": "change-risk"}):
            self.plot().savefig(target, format="svg", metadata={"Date": None})
        return target.getvalue()

    def save(self, path: Path | str) -> Path:
        """Keep it: ``.csv`` the table, ``.svg``, ``.png`` or ``.pdf`` the picture, ``.html`` both.

        Parameters
        ----------
        path : Path or str
            The file; its ending says what is kept.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ValueError
            If the ending is none of these.
        NoPictureError
            If the ending is that of a picture and the view has none.
        """
        path = Path(path)
        if path.suffix == ".csv":
            self.frame.to_csv(path)
        elif path.suffix == ".html":
            path.write_text(self._repr_html_(), encoding="utf-8")
        elif path.suffix == ".svg":
            path.write_text(self.svg(), encoding="utf-8")
        elif path.suffix in PICTURES:
            self.plot().savefig(path)
        else:
            raise ValueError(f"expected .csv, .html, .svg, .png or .pdf, got {path.suffix!r}")
        return path

    def _repr_html_(self) -> str:
        picture = ""
        if self.draw is not None:
            text = self.svg()
            picture = text[text.index("<svg") :]  # HTML has no room for an XML prologue
        table = self.frame.to_html(
            max_rows=SHOWN, border=0, escape=True, float_format="{:.4g}".format, na_rep="-"
        )
        return (
            f"<section><h4>{html.escape(self.title)}</h4><p>{html.escape(self.note)}</p>"
            f"{picture}{table}</section>"
        )

    def __str__(self) -> str:
        return f"{self.title}\n{self.frame.to_string(max_rows=SHOWN)}"
