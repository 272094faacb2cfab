"""Incidents as they happen: the noise every item makes by itself, and those a change causes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import instants
from features.synthetic.arrays import Arrays, Floats, Ints, hours
from features.synthetic.estate import Estate

NAMELESS = 0.04
"""Share of incidents recorded without an item."""

_PRIORITIES = np.arange(1, 6)
_NOISE_PRIORITY = (0.004, 0.026, 0.22, 0.60, 0.15)
_CAUSED_PRIORITY = (0.03, 0.12, 0.40, 0.40, 0.05)
_MEDIAN_HOURS = np.array([3.0, 6.0, 14.0, 30.0, 60.0])


@dataclass(frozen=True)
class Tickets(Arrays):
    """Incidents, times in microseconds.

    Parameters
    ----------
    item : ndarray of int64
        The item it was on; recorded unless ``nameless``.
    cause : ndarray of int64
        Row of the change that really caused it, -1 for none.
    phrase : ndarray of int64
        Picks the words.
    """

    item: Ints
    nameless: Ints
    occurred: Ints
    known: Ints
    resolved: Ints
    priority: Ints
    cause: Ints
    phrase: Ints


def noise(estate: Estate, count: int, rng: np.random.Generator, begin: int, until: int) -> Tickets:
    """Incidents without a change behind them; more of them in office hours."""
    item = rng.choice(len(estate.items), count, p=estate.noise)
    since = np.maximum(estate.born[item], begin)
    occurred = since + (rng.random(count) * (until - since)).astype(np.int64)
    occurred = np.minimum(_towards_office_hours(occurred, rng), until - instants.SECOND)
    occurred = np.maximum(occurred, since)
    return tickets(item, occurred, np.full(count, -1), _NOISE_PRIORITY, rng)


def _towards_office_hours(moments: Ints, rng: np.random.Generator) -> Ints:
    """Half of the moments moved into 7 to 18 o'clock of their day."""
    day = moments - moments % instants.DAY
    office = day + hours(7 + 11 * rng.beta(2.0, 2.0, len(moments)))
    return np.where(rng.random(len(moments)) < 0.5, office, moments)


def tickets(
    item: Ints,
    occurred: Ints,
    cause: Ints,
    priorities: tuple[float, ...],
    rng: np.random.Generator,
) -> Tickets:
    """Incidents at given moments, with when they were noticed and resolved."""
    count = len(item)
    occurred = occurred - occurred % instants.SECOND
    known = occurred + hours(np.minimum(rng.exponential(0.25, count), 6.0))
    priority = rng.choice(_PRIORITIES, count, p=priorities)
    lasting = _MEDIAN_HOURS[priority - 1] * rng.lognormal(0.0, 0.9, count)
    return Tickets(
        item=item,
        nameless=(rng.random(count) < NAMELESS).astype(np.int64),
        occurred=occurred,
        known=known,
        resolved=known + hours(0.1 + np.minimum(lasting, 24.0 * 40)),
        priority=priority,
        cause=cause,
        phrase=rng.integers(0, 2**20, count),
    )


def caused(
    cause: Ints, start: Ints, affected: Ints, estate: Estate, rng: np.random.Generator
) -> Tickets:
    """One to three incidents for each change that went wrong, most within a day of its start.

    Parameters
    ----------
    cause, start : ndarray of int64, shape (n,)
        Rows of the changes and their starts.
    affected : ndarray of int64, shape (n, most items)
        Their items, -1 where there are fewer.
    """
    count = rng.choice((1, 2, 3), len(cause), p=(0.6, 0.27, 0.13))
    row = np.repeat(np.arange(len(cause)), count)
    delay = np.where(
        rng.random(len(row)) < 0.8,
        np.minimum(rng.exponential(5.0, len(row)), 23.5),
        rng.uniform(24.0, 24.0 * 7 - 1, len(row)),
    )
    occurred = start[row] + hours(0.02 + delay)
    item = _struck(affected[row], occurred, estate, rng)
    return tickets(item, occurred, cause[row], _CAUSED_PRIORITY, rng)


def _struck(affected: Ints, occurred: Ints, estate: Estate, rng: np.random.Generator) -> Ints:
    """Mostly an item of the change, else something that depends on its first one by then."""
    sizes = (affected >= 0).sum(axis=1)
    column = (rng.random(len(affected)) * sizes).astype(np.int64)
    own = affected[np.arange(len(affected)), column]
    order = np.argsort(estate.child, kind="stable")
    low = np.searchsorted(estate.child[order], affected[:, 0], "left")
    high = np.searchsorted(estate.child[order], affected[:, 0], "right")
    at = low + (rng.random(len(affected)) * (high - low)).astype(np.int64)
    edge = order[np.minimum(at, len(order) - 1)]
    holds = (high > low) & (estate.since[edge] <= occurred)
    return np.where(holds & (rng.random(len(affected)) < 0.3), estate.parent[edge], own)


def serious(found: Tickets) -> Floats:
    """How much each incident calls for an emergency change."""
    return np.array([20.0, 8.0, 2.0, 0.5, 0.1])[found.priority - 1]
