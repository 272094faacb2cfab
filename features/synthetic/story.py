"""The order in which the organisation is drawn: noise, changes, their outcomes, second attempts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from features import instants
from features.synthetic import causes, freezes, incidents, outcomes, plans
from features.synthetic.arrays import Arrays, Floats, Mask, hours, stream
from features.synthetic.estate import Estate, estate

INCIDENTS_EACH = 3.0
"""Incidents for each change, those caused by changes included."""

UPCOMING_DAYS = 14
"""How far ahead of the end of the records changes are planned."""

FEWEST_UPCOMING, MOST_UPCOMING = 30, 60

_RETRIES, _REPAIRS = 0.03, 0.03
_INCIDENTS_A_HARMFUL_CHANGE = 1.5
_PENDING_DAYS = 1.8


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Where and when everything happens.

    Parameters
    ----------
    begin, until : int
        First and last moment of the records, microseconds.
    noise_only : bool
        Whether nothing has a cause.
    """

    seed: int
    begin: int
    until: int
    noise_only: bool
    estate: Estate
    closed: list[freezes.Span]


@dataclass(frozen=True)
class Truth(Arrays):
    """Why and whether each change goes wrong.

    Parameters
    ----------
    log_odds : ndarray of float64, shape (n, number of causes)
        Contributions, in the order of ``causes.COEFFICIENTS``.
    """

    log_odds: Floats
    probability: Floats
    caused: Mask


@dataclass(frozen=True, kw_only=True)
class Story:
    """Everything that was drawn, before it is written down."""

    scene: Scene
    plans: plans.Plans
    truth: Truth
    base: float
    ended: outcomes.Endings
    tickets: incidents.Tickets


@dataclass(frozen=True)
class _Round:
    """Attempts whose outcomes are drawn together."""

    truth: Truth
    ended: outcomes.Endings
    caused: incidents.Tickets


def tell(*, seed: int, until: int, changes: int, days: int, noise_only: bool) -> Story:
    """Draw the whole story of a seed."""
    begin = until - days * instants.DAY
    scene = Scene(
        seed=seed,
        begin=begin,
        until=until,
        noise_only=noise_only,
        estate=estate(seed, begin, until),
        closed=freezes.spans(begin, until),
    )
    noise = _noise(scene, changes)
    retries = round(changes * _RETRIES)
    first = _first_plans(scene, noise, changes - retries, days)
    log_odds = _log_odds(scene, first)
    base = causes.base_for(log_odds.sum(axis=1), causes.USUAL)
    once = _happen(scene, first, log_odds, base, 0)
    failed_at = outcomes.failures(len(first), once.ended, once.caused)
    again = plans.retrying(scene.estate, first, failed_at, retries, stream(seed, "retries"), until)
    every = plans.Plans.concatenate([first, again])
    twice = _happen(scene, every, _log_odds(scene, every), base, len(first))
    found = incidents.Tickets.concatenate([noise, once.caused, twice.caused])
    return Story(
        scene=scene,
        plans=every,
        truth=Truth.concatenate([once.truth, twice.truth]),
        base=base,
        ended=outcomes.Endings.concatenate([once.ended, twice.ended]),
        tickets=_repaired(found, every, stream(seed, "repaired")),
    )


def _noise(scene: Scene, changes: int) -> incidents.Tickets:
    count = round(changes * (INCIDENTS_EACH - _INCIDENTS_A_HARMFUL_CHANGE * causes.USUAL))
    return incidents.noise(
        scene.estate, count, stream(scene.seed, "noise"), scene.begin, scene.until
    )


def _first_plans(scene: Scene, noise: incidents.Tickets, count: int, days: int) -> plans.Plans:
    """All changes but the retries."""
    owned, closed, until = scene.estate, scene.closed, scene.until
    past = plans.Period(scene.begin, scene.begin, until, until)
    ahead = past._replace(low=until + instants.HOUR // 4, high=until + UPCOMING_DAYS * instants.DAY)
    upcoming = round(count / days * _PENDING_DAYS)
    upcoming = min(max(upcoming, FEWEST_UPCOMING), MOST_UPCOMING)
    repairs = plans.repairing(
        owned, noise, round(count * _REPAIRS), stream(scene.seed, "repairs"), past
    )
    regular = count - upcoming - len(repairs)
    parts = [
        plans.planned(owned, regular, stream(scene.seed, "plans"), past, closed),
        plans.planned(owned, upcoming, stream(scene.seed, "upcoming"), ahead, closed),
        repairs,
    ]
    return plans.numbered(plans.Plans.concatenate(parts))


def _log_odds(scene: Scene, every: plans.Plans) -> Floats:
    parts = causes.contributions(scene.estate, every, scene.closed, scene.seed)
    found = np.column_stack([parts[name] for name in causes.COEFFICIENTS])
    return np.zeros_like(found) if scene.noise_only else found


def _happen(scene: Scene, every: plans.Plans, log_odds: Floats, base: float, after: int) -> _Round:
    """What becomes of the changes from row ``after`` on."""
    log_odds = log_odds[after:]
    probability = causes.probability(log_odds.sum(axis=1), base)
    caused = outcomes.struck(probability, stream(scene.seed, f"struck {after > 0}"))
    rows = after + np.flatnonzero(caused)
    return _Round(
        truth=Truth(log_odds, probability, caused),
        ended=outcomes.endings(
            every.take(np.arange(after, len(every))),
            caused,
            stream(scene.seed, f"endings {after > 0}"),
        ),
        caused=incidents.caused(
            rows,
            every.start[rows],
            every.affected[rows],
            scene.estate,
            stream(scene.seed, f"caused {after > 0}"),
        ),
    )


def _repaired(
    found: incidents.Tickets, every: plans.Plans, rng: np.random.Generator
) -> incidents.Tickets:
    """The incidents, those repaired by a change resolved after it."""
    rows = np.flatnonzero(every.repairs >= 0)
    resolved = found.resolved.copy()
    resolved[every.repairs[rows]] = every.end[rows] + hours(rng.uniform(0.2, 2.0, len(rows)))
    return replace(found, resolved=resolved)
