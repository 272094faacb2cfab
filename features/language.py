"""The language explanations are told in: messages looked up in a gettext catalogue.

A message is its English text, with names in braces for what is filled in. Without a catalogue it is
told as it stands. ``features/messages.pot`` lists all messages; ``python -m tests.messages`` prints
it from the declarations of the features and from the calls of :func:`say` and :func:`say_count`.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from features.errors import ChangeRiskError

_SLOT = re.compile(r"\{([^{}]*)\}")


class LanguageError(ChangeRiskError):
    """A message catalogue cannot be used."""

    exit_code = 2


class _Spoken:
    """What the process speaks; set at its start, before anything is said."""

    catalogue: NullTranslations = NullTranslations()


def speak(catalogue: NullTranslations) -> None:
    """Tell all messages in the language of a catalogue from now on."""
    _Spoken.catalogue = catalogue


@contextmanager
def speaking(catalogue: NullTranslations) -> Iterator[None]:
    """The language of a catalogue for as long as the block runs."""
    before = _Spoken.catalogue
    speak(catalogue)
    try:
        yield
    finally:
        speak(before)


def catalogue_from(path: Path | None) -> NullTranslations:
    """A compiled gettext catalogue, an ``.mo`` file; English where none is named.

    Raises
    ------
    LanguageError
        If it cannot be read.
    """
    if path is None:
        return NullTranslations()
    try:
        with path.open("rb") as file:
            return GNUTranslations(file)
    except (OSError, ValueError, LookupError, struct.error) as error:
        raise LanguageError(
            f"expected a compiled gettext catalogue (.mo) in {path}, got {error!r}"
        ) from error


def say(message: str, /, **words: str) -> str:
    """A message with its braces filled.

    Examples
    --------
    >>> say("No change on {ci} on record", ci="web-01")
    'No change on web-01 on record'
    """
    return _filled(_Spoken.catalogue.gettext(message), words)


def say_count(one: str, many: str, number: float, /, **words: str) -> str:
    """The form of a message that goes with a number; what is no whole number goes with the next.

    Examples
    --------
    >>> say_count("{n} day", "{n} days", 1, n="1"), say_count("{n} day", "{n} days", 0.5, n="0.5")
    ('1 day', '0.5 days')
    """
    whole = int(abs(number)) if number == math.floor(number) else max(2, math.ceil(abs(number)))
    return _filled(_Spoken.catalogue.ngettext(one, many, whole), words)


def digits(english: str) -> str:
    """A number as English writes it, with the language's own separators.

    Examples
    --------
    >>> digits("1,234.5")
    '1,234.5'
    """
    point = _Spoken.catalogue.pgettext("decimal point", ".")
    comma = _Spoken.catalogue.pgettext("thousands separator", ",")
    return english.translate({ord("."): point, ord(","): comma})


def _filled(message: str, words: dict[str, str]) -> str:
    return _SLOT.sub(lambda slot: words.get(slot.group(1), slot.group(0)), message)
