"""What a change belongs to: its items, service, team, model; each a name in a vocabulary.

An *entity* is a way to read names off a change; a *vocabulary* is the kind of thing named. Two
entities may share one: ``ci`` is the item the change is about, ``affected`` every item it names,
and both are looked up among items.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from pandas.util import hash_array

from features.columns import Columns, array_of
from features.instants import MISSING
from features.segment import Ints

ORGANISATION = "*"
"""The one name of the whole organisation."""

TITLE = 300
"""Characters of a title that are read: what comes after them is no title, and would take long."""

_VARIABLE = re.compile(r"[0-9a-f]{7,}|\d+|\b[\w-]+(?:\.[\w-]+)+\b")
# A heading starts with no space and all spaces before it are taken at once: were they shared out in
# every way, a title of twenty short headings would take minutes.
_FIRST_WORD = re.compile(
    r"\s*+(?:\[[^\]]{1,40}\]\s*+|[\w./-][\w ./-]{0,39}:\s*+)*[^A-Za-z]*+([A-Za-z]{2,})"
)
_SPACE = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W\d_]{2,}")

TEXT_WORDS = 4
"""Fewest words of a plan that is compared with others; "no backout possible" is nobody's text."""


@dataclass(frozen=True)
class Named:
    """Names read off a table of changes: ``names[i]`` belongs to row ``row[i]``; rows ascend."""

    row: Ints
    names: NDArray[np.object_]

    def among(self, low: int, high: int) -> Named:
        """Those of the rows from ``low`` to before ``high``, counted from there."""
        first, last = np.searchsorted(self.row, [low, high])
        return Named(self.row[first:last] - low, self.names[first:last])


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
        encoded = [name.encode() for name in names]
        digests = digests_of(list(names))
        order = np.argsort(digests, kind="stable")
        return cls(
            np.frombuffer(b"".join(encoded), np.uint8),
            np.cumsum([len(one) for one in encoded], dtype=np.int64),
            digests[order],
            order.astype(np.int32),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name."""
        return {name.name: getattr(self, name.name) for name in fields(self)}

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, code: int) -> str:
        first = int(self.ends[code - 1]) if code else 0
        return self.text[first : int(self.ends[code])].tobytes().decode()

    def find(self, names: Sequence[str]) -> list[int]:
        """Places of names, -1 for one that is not among them."""
        wanted = digests_of(names)
        places = np.searchsorted(self.digests, wanted)
        found = []
        for name, digest, place in zip(names, wanted, places.tolist(), strict=True):
            # Two names may share a digest: the text decides.
            while place < len(self) and self.digests[place] == digest:
                if self[int(self.codes[place])] == name:
                    break
                place += 1
            else:
                found.append(-1)
                continue
            found.append(int(self.codes[place]))
        return found


def digests_of(names: Sequence[str] | NDArray[np.object_]) -> NDArray[np.uint64]:
    """64-bit digests of names; equal ones for equal names, on every machine."""
    array = names if isinstance(names, np.ndarray) else array_of("text", names)
    digests: NDArray[np.uint64] = hash_array(array, categorize=False)
    return digests


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
        self.names = Names(saved)

    def learn(self, names: Iterable[str]) -> Ints:
        """Codes of names, new ones added."""
        names = self._remembered(names)
        codes = self._codes
        found = []
        for name in names:
            code = codes.get(name)
            if code is None:
                code = codes[name] = len(self.names)
                self.names.added.append(name)
            found.append(code)
        return np.array(found, np.int64)

    def find(self, names: Iterable[str]) -> Ints:
        """Codes of names, -1 for one never seen."""
        get = self._codes.get
        return np.array([get(name, -1) for name in self._remembered(names)], np.int64)

    def _remembered(self, names: Iterable[str]) -> Iterable[str]:
        """The names, after those of them that were saved have been looked up."""
        if not self._saved:
            return names
        names = list(names)
        unknown = list({name for name in names if name not in self._codes})
        if unknown:
            pairs = zip(unknown, self._saved.find(unknown), strict=True)
            self._codes.update((name, code) for name, code in pairs if code >= 0)
        return names


class Names(Sequence[str]):
    """The names of a vocabulary by their codes."""

    def __init__(self, saved: SavedNames | None) -> None:
        self._saved = saved
        self._first = 0 if saved is None else len(saved)
        self.added: list[str] = []

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


def masked_title(title: str) -> str:
    """A title with its numbers, hashes and dotted names masked, so that repeats look alike.

    Examples
    --------
    >>> masked_title("Upgrade PostgreSQL 15.4 to 15.8 on pay-db-01")
    'upgrade postgresql to on pay db'
    """
    return _SPACE.sub(" ", _VARIABLE.sub(" ", title[:TITLE].lower())).strip()


def title_template(changes: Columns, row: int) -> tuple[str, ...]:
    """The masked title without the names of the change's own items and service."""
    title = changes["short_description"][row]
    if not title:
        return ()
    text = title[:TITLE]
    for name in (*affected_cis(changes, row), changes["service"][row]):
        if name:
            text = text.replace(name, " ")
    masked = masked_title(text)
    return (masked,) if masked else ()


@lru_cache(maxsize=20_000)  # plans repeat, and are read for more than one feature
def text_key(text: str | None) -> str | None:
    """What two texts share that differ only in digits, case and spacing; None for no text.

    Examples
    --------
    >>> text_key("Restore dump 41 of the day") == text_key("restore  dump 7 of the day")
    True
    """
    words = _DIGITS.sub("0", (text or "").lower()).split()
    if len(words) < TEXT_WORDS:
        return None
    return hashlib.blake2b(" ".join(words).encode(), digest_size=12).hexdigest()


def _text(field: str) -> Callable[[Columns], Named]:
    def read(changes: Columns) -> Named:
        names = np.array([text_key(text) for text in changes[field]], dtype=object)
        rows = np.flatnonzero([name is not None for name in names])
        return Named(rows, names[rows])

    return read


def _single(field: str) -> Callable[[Columns], Named]:
    def read(changes: Columns) -> Named:
        values = changes[field]
        rows = np.flatnonzero([value is not None and value != "" for value in values])
        return Named(rows, values[rows])

    return read


def _several(read_row: Callable[[Columns, int], Sequence[str]]) -> Callable[[Columns], Named]:
    def read(changes: Columns) -> Named:
        lists = [read_row(changes, row) for row in range(len(changes))]
        row = np.repeat(np.arange(len(lists)), [len(names) for names in lists])
        names = np.empty(len(row), dtype=object)
        names[:] = [name for one in lists for name in one]
        return Named(row, names)

    return read


def affected_cis(changes: Columns, row: int) -> tuple[str, ...]:
    """Every item a change names, each once, the first one first."""
    first = changes["ci"][row]
    rest = changes["affected_cis"][row]
    return tuple(dict.fromkeys([*((first,) if first else ()), *(ci for ci in rest if ci)]))


def change_model(changes: Columns, row: int) -> tuple[str, ...]:
    """The change model or template; where there is none, the masked title stands in for it."""
    model = changes["change_model"][row]
    if model:
        return (str(model),)
    title = changes["short_description"][row]
    masked = masked_title(title) if title else ""
    return (f"~{masked}",) if masked else ()


def action(changes: Columns, row: int) -> tuple[str, ...]:
    """The first word of the title, after a heading such as ``web-01:``; most often the verb."""
    title = changes["short_description"][row]
    word = _FIRST_WORD.match(title[:TITLE]) if title else None
    return (word.group(1).lower(),) if word else ()


def title_words(changes: Columns, row: int) -> tuple[str, ...]:
    """The words of the title and the pairs of neighbours, each once, in lower case.

    Joined words such as ``wgEnableApi`` are taken apart. Numbers are no words: they name one host
    or one version, of which too little is known.
    """
    title = changes["short_description"][row]
    words = _WORD.findall(_HUMP.sub(" ", title[:TITLE]).lower()) if title else []
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return tuple(dict.fromkeys([*words, *pairs]))


def _team_ci(changes: Columns, row: int) -> tuple[str, ...]:
    team, ci = changes["assignment_group"][row], changes["ci"][row]
    return (f"{team}\x1f{ci}",) if team and ci else ()


def _references(changes: Columns, row: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in changes["references"][row] if name))


