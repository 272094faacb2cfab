"""What a change belongs to: its items, service, team, model; each a name in a vocabulary.

An *entity* is a way to read names off a change; a *vocabulary* is the kind of thing named. Two
entities may share one: ``ci`` is the item the change is about, ``affected`` every item it names,
and both are looked up among items.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.columns import Columns
from features.instants import MISSING
from features.names import Named
from features.readings import Reading, by, each_has, listed, names_of, objects, only, single
from features.segment import spread
from features.texts import (
    action,
    masked_title,
    model_like,
    text_key,
    title_template,
    title_words,
    unrepeated,
    untemplated,
)

ORGANISATION = "*"
"""The one name of the whole organisation."""


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
    return Named.together([single("ci")(changes), listed("affected_cis")(changes)])


affected = names_of("ci", "affected_cis", one=_affected, many=_affected_names)
"""Every item each change names, each once, the first one first."""


def _further(ci: str | None, cis: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in cis if name and name != ci))


def _further_names(changes: Columns) -> Named:
    named = Named.together([listed("affected_cis")(changes)])
    place, items = changes.once_each("ci")
    at = {item: n for n, item in enumerate(items)}
    first = np.array([at.get(name, -2) for name in named.distinct.tolist()], np.int64)
    kept = first[named.place] != place[named.row]
    return Named(named.row[kept], named.distinct, named.place[kept])


further = names_of("ci", "affected_cis", one=_further, many=_further_names)
"""The items each change names besides the one it is about, each once."""


def change_models(changes: Columns) -> list[str | None]:
    """Every change's model or template; where there is none, the masked title stands in for it."""
    place, titles = changes.once_each("short_description")
    masked = [untemplated(title) for title in titles] + [None]
    models = changes["change_model"].tolist()
    return [model or masked[at] for model, at in zip(models, place.tolist(), strict=True)]


def _change_models(changes: Columns) -> Named:
    place, models = changes.once_each("change_model")
    said, titles = changes.read_once("short_description", masked_title)
    known = np.array([*map(bool, models), False], bool)[place]
    names = [*models, *map(model_like, titles), None]
    return each_has(np.where(known, place, len(models) + said % (len(titles) + 1)), names)


def _template(
    title: str | None, ci: str | None, cis: Sequence[str], service: str | None
) -> tuple[str, ...]:
    held = dict.fromkeys(name for name in (*_affected(ci, cis), service) if name)
    return only(title_template(title, tuple(name for name in held if name in (title or ""))))


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
    masked = changes.read_once("short_description", masked_title)[1]
    templates = [text or None for text in masked]
    special: dict[tuple[int, tuple[str, ...]], int] = {}
    place = place.copy()
    for row, words in own.items():
        key = int(place[row]), words
        if key not in special:
            special[key] = len(templates)
            templates.append(title_template(titles[key[0]], words))
        place[row] = special[key]
    return each_has(place, templates)


def _attempts(changes: Columns) -> Named:
    place, masked = changes.read_once("short_description", masked_title)
    return each_has(place, [unrepeated(text) for text in masked])


def _title_words(changes: Columns) -> Named:
    place, titles = changes.once_each("short_description")
    lists = [*(title_words(title) for title in titles), ()]
    ends = np.cumsum([len(words) for words in lists])
    count = np.diff(ends, prepend=0)[place]
    row, at = spread((ends - np.diff(ends, prepend=0))[place], count)
    return Named(row, objects([word for words in lists for word in words]), at)


def _on_item(field: str, name_of: Callable[[str | None], str | None]) -> Reading:
    """The name that a function makes of one field, together with the item the change is about."""

    def one(value: str | None, ci: str | None) -> tuple[str, ...]:
        name = name_of(value)
        return (f"{name}\x1f{ci}",) if name and ci else ()

    def many(changes: Columns) -> Named:
        (place, values), (ci, cis) = changes.once_each(field), changes.once_each("ci")
        code, names = pd.factorize(objects([*map(name_of, values), None]))
        left, right = code[place], np.where([*map(bool, cis), False], range(len(cis) + 1), -1)[ci]
        row = np.flatnonzero((left >= 0) & (right >= 0))
        at, pairs = pd.factorize(left[row] * max(len(cis), 1) + right[row])
        both = zip(*(half.tolist() for half in np.divmod(pairs, max(len(cis), 1))), strict=True)
        joined = [f"{names[first]}\x1f{cis[second]}" for first, second in both]
        return Named(row, objects(joined), np.asarray(at, np.int64))

    return names_of(field, "ci", one=one, many=many)


