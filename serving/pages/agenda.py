"""The agenda: what is planned, what the board must talk about, and how much to expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from models.bands import BANDS, Bands
from serving.pages.facts import Facts, Freeze
from serving.pages.plans import Axis, Bar, Span, plan
from serving.pages.site import page_of, with_query
from serving.pages.standing import Standing
from serving.pages.words import BAND_WORDS, Times, figure, short

PERIODS = (7, 14, 28)
"""Lengths of an agenda, days."""

ORDERS = {"highest": "Highest first", "soonest": "Soonest first"}

PAGE = 50
"""Rows on a page."""

MOST_ROWS = 15
"""Services in the plan of the week, riskiest first."""

BOARD_ROUTES = ("cab", "ecab")

LEAST_MINUTES = 2


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the address of an agenda says."""

    days: int = PERIODS[0]
    order: str = "highest"
    band: str = ""
    service: str = ""
    undecided: bool = False
    minutes: int = 60
    after: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str], minutes: int) -> Filters:
        """The filters of a query; what cannot be understood is as if it were not said."""

        def one_of(name: str, known: Sequence[str], default: str) -> str:
            return query[name] if query.get(name) in known else default

        asked = query.get("minutes", "")
        whole = asked.isascii() and asked.isdecimal() and 1 <= int(asked[:4]) <= 999
        return cls(
            days=int(one_of("days", [str(n) for n in PERIODS], str(PERIODS[0]))),
            order=one_of("order", list(ORDERS), "highest"),
            band=one_of("band", BANDS, ""),
            service=query.get("service", "")[:300],
            undecided=query.get("undecided") == "1",
            minutes=int(asked) if whole else minutes,
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
                **changed,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Row:
    """One change of the agenda."""

    standing: Standing
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
    def change_id(self) -> str:
        """The change's number."""
        return self.standing.change_id


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
        return sorted({s for row in self.rows if (s := row.standing.payload.get("service"))})

    def shown(self, filters: Filters) -> list[Row]:
        """The rows that fit the filters, in their order."""
        rows = [
            row
            for row in self.rows
            if (not filters.band or row.band == filters.band)
            and (not filters.service or row.standing.payload.get("service") == filters.service)
            and not (filters.undecided and row.decision)
        ]
        if filters.order == "soonest":
            rows.sort(key=lambda row: (row.standing.start or self.end, row.change_id))
        return rows


def make_agenda(
    standings: Sequence[Standing],
    facts: Facts,
    times: Times,
    *,
    days: int,
    bands: Bands | None,
    minutes: int,
) -> Agenda:
    """The agenda of the days to come.

    It holds the changes whose window has not ended and begins within the period, and those without
    a window; changes that were closed are gone from it.
    """
    now = times.now
    end = now + timedelta(days=days)
    due = [s for s in standings if _due(s, now, end) and not _ended(s, facts)]
    due.sort(key=lambda s: (s.probability is not None, -(s.probability or 0), s.change_id))
    freezes = facts.freezes(now, end)
    rows = [_row(standing, freezes, times, bands) for standing in due]
    return Agenda(
        rows=_with_minutes(rows, minutes),
        summary=_summary(rows),
        start=now,
        end=end,
        freezes=freezes,
    )


def _due(standing: Standing, now: datetime, end: datetime) -> bool:
    start, last = standing.start, standing.end
    return start is None or last is None or (last > now and start < end)


def _ended(standing: Standing, facts: Facts) -> bool:
    fact = facts.ended(standing.change_id)
    return fact is not None


def _row(standing: Standing, freezes: Sequence[Freeze], times: Times, bands: Bands | None) -> Row:
    payload, answer, probability = standing.payload, standing.answer, standing.probability
    start, end, band = standing.start, standing.end, answer.get("risk_band")
    names = {payload.get("ci"), payload.get("service"), *payload.get("affected_cis", ())} - {None}
    raising = [f for f in answer.get("factors", ()) if f["direction"] == "raises" and f["feature"]]
    route = (answer.get("recommendation") or {}).get("route")
    kind = str(payload.get("change_type") or "").capitalize()
    return Row(
        standing=standing,
        title=short(payload.get("short_description")) or "Without a title",
        facts=[fact for fact in (kind, payload.get("service")) if fact],
        ci=payload.get("ci"),
        window=times.window(start, end),
        figure=None if probability is None else figure(probability, band, bands),
        band=band,
        reasons=[_said(f) for f in (raising or answer.get("factors", ()))[:2]],
        collisions=sum(c["kind"] != "same_team" for c in answer.get("collisions", ())),
        freeze=any(freeze.holds(names, start, end) for freeze in freezes),
        board=route is None or route in BOARD_ROUTES,
        decision=None if standing.decision is None else str(standing.decision["words"]),
    )


def _said(factor: Mapping[str, Any]) -> Mapping[str, Any]:
    """A factor's fact and its comparison apart."""
    fact, _, usual = str(factor["text"]).partition("; usual: ")
    return {"fact": fact, "usual": usual, "direction": factor["direction"]}


def _summary(rows: Sequence[Row]) -> Summary:
    scores = sorted((row.standing.probability or 0.0 for row in rows), reverse=True)
    expected = sum(scores)
    top = min(3, len(scores))
    return Summary(
        changes=len(rows),
        expected=expected,
        top=top,
        share=round(100 * sum(scores[:top]) / expected) if expected else 0,
        colliding=sum(row.collisions > 0 for row in rows),
        frozen=sum(row.freeze for row in rows),
        unscored=sum(row.standing.probability is None for row in rows),
        tally=Counter(row.band for row in rows if row.band),
    )


def _with_minutes(rows: Sequence[Row], minutes: int) -> list[Row]:
    """The board's minutes shared out: some to each change, more where more is expected."""
    from dataclasses import replace

    board = [row for row in rows if row.board and not row.decision]
    given = dict(zip((row.change_id for row in board), shares(board, minutes), strict=True))
    return [replace(row, minutes=given.get(row.change_id)) for row in rows]


def shares(rows: Sequence[Row], minutes: int) -> list[int]:
    """Whole minutes for each row, in proportion to what is expected, none under the least."""
    if not rows:
        return []
    spare = max(minutes - LEAST_MINUTES * len(rows), 0)
    weights = [row.standing.probability or 0.0 for row in rows]
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
        start, end = row.standing.start, row.standing.end
        if start is None or end is None:
            continue
        service = row.standing.payload.get("service") or "No service"
        expected[service] += row.standing.probability or 0.0  # type: ignore[assignment]
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
