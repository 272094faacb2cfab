"""The questions of all entities put together: those of few changes are answered by one call in a
fraction of the time of twenty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from features.asked import Floats, Questions
from features.asking import Behind, Part, Plan, plans
from features.catalogue import CATALOGUE, Feature
from features.counting import Answered, Moments, Several
from features.index import EventIndex
from features.segment import Ints
from features.state import FeatureState
from features.tallies import Together


@dataclass(frozen=True)
class _Half:
    """What to ask one of the two indexes for some of the entities."""

    plans: tuple[int, ...]
    several: Several
    tallies: Together

    @classmethod
    def of(cls, parts: Sequence[Part]) -> _Half:
        """That of the entities for which there is anything to ask."""
        plans = tuple(n for n, part in enumerate(parts) if len(part.counted.slots))
        several = Several(tuple(parts[n].counted for n in plans))
        return cls(plans, several, Together(tuple(parts[n].tallies for n in plans)))

    def fill(
        self,
        values: Floats,
        index: EventIndex,
        asked: Questions,
        moments: Moments,
        usual: Floats,
        behind: Behind,
    ) -> Answered:
        """Put what is made of counts into the columns of a table; returns counts and last events.

        Parameters
        ----------
        asked : Questions
            Those about the entities of all plans.
        """
        mine = asked.only(self.plans)
        flat = mine.codes, mine.row, mine.ends
        found = index.ask_several(self.several, *flat, moments, mine.owner)
        made, failed, decided = self.tallies.answers(found, mine.named, mine.as_of, usual)
        values[:, self.tallies.columns] = made.T
        if behind.kept:
            pairs = zip(failed, decided, strict=True)
            behind.counts.put(zip(self.tallies.rates, pairs, strict=True))
        return found


@dataclass(frozen=True)
class Pack:
    """Plans that can be answered together.

    Parameters
    ----------
    plans : tuple of Plan
    """

    plans: tuple[Plan, ...]

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """Those that the plans are for."""
        return tuple(plan.entity for plan in self.plans)

    @cached_property
    def _happening(self) -> _Half:
        return _Half.of([plan.happening for plan in self.plans])

    @cached_property
    def _standing(self) -> _Half:
        return _Half.of([plan.standing for plan in self.plans])

    def fill(
        self,
        values: Floats,
        asked: Questions,
        moments: Moments,
        usual: Floats,
        state: FeatureState,
        behind: Behind,
    ) -> dict[str, tuple[Ints, Ints]]:
        """Put what is made of counts and last events into the columns of a table.

        Parameters
        ----------
        asked : Questions
            Those about the entities of the plans.
        behind : Behind
            Told what is behind the rates.

        Returns
        -------
        dict of str to (ndarray, ndarray)
            Counts and last events of every entity, for those who make something else of them.
        """
        half, of_rows = self._happening, (asked, moments, usual, behind)
        found = half.fill(values, state.index, *of_rows)
        if self._standing.plans:
            self._standing.fill(values, state.topology.index, *of_rows)
        entities = (self.plans[n].entity for n in half.plans)
        return dict(zip(entities, found.each, strict=True))


def packed(features: tuple[Feature, ...]) -> Pack:
    """The plans of some features; those of the whole catalogue are made once."""
    return _of_the_catalogue() if features is CATALOGUE else Pack(plans(features))


@cache
def _of_the_catalogue() -> Pack:
    return Pack(plans(CATALOGUE))
