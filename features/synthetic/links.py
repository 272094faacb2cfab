"""What people write down about incidents and changes: late, incomplete and now and then wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import instants
from features.synthetic.arrays import Arrays, Ints, hours
from features.synthetic.incidents import Tickets
from features.synthetic.plans import Plans

EXPLICIT_SHARE, TEXT_SHARE = 0.70, 0.15
"""Shares of caused incidents with an explicit link, and with no more than a mention in the text;
the rest is never linked."""

FIXED_SHARE = 0.75
"""Share of emergency repairs with a ``fixed_by`` link."""

WRONG_SHARE = 0.003
"""Wrong links for each change. Spread evenly, so that they say nothing about any."""


@dataclass(frozen=True)
class Statements(Arrays):
    """Which incident is said to belong to which change, by row, and when it was said."""

    ticket: Ints
    change: Ints
    known: Ints


def causes_stated(found: Tickets, rng: np.random.Generator) -> tuple[Statements, Statements]:
    """Explicit links and mentions in the text, for incidents with a real cause."""
    rows = np.flatnonzero(found.cause >= 0)
    channel = rng.random(len(rows))
    delay = np.minimum(18.0 * rng.lognormal(0.0, 1.2, len(rows)), 240.0)
    said = Statements(rows, found.cause[rows], found.known[rows] + hours(delay))
    by_text = (channel >= EXPLICIT_SHARE) & (channel < EXPLICIT_SHARE + TEXT_SHARE)
    return said.take(channel < EXPLICIT_SHARE), said.take(by_text)


def wrongly_stated(
    found: Tickets, plans: Plans, rng: np.random.Generator, until: int
) -> Statements:
    """Explicit links from some incident of the next two days to a change that did not cause it."""
    noise = np.flatnonzero(found.cause < 0)
    noise = noise[np.argsort(found.occurred[noise], kind="stable")]
    past = np.flatnonzero(plans.start < until - 12 * instants.DAY)
    change = rng.choice(past, max(round(WRONG_SHARE * len(plans)), 2))
    moment = plans.start[change] + hours(rng.uniform(0.1, 48.0, len(change)))
    at = np.searchsorted(found.occurred[noise], moment)
    ticket = noise[np.minimum(at, len(noise) - 1)]
    return Statements(ticket, change, found.known[ticket] + hours(rng.uniform(1.0, 96.0, len(at))))


def repairs_stated(plans: Plans, rng: np.random.Generator) -> Statements:
    """``fixed_by`` links from incidents to the emergency changes submitted to repair them."""
    change = np.flatnonzero(plans.repairs >= 0)
    change = change[rng.random(len(change)) < FIXED_SHARE]
    known = plans.submitted[change] + hours(rng.uniform(0.05, 0.5, len(change)))
    return Statements(plans.repairs[change], change, known)
