"""Histories of any size, drawn as columns: a million changes in seconds, for measuring only.

The synthetic organisation tells a story and takes minutes for a million changes; here names, times
and outcomes are merely as many, as skewed and as tied as in an organisation of that size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.coded import LARGE, Coded, Numbered, whole
from features.columns import Array, Columns, array_of, kinds
from features.history import History
from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Relation,
)

Ints = NDArray[np.int64]

END = 1_795_305_600 * instants.SECOND
"""The last moment of every history, 2026-11-22."""

YEARS = 4
VERBS = ("Upgrade", "Patch", "Restart", "Replace", "Add rule on", "Move", "Tune", "Rotate key of")
WORDS = np.array(["node", "rack", "cache", "queue", "switch", "router", "volume", "cert", "pool"])


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    changes: int
    incidents: int
    items: int = 50_000
    relations: int = 200_000


def scale_history(size: Size, seed: int = 7) -> History:
    """A history of the given size."""
    chance = np.random.default_rng(seed)
    names = _Names.of(size, chance)
    changes = _changes(size, names, chance)
    incidents = _incidents(size, names, changes, chance)
    tables = {
        Change: changes,
        Incident: incidents,
        Link: _links(changes, incidents, chance),
        ChangeEvent: _back_outs(changes, chance),
        Item: _items(names),
        Relation: _relations(size, names, chance),
        CalendarEntry: Columns.empty(CalendarEntry),
    }
    return History(tables)


@dataclass(frozen=True)
class _Names:
    """Who and what there is; the first of each are asked for most."""

    items: Array
    services: Array
    service_of: Ints
    teams: Array
    titles: Array
    texts: Array

    @classmethod
    def of(cls, size: Size, chance: np.random.Generator) -> _Names:
        items = _numbered("host-{:05d}", size.items)
        words = chance.choice(WORDS, (4_000, 12))
        titles = [
            f"{VERBS[n % len(VERBS)]} {items[n % size.items]} {WORDS[n % len(WORDS)]}"
            for n in range(min(size.changes, 120_000))
        ]
        return cls(
            items,
            _numbered("service {}", 400),
            chance.integers(0, 400, size.items),
            _numbered("team {}", 150),
            _objects(titles),
            _objects([" ".join(row) for row in words]),
        )


def _numbered(form: str, count: int) -> Array:
    return _objects([form.format(number) for number in range(count)])


def _objects(values: list[object] | list[str]) -> Array:
    return array_of("text", values)


def _skewed(chance: np.random.Generator, kinds_: int, count: int) -> Ints:
    """Numbers below ``kinds_``, low ones far more often."""
    return (kinds_ * chance.random(count) ** 2.5).astype(np.int64)


def _times(chance: np.random.Generator, count: int) -> Ints:
    span = YEARS * 365 * instants.DAY
    seconds = chance.integers(0, span // instants.SECOND, count)
    return END - span + np.sort(seconds) * instants.SECOND


@dataclass(frozen=True)
class _Drawn:
    """Texts drawn from some, as the store gives those of a large table."""

    texts: Array
    place: Ints

    def __getitem__(self, rows: Ints) -> _Drawn:
        return _Drawn(self.texts, self.place[rows])

    def held(self) -> Numbered:
        """The numbers of the texts, and these; None is none of them."""
        texts, place = self.texts.tolist(), self.place.astype(np.int32)
        if texts[0] is None:
            return place - np.int32(1), texts[1:]
        return place, texts


def _table(record_type: type, count: int, **given: Array | _Drawn) -> Columns:
    """A table with the given fields; the others are empty."""
    empty = {"text": None, "time": None, "number": None, "flag": None, "list": (), "map": {}}
    drawn = {name: one.held() for name, one in given.items() if isinstance(one, _Drawn)}
    plain = {name: one for name, one in given.items() if not isinstance(one, _Drawn)}
    for name, kind in kinds(record_type).items():
        if name not in given:
            plain[name] = array_of(kind, [empty[kind]] * count)
    if count >= LARGE:
        return Columns.of(record_type, Coded(plain, drawn), count)
    return Columns(record_type, plain | {name: whole(*one) for name, one in drawn.items()})


def _lists(chance: np.random.Generator, names: Array, count: int) -> Array:
    """Up to four further items for every second change."""
    chosen = names[_skewed(chance, len(names), 4 * count)].reshape(count, 4)
    many = np.where(chance.random(count) < 0.5, 0, chance.integers(1, 5, count))
    return array_of(
        "list", [tuple(row[:n]) for row, n in zip(chosen.tolist(), many.tolist(), strict=True)]
    )


def _changes(size: Size, names: _Names, chance: np.random.Generator) -> Columns:
    """One revision a change, and a second one for every tenth."""
    firsts = _times(chance, size.changes)
    again = np.flatnonzero(chance.random(size.changes) < 0.1)
    source = np.concatenate([np.arange(size.changes), again])
    known = np.concatenate(
        [firsts, firsts[again] + chance.integers(1, 48, len(again)) * (instants.HOUR)]
    )
    order = np.argsort(known, kind="stable")
    item = _skewed(chance, size.items, size.changes)
    start = firsts + chance.integers(2, 240, size.changes) * instants.HOUR
    start -= start % (instants.HOUR // 4)
    moved = np.concatenate([np.zeros(size.changes, np.int64), np.full(len(again), instants.DAY)])
    starts = start[source] + moved
    pick: dict[str, Array | _Drawn] = {
        "change_id": _numbered("CHG{:07d}", size.changes),
        "change_type": _Drawn(
            _objects(["normal", "standard", "emergency"]),
            chance.choice(3, size.changes, p=[0.6, 0.35, 0.05]),
        ),
        "category": _Drawn(_numbered("category {}", 20), _skewed(chance, 20, size.changes)),
        "change_model": _Drawn(
            _objects([None, *(f"model {n}" for n in range(300))]),
            np.where(chance.random(size.changes) < 0.4, 0, _skewed(chance, 300, size.changes) + 1),
        ),
        "short_description": _Drawn(
            names.titles, chance.integers(0, len(names.titles), size.changes)
        ),
        "ci": _Drawn(names.items, item),
        "affected_cis": _lists(chance, names.items, size.changes),
        "service": _Drawn(names.services, names.service_of[item]),
        "assignment_group": _Drawn(names.teams, _skewed(chance, 150, size.changes)),
        "declared_risk": _Drawn(
            _objects(["low", "moderate", "high"]), chance.integers(0, 3, size.changes)
        ),
        "submitted_at": firsts,
    }
    for name in ("description", "implementation_plan", "backout_plan", "test_plan"):
        pick[name] = _Drawn(names.texts, chance.integers(0, len(names.texts), size.changes))
    rows = source[order]
    return _table(
        Change,
        len(rows),
        known_at=known[order],
        revision=_Drawn(
            _objects(["1", "2"]), (np.arange(len(source)) >= size.changes)[order].astype(int)
        ),
        planned_start=starts[order],
        planned_end=starts[order] + chance.integers(1, 32, len(rows)) * (instants.HOUR // 2),
        **{name: array[rows] for name, array in pick.items()},
    )


def _incidents(size: Size, names: _Names, changes: Columns, chance: np.random.Generator) -> Columns:
    """Incidents with one row when opened and, for most, a second when resolved."""
    opened = size.incidents * 5 // 9
    known = _times(chance, opened)
    closing = np.sort(chance.permutation(opened)[: size.incidents - opened])
    resolved = known[closing] + chance.integers(1, 4_000, len(closing)) * (instants.HOUR // 20)
    source = np.concatenate([np.arange(opened), closing])
    times = np.concatenate([known, resolved])
    kept = np.flatnonzero(times <= END)
    order = kept[np.argsort(times[kept], kind="stable")]
    rows, later = source[order], order >= opened
    item = _skewed(chance, size.items, opened)
    priority = chance.choice(4, opened, p=[0.02, 0.08, 0.4, 0.5]) + 1.0
    title = chance.integers(0, len(names.titles), opened)
    naming = np.flatnonzero(chance.random(opened) < 0.01)
    ids = changes["change_id"][np.searchsorted(changes.times("known_at"), known[naming]) - 1]
    title[naming] = np.arange(len(naming)) + len(names.titles)
    titles = [*names.titles, *(f"Outage after {name}" for name in ids)]
    return _table(
        Incident,
        len(rows),
        incident_id=_numbered("INC{:08d}", opened)[rows],
        occurred_at=known[rows],
        known_at=times[order],
        resolved_at=np.where(later, times[order], instants.MISSING),
        priority=priority[rows],
        ci=_Drawn(names.items, item[rows]),
        service=_Drawn(names.services, names.service_of[item][rows]),
        assignment_group=_Drawn(names.teams, _skewed(chance, 150, opened)[rows]),
        short_description=_Drawn(_objects(titles), title[rows]),
    )


def _links(changes: Columns, incidents: Columns, chance: np.random.Generator) -> Columns:
    """Every twentieth change is said to have caused an incident of the following days."""
    linked = np.flatnonzero(chance.random(len(changes)) < 0.05)
    starts = changes.times("planned_start")[linked]
    at = np.searchsorted(incidents.times("known_at"), starts) + chance.integers(1, 50, len(linked))
    inside = at < len(incidents)
    at, linked = at[inside], linked[inside]
    known = incidents.times("known_at")[at] + instants.HOUR
    return _table(
        Link,
        len(linked),
        incident_id=incidents["incident_id"][at],
        change_id=changes["change_id"][linked],
        kind=np.full(len(linked), "caused_by", object),
        source=np.full(len(linked), "explicit", object),
        confidence=np.ones(len(linked)),
        occurred_at=known,
        known_at=known,
    )


def _back_outs(changes: Columns, chance: np.random.Generator) -> Columns:
    chosen = np.flatnonzero(chance.random(len(changes)) < 0.03)
    at = changes.times("planned_start")[chosen] + 6 * instants.HOUR
    return _table(
        ChangeEvent,
        len(chosen),
        change_id=changes["change_id"][chosen],
        kind=np.full(len(chosen), "backed_out", object),
        occurred_at=at,
        known_at=at,
        planned=np.zeros(len(chosen)),
    )


def _items(names: _Names) -> Columns:
    count = len(names.items)
    return _table(
        Item,
        count,
        ci=names.items,
        known_at=np.full(count, END - YEARS * 365 * instants.DAY),
        service=names.services[names.service_of],
        criticality=np.arange(count) % 4 + 1.0,
    )


def _relations(size: Size, names: _Names, chance: np.random.Generator) -> Columns:
    known = np.full(size.relations, END - YEARS * 365 * instants.DAY)
    return _table(
        Relation,
        size.relations,
        parent=names.items[chance.integers(0, size.items, size.relations)],
        child=names.items[_skewed(chance, size.items, size.relations)],
        kind=np.full(size.relations, "runs_on", object),
        occurred_at=known,
        known_at=known,
    )
