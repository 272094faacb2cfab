"""The file of connections: which field of an ITSM holds what, and what its values mean.

The defaults are ``connections.toml`` beside this module, with a comment on everything; a file of
that name in ``CHANGERISK_HOME`` replaces what it names. Everything in it is checked before it is
used, so that a misspelt name is an error with a suggestion.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from features.sources.mapping import unknown
from features.sources.reading import SourceError
from features.sources.vendor import word

NAME = "connections.toml"
DEFAULTS = Path(__file__).with_name(NAME)

_OPEN = {"values", "risk_values", "band_values"}
"""Tables whose keys are an organisation's own words."""

_COLUMNS = {"change", "incident", "item"}
"""Tables in which a field may have several columns, the first that is filled counts."""


@dataclass(frozen=True)
class Connection:
    """The settings of one ITSM.

    Parameters
    ----------
    name : str
        ``servicenow``, ``jira`` or ``rt``.
    settings : mapping
        Its table in the file, defaults filled in.
    """

    name: str
    settings: Mapping[str, Any]

    def columns(self, record: str, field: str) -> tuple[str, ...]:
        """Where a field of our record stands, in order; empty where it is left out."""
        given = self.settings[record].get(field, "")
        return tuple(filter(None, [given] if isinstance(given, str) else given))

    def fields(self, record: str) -> Sequence[str]:
        """Our fields of a record that may be filled."""
        return tuple(self.settings[record])

    @cached_property
    def named(self) -> frozenset[str]:
        """All columns that fields of ours are read from, in the form of
        :func:`features.sources.vendor.word`.
        """
        records = (self.settings[record] for record in ("change", "incident"))
        given = (column for fields in records for column in fields.values())
        every = chain.from_iterable([one] if isinstance(one, str) else one for one in given)
        return frozenset(map(word, every))

    def words(self, field: str) -> Mapping[str, str]:
        """Our words by theirs, in the form of :func:`features.sources.vendor.word`."""
        return self._words.get(field, {})

    @cached_property
    def _words(self) -> dict[str, dict[str, str]]:
        values = self.settings.get("values", {})
        return {
            field: {word(str(theirs)): str(ours) for theirs, ours in table.items()}
            for field, table in values.items()
        }

    @cached_property
    def zone(self) -> ZoneInfo | None:
        """The zone of display-only times, if one is set."""
        name = self.settings.get("display_zone")
        return ZoneInfo(name) if name else None

    def table(self, name: str) -> Mapping[str, Any]:
        """A table of settings, such as ``write_back``."""
        found: Mapping[str, Any] = self.settings[name]
        return found

    def wanted(self, setting: str) -> Any:
        """One setting."""
        return self.settings[setting]


def load(home: Path | None = None) -> dict[str, Connection]:
    """The connections by name, with what the home's file sets.

    Raises
    ------
    SourceError
        If the file is no TOML or names something that does not exist.
    """
    path = None if home is None else home / NAME
    content = dict(_defaults())
    if path is not None and path.is_file():
        try:
            own = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from error
        content = _merged(content, own, NAME)
    for name, settings in content.items():
        _check(name, settings)
    return {name: Connection(name, settings) for name, settings in content.items()}


@cache
def _defaults() -> dict[str, Any]:
    return tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))


def _merged(
    defaults: Mapping[str, Any], own: Mapping[str, Any], where: str, inside: str = ""
) -> dict[str, Any]:
    """A table of the defaults with what the home's file sets; ``inside`` names the table."""
    merged = dict(defaults)
    free = inside in _OPEN
    for name, value in own.items():
        there, place = defaults.get(name), f"{where} {name}"
        if name not in defaults and not free:
            raise unknown(where, "name", name, sorted(defaults))
        if isinstance(value, dict) and isinstance(there, dict | None):
            kept = inside if free else name
            merged[name] = _merged(there or {}, value, place, kept)
        elif free and isinstance(value, (str, int)) and not isinstance(there, dict):
            # Their words are looked up regardless of case, so an own one replaces the default.
            for key in [key for key in merged if word(key) == word(name)]:
                del merged[key]
            merged[name] = str(value)
        else:
            merged[name] = _setting(there, value, place, several=inside in _COLUMNS)
    return merged


def _setting(there: object, value: object, place: str, *, several: bool) -> object:
    names = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if type(there) is type(value) and (names or not isinstance(value, list)):
        return value
    if several and (names or isinstance(value, str)):
        return value
    raise SourceError(f"{place}: expected a value like {there!r}, got {value!r}")


def _check(name: str, settings: Mapping[str, Any]) -> None:
    zone = settings.get("display_zone")
    if zone and zone not in available_timezones():
        raise unknown(f"{NAME}: [{name}] display_zone", "zone", zone, available_timezones())
    choice = settings.get("without_audit", "updated")
    if choice not in ("updated", "opened"):
        raise unknown(f"{NAME}: [{name}]", "without_audit", choice, ("updated", "opened"))
    page = settings.get("page", 1)
    if not 1 <= page <= 10_000:
        raise SourceError(f"{NAME}: [{name}] page: expected 1 to 10000, got {page}")
