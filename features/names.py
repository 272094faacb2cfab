"""Names read off records, and the vocabularies that number them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain
from operator import is_, itemgetter
from typing import Any, overload

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pandas.util import hash_array

from features.arrow import bytes_of
from features.columns import MANY, array_of
from features.ordering import first_in_row, in_order
from features.segment import NONE, Ints, spread


@dataclass(frozen=True)
class Named:
    """Names read off a table of changes.

    Parameters
    ----------
    row : ndarray of int64, shape (n,)
        The change each name belongs to, ascending.
    distinct : ndarray of object
        The names, most of them once: of a million changes many name the same.
    place : ndarray of int64, shape (n,)
        Which of them each is.
    """

    row: Ints
    distinct: NDArray[np.object_]
    place: Ints

    @classmethod
    def of(cls, row: Ints, names: NDArray[np.object_]) -> Named:
        """Names one by one."""
        if len(names) < MANY:
            return cls(row, names, np.arange(len(names)))
        place, distinct = pd.factorize(names)
        return cls(row, distinct, place)

    @classmethod
    def together(cls, parts: Sequence[Named]) -> Named:
        """The names of several readings of one table, each once a row, in their order."""
        if sum(len(part.row) for part in parts) < MANY:
            every = [pair for p in parts for pair in zip(p.row.tolist(), p.names, strict=True)]
            pairs = dict.fromkeys(sorted(every, key=itemgetter(0)))
            row = np.fromiter((row for row, _ in pairs), np.int64, len(pairs))
            return cls(row, array_of("text", [name for _, name in pairs]), np.arange(len(pairs)))
        before = np.cumsum([0, *(len(part.distinct) for part in parts)])
        code, distinct = pd.factorize(np.concatenate([part.distinct for part in parts]))
        # Of a million changes each of these takes much: no more of them at a time than needed.
        row = np.concatenate([part.row for part in parts])
        order = in_order(row)
        row = row[order]
        numbers = zip(parts, before.tolist(), strict=False)
        place = np.concatenate([code[part.place + first] for part, first in numbers])[order]
        del order
        kept = first_in_row(row, place)
        row = row[kept]
        return cls(row, distinct, place[kept])

    def kept(self, rows: int) -> KeptNames:
        """The same in little room.

        Parameters
        ----------
        rows : int
            How many rows the table has.
        """
        first, place = None, self.place.astype(np.int32)
        if len(self.row) != rows or (self.row != np.arange(rows)).any():
            first = np.zeros(rows + 1, np.int32)
            np.cumsum(np.bincount(self.row, minlength=rows), out=first[1:])
        return KeptNames(first, self.distinct, place)

    @property
    def names(self) -> NDArray[np.object_]:
        """The name of each row."""
        return self.distinct[self.place]

    def found_in(self, vocabulary: Vocabulary) -> Ints:
        """Their codes, -1 for names never seen."""
        return vocabulary.find(self.distinct)[self.place]

    def learnt_by(self, vocabulary: Vocabulary) -> Ints:
        """Their codes, new names added."""
        return vocabulary.learn(self.distinct, again=True)[self.place]


@dataclass(frozen=True)
class KeptNames:
    """Names read off a large table, in a quarter of the room.

    Parameters
    ----------
    first : ndarray of int32 or None
        Where the names of each row begin, and those of the last end; None where each has one.
    distinct, place
        As of :class:`Named`.
    """

    first: NDArray[np.int32] | None
    distinct: NDArray[np.object_]
    place: NDArray[np.int32]

    def whole(self) -> Named:
        """The names of all rows."""
        row = np.arange(len(self.place))
        if self.first is not None:
            row = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        return Named(row, self.distinct, self.place.astype(np.int64))

    def take(self, rows: Ints) -> Named:
        """The names of the chosen rows."""
        if self.first is None:
            return Named(np.arange(len(rows)), self.distinct, self.place[rows].astype(np.int64))
        first = self.first[rows].astype(np.int64)
        row, at = spread(first, self.first[rows + 1] - first)
        return Named(row, self.distinct, self.place[at].astype(np.int64))


@dataclass(frozen=True)
class SavedNames:
    """Names that never change, as arrays that can be mapped from disk.

    Parameters
    ----------
    text, ends : ndarray of uint8, of int64
        All names in UTF-8, and where each of them ends.
    digests, codes : ndarray of uint64, of int32
        Digests of the names in order, and the place of the name of each.
    """

    text: NDArray[np.uint8]
    ends: Ints
    digests: NDArray[np.uint64]
    codes: NDArray[np.int32]

    @classmethod
    def of(cls, names: Sequence[str]) -> SavedNames:
        """The given names, in their order."""
        every = array_of("text", list(names))
        digests = digests_of(every)
        order = np.argsort(digests, kind="stable")
        ends, text = bytes_of(pa.array(every, pa.large_string()))
        return cls(
            text[: ends[-1]],
            ends[1:],
            digests[order],
            order.astype(np.int32),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        return {name.name: getattr(self, name.name) for name in fields(self)}

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, code: int) -> str:
        first = self.ends.item(code - 1) if code else 0
        return self.text[first : self.ends.item(code)].tobytes().decode()

    def find(self, names: Sequence[str], digests: NDArray[np.uint64] | None = None) -> list[int]:
        """Places of names, -1 for one that is not among them.

        Parameters
        ----------
        digests : ndarray of uint64, optional
            Their digests, where they are known already.
        """
        wanted = digests_of(names) if digests is None else digests
        held, size = self.digests.item, len(self)
        found = []
        for name, digest, place in zip(
            names, wanted.tolist(), self.digests.searchsorted(wanted).tolist(), strict=True
        ):
            at, code = place, -1
            # Two names may share a digest: the text decides.
            while code < 0 and at < size and held(at) == digest:
                number = self.codes.item(at)
                code, at = (number if self[number] == name else -1), at + 1
            found.append(code)
        return found


FEW = 16
"""Names up to which each is digested alone."""


def digests_of(names: Sequence[str] | NDArray[np.object_]) -> NDArray[np.uint64]:
    """64-bit digests of names; equal ones for equal names, on every machine."""
    if len(names) < FEW:  # one name is looked for in many places
        return np.array([_digest(name) for name in names], np.uint64)
    return digests_of_all(names)


def digests_of_all(names: Sequence[str] | NDArray[np.object_]) -> NDArray[np.uint64]:
    """The same, digested all at once."""
    array = names if isinstance(names, np.ndarray) else array_of("text", names)
    digests: NDArray[np.uint64] = hash_array(array, categorize=False)
    return digests


@lru_cache(maxsize=20_000)
def _digest(name: str) -> int:
    return int(digests_of_all([name])[0])


NEW_NAMES = 100_000
"""Names remembered at most to be none of the saved ones."""


class Vocabulary:
    """Names to whole numbers, growing.

    Parameters
    ----------
    saved : SavedNames, optional
        The first names; they are looked up where they lie, and those asked for are remembered.
    """

    def __init__(self, saved: SavedNames | None = None) -> None:
        self._saved = saved
        self._codes: dict[str, int] = {}
        self._numbered = 0  # names added that the codes above are of
        self._new: set[str] = set()  # none of the saved ones, which never change
        self._learnt: tuple[Sequence[str] | NDArray[np.object_], Ints] = (), NONE
        self.names = Names(saved)

    def learn(self, names: Iterable[str], *, again: bool = False, once_each: bool = False) -> Ints:
        """Codes of names, new ones added.

        Parameters
        ----------
        again : bool
            Whether many of them will be asked for again, all together.
        once_each : bool
            Whether no name comes twice.
        """
        if self._learnt_last(names):
            return self._learnt[1]
        found = self._learn(list(names), once_each)
        if again and len(found) >= MANY and isinstance(names, (list, np.ndarray)):
            self._learnt = names, found
        return found

    def find(self, names: Iterable[str]) -> Ints:
        """Codes of names, -1 for one never seen.

        Those that were learnt last are remembered, if they are many: of a million names an index is
        made of, most are never looked for one by one.
        """
        if self._learnt_last(names):
            return self._learnt[1]
        return np.array(self.codes(self._remembered(names)), np.int64)

    def codes(self, names: Iterable[str]) -> list[int]:
        """The same of names that nobody need look up any more: see :func:`look_up`."""
        get = self._by_name.get
        return [get(name, -1) for name in names]

    def numbers(self, names: Iterable[str]) -> list[int]:
        """The same, new names added."""
        found, known = [*names], self._by_name
        if new := [name for name in dict.fromkeys(found) if name not in known]:
            self.names.added.extend(new)
            known = self._by_name
        return [known[name] for name in found]

    def unheard_of(self, names: Iterable[str]) -> list[str]:
        """Those names of which nobody asked yet whether they were saved, each once."""
        if self._saved is None:
            return []
        codes, new = self._by_name, self._new
        return [name for name in dict.fromkeys(names) if name not in codes and name not in new]

    def look_up(self, names: Sequence[str], digests: NDArray[np.uint64] | None = None) -> None:
        """Look up saved names and remember what was found.

        Parameters
        ----------
        names : sequence of str
            Unheard of until now.
        digests : ndarray of uint64, optional
            Theirs.
        """
        if self._saved is None:
            return
        codes, new = self._by_name, self._new
        if len(new) > NEW_NAMES:
            new.clear()
        for name, code in zip(names, self._saved.find(names, digests), strict=True):
            if code >= 0:
                codes[name] = code
            else:
                new.add(name)

    def _learnt_last(self, names: Iterable[str]) -> bool:
        """Whether the names are those that were learnt last, one by one the same objects."""
        last = self._learnt[0]
        if names is last or not isinstance(names, (list, np.ndarray)):
            return names is last
        return 0 < len(names) == len(last) and all(map(is_, names, last))

    def _learn(self, names: list[str], once_each: bool) -> Ints:
        added, first = self.names.added, len(self.names)
        if not first and (once_each or len(set(names)) == len(names)):  # mostly they do
            added.extend(names)
            return np.arange(len(names))
        self._remembered(names)
        return np.array(self.numbers(names), np.int64)

    @property
    def _by_name(self) -> dict[str, int]:
        """Codes of the names added, and of those saved ones that were looked up."""
        added = self.names.added
        if self._numbered < len(added):
            new, end = added[self._numbered :], len(self.names)
            self._codes.update(zip(new, range(end - len(new), end), strict=True))
            self._numbered = len(added)
        return self._codes

    def _remembered(self, names: Iterable[str]) -> Iterable[str]:
        """The names, after those of them that were saved have been looked up."""
        if not self._saved:
            return names
        names = list(names)
        if unknown := self.unheard_of(names):
            self.look_up(unknown)
        return names


def look_up(asked: Iterable[tuple[Vocabulary, Iterable[str]]]) -> None:
    """Look up names of several vocabularies: to digest one takes as long as to digest a dozen."""
    wanted: dict[Vocabulary, dict[str, None]] = defaultdict(dict)
    for vocabulary, names in asked:
        if unknown := vocabulary.unheard_of(names):
            wanted[vocabulary].update(dict.fromkeys(unknown))
    if not wanted:
        return
    digests = digests_of_all([*chain.from_iterable(wanted.values())])
    first = 0
    for vocabulary, unheard in wanted.items():
        vocabulary.look_up([*unheard], digests[first : first + len(unheard)])
        first += len(unheard)


class Names(Sequence[str]):
    """The names of a vocabulary by their codes."""

    def __init__(self, saved: SavedNames | None) -> None:
        self._saved = saved
        self._first = 0 if saved is None else len(saved)
        self.added: list[str] = []

    def __iter__(self) -> Iterator[str]:
        saved = () if self._saved is None else map(self._saved.__getitem__, range(self._first))
        return chain(saved, self.added)

    def __len__(self) -> int:
        return self._first + len(self.added)

    @overload
    def __getitem__(self, code: int) -> str: ...

    @overload
    def __getitem__(self, code: slice) -> list[str]: ...

    def __getitem__(self, code: int | slice) -> str | list[str]:
        if isinstance(code, slice):
            return [self[one] for one in range(*code.indices(len(self)))]
        if self._saved is not None and 0 <= code < self._first:
            return self._saved[code]
        return self.added[code - self._first]
