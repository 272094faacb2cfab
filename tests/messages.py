"""The catalogue of all messages: ``python -m tests.messages`` writes ``features/messages.pot``.

Messages come from the declarations of the features, from a few named tables, and from the calls of
``say`` and ``say_count`` in the source.
"""

from __future__ import annotations

import io
import re
import tomllib
from collections.abc import Callable, Iterator
from gettext import GNUTranslations
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import write_po

from features import sentences
from features.catalogue import CATALOGUE, GROUPS
from features.policy import POLICIES
from models.policy_file import DEFAULTS
from serving import contract, levers, policy, revisions
from serving.contract import DESCRIBED_BY

ROOT = Path(__file__).parents[1]
POT = ROOT / "features" / "messages.pot"
SOURCES = ("features", "models", "serving")
CALLS = {"say": None, "say_count": (1, 2), "pgettext": ((1, "c"), 2)}

Message = str | tuple[str, str]


def declared() -> Iterator[tuple[Message, str]]:
    """What the declarations say, and which of them."""
    for feature in CATALOGUE:
        name = f"feature {feature.name}"
        one, many = sentences.forms(feature.sentence)
        spec = feature.sentence.partition("{value:")[2].partition("}")[0]
        counts = spec and spec not in sentences.FORMS and "|" not in spec
        if counts or "{failed}" in one:
            yield (one, many), name
        else:
            yield from ((message, name) for message in {one: None, many: None})
        yield feature.missing, name
        if counts:
            yield (f"{{value}} {spec}", f"{{value}} {sentences.plural(spec)}"), "a number of them"
    for noun in ("minute", "hour", "day"):
        yield (f"{{value}} {noun}", f"{{value}} {sentences.plural(noun)}"), "a number of them"


def named() -> Iterator[tuple[str, str]]:
    """What stands in tables."""
    for text in GROUPS.values():
        yield text, "factor group"
    for label in POLICIES.values():
        yield label.means, f"label {label.name}: changes that …"
        yield sentences.of_one(label.means), f"label {label.name}: a change that …"
    for day in sentences.WEEKDAYS:
        yield day, "weekday"
        yield day[:3], "weekday, short"
    for month in sentences.MONTHS:
        yield month, "month, short"
    for text in (
        *sentences.UNNAMED.values(),
        *sentences.AT_ZERO.values(),
        *levers.PLANS.values(),
        levers.CAUTION,
    ):
        yield text, ""
    for rule in tomllib.loads(DEFAULTS.read_text(encoding="utf-8")).get("rules", ()):
        yield from ((reason, "reason of a rule") for reason in rule.get("reasons", ()))
    for text in policy.BAND_WORDS.values():
        yield text, "band"
    for name in DESCRIBED_BY:
        yield contract.spoken(name), "a field, as a subject"
    for name in revisions.FIELDS:
        yield revisions.label(name), "a field, before a colon"


def called() -> Iterator[tuple[Message, str | None]]:
    """What the source says, with the context a message may have."""
    for package in SOURCES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_bytes()
            if path.name == "language.py" or b"features.language import" in source:
                found = extract("python", io.BytesIO(source), CALLS)
                yield from ((message, context) for _, message, _, context in found)


def catalogue() -> Catalog:
    """All messages, in the order in which they are declared."""
    found = Catalog(project="change-risk", charset="utf-8", fuzzy=False)
    for message, comment in (*declared(), *named()):
        found.add(message, auto_comments=[comment] if comment else [])
    for message, context in called():
        found.add(message, context=context)
    return found


def text() -> str:
    """The catalogue as a ``.pot`` file, without its moment."""
    file = io.BytesIO()
    write_po(file, catalogue(), no_location=True, omit_header=True, width=100)
    return file.getvalue().decode()


def compiled(translate: Callable[[str], str]) -> GNUTranslations:
    """All messages in an invented language, each translated by a rule, as a program loads them."""
    found = catalogue()
    for message in found:
        if message.id:
            forms = message.id if message.pluralizable else (message.id,)
            done = tuple(translate(form) for form in forms)
            message.string = done if message.pluralizable else done[0]
    file = io.BytesIO()
    write_mo(file, found)
    file.seek(0)
    return GNUTranslations(file)


def pseudo(message: str) -> str:
    """A message with every letter outside its braces in another script, between brackets."""
    if message in (".", ","):
        return message
    parts = re.split(r"(\{[^{}]*\})", message)
    wide = str.maketrans({chr(n): chr(n + 0xFEE0) for n in (*range(65, 91), *range(97, 123))})
    return f"⟦{''.join(p if p.startswith('{') else p.translate(wide) for p in parts)}⟧"


if __name__ == "__main__":
    POT.write_text(text())
