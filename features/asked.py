"""What changes ask: one question for each name of each change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.columns import Columns
from features.entities import ENTITIES
from features.names import look_up
from features.readings import all_of, coded
from features.segment import NONE, Ints
from features.state import FeatureState

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """One question for each name of each change: the names' codes, moments and owners.

    Parameters
    ----------
    row : ndarray of int64
        The change that asks, ascending.
    as_of, owner : ndarray of int64, shape (n,)
        The moment of each change, and its own number.
    named : ndarray of bool, shape (n,)
        Whether each change names anything at all.
    """

    row: Ints
    codes: Ints
    as_of: Ints
    owner: Ints
    named: NDArray[np.bool_]

    @cached_property
    def times(self) -> Ints:
        """The moment of every question."""
        return self.as_of[self.row]

    @cached_property
    def owners(self) -> Ints:
        """Who asks every question."""
        return self.owner[self.row]

    def part(self, low: int, high: int) -> Asked:
        """The questions of the changes from one to before another, in the order of the changes and
        of each change's as they stand.
        """
        chosen = (self.row >= low) & (self.row < high)
        row, codes = self.row[chosen] - low, self.codes[chosen]
        if high - low > 1:
            order = np.argsort(row, kind="stable")
            row, codes = row[order], codes[order]
        return Asked(row, codes, self.as_of[low:high], self.owner[low:high], self.named[low:high])

    @cached_property
    def one_each(self) -> bool:
        """Whether every change asks exactly once, so that its answer is its only one."""
        if len(self.named) == 1:
            return len(self.row) == 1
        return len(self.row) == len(self.named) == len(self.first)

    @cached_property
    def first(self) -> Ints:
        """Place of the first name of each change that asks anything."""
        new = np.ones(len(self.row), bool)
        new[1:] = self.row[1:] != self.row[:-1]
        return np.flatnonzero(new)

    def reduced(self, found: Floats, across: str) -> Floats:
        """One answer a change from one an asked name; NaN for a change that asks nothing."""
        if self.one_each:
            return found
        answers = np.full(len(self.named), np.nan)
        if len(found):
            function = {"max": np.fmax, "sum": np.add, "min": np.fmin}[across]
            answers[self.row[self.first]] = function.reduceat(found, self.first)
        return answers

    def highest(self, found: Floats, behind: Ints) -> Ints:
        """Place of each change's highest answer; of equals the one with the most behind it."""
        if len(self.first) == len(found):
            return self.first
        return np.lexsort((-behind, -found, self.row))[self.first]

    def at(self, places: Ints, counts: Ints) -> Floats:
        """The counts at one place a change; NaN for a change that names nothing."""
        if self.one_each:
            return counts.astype(np.float64)
        answers = np.full(len(self.named), np.nan)
        answers[self.row[places]] = counts[places]
        return answers


