"""Why changes go wrong here: the known causes, and the probability that follows from them.

The probability that a change causes incidents within seven days of its start is logistic in the
sum of its causes, each weighted by a coefficient below, and a base that sets the usual rate.
Nothing about a person is a cause. What the form declares as risk is none either: it is a
weak echo of the causes.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from features.synthetic.arrays import Floats, Ints, stream
from features.synthetic.estate import Estate
from features.synthetic.freezes import Span, before_closing
from features.synthetic.plans import BOILERPLATE, EMERGENCY, EMPTY, STANDARD_KIND, Plans, lead_hours
from features.synthetic.templates import RISKINESS

USUAL = 0.041
"""Mean probability of all changes but the retries."""

COEFFICIENTS: Mapping[str, float] = {
    "item_fragility": 0.75,
    "team_inexperience": 1.00,
    "change_model": 0.75,
    "no_backout_plan": 0.80,
    "short_lead_time": 0.80,
    "emergency": 0.50,
    "many_items": 0.55,
    "overlapping_change": 0.90,
    "before_freeze_or_month_end": 0.90,
    "retry_after_failure": 1.20,
    "service_criticality": 0.22,
}
"""Log-odds for one unit of each cause.

item_fragility
    One standard deviation of the item's hidden, lasting fragility.
team_inexperience
    ``exp(-n / 3)`` for a team that has changed the item ``n`` times.
change_model
    Riskiness of the model, itself in log-odds: :data:`features.synthetic.templates.TEMPLATES`.
no_backout_plan
    1 where the backout plan is empty or says nothing.
short_lead_time
    ``exp(-hours / 24)`` between submission and start; 0 for standard changes.
emergency
    1 for an emergency change.
many_items
    Natural logarithm of the number of items.
overlapping_change
    1 where another change is planned on one of the items at the same time.
before_freeze_or_month_end
    1 in the two days before a freeze or the end of a month.
retry_after_failure
    1 for a second attempt.
service_criticality
    Steps above the least critical level, 0 to 3.
"""


def contributions(estate: Estate, plans: Plans, closed: list[Span], seed: int) -> dict[str, Floats]:
    """What every cause adds to the log-odds of every change, by the names of ``COEFFICIENTS``."""
    item = plans.affected[:, 0]
    short = np.exp(-np.maximum(lead_hours(plans), 0) / 24)
    amounts = {
        "item_fragility": estate.fragility[item],
        "team_inexperience": np.exp(-_experience(estate, plans, seed) / 3),
        "change_model": RISKINESS[plans.model],
        "no_backout_plan": np.isin(plans.backout, (BOILERPLATE, EMPTY)),
        "short_lead_time": np.where(plans.kind == STANDARD_KIND, 0.0, short),
        "emergency": plans.kind == EMERGENCY,
        "many_items": np.log((plans.affected >= 0).sum(axis=1)),
        "overlapping_change": _overlapping(plans),
        "before_freeze_or_month_end": before_closing(plans.start, closed),
        "retry_after_failure": plans.retries >= 0,
        "service_criticality": 4 - estate.criticality[estate.item_service[item]],
    }
    return {name: COEFFICIENTS[name] * np.asarray(amounts[name], float) for name in COEFFICIENTS}


def probability(log_odds: Floats, base: float) -> Floats:
    """Probability of a change whose causes add up to ``log_odds``."""
    return np.asarray(1.0 / (1.0 + np.exp(-(base + log_odds))))


def base_for(log_odds: Floats, wanted: float) -> float:
    """The base at which the mean probability is the wanted one, by bisection."""
    low, high = -25.0, 25.0
    for _ in range(60):
        middle = (low + high) / 2
        if probability(log_odds, middle).mean() > wanted:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _experience(estate: Estate, plans: Plans, seed: int) -> Floats:
    """How often each change's team had changed its item before, the years before the records
    included: there only the team at home had worked on an item.
    """
    item = plans.affected[:, 0]
    before = stream(seed, "experience").poisson(estate.popularity * 8_000)
    pair = plans.team * len(estate.items) + item
    order = np.lexsort((plans.submitted, pair))
    sorted_pair = pair[order]
    seen = np.arange(len(pair)) - np.searchsorted(sorted_pair, sorted_pair)
    counted = np.zeros(len(pair), np.float64)
    counted[order] = seen
    at_home = (plans.team == estate.home_team[item]) & (estate.born[item] < plans.submitted.min())
    return counted + np.where(at_home, before[item], 0)


def _overlapping(plans: Plans) -> Ints:
    """1 where another change's window meets that of a change on one of its items, else 0."""
    row, column = np.nonzero(plans.affected >= 0)
    item = plans.affected[row, column]
    offset = int(plans.start.min())
    span = int(plans.end.max()) - offset + 1
    starts = item * span + plans.start[row] - offset
    ends = item * span + plans.end[row] - offset
    others = (
        np.searchsorted(np.sort(starts), ends, "left")
        - np.searchsorted(np.sort(ends), starts, "right")
        - 1
    )
    found = np.zeros(len(plans), np.int64)
    found[row[others > 0]] = 1
    return found
