"""What is read off titles and plans: masked titles, first words, words, keys of texts."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from itertools import pairwise

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
WORD = re.compile(r"[^\W\d_]{2,}")
"""A word of a title; numbers are none."""

_REPEATING = re.compile(
    r"^(?:(?:revert|reverts|reverting|undo|re ?apply|re ?try|redo|roll ?back|back ?out)(?: of)? )+"
)

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


def unrepeated(masked: str) -> str | None:
    """A masked title without what says that it is done again or taken back; None for no title.

    Examples
    --------
    >>> unrepeated(masked_title('Revert "Move db-01 to PostgreSQL 16"'))
    'move db to postgresql'
    """
    return _REPEATING.sub("", masked) or None


@lru_cache(maxsize=20_000)
def title_template(title: str | None, names: tuple[str, ...]) -> str | None:
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


@lru_cache(maxsize=100_000)
def untemplated(title: str | None) -> str | None:
    """What stands in for the model or template of a change that has none; None for no title."""
    return model_like(masked_title(title)) if title else None


def model_like(masked: str) -> str | None:
    """The same by a masked title."""
    return f"~{masked}" if masked else None


def action(title: str | None) -> str | None:
    """The first word of the title, after a heading such as ``web-01:``; most often the verb."""
    word = _FIRST_WORD.match(title[:TITLE]) if title else None
    return word.group(1).lower() if word else None


@lru_cache(maxsize=20_000)
def title_words(title: str | None) -> tuple[str, ...]:
    """The words of the title and the pairs of neighbours, each once, in lower case.

    Joined words such as ``wgEnableApi`` are taken apart. Numbers are no words: they name one host
    or one version, of which too little is known.
    """
    words = WORD.findall(_HUMP.sub(" ", title[:TITLE]).lower()) if title else []
    pairs = [f"{first} {second}" for first, second in pairwise(words)]
    return tuple(dict.fromkeys([*words, *pairs]))
