"""What a notebook sees: a table with a title, perhaps a picture, and a way to keep both."""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE = (6.4, 3.6)
"""Width and height of a picture, inches."""

SHOWN = 30
"""Rows of a table shown in a notebook; ``frame`` has them all."""


class NoPictureError(ValueError):
    """A view that is only a table was asked for its picture."""


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
    """

    title: str
    frame: pd.DataFrame
    note: str = ""
    draw: Callable[[Axes], None] | None = None

    def plot(self) -> Figure:
        """The picture, free of any global state of matplotlib.

        Raises
        ------
        NoPictureError
            If the view has none.
        """
        if self.draw is None:
            raise NoPictureError(f"{self.title!r} is a table: use .frame")
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        self.draw(axes)
        axes.set_title(self.title, loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    def svg(self) -> str:
        """The picture as SVG, without the XML prologue.

        Raises
        ------
        NoPictureError
            If the view has none.
        """
        target = io.StringIO()
        self.plot().savefig(target, format="svg", metadata={"Date": None})
        text = target.getvalue()
        return text[text.index("<svg") :]

    def save(self, path: Path | str) -> Path:
        """Keep it: ``.csv`` the table, ``.svg``, ``.png`` or ``.pdf`` the picture, ``.html`` both.

        Raises
        ------
        ValueError
            If the ending is none of these.
        """
        path = Path(path)
        if path.suffix == ".csv":
            self.frame.to_csv(path)
        elif path.suffix == ".html":
            path.write_text(self._repr_html_(), encoding="utf-8")
        elif path.suffix in (".svg", ".png", ".pdf"):
            self.plot().savefig(path)
        else:
            raise ValueError(f"expected .csv, .html, .svg, .png or .pdf, got {path.suffix!r}")
        return path

    def _repr_html_(self) -> str:
        picture = "" if self.draw is None else self.svg()
        table = self.frame.to_html(
            max_rows=SHOWN, border=0, escape=True, float_format="{:.4g}".format
        )
        return (
            f"<section><h4>{html.escape(self.title)}</h4><p>{html.escape(self.note)}</p>"
            f"{picture}{table}</section>"
        )

    def __str__(self) -> str:
        return f"{self.title}\n{self.frame.to_string(max_rows=SHOWN)}"
