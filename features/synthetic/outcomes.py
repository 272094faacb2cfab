"""What became of the changes: who caused incidents, who was backed out, how each was closed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import instants
from features.instants import MISSING
from features.synthetic.arrays import Arrays, Floats, Ints, Mask, hours
from features.synthetic.incidents import Tickets
from features.synthetic.plans import Plans

CODES = ("successful", "successful_issues", "unsuccessful")
"""Close codes."""

# Most harmful changes are closed as successful all the same, as everywhere.
_CODES_HARMFUL = np.array([0.78, 0.16, 0.06])
_CODES_HARMLESS = np.array([0.965, 0.03, 0.005])


@dataclass(frozen=True)
class Endings(Arrays):
    """How each change went, times in microseconds.

    Parameters
    ----------
    backed_out : ndarray of int64
        When it was reversed, ``MISSING`` for never.
    by_plan : ndarray of int64
        1 where the reversal belonged to the plan.
    code : ndarray of int64
        Place in ``CODES``.
    """

    started: Ints
    backed_out: Ints
    by_plan: Ints
    closed: Ints
    code: Ints


def struck(chances: Floats, rng: np.random.Generator) -> Mask:
    """Which changes really cause incidents, given their true probabilities."""
    return np.asarray(rng.random(len(chances)) < chances)


def endings(plans: Plans, harmful: Mask, rng: np.random.Generator) -> Endings:
    """How each change went."""
    count = len(plans)
    started = plans.start + hours(np.maximum(rng.normal(0.1, 0.25, count), -0.25))
    length = (plans.end - plans.start) / instants.HOUR
    unplanned = rng.random(count) < np.where(harmful, 0.30, 0.012)
    by_plan = ~unplanned & (rng.random(count) < 0.006)
    ended = np.maximum(plans.end, started) + hours(rng.exponential(0.5, count))
    reversed_at = started + hours(length * rng.uniform(0.3, 1.3, count) + 0.1)
    chances = np.where(harmful[:, None], _CODES_HARMFUL, _CODES_HARMLESS)
    code = (rng.random(count)[:, None] > np.cumsum(chances, axis=1)).sum(axis=1)
    code = np.where(unplanned & (rng.random(count) < 0.8), 2, np.minimum(code, 2))
    reversal = np.where(unplanned | by_plan, reversed_at, MISSING)
    return Endings(
        started=started,
        backed_out=reversal,
        by_plan=by_plan.astype(np.int64),
        closed=np.maximum(ended, reversal) + hours(rng.exponential(12.0, count)),
        code=code,
    )


def failures(count: int, ended: Endings, caused: Tickets) -> Ints:
    """When each of ``count`` changes was seen to have failed, ``MISSING`` where it was not."""
    never = np.iinfo(np.int64).max
    seen = np.full(count, never)
    np.minimum.at(seen, caused.cause, caused.known)
    unplanned = (ended.backed_out != MISSING) & (ended.by_plan == 0)
    seen = np.where(unplanned, np.minimum(seen, ended.backed_out), seen)
    return np.where(seen == never, MISSING, seen)