def _scope(
    ci: str | None, cis: Sequence[str], service: str | None, impacted: Sequence[str]
) -> tuple[str, ...]:
    """What an entry of the calendar may apply to: everything, an item, a service."""
    named = dict.fromkeys([ORGANISATION, *_affected(ci, cis), service, *impacted])
    return tuple(name for name in named if name)


def _scopes(changes: Columns) -> Named:
    services = single("service")(changes), listed("impacted_services")(changes)
    return Named.together([_organisation(changes), affected(changes), *services])


def _with_start(change_id: str, start: int) -> tuple[str, ...]:
    """A change with its planned start."""
    return () if start == MISSING else (f"{change_id}\x1f{start}",)


def _planned_starts(changes: Columns) -> Named:
    starts = changes.times("planned_start")
    rows = np.flatnonzero(starts != MISSING)
    pairs = zip(changes["change_id"][rows].tolist(), starts[rows].tolist(), strict=True)
    names = objects([f"{change_id}\x1f{start}" for change_id, start in pairs])
    return Named(rows, names, np.arange(len(rows)))


def _organisation(changes: Columns) -> Named:
    each = np.arange(len(changes))
    return Named(each, objects([ORGANISATION]), each * 0)


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
    read: Reading
    hops: int = 0


_TITLE = "short_description"

_PLACED = ("ci", "affected_cis", "service")

ENTITIES: dict[str, Entity] = {
    "ci": Entity(vocabulary="ci", label="{name}", read=single("ci")),
    "affected": Entity(vocabulary="ci", label="the affected item with the most", read=affected),
    "further": Entity(vocabulary="ci", label="the further item with the most", read=further),
    "service": Entity(vocabulary="service", label="service {name}", read=single("service")),
    "team": Entity(vocabulary="team", label="team {name}", read=single("assignment_group")),
    "change_model": Entity(
        vocabulary="change_model",
        label="this kind of change",
        read=names_of(
            "change_model",
            _TITLE,
            one=lambda model, title: only(model or untemplated(title)),
            many=_change_models,
        ),
    ),
    "category": Entity(vocabulary="category", label="category {name}", read=single("category")),
    "action": Entity(vocabulary="action", label="changes that {name}", read=by(_TITLE, action)),
    "action_ci": Entity(
        vocabulary="action_ci",
        label="changes that {name} this item",
        read=_on_item(_TITLE, action),
    ),
    "attempt": Entity(
        vocabulary="attempt",
        label="this title again, or taken back",
        read=names_of(
            _TITLE,
            one=lambda title: only(unrepeated(masked_title(title or ""))),
            many=_attempts,
        ),
    ),
    "title_word": Entity(
        vocabulary="title_word",
        label="changes with {name} in the title",
        read=names_of(_TITLE, one=title_words, many=_title_words),
    ),
    "team_ci": Entity(
        vocabulary="team_ci",
        label="this team on this item",
        read=_on_item("assignment_group", lambda team: team or None),
    ),
    "reference": Entity(
        vocabulary="reference",
        label="the same ticket",
        read=names_of(
            "references",
            one=lambda names: tuple(dict.fromkeys(filter(None, names))),
            many=lambda changes: Named.together([listed("references")(changes)]),
        ),
    ),
    "organisation": Entity(
        vocabulary="organisation",
        label="all changes",
        read=names_of("change_id", one=lambda _: (ORGANISATION,), many=_organisation),
    ),
    "neighbour": Entity(
        vocabulary="ci", label="the neighbouring item with the most", read=affected, hops=1
    ),
    "second_neighbour": Entity(
        vocabulary="ci", label="the item two steps away", read=affected, hops=2
    ),
    "title_template": Entity(
        vocabulary="title_template",
        label="a title like this",
        read=names_of(_TITLE, *_PLACED, one=_template, many=_title_templates),
    ),
    "implementation_text": Entity(
        vocabulary="implementation_text",
        label="the same implementation plan",
        read=by("implementation_plan", text_key),
    ),
    "backout_text": Entity(
        vocabulary="backout_text",
        label="the same backout plan",
        read=by("backout_plan", text_key),
    ),
    "scope": Entity(
        vocabulary="scope",
        label="{name}",
        read=names_of(*_PLACED, "impacted_services", one=_scope, many=_scopes),
    ),
    "change": Entity(vocabulary="change", label="the change", read=single("change_id")),
    "planned_start": Entity(
        vocabulary="planned_start",
        label="the change with its start",
        read=names_of("change_id", "planned_start", one=_with_start, many=_planned_starts),
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
    "action_ci",
    "attempt",
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