@dataclass(frozen=True)
class Questions(Mapping[str, Asked]):
    """What few changes ask about several entities, put together.

    Parameters
    ----------
    entities : tuple of str
    row, codes : ndarray of int64
        Those of all entities, one entity after another.
    ends : ndarray of int64, shape (entities + 1,)
        Where the questions about each begin, and those about the last end.
    named : ndarray of bool, shape (entities, n)
    as_of, owner : ndarray of int64, shape (n,)
    """

    entities: tuple[str, ...]
    row: Ints
    codes: Ints
    ends: Ints
    named: NDArray[np.bool_]
    as_of: Ints
    owner: Ints
    _made: dict[str, Asked] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        entities: tuple[str, ...],
        changes: Columns,
        as_of: Ints,
        owners: Ints,
        state: FeatureState,
    ) -> Questions:
        """What few changes ask; their names were looked up, see :func:`look_up_names`."""
        each = [ENTITIES[entity].read.each(changes) for entity in entities]
        known = [state.vocabulary(ENTITIES[entity].vocabulary) for entity in entities]
        pairs = [*zip(known, each, strict=True)]
        row: list[int] = []
        codes: list[int] = []
        ends = [0]
        for entity, (vocabulary, names) in zip(entities, pairs, strict=True):
            whose, found = coded(names, vocabulary.codes)
            if hops := ENTITIES[entity].hops:
                pair = np.array(whose, np.int64), np.array(found, np.int64)
                around = state.topology.around(*pair, as_of, hops)
                whose, found = (part.tolist() for part in around)
            row += whose
            codes += found
            ends.append(len(row))
        flat = np.array(row, np.int64), np.array(codes, np.int64), np.array(ends)
        named = np.array([[*map(bool, names)] for names in each], bool)
        return cls(entities, *flat, named, as_of, owners)

    @classmethod
    def of_one(cls, entity: str, asked: Asked) -> Questions:
        """Those about one entity alone."""
        ends = np.array([0, len(asked.row)])
        of_rows = asked.named[None], asked.as_of, asked.owner
        return cls((entity,), asked.row, asked.codes, ends, *of_rows)

    def __getitem__(self, entity: str) -> Asked:
        found = self._made.get(entity)
        if found is None:
            at = self.entities.index(entity)
            low, high = self.ends[at : at + 2].tolist()
            of_one = self.row[low:high], self.codes[low:high], self.as_of, self.owner
            found = self._made[entity] = Asked(*of_one, self.named[at])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.entities)

    def __len__(self) -> int:
        return len(self.entities)

    def only(self, numbers: Sequence[int]) -> Questions:
        """Those about some of the entities, by their places."""
        last = len(numbers)
        if last and numbers[-1] == last - 1:  # the first ones
            high = self.ends[last]
            flat = self.row[:high], self.codes[:high], self.ends[: last + 1]
            named = self.named[:last]
            return Questions(self.entities[:last], *flat, named, self.as_of, self.owner)
        entities = tuple(self.entities[number] for number in numbers)
        ends = self.ends.tolist()
        places = [np.arange(ends[at], ends[at + 1]) for at in numbers]
        chosen, until = np.concatenate([NONE, *places]), np.cumsum([0, *map(len, places)])
        flat = self.row[chosen], self.codes[chosen], until
        return Questions(entities, *flat, self.named[[*numbers]], self.as_of, self.owner)


def look_up_names(entities: Iterable[str], changes: Columns, state: FeatureState) -> None:
    """Look up all names that few changes bear at once, and the changes themselves."""
    look_up(
        (state.vocabulary(ENTITIES[entity].vocabulary), all_of(ENTITIES[entity].read.each(changes)))
        for entity in dict.fromkeys([*entities, *_ALWAYS])
    )


_ALWAYS = ("change", "planned_start")
"""Entities whose names are looked for whatever is asked."""


def ask(changes: Columns, as_of: Ints, owners: Ints, entity: str, state: FeatureState) -> Asked:
    """The questions that one entity of the changes raises.

    Parameters
    ----------
    owners : ndarray of int64, shape (n,)
        Numbers of the changes themselves, whose own events never count; -1 for new ones.
    """
    entity_of, named = ENTITIES[entity], ENTITIES[entity].read(changes)
    codes = named.found_in(state.vocabulary(entity_of.vocabulary))
    asked = asked_of(named.row, codes, as_of, owners, entity, state)
    if entity_of.hops and len(named.row) > len(as_of):  # in no order of their own
        order = np.lexsort((asked.codes, asked.row))
        return replace(asked, row=asked.row[order], codes=asked.codes[order])
    return asked


def asked_of(
    row: Ints, codes: Ints, as_of: Ints, owners: Ints, entity: str, state: FeatureState
) -> Asked:
    """The questions that names read off the changes raise.

    Parameters
    ----------
    row, codes : ndarray of int64
        The change that bears each name, and the name's code.
    """
    has_name = np.zeros(len(as_of), bool)
    has_name[row] = True
    if ENTITIES[entity].hops:
        row, codes = state.topology.around(row, codes, as_of, ENTITIES[entity].hops)
    return Asked(row, codes, as_of, owners, has_name)
