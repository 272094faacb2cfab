"""What people enter besides the plan: declared levels, names, and how much they write."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features.synthetic.arrays import Arrays, Ints
from features.synthetic.estate import Estate
from features.synthetic.plans import EMERGENCY, STANDARD_KIND, Plans
from features.synthetic.templates import RISKINESS

RISKS = ("low", "moderate", "high")
LEVELS = ("1 - High", "2 - Medium", "3 - Low")
PRIORITIES = ("1 - Critical", "2 - High", "3 - Moderate", "4 - Low", "5 - Planning")

UNKNOWN = -1
"""Code of a field left empty."""

PHRASES = 8
"""Numbers that pick the words of one change."""

_PEOPLE = 900
_TEAM_SIZE = 12


@dataclass(frozen=True)
class Forms(Arrays):
    """Codes of the fields of every change; ``chance`` picks its words."""

    declared: Ints
    impact: Ints
    urgency: Ints
    priority: Ints
    board: Ints
    requester: Ints
    implementer: Ints
    filled: Ints
    chance: Ints


def forms(estate: Estate, plans: Plans, rng: np.random.Generator) -> Forms:
    """The fields of every change. Nothing in them is a cause; the declared risk hears of a few."""
    count = len(plans)
    criticality = estate.criticality[estate.item_service[plans.affected[:, 0]]]
    declared = _declared(plans, criticality, rng)
    impact = np.clip(np.rint((criticality - 1) * 0.7 + rng.normal(0, 0.6, count)), 0, 2)
    urgency = np.where(plans.kind == EMERGENCY, 0, rng.choice(3, count, p=(0.08, 0.42, 0.5)))
    impact = impact.astype(np.int64)
    asked = np.select([declared > 0, plans.kind == EMERGENCY], [0.9, 0.5], 0.3)
    board = (rng.random(count) < np.where(plans.kind == STANDARD_KIND, 0.0, asked)).astype(np.int64)
    return Forms(
        declared=np.where(rng.random(count) < 0.03, UNKNOWN, declared),
        impact=np.where(rng.random(count) < 0.02, UNKNOWN, impact),
        urgency=urgency,
        priority=np.clip(impact + urgency, 0, 4),
        board=np.where(rng.random(count) < 0.02, UNKNOWN, board),
        requester=rng.integers(0, _PEOPLE, count),
        implementer=_PEOPLE + plans.team * _TEAM_SIZE + rng.integers(0, _TEAM_SIZE, count),
        filled=rng.integers(0, 100, (count, PHRASES)),
        chance=rng.integers(0, 2**20, (count, PHRASES)),
    )


def _declared(plans: Plans, criticality: Ints, rng: np.random.Generator) -> Ints:
    """A weak echo of the model, the service and the size; standard changes are mostly low."""
    echo = 0.4 * RISKINESS[plans.model] + 0.2 * (4 - criticality)
    echo += 0.3 * np.log((plans.affected >= 0).sum(axis=1)) + rng.normal(0, 1.1, len(plans))
    level = np.digitize(echo, (1.0, 2.3))
    quiet = (plans.kind == STANDARD_KIND) & (rng.random(len(plans)) < 0.8)
    return np.where(quiet, 0, level)
