"""Features in words: a fact with its value, never a number without its meaning.

In a sentence's braces may stand ``window`` ("the last 30 days"), ``share`` ("4 of 9 changes"),
``means`` (what the label calls a failure), a field of the change or one of its entities, and
``value:FORM``, where ``FORM`` is a noun to count ("change"), ``days``, ``hours``, ``clock``,
``weekday``, ``percent``, ``criticality``, two words for yes and no ("needed|not needed") or the two
numbers of a verb ("depends|depend").
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, partial

from features.catalogue import Feature
from features.columns import Columns
from features.entities import affected_cis
from features.language import digits, say, say_count
from features.texts import action, title_words
from features.topology import LEAST_CRITICAL

_SLOT = re.compile(r"\{([^{}]*)\}")

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

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

UNNAMED = {
    "ci": "No item is named",
    "affected": "No item is named",
    "further": "No further item is named",
    "service": "No service is named",
    "team": "No team is named",
    "category": "No category is given",
    "action": "No title is given",
    "neighbour": "No item is named",
    "second_neighbour": "No item is named",
    "title_word": "No title is given",
    "attempt": "No title is given",
    "action_ci": "No title or no item is named",
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

AT_ZERO = {
    "days_to_freeze": "It starts within a change freeze",
    "days_to_blackout": "It starts within a blackout",
    "days_to_month_end": "It starts on the last day of the month",
    "review_hours": "It was submitted as soon as it was prepared",
}
"""What is said instead where the value is 0."""

FORMS = ("days", "hours", "clock", "weekday", "percent", "criticality")
"""How a value is told that is not a count."""

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
    names = _words(change, row)
    words = {**dict.fromkeys((*_NAMED, "action"), say("it")), **names}
    if math.isnan(value) or (value == 0 and feature.name in ZERO_IS_NONE):
        unnamed = UNNAMED.get(feature.entity)
        if unnamed is not None and not _has(feature.entity, change, row, names):
            of_title = unnamed == UNNAMED["title_word"]
            if of_title and (change["short_description"][row] or "").strip():
                return say("No word of its title can be compared")
            return _begun(say(unnamed))
        return _begun(say(feature.missing, **words))
    if value == 0 and feature.name in AT_ZERO:
        return say(AT_ZERO[feature.name])
    words["window"] = _window(feature.window_days)
    if feature.aggregate in ("rate", "evidence"):
        words["word"] = word or say("such words")
        failed, decided = support or (0.0, 0.0)
        if not decided > 0:
            return _begun(say(feature.missing, **words))
        words.update(failed=number(failed), decided=number(decided))
        words["means"] = _means(means, one=1.0 in (failed, decided))
        return _begun(say_count(*forms(feature.sentence), decided, **words))
    words["means"] = _means(means, one=value == 1)
    return _begun(_told(feature.sentence, value, words))


@cache
def forms(template: str) -> tuple[str, str]:
    """A declaration's sentence as two messages: for one and for many, or for yes and for no.

    Examples
    --------
    >>> forms("{value:field} of the form {value:is|are} empty")
    ('{value} field of the form is empty', '{value} fields of the form are empty')
    >>> forms("It starts on a {value:weekday}")
    ('It starts on a {weekday}', 'It starts on a {weekday}')
    """

    def form(slot: re.Match[str], many: int) -> str:
        name, _, spec = slot.group(1).partition(":")
        if name == "share":
            return f"{{failed}} of {{decided}} {plural('change') if many else 'change'}"
        if name != "value":
            return slot.group(0)
        if "|" in spec:
            return spec.split("|")[many]
        if spec in FORMS:
            return f"{{{spec}}}"
        return f"{{value}} {plural(spec) if many else spec}"

    return _SLOT.sub(partial(form, many=0), template), _SLOT.sub(partial(form, many=1), template)


def reference_words(feature: Feature, value: float) -> str:
    """A value on its own, in the feature's unit, for a comparison: "usual: 3 changes"."""
    if feature.aggregate == "rate":
        return say("{share} in 100", share=per_hundred(value))
    spec = next(iter(_specs(feature.sentence)), "")
    if "|" in spec:
        return say("yes") if value > 0 else say("no")
    return _told(f"{{value:{spec}}}", value, {}) if spec else number(value)


def per_hundred(probability: float) -> str:
    """A share as a natural frequency, "7" or "0.4"; never rounded to a bare 0."""
    shown = _hundredth(probability)
    return digits(shown) if shown != "0" else say("fewer than {share}", share=digits("0.1"))


def _hundredth(probability: float) -> str:
    hundred = 100 * probability
    if hundred >= 9.5:
        return f"{hundred:.0f}"
    return f"{hundred:.1f}".removesuffix(".0") if hundred >= 0.05 else "0"


