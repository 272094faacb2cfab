"""What a change belongs to: its items, service, team, model; each a name in a vocabulary.

An *entity* is a way to read names off a change; a *vocabulary* is the kind of thing named. Two
entities may share one: ``ci`` is the item the change is about, ``affected`` every item it names,
and both are looked up among items.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.columns import MANY, Columns
from features.instants import MISSING
from features.names import Named
from features.segment import Ints, spread

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


def masked_title(title: str) -> str:
    """A title with its numbers, hashes and dotted names masked, so that repeats look alike.

    Examples
    --------
    >>> masked_title("Upgrade PostgreSQL 15.4 to 15.8 on pay-db-01")
    'upgrade postgresql to on pay db'
    """
    return _SPACE.sub(" ", _VARIABLE.sub(" ", title[:TITLE].lower())).strip()


def title_template(title: str | None, names: Sequence[str | None]) -> str | None:
    """The masked title without the given names, which are those of items and the service."""
    text = (title or "")[:TITLE]
    for name in names:
        if name and name in text:
            text = text.replace(name, " ")
    return masked_title(text) or None


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
        place, texts = changes.once_each(field)
        return _each_has(place, [text_key(text) for text in texts])

    return read


def _single(field: str) -> Callable[[Columns], Named]:
    def read(changes: Columns) -> Named:
        place, values = changes.once_each(field)
        return _each_has(place, [value or None for value in values])

    return read


def _each_has(place: Ints, names: Sequence[str | None]) -> Named:
    """Rows that have one name at most: which of the names, some of them None."""
    if len(place) < MANY:
        pairs = [
            (n, at) for n, at in enumerate(place.tolist()) if at >= 0 and names[at] is not None
        ]
        row = np.array([n for n, _ in pairs], np.int64)
        return Named(row, _objects([names[at] for _, at in pairs]), np.arange(len(pairs)))
    has = np.array([*(name is not None for name in names), False], bool)
    row = np.flatnonzero(has[place])
    return Named(row, _objects(names)[has[:-1]], (np.cumsum(has) - 1)[place[row]])


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _listed(field: str) -> Callable[[Columns], Named]:
    """The names of a list, without empty ones."""

    def read(changes: Columns) -> Named:
        lists = changes[field].tolist()
        row = np.repeat(np.arange(len(lists)), list(map(len, lists)))
        named = Named.of(row, _objects(list(chain.from_iterable(lists))))
        kept = np.array([*map(bool, named.distinct)], bool)[named.place]
        return named if kept.all() else Named(row[kept], named.distinct, named.place[kept])

    return read


def _shared(read: Callable[[Columns], Named]) -> Callable[[Columns], Named]:
    """A reading that a large table keeps."""
    return lambda changes: changes.by_row(read)


def affected_cis(changes: Columns, row: int) -> tuple[str, ...]:
    """Every item a change names, each once, the first one first."""
    return _affected(changes["ci"][row], changes["affected_cis"][row])


def affected_in(changes: Columns) -> list[tuple[str, ...]]:
    """The same for every change."""
    pairs = zip(changes["ci"].tolist(), changes["affected_cis"].tolist(), strict=True)
    return [_affected(first, rest) for first, rest in pairs]


def _affected(first: str | None, rest: Sequence[str]) -> tuple[str, ...]:
    if not rest:
        return (first,) if first else ()
    return tuple(dict.fromkeys([*((first,) if first else ()), *(ci for ci in rest if ci)]))


def _affected_names(changes: Columns) -> Named:
    return Named.together([_single("ci")(changes), _listed("affected_cis")(changes)])


def change_models(changes: Columns) -> list[str | None]:
    """Every change's model or template; where there is none, the masked title stands in for it."""
    place, titles = changes.once_each("short_description")
    masked = [_untemplated(title) for title in titles] + [None]
    models = changes["change_model"].tolist()
    return [model or masked[at] for model, at in zip(models, place.tolist(), strict=True)]


@lru_cache(maxsize=100_000)
def _untemplated(title: str | None) -> str | None:
    masked = masked_title(title) if title else ""
    return f"~{masked}" if masked else None


def _change_models(changes: Columns) -> Named:
    place, models = changes.once_each("change_model")
    said, titles = changes.once_each("short_description")
    known = np.array([*map(bool, models), False], bool)[place]
    names = [*models, *(_untemplated(title) for title in titles), None]
    return _each_has(np.where(known, place, len(models) + said % (len(titles) + 1)), names)


def _title_templates(changes: Columns) -> Named:
    """Titles are masked once for all changes whose items they do not name."""
    place, titles = changes.once_each("short_description")
    named = Named.together([affected(changes), ENTITIES["service"].read(changes)])
    # Which of its names each title holds is looked up once for each pair of the two.
    title = place[named.row]
    pairs, pair = np.unique(title * len(named.distinct) + named.place, return_inverse=True)
    which, name = np.divmod(pairs, max(len(named.distinct), 1))
    texts = zip(which.tolist(), named.distinct[name].tolist(), strict=True)
    held = np.array([at >= 0 and word in (titles[at] or "") for at, word in texts], bool)
    inside = np.flatnonzero(held[pair])
    own: dict[int, tuple[str, ...]] = defaultdict(tuple)
    for row, word in zip(named.row[inside].tolist(), named.place[inside].tolist(), strict=True):
        own[row] = *own[row], named.distinct[word]
    templates = [*(title_template(title, ()) for title in titles)]
    special: dict[tuple[int, tuple[str, ...]], int] = {}
    place = place.copy()
    for row, words in own.items():
        key = int(place[row]), words
        if key not in special:
            special[key] = len(templates)
            templates.append(title_template(titles[key[0]], words))
        place[row] = special[key]
    return _each_has(place, templates)


