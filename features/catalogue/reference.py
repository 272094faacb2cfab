"""The catalogue for people: every feature by factor group, as ``docs/features.md`` shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from features.catalogue import CATALOGUE, GROUPS, Feature, fingerprint
from features.columns import Columns
from features.records import Change
from features.sentences import sentence

_EXAMPLE = Change(
    change_id="CHG0031874",
    known_at=datetime(2026, 11, 19, 9, 12, tzinfo=UTC),
    short_description="Upgrade PostgreSQL on pay-db-01",
    ci="pay-db-01",
    service="Payments",
    assignment_group="Database Operations",
    category="Database",
    declared_risk="moderate",
    impact="2",
    urgency="3",
    priority="3",
)
_VALUES = {"yes/no": 1.0, "share of fields": 0.8, "hour": 22.0, "hours": 20.0}

_PREFACE = """# Features

Every number a model may see, {count} in all, by the factor group in which an approver reads it.
This page is printed by `changerisk features --markdown` from the declarations in
`features/catalogue/`
(fingerprint `{fingerprint}`); a test holds it to them. How to add one:
[adding a feature](adding-a-feature.md).

A feature at a moment counts only facts known strictly before it, and never the change's own events.
A rate leans on the rate of all changes by ten imagined changes. Where a change names several items,
the value is that of the item with the most (*max*), the fewest (*min*) or all together (*sum*).
*Lever*: the requester can still change it. A model leaves out the columns that say nothing in the
history it learns from.
"""


def example(feature: Feature) -> str:
    """The sentence of a feature for a change that has everything."""
    return sentence(
        feature,
        _VALUES.get(feature.unit, 3.0),
        change=Columns.from_records(Change, [_EXAMPLE]),
        support=(3.0, 41.0),
        means="led to an incident",
    )


def counted(feature: Feature) -> str:
    """What a declaration counts, in its own terms."""
    if feature.aggregate == "value":
        return "the ticket" if feature.stream == "request" else "the ticket and the place"
    window = "" if feature.window_days is None else f", {feature.window_days} days"
    across = "" if feature.entity in ("change", "organisation") else f", {feature.across}"
    return f"{feature.aggregate} of {feature.stream} by {feature.entity}{window}{across}"


def markdown() -> str:
    """The whole catalogue as a page."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield _PREFACE.format(count=len(CATALOGUE), fingerprint=fingerprint())
    for group, heading in GROUPS.items():
        yield f"## {heading}\n"
        yield f"Group `{group}`.\n"
        yield "| feature | counts | unit | in words, for example | where not known | lever |"
        yield "|---|---|---|---|---|---|"
        for feature in CATALOGUE:
            if feature.group == group:
                cells = (
                    f"`{feature.name}`",
                    counted(feature),
                    feature.unit,
                    example(feature),
                    feature.missing,
                    "yes" if feature.changeable else "",
                )
                yield f"| {' | '.join(cells)} |"
        yield ""