def within(probability: float, edges: Sequence[float]) -> str:
    """A share as a natural frequency, with as many digits as keep it on its side of every edge.

    Examples
    --------
    >>> within(0.0496, ()), within(0.0496, [0.0498]), within(0.04996, [0.05])
    ('5', '4.96', '4.996')
    """
    text, told = _hundredth(probability), per_hundred(probability)
    for decimals in range(1, 13):
        shown = (float(text) or 0.1) / 100  # "fewer than 0.1"
        if all((shown >= edge) == (probability >= edge) for edge in edges):
            return told
        text = f"{100 * probability:.{decimals}f}"
        told = digits(text)
    return told


def number(value: float) -> str:
    """A number without needless digits."""
    if abs(value - round(value)) < 1e-9:
        return digits(f"{round(value):,}")
    return digits(f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}")


def counted(value: float, noun: str) -> str:
    """A count with its noun in the right number.

    Examples
    --------
    >>> counted(1, "change"), counted(3, "open incident")
    ('1 change', '3 open incidents')
    """
    return say_count(f"{{value}} {noun}", f"{{value}} {plural(noun)}", value, value=number(value))


def plural(noun: str) -> str:
    """A noun for many.

    Examples
    --------
    >>> plural("business"), plural("open incident")
    ('businesses', 'open incidents')
    """
    return f"{noun}{'es' if noun.endswith('s') else 's'}"


def _told(template: str, value: float, words: Mapping[str, str]) -> str:
    """A sentence about a value."""
    one, many = forms(template)
    specs = _specs(template)
    noun = next((spec for spec in specs if spec not in FORMS and "|" not in spec), None)
    if noun is not None:
        shown = round(value, 1)
        return say_count(one, many, shown, **words, value=number(shown))
    if specs and "|" in specs[0]:
        return say(one if value > 0 else many, **words)
    return say(one, **words, **{spec: _formed(value, spec) for spec in specs})


@cache
def _specs(template: str) -> tuple[str, ...]:
    """How a declaration's sentence wants its value put."""
    parted = (slot.partition(":") for slot in _SLOT.findall(template))
    return tuple(form for name, _, form in parted if name == "value")


def _formed(value: float, form: str) -> str:
    if form == "days":
        return counted(round(value), "day") if value >= 10 else _hours(24 * value)
    if form == "hours":
        return _hours(value)
    if form == "clock":
        return f"{int(value):02d}:00"
    if form == "percent":
        return f"{100 * value:.0f} %"
    if form == "criticality":
        return str(LEAST_CRITICAL + 1 - round(value))
    return say(WEEKDAYS[int(value) % 7])


def _hours(value: float) -> str:
    if value < 0:
        return say("minus {time}", time=_hours(-value))
    if value < 1:
        return counted(max(round(60 * value), 1) if value > 0 else 0, "minute")
    if value < 48:
        return counted(round(value) if value >= 10 else round(value, 1), "hour")
    return counted(round(value / 24, 1), "day")


def spoken_moment(moment: datetime) -> str:
    """A moment to the minute, on the clock it is given in.

    Examples
    --------
    >>> from datetime import UTC
    >>> spoken_moment(datetime(2026, 12, 3, 9, 5, tzinfo=UTC))
    'Thu 03 Dec 2026, 09:05 UTC'
    """
    return say(
        "{weekday} {day} {month} {year}, {time} {zone}",
        weekday=say(WEEKDAYS[moment.weekday()][:3]),
        day=f"{moment:%d}",
        month=say(MONTHS[moment.month - 1]),
        year=f"{moment:%Y}",
        time=f"{moment:%H:%M}",
        zone=f"{moment:%Z}",
    )


def _window(days: int | None) -> str:
    if days is None:
        return say("all the time on record")
    if days == 1:
        return say("the last day")
    if days == 365:
        return say("the last year")
    return say_count("the last {days} day", "the last {days} days", days, days=str(days))


def _means(means: str, *, one: bool) -> str:
    """What the label calls a failure, of one change or of several."""
    return say(of_one(means) if one else means)


def of_one(means: str) -> str:
    """What the label calls a failure, said of one change.

    Examples
    --------
    >>> of_one("were backed out"), of_one("led to an incident")
    ('was backed out', 'led to an incident')
    """
    if not means.startswith("were "):
        return means
    return f"was {means.removeprefix('were ').replace(' their ', ' its ')}"


def _has(entity: str, change: Columns, row: int, names: Mapping[str, str]) -> bool:
    """Whether a change has a name of an entity, of those that ``UNNAMED`` tells of."""
    if entity in ("affected", "neighbour", "second_neighbour"):
        return bool(affected_cis(change, row))
    if entity == "further":
        return len({*affected_cis(change, row)} - {change["ci"][row]}) > 0
    if entity in ("title_word", "attempt"):
        return bool(title_words(change["short_description"][row]))
    return names.keys() >= ({"action", "ci"} if entity == "action_ci" else {entity})


def _begun(text: str) -> str:
    return text[:1].upper() + text[1:]


def _words(change: Columns, row: int) -> dict[str, str]:
    """Names of the change, shortened; those it lacks are left out."""
    verb = action(change["short_description"][row])
    words = {"action": verb} if verb else {}
    for word, name in _NAMED.items():
        text = " ".join(str(change[name][row] or "").split())
        if text:
            words[word] = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
    return words
