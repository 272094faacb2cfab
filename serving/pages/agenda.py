"""The agenda: what is planned, what the board must talk about, and how much to expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from models.bands import BANDS, BOARD, Bands
from models.routing import BOARD_ROUTES
from serving.pages.facts import Freeze
from serving.pages.plans import Axis, Bar, Span, plan
from serving.pages.site import page_of, with_query
from serving.pages.words import BAND_WORDS, Times, figure, short
from serving.queue import QueueEntry

PERIODS = (7, 14, 28)
"""Lengths of an agenda, days."""

ORDERS = {"highest": "Highest first", "soonest": "Soonest first"}

PAGE = 50
"""Rows on a page."""

MOST_ROWS = 15
"""Services in the plan of the week, riskiest first."""

LEAST_MINUTES = 2
"""What each change is given at least."""

DECIDED = {
    "approve": "Approved",
    "approve_with_conditions": "Approved with conditions",
    "send_back": "Sent back",
    "reject": "Rejected",
}
"""A decision that stands, in words."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the address of an agenda says."""

    days: int = PERIODS[0]
    order: str = "highest"
    band: str = ""
    service: str = ""
    undecided: bool = False
    minutes: int = 60
    usual_minutes: int = 60
    after: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], minutes: int) -> Filters:
        """The filters of a query; what cannot be understood is as if it were not said."""

        def one_of(name: str, known: Sequence[str], default: str) -> str:
            return query[name] if query.get(name) in known else default

        asked = query.get("minutes", "")
        whole = asked.isascii() and asked.isdecimal() and len(asked) < 4 and int(asked) > 0
        return cls(
            days=int(one_of("days", [str(n) for n in PERIODS], str(PERIODS[0]))),
            order=one_of("order", list(ORDERS), "highest"),
            band=one_of("band", BANDS, ""),
            service=query.get("service", "")[:300],
            undecided=query.get("undecided") == "1",
            minutes=int(asked) if whole else minutes,
            usual_minutes=minutes,
            after=query.get("after", "")[:300],
        )

    def address(self, path: str = "/", **changed: object) -> str:
        """The address that says the same, with some things said otherwise."""
        return with_query(
            path,
            **{
                "days": self.days if self.days != PERIODS[0] else None,
                "order": self.order if self.order != "highest" else None,
                "band": self.band,
                "service": self.service,
                "undecided": "1" if self.undecided else None,
                "minutes": self.minutes if self.minutes != self.usual_minutes else None,
                **changed,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One change of the agenda."""

    entry: QueueEntry
    title: str
    facts: Sequence[str]
    ci: str | None
    window: str
    figure: str | None
    band: str | None
    reasons: Sequence[Mapping[str, Any]]
    collisions: int
    freeze: bool
    board: bool
    decision: str | None
    minutes: int | None = None

    @property
    def probability(self) -> float | None:
        """The score; None where none could be given."""
        return self.entry.incident_probability

    @property
    def change_id(self) -> str:
        """The change's number."""
        return self.entry.change_id


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The period in figures.

    Parameters
    ----------
    share : int
        Per cent of the expected incidents that the ``top`` riskiest changes carry.
    """

    changes: int
    expected: float
    top: int
    share: int
    colliding: int
    frozen: int
    unscored: int
    tally: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Agenda:
    """All changes of a period, highest first, and what they add up to."""

    rows: Sequence[Row]
    summary: Summary
    start: datetime
    end: datetime
    freezes: Sequence[Freeze]

    def services(self) -> list[str]:
        """Services of the period, by name."""
        return sorted({s for row in self.rows if (s := row.entry.service)})

    def shown(self, filters: Filters) -> list[Row]:
        """The rows that fit the filters, in their order."""
        rows = [
            row
            for row in self.rows
            if (not filters.band or row.band == filters.band)
            and (not filters.service or row.entry.service == filters.service)
            and not (filters.undecided and row.decision)
        ]
        if filters.order == "soonest":
            rows.sort(key=lambda row: (row.entry.planned_start or self.end, row.change_id))
        return rows


def make_agenda(
    entries: Sequence[QueueEntry],
    freezes: Sequence[Freeze],
    times: Times,
    *,
    days: int,
    bands: Bands | None,
    minutes: int,
) -> Agenda:
    """The agenda of the days to come.

    It holds the changes of the queue that begin within the period, and those without a window.
    """
    now = times.now
    end = now + timedelta(days=days)
    due = [e for e in entries if e.planned_start is None or e.planned_start < end]
    due.sort(key=lambda e: (e.incident_probability is not None, -_score(e), e.change_id))
    rows = [_row(entry, freezes, times, bands) for entry in due]
    return Agenda(
        rows=_with_minutes(rows, minutes),
        summary=_summary(rows),
        start=now,
        end=end,
        freezes=freezes,
    )


def _score(entry: QueueEntry) -> float:
    return entry.incident_probability or 0.0


def window_of(entry: QueueEntry) -> tuple[datetime | None, datetime | None]:
    """Planned start and end; the end is the start where it is missing or lies before it."""
    start, end = entry.planned_start, entry.planned_end
    if start is None or end is None or end <= start:
        return start, start
    return start, end


def _row(entry: QueueEntry, freezes: Sequence[Freeze], times: Times, bands: Bands | None) -> Row:
    probability, band = entry.incident_probability, entry.risk_band
    start, end = window_of(entry)
    names = {name for name in (entry.ci, entry.service) if name}
    kind = str(entry.change_type or "").capitalize()
    return Row(
        entry=entry,
        title=short(entry.title) or short(entry.change_id, 60),
        facts=[fact for fact in (kind, entry.service) if fact],
        ci=entry.ci,
        window=times.window(start, end),
        figure=None if probability is None else figure(probability, band, bands),
        band=band,
        reasons=[_said(text) for text in entry.reasons],
        collisions=_collisions(entry),
        freeze=any(freeze.holds(names, start, end) for freeze in freezes),
        board=_for_board(entry),
        decision=None if entry.decision is None else DECIDED[entry.decision],
    )


def _for_board(entry: QueueEntry) -> bool:
    """Whether the board must talk about a change: by its route, without one by its band."""
    if entry.route is not None:
        return entry.route in BOARD_ROUTES
    return entry.risk_band is None or entry.risk_band in BOARD


def _collisions(entry: QueueEntry) -> int:
    """Changes at the same time on the same item or service; one team may do two things."""
    named = sum(other.kind != "same_team" for other in entry.collisions)
    return entry.collisions_count if named > 2 else named


def _said(text: str) -> Mapping[str, str]:
    """A factor's fact and its comparison apart."""
    fact, _, usual = text.partition("; usual: ")
    return {"fact": fact, "usual": usual, "direction": "raises"}


def _summary(rows: Sequence[Row]) -> Summary:
    scores = sorted((row.probability or 0.0 for row in rows), reverse=True)
    expected = sum(scores)
    top = min(3, len(scores))
    return Summary(
        changes=len(rows),
        expected=expected,
        top=top,
        share=round(100 * sum(scores[:top]) / expected) if expected else 0,
        colliding=sum(row.collisions > 0 for row in rows),
        frozen=sum(row.freeze for row in rows),
        unscored=sum(row.probability is None for row in rows),
        tally=Counter(row.band for row in rows if row.band),
    )


def _with_minutes(rows: Sequence[Row], minutes: int) -> list[Row]:
    """The board's minutes shared out: some to each change, more where more is expected."""
    board = [row for row in rows if row.board and not row.decision]
    given = dict(zip((row.change_id for row in board), shares(board, minutes), strict=True))
    return [replace(row, minutes=given.get(row.change_id)) for row in rows]


def shares(rows: Sequence[Row], minutes: int) -> list[int]:
    """Whole minutes for each row, in proportion to what is expected, none under the least."""
    if not rows:
        return []
    spare = max(minutes - LEAST_MINUTES * len(rows), 0)
    weights = [row.probability or 0.0 for row in rows]
    total = sum(weights) or 1.0
    exact = [spare * weight / total for weight in weights]
    whole = [int(part) for part in exact]
    left = spare - sum(whole) if sum(weights) else 0
    by_rest = sorted(range(len(rows)), key=lambda n: whole[n] - exact[n])
    for place in by_rest[:left]:
        whole[place] += 1
    return [LEAST_MINUTES + part for part in whole]


def week(agenda: Agenda, times: Times, meeting: datetime | None) -> tuple[Markup, int]:
    """The plan of the period by service, riskiest first, and how many services are left out."""
    expected: Counter[str] = Counter()
    bars = []
    for row in agenda.rows:
        start, end = window_of(row.entry)
        if start is None or end is None:
            continue
        service = row.entry.service or "No service"
        expected[service] += row.probability or 0.0  # type: ignore[assignment]
        bars.append(_bar(row, service, start, end))
    if not bars:
        return Markup(""), 0
    services = [name for name, _ in expected.most_common()]
    spans = [_span(f) for f in agenda.freezes if f.scope == "*"]
    at = None if meeting is None else (meeting, f"CAB {meeting:%H:%M}")
    axis = Axis(times.local(agenda.start), times.local(agenda.end))
    shown = services[:MOST_ROWS]
    bars = [bar for bar in bars if bar.row in shown]
    return plan(bars, shown, axis, times, spans, at), len(services) - len(shown)


def _span(freeze: Freeze) -> Span:
    return Span(freeze.start, freeze.end, f"{freeze.kind.capitalize()} ▸")


def _bar(row: Row, service: str, start: datetime, end: datetime) -> Bar:
    label = f"{row.figure} in 100, {BAND_WORDS[row.band]}" if row.band else "not scored"
    notes = [f"{row.collisions} collisions"] if row.collisions else []
    notes += ["in a freeze"] if row.freeze else []
    spoken = f"{row.change_id} {row.title}: {label}, {row.window}"
    return Bar(
        row=service,
        start=start,
        end=end,
        band=row.band,
        label=f"{row.figure}%" if row.figure else "?",
        spoken=", ".join([spoken, *notes]),
        href=page_of(row.change_id),
        marked=bool(notes),
    )
