"""Charts as SVG, drawn on the server: coloured by classes, readable in print and forced colours.

What a chart shows stands beside it as text; charts that only repeat it are hidden from screen
readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree as ET

from markupsafe import Markup

from serving.pages.svg import add, markup, percent, svg

BAND_STEPS = {"low": 1, "moderate": 2, "high": 3, "very_high": 4}


# meter -------------------------------------------------------------------------------------------


def meters() -> Markup:
    """The four-step meters, defined once a page and used by reference."""
    root = svg(width=0, height=0, class_="sprite")
    for band, filled in BAND_STEPS.items():
        symbol = add(root, "symbol", id=f"meter-{band}", viewBox="0 0 34 15")
        for step in range(4):
            height = 5 + 3 * step
            add(
                symbol,
                "rect",
                x=1 + 8.5 * step,
                y=14.5 - height,
                width=6.5,
                height=height - 0.5,
                rx=1,
                class_="step on" if step < filled else "step",
            )
    return markup(root)


# icon array --------------------------------------------------------------------------------------


def icon_array(count: int, usual: int, label: str) -> Markup:
    """A hundred squares, ``count`` filled; rings mark the usual number on the first ones."""
    root = svg(label, viewBox="0 0 150 150", width=150, height=150, class_="icons")
    for place in range(100):
        x, y = 15 * (place % 10) + 2.5, 15 * (place // 10) + 2.5
        shape = {"x": x, "y": y, "width": 10, "height": 10, "rx": 2}
        add(root, "rect", class_="icon on" if place < count else "icon", **shape)
        if place < usual:
            add(root, "circle", cx=x + 5, cy=y + 5, r=2.4, class_="ring")
    return markup(root)


# waterfall ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """From a share to per cent of a chart's width."""

    low: float
    high: float

    def __call__(self, value: float) -> float:
        """Where the share stands."""
        span = self.high - self.low
        return 4 + 92 * ((value - self.low) / span if span > 0 else 0.5)


def waterfall(base: float, parts: Sequence[float]) -> list[Markup]:
    """One chart a row of a factor table: the start, every part, the end.

    Thin links at the top and the bottom of each row join up at any row height.
    """
    levels = [base]
    for part in parts:
        levels.append(levels[-1] + part)
    scale = Scale(min(0.0, *levels), max(levels))
    rows = [_level(base, scale, base, below=bool(parts))]
    for before, after in pairwise(levels):
        rows.append(_step(before, after, scale, base))
    rows.append(_level(levels[-1], scale, base, end=True))
    return rows


def _fall(scale: Scale, base: float) -> ET.Element:
    root = svg(class_="fall", width="100%", height="100%")
    x = percent(scale(base))
    add(root, "line", x1=x, x2=x, y1="0", y2="100%", class_="usual")
    return root


def _level(
    value: float, scale: Scale, base: float, *, below: bool = False, end: bool = False
) -> Markup:
    root, x = _fall(scale, base), percent(scale(value))
    if below:
        add(root, "line", x1=x, x2=x, y1="50%", y2="100%", class_="link")
    if end:
        add(root, "line", x1=x, x2=x, y1="0", y2="50%", class_="link")
    add(root, "circle", cx=x, cy="50%", r=5, class_="end" if end else "start")
    return markup(root)


def _step(before: float, after: float, scale: Scale, base: float) -> Markup:
    root = _fall(scale, base)
    x, then = scale(before), scale(after)
    add(root, "line", x1=percent(x), x2=percent(x), y1="0", y2="50%", class_="link")
    add(root, "line", x1=percent(then), x2=percent(then), y1="50%", y2="100%", class_="link")
    add(
        root,
        "rect",
        x=percent(min(x, then)),
        y="50%",
        width=percent(max(abs(then - x), 0.4)),
        height=16,
        rx=2,
        transform="translate(0 -8)",
        class_="raises" if after >= before else "lowers",
    )
    return markup(root)


# what-ifs ----------------------------------------------------------------------------------------


