"""Rehearsal: which way past changes would have gone under a policy, and where the failures were.

Every change is scored by a model that knew nothing of it (:mod:`training.judging`), banded as the
policy cuts that model's bands and sent through the policy's rules as it stood at its score time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.records import Change
from models.bands import make_bands
from models.routing import BOARD_ROUTES, ROUTES, Case, Routed, RoutingPolicy
from training.bootstrap import Interval, interval, ratio
from training.figures import DIRECTIONAL, Window, quarter_of
from training.judging import CHAMPION, Fold, Subject, pooled

Mask = NDArray[np.bool_]

ROUTE_WORDS = {
    "pre_approved": "pre-approved",
    "delegated_approver": "to a delegated approver",
    "cab": "to the board",
    "ecab": "to the emergency board",
}
"""Routes after "would have gone"."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The way of every change, in the order of the pooled window.

    Parameters
    ----------
    routes : ndarray of str, shape (n,)
        What would have been suggested.
    decided : list
        What decided each.
    tried : Counter of str
        How often each rule in shadow would have decided.
    """

    routes: NDArray[np.str_]
    decided: list[Routed]
    tried: Counter[str]


def rehearsed(
    subject: Subject, folds: Sequence[Fold], policies: Sequence[RoutingPolicy]
) -> dict[str, Any]:
    """What each policy would have done with the changes of all test windows.

    Parameters
    ----------
    folds : sequence of Fold
        From :func:`training.judging.judge`.
    policies : sequence of RoutingPolicy
        A policy in shadow mode is rehearsed as if it were told.
    """
    _, window = pooled(folds)
    return {
        "label": {"name": subject.policy.name, "means": subject.policy.means},
        "from": instants.to_iso(int(window.times.min())),
        "to": instants.to_iso(int(window.times.max())),
        "changes": len(window.failed),
        "failures": int(window.failed.sum()),
        "directional": int(window.failed.sum()) < DIRECTIONAL,
        "resampled": window.resampled,
        "policies": [_report(subject, folds, window, policy) for policy in policies],
    }


def _report(
    subject: Subject, folds: Sequence[Fold], window: Window, policy: RoutingPolicy
) -> dict[str, Any]:
    taken = _taken(subject, folds, policy)
    board = np.isin(taken.routes, BOARD_ROUTES)
    return {
        "policy": policy.version,
        "source": policy.source,
        "mode": policy.mode,
        "board": _shares(window, board),
        "routes": {route: _shares(window, taken.routes == route) for route in ROUTES},
        "rules": _rules(policy, taken, window),
        "quarters": _quarters(window, board, taken.routes == "pre_approved"),
        "oddities": list(policy.oddities()),
    }


def _taken(subject: Subject, folds: Sequence[Fold], policy: RoutingPolicy) -> Taken:
    decided: list[Routed] = []
    tried: Counter[str] = Counter()
    for fold in folds:
        for case in _cases(subject, fold, policy):
            told, otherwise = policy.route(case)
            chosen = told or otherwise
            if chosen is None:
                raise ValueError("a policy gives every change a route")
            decided.append(chosen)
            if told is not None and otherwise is not None:
                tried[str(otherwise.rule)] += 1
    return Taken(routes=np.array([one.route for one in decided]), decided=decided, tried=tried)


def _cases(subject: Subject, fold: Fold, policy: RoutingPolicy) -> Iterator[Case]:
    """The changes of one window as the rules see them."""
    fitted, window = fold.fitted, fold.window
    budget = subject.config.review_budget
    own = make_bands(fitted.window, window.base_rate, budget)
    bands = policy.cuts.of(own, window.base_rate, fitted.window)
    chosen = np.flatnonzero(fold.split.test)
    values = subject.rows.table.values[chosen]
    unknown = fitted.usual.unknown(values[:, fitted.columns]).values()
    degraded = np.any([*unknown, np.zeros(len(chosen), bool)], axis=0)
    scores = fold.said[CHAMPION].tolist()
    for place, (at, probability) in enumerate(zip(chosen.tolist(), scores, strict=True)):
        change = subject.rows.changes.record(at)
        if not isinstance(change, Change):
            raise TypeError(f"expected a change, got {type(change).__name__}")
        yield Case(
            change=change,
            band=bands.of(probability),
            probability=probability,
            degraded=bool(degraded[place]),
            row=values[place],
        )


def _shares(window: Window, inside: Mask) -> dict[str, int | Interval]:
    """How many changes and failures went one way, as counts, as shares of all, and the rate there.

    Intervals are of 95 %, by resampling weeks.
    """
    there, failed = window.sums(inside), window.sums(inside & window.failed)
    return {
        "changes": int(inside.sum()),
        "failures": int((inside & window.failed).sum()),
        "share_of_changes": interval(ratio(there, window.changes)),
        "share_of_failures": interval(ratio(failed, window.failures)),
        "failure_rate": interval(ratio(failed, there)),
    }


def _rules(policy: RoutingPolicy, taken: Taken, window: Window) -> list[dict[str, Any]]:
    """How often each rule decided, and how many of those changes failed."""
    names = np.array([one.rule or "" for one in taken.decided])
    return [
        {
            "rule": rule.name or None,
            "route": rule.route,
            "shadow": rule.shadow,
            "changes": int((names == rule.name).sum()),
            "failures": int(((names == rule.name) & window.failed).sum()),
            "would_have_decided": taken.tried[rule.name],
        }
        for rule in (*policy.rules, policy.otherwise)
    ]


def _quarters(window: Window, board: Mask, early: Mask) -> list[dict[str, Any]]:
    quarters = quarter_of(window.times)
    return [
        {
            "quarter": str(quarter),
            "changes": int((inside := quarters == quarter).sum()),
            "failures": int((inside & window.failed).sum()),
            "to_board": int((inside & board).sum()),
            "failures_to_board": int((inside & board & window.failed).sum()),
            "pre_approved": int((inside & early).sum()),
            "failures_pre_approved": int((inside & early & window.failed).sum()),
        }
        for quarter in np.unique(quarters)
    ]


def lines(report: Mapping[str, Any]) -> list[str]:
    """The rehearsal for people, a line each."""
    found = [
        f"{report['changes']:,} changes from {report['from'][:10]} to {report['to'][:10]}, "
        f"{report['failures']:,} of which {report['label']['means']}; each scored by a model that "
        "knew nothing of it"
    ]
    for one in report["policies"]:
        found += ["", f"policy {one['policy']} ({one['source']})", f"  {_sentence(report, one)}"]
        found += [f"  {_route(route, shares)}" for route, shares in one["routes"].items()]
        found += [f"  {_quarter(quarter)}" for quarter in one["quarters"]]
        found += [
            f"  rule {rule['rule']!r} never decided"
            for rule in one["rules"]
            if rule["rule"] and not rule["shadow"] and not rule["changes"]
        ]
        found += [
            f"  rule {rule['rule']!r} in shadow would have decided {rule['would_have_decided']:,}"
            for rule in one["rules"]
            if rule["shadow"]
        ]
        found += [f"  note: {oddity}" for oddity in one["oddities"]]
    found += ["", f"in brackets 95 % intervals, by resampling {report['resampled']}"]
    if report["directional"]:
        found.append(f"directional: fewer than {DIRECTIONAL} failures stand behind these figures")
    return found


def _sentence(report: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    board = one["board"]
    said = (
        f"with this policy {_percent(board['share_of_changes'])} of the changes would have gone to "
        "the board"
    )
    if not report["failures"]:
        return said
    there = _percent(board["share_of_failures"])
    return f"{said}, and {there} of those that {report['label']['means']} were there"


def _route(route: str, shares: Mapping[str, Any]) -> str:
    said = f"{ROUTE_WORDS[route]}: {shares['changes']:,} changes"
    if not shares["changes"]:
        return said
    rate = _percent(shares["failure_rate"], 1)
    return f"{said}, {shares['failures']:,} failed, {rate}"


def _quarter(one: Mapping[str, Any]) -> str:
    board = one["to_board"] / one["changes"]
    there = one["failures_to_board"] / one["failures"] if one["failures"] else 0.0
    return (
        f"{one['quarter']}: {one['changes']:,} changes, {board:.0%} to the board with {there:.0%} "
        f"of {one['failures']:,} failures; {one['pre_approved']:,} pre-approved with "
        f"{one['failures_pre_approved']:,}"
    ).replace("%", " %")


def _percent(one: Interval, digits: int = 0) -> str:
    """A share and its interval in per cent."""
    value, low, high = one["value"], one["low"], one["high"]
    if value is None:
        return "an unknown share"
    said = f"{100 * value:.{digits}f} %"
    if low is None or high is None:
        return said
    return f"{said} ({100 * low:.{digits}f} to {100 * high:.{digits}f})"
