"""Planned windows as SVG: the week by service, and a change among those it collides with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from xml.etree import ElementTree as ET

from markupsafe import Markup

from serving.pages.svg import add, markup, percent, svg
from serving.pages.words import Times

LANE, TOP, FOOT = 22, 46, 8
NAMES = 13.0
"""Share of the width that the names of the rows take, per cent."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A planned window in a plan.

    Parameters
    ----------
    row : str
        Name of its row.
    label : str
        Beside the bar.
    spoken : str
        The whole fact in words.
    marked : bool
        It collides or lies in a freeze.
    """

    row: str
    start: datetime
    end: datetime
    band: str | None
    label: str
    spoken: str
    href: str
    marked: bool = False


@dataclass(frozen=True)
class Span:
    """A named stretch of time, such as a freeze."""

    start: datetime
    end: datetime
    name: str


@dataclass(frozen=True)
class Axis:
    """From moments to per cent of the width, behind the names of the rows."""

    start: datetime
    end: datetime
    names: float = NAMES

    @cached_property
    def _span(self) -> tuple[datetime, timedelta]:
        # In UTC: two moments of one zone are subtracted by the clock on the wall.
        start = self.start.astimezone(UTC)
        return start, self.end.astimezone(UTC) - start

    def __call__(self, moment: datetime) -> float:
        """Where the moment stands; what lies outside stands at the edge."""
        start, span = self._span
        share = (moment.astimezone(UTC) - start) / span
        return self.names + (100 - self.names) * min(max(share, 0.0), 1.0)


def plan(
    bars: Sequence[Bar],
    rows: Sequence[str],
    axis: Axis,
    times: Times,
    freezes: Sequence[Span] = (),
    meeting: tuple[datetime, str] | None = None,
) -> Markup:
    """Rows of planned windows over days; nights and weekends shaded, freezes hatched."""
    lanes = {row: _lanes([bar for bar in bars if bar.row == row], axis) for row in rows}
    heights = {row: LANE * max(1, len(lanes[row])) for row in rows}
    bottom = TOP + sum(heights.values())
    root = svg(None, class_="plan", width="100%", height=bottom + FOOT)
    for name in ("aria-hidden", "focusable"):
        del root.attrib[name]
    root.set("role", "group")
    root.set("aria-label", "Planned windows by service")
    _hatching(root)
    names = _days(root, axis, times, bottom)
    for freeze in freezes:
        _freeze(root, freeze, axis, bottom)
    _marks(root, axis, times, bottom, meeting)
    for name, x in names:
        add(root, "text", name, x=x, y=TOP - 8, text_anchor="middle", class_="dayname")
    top = TOP
    for row in rows:
        add(root, "line", x1="0", x2="100%", y1=top, y2=top, class_="rowline")
        add(root, "text", _cut(row, 18), x=0, y=top + 15, class_="rowname")
        for number, lane in enumerate(lanes[row]):
            for bar in lane:
                _bar(root, bar, axis, top + LANE * number)
        top += heights[row]
    return markup(root)


def _cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def _lanes(bars: Sequence[Bar], axis: Axis) -> list[list[Bar]]:
    """Bars of one row in as few lanes as keep them and their labels apart."""
    lanes: list[list[Bar]] = []
    ends: list[float] = []
    for bar in sorted(bars, key=lambda b: (b.start, b.end)):
        start, end = axis(bar.start), axis(bar.end) + 6
        place = next((n for n, last in enumerate(ends) if last <= start), None)
        if place is None:
            lanes.append([bar])
            ends.append(end)
        else:
            lanes[place].append(bar)
            ends[place] = end
    return lanes


def _hatching(root: ET.Element) -> None:
    pattern = add(
        add(root, "defs"),
        "pattern",
        id="hatch",
        width=7,
        height=7,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    add(pattern, "line", x1=0, x2=0, y1=0, y2=7, class_="hatch")


def _days(root: ET.Element, axis: Axis, times: Times, bottom: int) -> list[tuple[str, str]]:
    """Shade what lies outside 8 to 18 o'clock on working days; gives each day's name and place."""
    names = []
    day = times.local(axis.start).replace(hour=0, minute=0, second=0, microsecond=0)
    width = (100 - NAMES) * timedelta(days=1) / (axis.end - axis.start)
    while day < axis.end:
        noon, after = day.replace(hour=12), _next_day(day)
        spans = [(day, after)]
        if day.weekday() < 5:
            spans = [(day, day.replace(hour=8)), (day.replace(hour=18), after)]
        for start, end in spans:
            left, right = axis(start), axis(end)
            if right > left:
                shape = {"x": percent(left), "width": percent(right - left)}
                add(root, "rect", y=TOP, height=bottom - TOP, class_="night", **shape)
        if axis.start <= day:
            x = percent(axis(day))
            add(root, "line", x1=x, x2=x, y1=TOP, y2=bottom, class_="dayline")
        if axis.start <= noon < axis.end:
            name = f"{day:%a} {day.day}" if width > 6 else f"{day.day}"
            names.append((name, percent(axis(noon))))
        day = after
    return names


def _next_day(day: datetime) -> datetime:
    """The next midnight on the same clock, whatever the clock does in between."""
    return (day + timedelta(days=1)).replace(hour=0)


def _freeze(root: ET.Element, freeze: Span, axis: Axis, bottom: int) -> None:
    left, right = axis(freeze.start), axis(freeze.end)
    if right <= left:
        return
    shape = {"x": percent(left), "y": TOP, "width": percent(right - left), "height": bottom - TOP}
    add(root, "rect", fill="url(#hatch)", **shape)
    add(root, "line", x1=percent(left), x2=percent(left), y1=TOP - 40, y2=bottom, class_="edge")
    add(root, "text", freeze.name, x=percent(left), dx=5, y=TOP - 28, class_="freezename")


def _marks(
    root: ET.Element,
    axis: Axis,
    times: Times,
    bottom: int,
    meeting: tuple[datetime, str] | None,
) -> None:
    marks = [(times.now, "now", "now")]
    if meeting is not None:
        marks.append((*meeting, "meeting"))
    for moment, name, kind in marks:
        if axis.start <= moment < axis.end:
            x = percent(axis(moment))
            add(root, "line", x1=x, x2=x, y1=TOP - 24, y2=bottom, class_=kind)
            add(root, "text", name, x=x, dx=5, y=TOP - 28, class_=f"{kind}-name")


def _bar(root: ET.Element, bar: Bar, axis: Axis, top: int) -> None:
    left, right = axis(bar.start), axis(bar.end)
    width = max(right - left, 0.7)
    link = add(root, "a", href=bar.href, aria_label=bar.spoken)
    kind = f"bar {bar.band or 'none'}{' marked' if bar.marked else ''}"
    shape = {"x": percent(left), "width": percent(width), "y": top + 5, "height": 12, "rx": 3}
    # A generous area to hit, as tall as the lane.
    hit = {"x": percent(left), "width": percent(max(width, 3)), "y": top, "height": LANE}
    add(link, "rect", class_="hit", **hit)
    add(link, "rect", class_=kind, **shape)
    label = f"{bar.label}{' ⚠' if bar.marked else ''}"
    if left + width > 94:
        place = {"x": percent(left), "dx": -5, "text_anchor": "end"}
    else:
        place = {"x": percent(left + width), "dx": 5}
    add(link, "text", label, y=top + 15, class_="barname", **place)


def strip(own: Bar, others: Sequence[Bar], times: Times) -> Markup:
    """Own window on top, colliding ones below, what they share hatched."""
    every = [own, *others]
    start, end = min(bar.start for bar in every), max(bar.end for bar in every)
    margin = max((end - start) * 0.05, timedelta(minutes=10))
    axis = Axis(start - margin, end + margin, names=18.0)
    bottom = 30 + LANE * len(every)
    root = svg(class_="plan strip", width="100%", height=bottom + FOOT)
    _hatching(root)
    for moment, name in _hours(axis, times):
        x = percent(axis(moment))
        add(root, "line", x1=x, x2=x, y1=24, y2=bottom, class_="dayline")
        add(root, "text", name, x=x, y=16, text_anchor="middle", class_="dayname plain")
    for bar in others:
        left = axis(max(bar.start, own.start))
        right = axis(min(bar.end, own.end))
        if right > left:
            shape = {
                "x": percent(left),
                "width": percent(right - left),
                "y": 28,
                "height": bottom - 28,
            }
            add(root, "rect", fill="url(#hatch)", **shape)
    for place, bar in enumerate(every):
        top = 30 + LANE * place
        left, right = axis(bar.start), axis(bar.end)
        add(root, "text", _cut(bar.row, 16), x=0, y=top + 15, class_="rowname mono")
        kind = f"bar {bar.band or 'none'}{' own' if place == 0 else ''}"
        shape = {
            "x": percent(left),
            "width": percent(max(right - left, 0.7)),
            "y": top + 3,
            "height": 15,
        }
        add(root, "rect", rx=3, class_=kind, **shape)
    return markup(root)


def _hours(axis: Axis, times: Times) -> list[tuple[datetime, str]]:
    """Round hours to label an axis with, at most eight."""
    span = axis.end - axis.start
    step = next((h for h in (1, 2, 3, 6, 12, 24) if span / timedelta(hours=h) <= 8), 0)
    if not step:
        step = 24 * (span.days // 7 + 1)
    moment = times.local(axis.start).replace(hour=0, minute=0, second=0, microsecond=0)
    found = []
    while moment < axis.end:
        if moment >= axis.start:
            name = f"{moment:%H:%M}" if step < 24 else f"{moment:%a} {moment.day}"
            found.append((moment, name))
        moment += timedelta(hours=step)
    return found
