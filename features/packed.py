"""The questions of all entities put together: those of few changes are answered by one call in a
fraction of the time of twenty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from features.asked import Asked, Floats
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

    def ask(self, index: EventIndex, asked: Sequence[Asked], moments: Moments) -> Answered:
        """All counts and last events."""
        codes, rows = ([getattr(asked[n], name) for n in self.plans] for name in ("codes", "row"))
        return index.ask_several(self.several, codes, rows, moments, asked[0].owner)

    def fill(
        self, values: Floats, found: Answered, asked: Sequence[Asked], usual: Floats, behind: Behind
    ) -> None:
        """Put what is made of counts into the columns of a table."""
        made, failed, decided = self.tallies.answers(found, [asked[n] for n in self.plans], usual)
        values[:, self.tallies.columns] = made.T
        if behind.kept:
            pairs = zip(failed, decided, strict=True)
            behind.counts.update(zip(self.tallies.rates, pairs, strict=True))


@dataclass(frozen=True)
class Pack:
    """Plans that can be answered together.

    Parameters
    ----------
    plans : tuple of Plan
    """

    plans: tuple[Plan, ...]

    @cached_property
    def _happening(self) -> _Half:
        return _Half.of([plan.happening for plan in self.plans])

    @cached_property
    def _standing(self) -> _Half:
        return _Half.of([plan.standing for plan in self.plans])

    def fill(
        self,
        values: Floats,
        asked: Sequence[Asked],
        moments: Moments,
        usual: Floats,
        state: FeatureState,
        behind: Behind,
    ) -> dict[str, tuple[Ints, Ints]]:
        """Put what is made of counts and last events into the columns of a table.

        Parameters
        ----------
        asked : sequence of Asked
            The questions of each plan.
        behind : Behind
            Told what is behind the rates.

        Returns
        -------
        dict of str to (ndarray, ndarray)
            Counts and last events of every entity, for those who make something else of them.
        """
        half = self._happening
        found = half.ask(state.index, asked, moments)
        half.fill(values, found, asked, usual, behind)
        if self._standing.plans:
            other = self._standing.ask(state.topology.index, asked, moments)
            self._standing.fill(values, other, asked, usual, behind)
        entities = (self.plans[n].entity for n in half.plans)
        return dict(zip(entities, found.each, strict=True))


def packed(features: tuple[Feature, ...]) -> Pack:
    """The plans of some features; those of the whole catalogue are made once."""
    return _of_the_catalogue() if features is CATALOGUE else Pack(plans(features))


@cache
def _of_the_catalogue() -> Pack:
    return Pack(plans(CATALOGUE))
