"""The questions of all entities put together: those of few changes are answered by one call in a
fraction of the time of twenty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from features.asked import Floats, Questions
from features.asking import OF_LAST_YEAR, Behind, Part, Plan, Wanted, plans, usual_of, usual_rate
from features.catalogue import CATALOGUE, Feature
from features.counting import Answered, Moments, Several
from features.index import EventIndex
from features.segment import Ints
from features.state import FeatureState
from features.sweep import AllCursors
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

    def ask(self, index: EventIndex, asked: Questions, moments: Moments) -> Answered:
        """All counts and last events.

        Parameters
        ----------
        asked : Questions
            Those about the entities of all plans.
        """
        mine = asked.only(self.plans)
        return index.ask_several(self.several, mine.codes, mine.row, mine.ends, moments, mine.owner)

    def fill(
        self, values: Floats, found: Answered, asked: Questions, usual: Floats, behind: Behind
    ) -> None:
        """Put what is made of counts into the columns of a table."""
        named = asked.named[[*self.plans]]
        made, failed, decided = self.tallies.answers(found, named, asked.as_of, usual)
        values[:, self.tallies.columns] = made.T
        if behind.kept:
            pairs = zip(failed, decided, strict=True)
            behind.counts.put(zip(self.tallies.rates, pairs, strict=True))


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

    @cached_property
    def _of_all(self) -> Mapping[Wanted, int] | None:
        """Rows of the counts of all changes, where they are what the usual rate is made of."""
        for plan in self.plans:
            if plan.entity == "organisation" and {*OF_LAST_YEAR} <= {*plan.happening.places}:
                return plan.happening.places
        return None

    def fill(
        self,
        values: Floats,
        asked: Questions,
        moments: Moments,
        state: FeatureState,
        behind: Behind,
    ) -> tuple[dict[str, tuple[Ints, Ints]], Floats]:
        """Put what is made of counts and last events into the columns of a table.

        Parameters
        ----------
        asked : Questions
            Those about the entities of the plans.
        behind : Behind
            Told what is behind the rates.

        Returns
        -------
        found : dict of str to (ndarray, ndarray)
            Counts and last events of every entity, for those who make something else of them.
        usual : ndarray of float64
            Failure rate of all changes at each moment.
        """
        half, found = self._happening, {}
        if half.plans:
            answered = half.ask(state.index, asked, moments)
            entities = (self.plans[n].entity for n in half.plans)
            found = dict(zip(entities, answered.each, strict=True))
        if self._of_all is None:
            usual = usual_rate(moments, asked.owner, state, AllCursors(kept=False))
        else:
            usual = usual_of(found["organisation"][0], self._of_all)
        if half.plans:
            half.fill(values, answered, asked, usual, behind)
        if self._standing.plans:
            standing = self._standing.ask(state.topology.index, asked, moments)
            self._standing.fill(values, standing, asked, usual, behind)
        return found, usual


def packed(features: tuple[Feature, ...]) -> Pack:
    """The plans of some features; those of the whole catalogue are made once."""
    return _of_the_catalogue() if features is CATALOGUE else Pack(plans(features))


@cache
def _of_the_catalogue() -> Pack:
    return Pack(plans(CATALOGUE))
