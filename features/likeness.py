"""How like changes on record are to one that is asked about: what is compared of them, as numbers,
kept until later facts bear on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.columns import Columns
from features.entities import affected_in, change_models
from features.instants import NEVER
from features.ordering import compiled
from features.segment import Ints
from features.texts import WORD

MOST = 100_000
"""Changes kept at most; then all are forgotten."""

UNKNOWN = -1
"""Number of a name that no change on record bears."""


@dataclass(frozen=True)
class Compared:
    """What of a change is compared with others."""

    change_id: str
    known_at: int
    words: frozenset[str]
    items: tuple[str, ...]
    team: str | None
    model: str | None

    @classmethod
    def each(cls, changes: Columns) -> list[Compared]:
        """Of every row of a table."""
        fields = ("change_id", "known_at", "short_description", "assignment_group")
        columns = [changes[field].tolist() for field in fields]
        rows = zip(*columns, affected_in(changes), change_models(changes), strict=True)
        return [
            cls(change_id, known_at, frozenset(WORD.findall((title or "").lower())), *rest)
            for change_id, known_at, title, team, items, model in rows
            for rest in [(items, team, model)]
        ]


class Outcome(NamedTuple):
    """When the outcome of a change was known; ``NEVER`` for what was not.

    Parameters
    ----------
    failed, decided : int
        When a failure became known, and when its window closed, microseconds.
    """

    failed: int = NEVER
    decided: int = NEVER

    def told(self, as_of: int) -> str | None:
        """``caused`` or ``clean``, as known at a moment; None where undecided."""
        if self.failed < as_of:
            return "caused"
        return "clean" if self.decided < as_of else None


class Memory:
    """Changes on record and their outcomes, ready to be compared."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._places: dict[int, int] = {}
        self._numbers: dict[str, int] = {}
        self._kept: list[tuple[Compared, Outcome]] = []
        self._names = _Lists()
        self._facts = np.zeros((64, 4), np.int64)

    def forget(self, numbers: Iterable[int]) -> None:
        """Look at some changes anew when they are compared next."""
        for number in numbers:
            self._places.pop(number, None)

    def missing(self, numbers: Sequence[int]) -> list[int]:
        """Those of some changes that are not kept."""
        if len(self._kept) > MOST:
            self._clear()
        return [number for number in numbers if number not in self._places]

    def keep(self, number: int, compared: Compared, outcome: Outcome) -> None:
        """Keep a change by its number."""
        place = self._places[number] = len(self._kept)
        self._kept.append((compared, outcome))
        named = [*compared.words], [*compared.items], [compared.team], [compared.model]
        words, items, (team,), (model,) = (self._learnt(names) for names in named)
        self._names.append(words, items)
        if place == len(self._facts):
            self._facts = np.concatenate([self._facts, np.zeros_like(self._facts)])
        self._facts[place] = team, model, *outcome

    def most_alike(
        self, own: Compared, numbers: Sequence[int], as_of: int, limit: int, outcome: str | None
    ) -> list[tuple[float, Compared, str]]:
        """The most alike of some changes that are kept and whose outcome was known at a moment, as
        (likeness, change, outcome); of equals the newest.

        The likeness is half for the words of the title, a quarter for a shared item, an eighth each
        for the same team and the same model.

        Parameters
        ----------
        outcome : str or None
            ``caused`` or ``clean``: only those.
        """
        places = np.array([self._places[n] for n in numbers if n in self._places], np.int64)
        named = [*own.words], [*own.items], [own.team], [own.model]
        words, items, (team,), (model,) = (self._known(names) for names in named)
        likeness = _likeness(
            places,
            self._facts,
            *self._names.arrays,
            np.array(words, np.int64),
            np.array(items, np.int64),
            len(own.words),
            team,
            model,
            as_of,
            ("", "caused", "clean").index(outcome or ""),
        )
        least = np.sort(likeness)[::-1][:limit].min(initial=np.inf)
        chosen = np.flatnonzero((likeness >= least) & (likeness >= 0))
        entries = [(float(likeness[at]), *self._kept[places[at]]) for at in chosen.tolist()]
        entries.sort(key=lambda entry: (-entry[0], -entry[1].known_at, entry[1].change_id))
        return [(alike, one, str(known.told(as_of))) for alike, one, known in entries[:limit]]

    def _learnt(self, names: Iterable[str | None]) -> list[int]:
        numbers = self._numbers
        found = (numbers.setdefault(name, len(numbers)) if name else UNKNOWN for name in names)
        return sorted(found)

    def _known(self, names: Iterable[str | None]) -> list[int]:
        return sorted(self._numbers.get(name, UNKNOWN) if name else UNKNOWN for name in names)


class _Lists:
    """Two lists of numbers of every change, all in one array, which grows."""

    def __init__(self) -> None:
        self._flat = np.zeros(1024, np.int64)
        self._ends = np.zeros(1, np.int64)
        self._count = 0

    @property
    def arrays(self) -> tuple[Ints, Ints]:
        """All numbers, and where each list ends: two for every change."""
        return self._flat, self._ends

    def append(self, first: Sequence[int], second: Sequence[int]) -> None:
        """The lists of one more change."""
        begin = int(self._ends[self._count])
        end = begin + len(first) + len(second)
        while end > len(self._flat):
            self._flat = np.concatenate([self._flat, np.zeros_like(self._flat)])
        while self._count + 2 >= len(self._ends):
            self._ends = np.concatenate([self._ends, np.zeros(len(self._ends) + 2, np.int64)])
        self._flat[begin:end] = [*first, *second]
        self._ends[self._count + 1 : self._count + 3] = begin + len(first), end
        self._count += 2


@compiled
def _shared(flat: Ints, begin: int, end: int, own: Ints) -> int:
    """How many numbers two ordered lists have in common."""
    found, at = 0, 0
    for place in range(begin, end):
        while at < len(own) and own[at] < flat[place]:
            at += 1
        if at < len(own) and own[at] == flat[place]:
            found += 1
    return found


@compiled
def _likeness(
    places: Ints,
    facts: Ints,
    flat: Ints,
    ends: Ints,
    words: Ints,
    items: Ints,
    size: int,
    team: int,
    model: int,
    as_of: int,
    wanted: int,
) -> NDArray[np.float64]:
    """How like a change each of some others is; below 0 for one that is not asked for.

    Parameters
    ----------
    facts : ndarray of int64, shape (kept, 4)
        Team, model, and when failure and outcome were known.
    flat, ends : ndarray of int64
        Words and items of all, in order.
    size : int
        Number of the change's own words, those nobody else has among them.
    wanted : int
        0 for every outcome, 1 for caused, 2 for clean.
    """
    found = np.full(len(places), -1.0)
    for number, place in enumerate(places):
        caused, decided = facts[place, 2] < as_of, facts[place, 3] < as_of
        if not (caused or decided) or (wanted == 1 and not caused) or (wanted == 2 and caused):
            continue
        begin, middle, end = ends[2 * place], ends[2 * place + 1], ends[2 * place + 2]
        both = _shared(flat, begin, middle, words)
        either = size + middle - begin - both
        likeness = 0.5 * (both / either) if either else 0.0
        likeness += 0.25 * (_shared(flat, middle, end, items) > 0)
        likeness += 0.125 * (team >= 0 and facts[place, 0] == team)
        found[number] = likeness + 0.125 * (model >= 0 and facts[place, 1] == model)
    return found