def dumbbell(now: float, then: float, cuts: Sequence[float]) -> Markup:
    """From a ring (now) to a diamond (then); ticks where bands begin."""
    scale = Scale(0.0, max(now, then, 0.01) * 1.05)
    root = svg(class_="dumbbell", width="100%", height=22)
    add(root, "line", x1="0", x2="100%", y1=11, y2=11, class_="axis")
    for cut in cuts:
        if scale(cut) <= 100:
            add(
                root,
                "line",
                x1=percent(scale(cut)),
                x2=percent(scale(cut)),
                y1=6,
                y2=16,
                class_="tick",
            )
    add(root, "line", x1=percent(scale(then)), x2=percent(scale(now)), y1=11, y2=11, class_="way")
    add(root, "circle", cx=percent(scale(now)), cy=11, r=4.5, class_="ring-now")
    holder = add(root, "svg", x=percent(scale(then)), y=11, overflow="visible")
    add(holder, "path", d="M0 -5.5 L5.5 0 L0 5.5 L-5.5 0 Z", class_="diamond")
    return markup(root)


# outcomes ----------------------------------------------------------------------------------------

_MARKS = {
    "caused": ("bad", "M5.5 5.5 L12.5 12.5 M12.5 5.5 L5.5 12.5"),
    "clean": ("good", "M5 9.5 L8 12.5 L13.5 6"),
    "backed_out": ("back", "M11 5 L7 9 L11 13"),
}


def outcomes(found: Sequence[str], label: str) -> Markup:
    """A strip of past outcomes: crossed and filled, ticked and outlined, or turned back."""
    root = svg(label, width=22 * len(found), height=18, class_="outcomes")
    for place, outcome in enumerate(found):
        kind, mark = _MARKS[outcome]
        group = add(root, "g", transform=f"translate({22 * place} 0)", class_=kind)
        add(group, "rect", x=0.75, y=0.75, width=16.5, height=16.5, rx=2)
        add(group, "path", d=mark)
    return markup(root)


# reliability -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Group:
    """Changes with similar scores: what was predicted, what happened, how sure that is."""

    predicted: float
    happened: float
    low: float
    high: float
    changes: int


PLOT = 340
"""Height of the reliability plot, pixels."""


def reliability(groups: Sequence[Group], noun: str, label: str) -> Markup:
    """Dots by count with their intervals beside the diagonal on which predictions come true.

    Parameters
    ----------
    noun : str
        What is counted, such as ``incidents``.
    """
    root = svg(label, class_="reliability", width="100%", height=PLOT)
    largest = max([0.04, *(max(group.predicted, group.high) for group in groups)]) * 1.05
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if largest / s <= 5)
    left, top, bottom = 13.0, 14, PLOT - 50

    def x(value: float) -> str:
        return percent(left + (97 - left) * value / largest)

    def y(value: float) -> float:
        return bottom - (bottom - top) * value / largest

    for number in range(int(largest / step) + 1):
        value = number * step
        name = f"{100 * value:.0f}"
        add(root, "line", x1=x(0), x2="97%", y1=y(value), y2=y(value), class_="dayline")
        tick = {"x": x(0), "dx": -8, "y": y(value) + 4, "text_anchor": "end"}
        add(root, "text", name, class_="plain", **tick)
        add(root, "text", name, x=x(value), y=bottom + 20, text_anchor="middle", class_="plain")
    add(root, "line", x1=x(0), x2=x(largest), y1=y(0), y2=y(largest), class_="diagonal")
    words = f"{noun} in 100 changes"
    middle = {"x": percent(left + (97 - left) / 2), "y": PLOT - 8, "text_anchor": "middle"}
    add(root, "text", f"Predicted: {words}", class_="axisname", **middle)
    upright = {"transform": f"translate(14 {(top + bottom) / 2:.0f}) rotate(-90)"}
    add(root, "text", f"Happened: {words}", text_anchor="middle", class_="axisname", **upright)
    most = max((group.changes for group in groups), default=1)
    for group in groups:
        at = x(group.predicted)
        add(root, "line", x1=at, x2=at, y1=y(group.low), y2=y(group.high), class_="interval")
        radius = 3.5 + 5 * (group.changes / most) ** 0.5
        add(root, "circle", cx=at, cy=y(group.happened), r=radius, class_="dot")
    return markup(root)