def _scopes(changes: Columns, row: int) -> tuple[str, ...]:
    """What an entry of the calendar may apply to: everything, an item, a service."""
    services = (changes["service"][row], *changes["impacted_services"][row])
    names = (ORGANISATION, *affected_cis(changes, row), *services)
    return tuple(dict.fromkeys(name for name in names if name))


def _planned_starts(changes: Columns) -> Named:
    """A change with its planned start."""
    starts = changes.times("planned_start")
    rows = np.flatnonzero(starts != MISSING)
    names = np.empty(len(rows), dtype=object)
    pairs = zip(changes["change_id"][rows], starts[rows].tolist(), strict=True)
    names[:] = [f"{change_id}\x1f{start}" for change_id, start in pairs]
    return Named(rows, names)


def _organisation(changes: Columns) -> Named:
    names = np.empty(len(changes), dtype=object)
    names[:] = ORGANISATION
    return Named(np.arange(len(changes)), names)


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A way to read names off changes.

    Parameters
    ----------
    vocabulary : str
        The kind of thing named.
    label : str
        What people call it, with ``{name}`` where it has one.
    hops : int
        The names stand for those this many relations away, as known then.
    """

    vocabulary: str
    label: str
    read: Callable[[Columns], Named]
    hops: int = 0


_AFFECTED = _several(affected_cis)

ENTITIES: dict[str, Entity] = {
    "ci": Entity(vocabulary="ci", label="{name}", read=_single("ci")),
    "affected": Entity(vocabulary="ci", label="the affected item with the most", read=_AFFECTED),
    "service": Entity(vocabulary="service", label="service {name}", read=_single("service")),
    "team": Entity(vocabulary="team", label="team {name}", read=_single("assignment_group")),
    "change_model": Entity(
        vocabulary="change_model", label="this kind of change", read=_several(change_model)
    ),
    "category": Entity(vocabulary="category", label="category {name}", read=_single("category")),
    "action": Entity(vocabulary="action", label="changes that {name}", read=_several(action)),
    "title_word": Entity(
        vocabulary="title_word",
        label="changes with {name} in the title",
        read=_several(title_words),
    ),
    "team_ci": Entity(
        vocabulary="team_ci", label="this team on this item", read=_several(_team_ci)
    ),
    "reference": Entity(
        vocabulary="reference", label="the same ticket", read=_several(_references)
    ),
    "organisation": Entity(vocabulary="organisation", label="all changes", read=_organisation),
    "neighbour": Entity(
        vocabulary="ci",
        label="the neighbouring item with the most",
        read=_AFFECTED,
        hops=1,
    ),
    "second_neighbour": Entity(
        vocabulary="ci", label="the item two steps away", read=_AFFECTED, hops=2
    ),
    "title_template": Entity(
        vocabulary="title_template", label="a title like this", read=_several(title_template)
    ),
    "implementation_text": Entity(
        vocabulary="implementation_text",
        label="the same implementation plan",
        read=_text("implementation_plan"),
    ),
    "backout_text": Entity(
        vocabulary="backout_text", label="the same backout plan", read=_text("backout_plan")
    ),
    "scope": Entity(vocabulary="scope", label="{name}", read=_several(_scopes)),
    "change": Entity(vocabulary="change", label="the change", read=_single("change_id")),
    "planned_start": Entity(
        vocabulary="planned_start", label="the change with its start", read=_planned_starts
    ),
}
"""Every entity the catalogue may name."""

EMITTED = (
    "affected",
    "service",
    "team",
    "change_model",
    "category",
    "action",
    "title_word",
    "team_ci",
    "reference",
    "organisation",
    "title_template",
    "implementation_text",
    "backout_text",
)
"""The entities under which a change enters the record, one for each vocabulary: a change counts for
every item it names, not only for the first."""