def action(title: str | None) -> str | None:
    """The first word of the title, after a heading such as ``web-01:``; most often the verb."""
    word = _FIRST_WORD.match(title[:TITLE]) if title else None
    return word.group(1).lower() if word else None


def title_words(title: str | None) -> tuple[str, ...]:
    """The words of the title and the pairs of neighbours, each once, in lower case.

    Joined words such as ``wgEnableApi`` are taken apart. Numbers are no words: they name one host
    or one version, of which too little is known.
    """
    words = _WORD.findall(_HUMP.sub(" ", title[:TITLE]).lower()) if title else []
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return tuple(dict.fromkeys([*words, *pairs]))


def _actions(changes: Columns) -> Named:
    place, titles = changes.once_each("short_description")
    return _each_has(place, [action(title) for title in titles])


def _title_words(changes: Columns) -> Named:
    place, titles = changes.once_each("short_description")
    lists = [*(title_words(title) for title in titles), ()]
    ends = np.cumsum([len(words) for words in lists])
    count = np.diff(ends, prepend=0)[place]
    row, at = spread((ends - np.diff(ends, prepend=0))[place], count)
    return Named(row, _objects([word for words in lists for word in words]), at)


def _teams_on_items(changes: Columns) -> Named:
    """Every pair of team and item once."""
    (team, teams), (ci, cis) = (changes.once_each(n) for n in ("assignment_group", "ci"))
    row = np.flatnonzero((team >= 0) & (ci >= 0))
    place, pairs = pd.factorize(team[row] * max(len(cis), 1) + ci[row])
    both = zip(*(half.tolist() for half in np.divmod(pairs, max(len(cis), 1))), strict=True)
    names = [(teams[first], cis[second]) for first, second in both]
    kept = np.array([bool(first and second) for first, second in names], bool)[place]
    joined = _objects([f"{first}\x1f{second}" for first, second in names])
    return Named(row[kept], joined, np.asarray(place, np.int64)[kept])


def _scopes(changes: Columns) -> Named:
    """What an entry of the calendar may apply to: everything, an item, a service."""
    services = _single("service")(changes), _listed("impacted_services")(changes)
    return Named.together([_organisation(changes), affected(changes), *services])


def _references(changes: Columns) -> Named:
    return Named.together([_listed("references")(changes)])


def _planned_starts(changes: Columns) -> Named:
    """A change with its planned start."""
    starts = changes.times("planned_start")
    rows = np.flatnonzero(starts != MISSING)
    pairs = zip(changes["change_id"][rows].tolist(), starts[rows].tolist(), strict=True)
    names = _objects([f"{change_id}\x1f{start}" for change_id, start in pairs])
    return Named(rows, names, np.arange(len(rows)))


def _organisation(changes: Columns) -> Named:
    each = np.arange(len(changes))
    return Named(each, _objects([ORGANISATION]), each * 0)


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


affected = _shared(_affected_names)
"""Every item each change names, each once, the first one first."""

ENTITIES: dict[str, Entity] = {
    "ci": Entity(vocabulary="ci", label="{name}", read=_shared(_single("ci"))),
    "affected": Entity(vocabulary="ci", label="the affected item with the most", read=affected),
    "service": Entity(
        vocabulary="service", label="service {name}", read=_shared(_single("service"))
    ),
    "team": Entity(
        vocabulary="team", label="team {name}", read=_shared(_single("assignment_group"))
    ),
    "change_model": Entity(
        vocabulary="change_model", label="this kind of change", read=_shared(_change_models)
    ),
    "category": Entity(
        vocabulary="category", label="category {name}", read=_shared(_single("category"))
    ),
    "action": Entity(vocabulary="action", label="changes that {name}", read=_shared(_actions)),
    "title_word": Entity(
        vocabulary="title_word",
        label="changes with {name} in the title",
        read=_shared(_title_words),
    ),
    "team_ci": Entity(
        vocabulary="team_ci", label="this team on this item", read=_shared(_teams_on_items)
    ),
    "reference": Entity(vocabulary="reference", label="the same ticket", read=_shared(_references)),
    "organisation": Entity(vocabulary="organisation", label="all changes", read=_organisation),
    "neighbour": Entity(
        vocabulary="ci",
        label="the neighbouring item with the most",
        read=affected,
        hops=1,
    ),
    "second_neighbour": Entity(
        vocabulary="ci", label="the item two steps away", read=affected, hops=2
    ),
    "title_template": Entity(
        vocabulary="title_template", label="a title like this", read=_shared(_title_templates)
    ),
    "implementation_text": Entity(
        vocabulary="implementation_text",
        label="the same implementation plan",
        read=_shared(_text("implementation_plan")),
    ),
    "backout_text": Entity(
        vocabulary="backout_text",
        label="the same backout plan",
        read=_shared(_text("backout_plan")),
    ),
    "scope": Entity(vocabulary="scope", label="{name}", read=_shared(_scopes)),
    "change": Entity(vocabulary="change", label="the change", read=_shared(_single("change_id"))),
    "planned_start": Entity(
        vocabulary="planned_start", label="the change with its start", read=_shared(_planned_starts)
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
