"""Features in words: a fact with its value, never a number without its meaning.

In a sentence's braces may stand ``window`` ("the last 30 days"), ``share`` ("4 of 9 changes"),
``means`` (what the label calls a failure), a field of the change or one of its entities, and
``value:FORM``, where ``FORM`` is a noun to count ("change"), ``hours``, ``clock``, ``weekday``,
``percent``, ``criticality``, two words for yes and no ("needed|not needed") or the two numbers of a
verb ("depends|depend").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from features.catalogue import Feature
from features.columns import Columns
from features.entities import action, affected_cis, title_words
from features.topology import LEAST_CRITICAL

_SLOT = re.compile(r"\{([^{}]*)\}")

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_NAMED = {
    "team": "assignment_group",
    **{
        name: name
        for name in (
            "ci",
            "service",
            "category",
            "declared_risk",
            "impact",
            "urgency",
            "priority",
        )
    },
}

_UNNAMED = {
    "ci": "No item is named",
    "affected": "No item is named",
    "service": "No service is named",
    "team": "No team is named",
    "category": "No category is given",
    "action": "No title is given",
    "neighbour": "No item is named",
    "second_neighbour": "No item is named",
    "title_word": "No title is given",
}
"""What is said of an entity's history where the change names no such entity."""

ZERO_IS_NONE = frozenset(
    {
        "affected_ci_count",
        "impacted_service_count",
        "reference_count",
        "missing_field_count",
        "title_words",
        "description_words",
        "justification_words",
        "implementation_plan_words",
        "backout_plan_words",
        "test_plan_words",
        "dependent_items",
        "dependent_services",
        "dependent_criticality",
        "affected_criticality",
        "reschedule_count",
    }
)
"""Features whose 0 means that there is none."""

_SINGULAR = ("is", "depends", "belongs")
"""Verbs that go with one thing only."""

LONGEST_NAME = 60
"""Characters of a name shown in a sentence."""


def sentence(
    feature: Feature,
    value: float,
    *,
    change: Columns,
    row: int = 0,
    support: tuple[float, float] | None = None,
    word: str | None = None,
    means: str = "failed",
) -> str:
    """The fact behind one value of one change.

    Parameters
    ----------
    value : float
        The feature's value, NaN where not known.
    change, row
        The change it belongs to, for the names in the sentence.
    support : tuple of float, optional
        For a rate or an evidence: failures and decided changes behind it.
    word : str, optional
        For an evidence: the word of the title it comes from.
    means : str
        What the label calls a failure, after "changes that …".
    """
    words = _words(change, row)
    if math.isnan(value) or (value == 0 and feature.name in ZERO_IS_NONE):
        unnamed = _UNNAMED.get(feature.entity)
        by_items = dict.fromkeys(("affected", "neighbour", "second_neighbour"), affected_cis)
        read = {**by_items, "title_word": _titled}.get(feature.entity)
        named = read is not None and read(change, row)
        if unnamed is not None and feature.entity not in words and not named:
            return unnamed
        return _filled(feature.missing, words)
    words["window"] = _window(feature.window_days)
    words["means"] = means
    if feature.aggregate in ("rate", "evidence"):
        words["word"] = word or "such words"
        failed, decided = support or (0.0, 0.0)
        if not decided > 0:
            return _filled(feature.missing, words)
        words["share"] = f"{number(failed)} of {counted(decided, 'change')}"
    return _filled(feature.sentence, words, value)


def reference_words(feature: Feature, value: float) -> str:
    """A value on its own, in the feature's unit, for a comparison: "usual: 3 changes"."""
    forms = (slot.partition(":") for slot in _SLOT.findall(feature.sentence))
    spec = next((form for name, _, form in forms if name == "value"), "")
    if feature.aggregate == "rate":
        return f"{per_hundred(value)} in 100"
    return _value(value, spec) if spec else number(value)


def per_hundred(probability: float) -> str:
    """A share as a natural frequency, "7" or "0.4"; never rounded to a bare 0."""
    hundred = 100 * probability
    if hundred >= 9.5:
        return f"{hundred:.0f}"
    return f"{hundred:.1f}".removesuffix(".0") if hundred >= 0.05 else "fewer than 0.1"


def within(probability: float, edges: Sequence[float]) -> str:
    """A share as a natural frequency, with as many digits as keep it on its side of every edge.

    Examples
    --------
    >>> within(0.0496, ()), within(0.0496, [0.0498]), within(0.04996, [0.05])
    ('5', '4.96', '4.996')
    """
    text = per_hundred(probability)
    for digits in range(1, 13):
        shown = float(text.rpartition(" ")[2].replace(",", "")) / 100
        if all((shown >= edge) == (probability >= edge) for edge in edges):
            return text
        text = f"{100 * probability:.{digits}f}"
    return text


def number(value: float) -> str:
    """A number without needless digits."""
    if abs(value - round(value)) < 1e-9:
        return f"{round(value):,}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def counted(value: float, noun: str) -> str:
    """A count with its noun in the right number.

    Examples
    --------
    >>> counted(1, "change"), counted(3, "open incident"), counted(2, "change that failed")
    ('1 change', '3 open incidents', '2 changes that failed')
    """
    if value == 1:
        return f"1 {noun}"
    head, _, tail = noun.partition(" that ")
    plural = f"{head}es" if head.endswith("s") else f"{head}s"
    return f"{number(value)} {plural}{f' that {tail}' if tail else ''}"


def _filled(template: str, words: Mapping[str, str], value: float = math.nan) -> str:
    def fill(slot: re.Match[str]) -> str:
        name, _, form = slot.group(1).partition(":")
        return _value(value, form) if name == "value" else words.get(name, "it")

    text = _SLOT.sub(fill, template)
    return text[:1].upper() + text[1:]


def _value(value: float, form: str) -> str:
    if "|" in form:
        yes, no = form.split("|")
        return yes if (value == 1 if yes in _SINGULAR else value > 0) else no
    if form == "hours":
        return _hours(value)
    if form == "clock":
        return f"{int(value):02d}:00"
    if form == "percent":
        return f"{100 * value:.0f} %"
    if form == "criticality":
        return str(LEAST_CRITICAL + 1 - round(value))
    if form == "weekday":
        return _WEEKDAYS[int(value) % 7]
    return counted(round(value) if form == "day" and value >= 10 else round(value, 1), form)


def _hours(value: float) -> str:
    if value < 0:
        return f"minus {_hours(-value)}"
    if value < 1:
        return counted(round(60 * value), "minute")
    if value < 48:
        return counted(round(value, 1), "hour")
    return counted(round(value / 24, 1), "day")


def _window(days: int | None) -> str:
    if days is None:
        return "all the time on record"
    return "the last year" if days == 365 else f"the last {days} days"


def _titled(change: Columns, row: int) -> tuple[str, ...]:
    return title_words(change["short_description"][row])


def _words(change: Columns, row: int) -> dict[str, str]:
    """Names of the change, shortened; those it lacks are left out."""
    verb = action(change["short_description"][row])
    words = {"action": verb} if verb else {}
    for word, name in _NAMED.items():
        text = " ".join(str(change[name][row] or "").split())
        if text:
            words[word] = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
    return words
