"""Changes as they are planned: what is done to which items, by which team, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from features import instants
from features.instants import MISSING
from features.synthetic.arrays import Arrays, Floats, Ints, Mask, hours, on_quarter, shares
from features.synthetic.estate import Estate
from features.synthetic.freezes import BLACKOUT_SERVICES, Span, before_closing, inside
from features.synthetic.incidents import Tickets, serious
from features.synthetic.templates import BY_CLASS, HOURS, REPAIR, STANDARD, TEMPLATES

STANDARD_KIND, NORMAL, EMERGENCY = 0, 1, 2
"""Codes of the change types."""

WRITTEN, BOILERPLATE, EMPTY, COPIED = 0, 1, 2, 3
"""What stands in the field for the backout plan."""

NO_TICKET, OWN_TICKET = -1, -2

MOST_ITEMS = 12
"""The most items a change names."""

_SIZES = np.array(
    [
        [0.74, 0.15, 0.06, 0.03, 0.02, 0, 0, 0, 0, 0, 0, 0],
        [0.46, 0.21, 0.12, 0.07, 0.05, 0.03, 0.02, 0.01, 0.01, 0.01, 0.005, 0.005],
        [0.80, 0.15, 0.05, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
)
# Median hours and spread of the time between submission and planned start, by change type.
_LEAD_MEDIAN, _LEAD_SPREAD = np.array([32.0, 105.0, 1.5]), np.array([0.8, 0.95, 0.7])
_MOVED = np.array([0.03, 0.12, 0.0])
_DELAYS = np.array([1, 2, 3, 7, 7, 7, 14]) * instants.DAY
# Office hours, night and weekend, by change type.
_SLOTS = np.array([[0.55, 0.33, 0.12], [0.36, 0.42, 0.22], [0.62, 0.25, 0.13]])
_NO_PLAN = np.array([0.6, 1.1, 1.7])


class Period(NamedTuple):
    """Where planned starts may lie, and by when all must be submitted."""

    begin: int
    low: int
    high: int
    until: int


@dataclass(frozen=True)
class Plans(Arrays):
    """Planned changes, times in microseconds.

    Parameters
    ----------
    kind : ndarray of int64
        ``STANDARD_KIND``, ``NORMAL`` or ``EMERGENCY``.
    affected : ndarray of int64, shape (n, MOST_ITEMS)
        Items, -1 where there are fewer; the first one is what the change is about.
    start, end : ndarray of int64
        The planned window that holds in the end.
    put_off : ndarray of int64
        By how much the first planned window was earlier; 0 for a change never rescheduled.
    moved_at : ndarray of int64
        When it was rescheduled, ``MISSING`` for never.
    backout : ndarray of int64
        ``WRITTEN``, ``BOILERPLATE``, ``EMPTY`` or ``COPIED``.
    ticket : ndarray of int64
        Number of the tracker ticket, ``NO_TICKET``, or ``OWN_TICKET`` until it has one; a retry has
        that of the change it repeats.
    repairs : ndarray of int64
        Row of the noise incident it repairs, -1 for none.
    retries : ndarray of int64
        Row of the failed change it repeats, -1 for none.
    """

    kind: Ints
    model: Ints
    team: Ints
    affected: Ints
    submitted: Ints
    start: Ints
    end: Ints
    put_off: Ints
    moved_at: Ints
    backout: Ints
    ticket: Ints
    repairs: Ints
    retries: Ints


def planned(
    estate: Estate, count: int, rng: np.random.Generator, period: Period, closed: list[Span]
) -> Plans:
    """Changes of every kind with planned starts inside a period."""
    kept: list[Plans] = []
    while sum(map(len, kept)) < count:
        drawn = _candidates(estate, count + count // 4 + 100, rng, period, closed)
        kept.append(drawn.take(_welcome(drawn, estate, rng, period, closed)))
    return Plans.concatenate(kept).take(np.arange(count))


def _candidates(
    estate: Estate, count: int, rng: np.random.Generator, period: Period, closed: list[Span]
) -> Plans:
    item = rng.choice(len(estate.items), count, p=estate.popularity)
    model = _models(estate, item, rng)
    kind = np.where(STANDARD[model], STANDARD_KIND, NORMAL)
    kind = np.where((kind == NORMAL) & (rng.random(count) < 0.05), EMERGENCY, kind)
    model = np.where((kind == EMERGENCY) & (rng.random(count) < 0.5), REPAIR, model)
    start = _starts(kind, rng, period, closed)
    put_off = rng.choice(_DELAYS, count) * (rng.random(count) < _MOVED[kind])
    submitted = _submitted(start - put_off, kind, rng)
    last = np.minimum(start - put_off, period.until)
    moved_at = submitted + hours(rng.uniform(0.1, 0.9, count) * (last - submitted) / instants.HOUR)
    team = _teams(estate, item, rng)
    return Plans(
        kind=kind,
        model=model,
        team=team,
        affected=_affected(estate, item, kind, rng),
        submitted=submitted,
        start=start,
        end=start + _durations(model, rng),
        put_off=put_off,
        moved_at=np.where(put_off > 0, moved_at, MISSING),
        backout=_backouts(estate, team, kind, rng),
        ticket=_tickets(submitted - period.begin, rng),
        repairs=np.full(count, -1),
        retries=np.full(count, -1),
    )


def _models(estate: Estate, item: Ints, rng: np.random.Generator) -> Ints:
    model = np.zeros(len(item), np.int64)
    for code, options in enumerate(BY_CLASS):
        rows = np.flatnonzero(estate.item_class[item] == code)
        weights = np.array([TEMPLATES[option].weight for option in options])
        model[rows] = rng.choice(options, len(rows), p=shares(weights))
    return model


def _starts(kind: Ints, rng: np.random.Generator, period: Period, closed: list[Span]) -> Ints:
    """Planned starts: working days at day or night, or weekends; crowded before a closing."""
    days = np.arange(period.low // instants.DAY, period.high // instants.DAY + 1) * instants.DAY
    grown = 1 + 0.3 * (days - days[0]) / max(int(days[-1] - days[0]), 1)
    weight = grown * np.where(before_closing(days + instants.DAY // 2, closed), 1.5, 1.0)
    weekend = _weekday(days) >= 5
    slot = (rng.random(len(kind))[:, None] > np.cumsum(_SLOTS, axis=1)[kind]).sum(axis=1)
    slot = np.minimum(slot, 2)
    day = np.zeros(len(kind), np.int64)
    for rows, open_days in ((slot < 2, ~weekend), (slot == 2, weekend)):
        chances = weight * open_days
        if chances.sum() == 0:
            chances = weight
        day[rows] = rng.choice(days, int(rows.sum()), p=shares(chances))
    shape = rng.beta(1.6, 1.6, len(kind))
    hour = np.select(
        [slot == 0, slot == 1], [7.5 + 9.5 * shape, 19.0 + 9.0 * shape], 6 + 14 * shape
    )
    return on_quarter(day + hours(hour))


def _weekday(moments: Ints) -> Ints:
    """Monday is 0; the first day of 1970 was a Thursday."""
    return (moments // instants.DAY + 3) % 7


def _submitted(start: Ints, kind: Ints, rng: np.random.Generator) -> Ints:
    """Moments of submission; those more than a day ahead lie in office hours."""
    lead = _LEAD_MEDIAN[kind] * rng.lognormal(0.0, _LEAD_SPREAD[kind])
    submitted = start - hours(np.clip(lead, np.where(kind == EMERGENCY, 0.25, 1.0), 24.0 * 60))
    day = submitted // instants.DAY * instants.DAY
    day -= np.maximum(_weekday(day) - 4, 0) * instants.DAY
    office = day + hours(7.5 + 10 * rng.beta(1.5, 1.5, len(start)))
    return np.where((lead > 24) & (office < start), office, submitted)


def _teams(estate: Estate, item: Ints, rng: np.random.Generator) -> Ints:
    """Mostly the team at home on the item, else release management or anybody."""
    chance = rng.random(len(item))
    anybody = rng.integers(0, len(estate.teams), len(item))
    release = len(estate.teams) - 1
    return np.select([chance < 0.78, chance < 0.85], [estate.home_team[item], release], anybody)


def _affected(estate: Estate, item: Ints, kind: Ints, rng: np.random.Generator) -> Ints:
    """The item and its neighbours in the same service, as in a rolling change."""
    size = (rng.random(len(item))[:, None] > np.cumsum(_SIZES, axis=1)[kind]).sum(axis=1) + 1
    service = estate.item_service[item]
    first, span = estate.service_first[service], estate.service_size[service]
    step = np.arange(MOST_ITEMS)
    neighbours = first[:, None] + (item - first)[:, None] + step
    wrapped = first[:, None] + (neighbours - first[:, None]) % span[:, None]
    held = (step < np.minimum(size, MOST_ITEMS)[:, None]) & (step < span[:, None])
    return np.where(held, wrapped, -1)


def _durations(model: Ints, rng: np.random.Generator) -> Ints:
    length = hours(HOURS[model] * rng.lognormal(0.25, 0.6, len(model)))
    return np.maximum(on_quarter(length), instants.HOUR // 4)


def _backouts(estate: Estate, team: Ints, kind: Ints, rng: np.random.Generator) -> Ints:
    nothing = np.minimum(estate.carelessness[team] * _NO_PLAN[kind], 0.9)
    chance, which = rng.random(len(team)), rng.random(len(team))
    says_nothing = np.where(which < 0.65, BOILERPLATE, EMPTY)
    return np.select([chance < nothing, chance < nothing + 0.05], [says_nothing, COPIED], WRITTEN)


def _tickets(age: Ints, rng: np.random.Generator) -> Ints:
    """No ticket, one of its own, or that of a project that lasts two months."""
    chance = rng.random(len(age))
    project = age // (60 * instants.DAY) * 100 + rng.integers(0, 40, len(age))
    return np.select([chance < 0.35, chance < 0.82], [NO_TICKET, OWN_TICKET], project)


def numbered(plans: Plans) -> Plans:
    """The same changes, those with a ticket of their own under a number nobody else has."""
    own = np.flatnonzero(plans.ticket == OWN_TICKET)
    ticket = plans.ticket.copy()
    ticket[own] = max(int(ticket.max(initial=0)), 0) + 1 + np.arange(len(own))
    return replace(plans, ticket=ticket)


def _welcome(
    drawn: Plans, estate: Estate, rng: np.random.Generator, period: Period, closed: list[Span]
) -> Mask:
    """Candidates that can be: in time, on items in use, and hardly ever in a closed time."""
    possible = (drawn.start >= period.low) & (drawn.start < period.high)
    possible &= (drawn.submitted >= period.begin) & (drawn.submitted < period.until)
    born = np.where(drawn.affected >= 0, estate.born[drawn.affected], MISSING).max(axis=1)
    possible &= born < drawn.submitted
    closing = [estate.services.index(name) for name in BLACKOUT_SERVICES]
    in_blackout = inside(drawn.start, closed, "blackout") & np.isin(
        estate.item_service[drawn.affected[:, 0]], closing
    )
    in_freeze = inside(drawn.start, closed, "freeze")
    refused = np.select([in_freeze, in_blackout], [0.95, 0.85], 0.0)
    refused = np.where(drawn.kind == EMERGENCY, 0.0, refused)
    return possible & (rng.random(len(drawn)) >= refused)


def repairing(
    estate: Estate, found: Tickets, count: int, rng: np.random.Generator, period: Period
) -> Plans:
    """Emergency changes, each submitted after an incident that it repairs."""
    weights = serious(found) * (found.known < period.until - instants.DAY)
    weights[estate.born[found.item] >= found.occurred] = 0
    rows = rng.choice(len(found), min(count, int((weights > 0).sum())), False, p=shares(weights))
    rows = np.sort(rows)
    plans = _candidates(estate, len(rows), rng, period, [])
    submitted = found.known[rows] + hours(rng.uniform(0.3, 5.0, len(rows)))
    start = on_quarter(submitted + hours(rng.uniform(0.75, 5.0, len(rows))))
    item, kind = found.item[rows], np.full(len(rows), EMERGENCY)
    model = np.where(rng.random(len(rows)) < 0.6, REPAIR, _models(estate, item, rng))
    team = _teams(estate, item, rng)
    return replace(
        plans,
        kind=kind,
        model=np.where(STANDARD[model], REPAIR, model),
        team=team,
        affected=np.where(np.arange(MOST_ITEMS) == 0, item[:, None], -1),
        submitted=submitted,
        start=start,
        end=start + _durations(model, rng),
        put_off=np.zeros(len(rows), np.int64),
        moved_at=np.full(len(rows), MISSING),
        backout=_backouts(estate, team, kind, rng),
        repairs=rows,
    )


def retrying(
    estate: Estate, plans: Plans, failed_at: Ints, count: int, rng: np.random.Generator, until: int
) -> Plans:
    """Second attempts at failed changes, under the ticket of the first.

    Parameters
    ----------
    failed_at : ndarray of int64
        When each of ``plans`` failed, ``MISSING`` where it did not. Where fewer failed than are
        wanted, a change is tried more than twice, and as a last resort one is repeated that went
        well.
    """
    again = np.where(failed_at == MISSING, plans.end, failed_at)
    early = (again < until - 25 * instants.DAY) & (plans.ticket >= 0) & (plans.repairs < 0)
    weights = np.where(failed_at == MISSING, 1e-6, 1.0) * early
    enough = int((weights >= 1.0).sum()) >= count
    rows = np.sort(rng.choice(len(plans), count, not enough, p=shares(weights)))
    submitted = again[rows] + hours(rng.uniform(4.0, 24.0 * 7, count))
    lead = np.minimum(30.0 * rng.lognormal(0.0, 0.8, count), 24.0 * 14)
    day = (submitted + hours(lead)) // instants.DAY * instants.DAY
    start = day + instants.DAY + plans.start[rows] % instants.DAY
    once = plans.take(rows)
    return replace(
        once,
        submitted=submitted,
        start=start,
        end=start + once.end - once.start,
        put_off=np.zeros(count, np.int64),
        moved_at=np.full(count, MISSING),
        backout=_backouts(estate, once.team, once.kind, rng),
        retries=rows,
    )


def lead_hours(plans: Plans) -> Floats:
    """Hours from submission to the planned start that holds in the end."""
    return (plans.start - plans.submitted) / instants.HOUR
