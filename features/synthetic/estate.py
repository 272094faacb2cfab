"""What the organisation owns: services, items with their dependencies, and the teams that care.

Three numbers of an item are hidden from every feature: how fragile it is (a cause), how often it
makes trouble on its own (noise, related to fragility) and how often it is changed (popularity,
unrelated to both).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from features import instants
from features.synthetic.arrays import Floats, Ints, shares, stream

CLASSES = (
    "application",
    "database",
    "server",
    "middleware",
    "load_balancer",
    "network",
    "storage",
)
"""Classes of items, in the order of their codes."""

_SHORT = ("app", "db", "srv", "mq", "lb", "net", "san")

# name, prefix of its items, criticality from 1 (most) to 4
_BUSINESS = (
    ("Payments", "pay", 1),
    ("Card Authorisation", "card", 1),
    ("Online Banking", "bank", 1),
    ("Customer Portal", "portal", 2),
    ("Mobile App", "mobile", 2),
    ("General Ledger", "ledger", 2),
    ("Fraud Screening", "fraud", 1),
    ("Loans", "loan", 2),
    ("Mortgages", "mort", 3),
    ("Savings", "save", 2),
    ("Claims", "claim", 3),
    ("Pricing", "price", 3),
    ("Contact Centre", "call", 2),
    ("Document Archive", "docs", 4),
    ("Data Warehouse", "dwh", 3),
    ("Reporting", "report", 4),
    ("Payroll", "payroll", 3),
    ("Recruiting", "recruit", 4),
    ("Procurement", "procure", 4),
    ("Intranet", "intra", 4),
    ("Statement Printing", "print", 3),
)
_SHARED = (
    ("Identity", "ident", 1),
    ("Messaging", "msg", 2),
    ("Core Network", "core", 1),
    ("Storage Platform", "store", 2),
)

# How many items of each class a service has, in the order of CLASSES.
_BUSINESS_ITEMS = (7, 4, 8, 2, 1, 0, 0)
_SHARED_ITEMS = {
    "Identity": (8, 4, 8, 2, 2, 0, 0),
    "Messaging": (3, 2, 8, 12, 1, 0, 0),
    "Core Network": (0, 0, 0, 0, 8, 46, 0),
    "Storage Platform": (0, 0, 4, 0, 0, 0, 30),
}

_PLATFORM_TEAMS = (
    "Database Operations East",
    "Database Operations West",
    "Server Operations Alpha",
    "Server Operations Beta",
    "Server Operations Gamma",
    "Network Operations Red",
    "Network Operations Blue",
    "Storage Operations",
    "Middleware Operations",
    "Release Management",
)
# Platform teams, as places in the list above, that may own an item of the class.
_PLATFORM = {1: (0, 1), 2: (2, 3, 4), 3: (8,), 4: (5, 6), 5: (5, 6), 6: (7,)}


@dataclass(frozen=True, kw_only=True)
class Estate:
    """Services, items and teams; names by their codes.

    Parameters
    ----------
    services, items, teams : tuple of str
    criticality : ndarray of int64
        Of each service, from 1 (most critical) to 4.
    item_class, item_service, home_team : ndarray of int64
        Codes of every item. Items of a service stand together.
    service_first, service_size : ndarray of int64
        The first item of every service and how many follow, itself counted.
    born : ndarray of int64
        When each item came into use, microseconds.
    popularity, noise : ndarray of float64
        Share of all changes and of all noise incidents that meet an item; each adds up to 1.
    fragility : ndarray of float64
        Hidden; standard normal over items.
    carelessness : ndarray of float64
        Share of a team's changes whose backout plan says nothing.
    parent, child, since, ended : ndarray of int64
        Dependencies: ``parent`` needs ``child`` from ``since`` until ``ended``.
    """

    services: tuple[str, ...]
    criticality: Ints
    items: tuple[str, ...]
    item_class: Ints
    item_service: Ints
    service_first: Ints
    service_size: Ints
    home_team: Ints
    born: Ints
    popularity: Floats
    noise: Floats
    fragility: Floats
    teams: tuple[str, ...]
    carelessness: Floats
    parent: Ints
    child: Ints
    since: Ints
    ended: Ints


def estate(seed: int, begin: int, until: int) -> Estate:
    """The estate of a seed; a tenth of its items comes into use during the time told of."""
    services = (*_BUSINESS, *_SHARED)
    names, item_class, item_service = _items()
    size = np.bincount(item_service, minlength=len(services))
    rng = stream(seed, "estate")
    born = _born(rng, len(names), begin, until)
    fragility = rng.standard_normal(len(names))
    trouble = 0.55 * fragility + np.sqrt(1 - 0.55**2) * rng.standard_normal(len(names))
    popular = rng.permutation(1.0 / np.arange(4, 4 + len(names)) ** 0.85)
    application_teams = tuple(f"{name} Engineering" for name, _, _ in services[:-2])[:20]
    teams = (*application_teams, *_PLATFORM_TEAMS)
    parent, child = _dependencies(seed, item_class, item_service)
    since = np.maximum(born[parent], born[child])
    return Estate(
        services=tuple(name for name, _, _ in services),
        criticality=np.array([criticality for _, _, criticality in services]),
        items=names,
        item_class=item_class,
        item_service=item_service,
        service_first=np.cumsum(size) - size,
        service_size=size,
        home_team=_home_teams(rng, item_class, item_service, len(application_teams)),
        born=born,
        popularity=shares(popular),
        noise=shares(np.exp(1.15 * trouble)),
        fragility=fragility,
        teams=teams,
        carelessness=np.clip(rng.beta(2.0, 6.0, len(teams)), 0.05, 0.7),
        parent=parent,
        child=child,
        since=since,
        ended=_ends(rng, since, until),
    )


def _items() -> tuple[tuple[str, ...], Ints, Ints]:
    names, classes, owners = [], [], []
    for service, (title, prefix, _) in enumerate((*_BUSINESS, *_SHARED)):
        for code, count in enumerate(_SHARED_ITEMS.get(title, _BUSINESS_ITEMS)):
            names += [f"{prefix}-{_SHORT[code]}-{number:02d}" for number in range(1, count + 1)]
            classes += [code] * count
            owners += [service] * count
    return tuple(names), np.array(classes), np.array(owners)


def _born(rng: np.random.Generator, items: int, begin: int, until: int) -> Ints:
    """Most items are older than the records; a tenth arrives in their first two thirds."""
    age = rng.integers(30, 400, items) * instants.DAY
    arrival = begin + (rng.random(items) * (until - begin) * 2 / 3).astype(np.int64)
    born = np.where(rng.random(items) < 0.1, arrival, begin - age)
    return np.asarray(born - born % instants.DAY + 9 * instants.HOUR)


def _home_teams(
    rng: np.random.Generator, item_class: Ints, item_service: Ints, application_teams: int
) -> Ints:
    """Application teams own applications, platform teams the rest."""
    home = item_service % application_teams
    for code, options in _PLATFORM.items():
        of_service = application_teams + rng.choice(options, item_service.max() + 1)
        rows = item_class == code
        home[rows] = of_service[item_service[rows]]
    return home


def _dependencies(seed: int, item_class: Ints, item_service: Ints) -> tuple[Ints, Ints]:
    """Application -> database, server, middleware; those -> server; servers -> network, storage.

    Edges only lead from a smaller class code to a greater one (databases and middleware stand on
    servers by an order of their own), so there is never a circle.
    """
    rng = stream(seed, "dependencies")
    depth = np.array([0, 1, 4, 2, 3, 5, 5])[item_class]
    needs = {0: ((1, 1), (2, 1), (3, 1), (4, 1)), 1: ((2, 1),), 3: ((2, 1),), 4: ((2, 1),)}
    edges: set[tuple[int, int]] = set()
    for item, code in enumerate(item_class.tolist()):
        for other, count in needs.get(code, ()):
            near = np.flatnonzero((item_class == other) & (item_service == item_service[item]))
            if len(near):
                edges |= {(item, int(c)) for c in rng.choice(near, min(count, len(near)), False)}
        if code == 2:
            for other in (5, 6):
                edges.add((item, int(rng.choice(np.flatnonzero(item_class == other)))))
    ordered = np.array(sorted(edges))
    ordered = ordered[depth[ordered[:, 0]] < depth[ordered[:, 1]]]
    return ordered[:, 0], ordered[:, 1]


def _ends(rng: np.random.Generator, since: Ints, until: int) -> Ints:
    """A few dependencies end, known when they do."""
    gone = rng.random(len(since)) < 0.04
    end = since + ((until - since) * rng.uniform(0.3, 0.9, len(since))).astype(np.int64)
    return np.where(gone, end - end % instants.SECOND, instants.MISSING)
