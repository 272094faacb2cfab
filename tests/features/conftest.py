"""Small adversarial histories, and what the definitions say about them in plain loops.

Fixtures of the session's scope, because hypothesis draws many examples in one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from features import instants
from features.catalogue import NAMES
from features.columns import Columns
from features.history import History
from features.policy import POLICIES, LabelPolicy
from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Record,
    Relation,
)
from features.state import FeatureState
from features.table import FeatureTable, build
from tests.features.definitions import Definitions

# A busy machine draws slowly and answers late; neither is a fault of what is tested.
settings.register_profile(
    "features",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
settings.load_profile("features")

T0 = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = (0, 1, 2, 3, 6, 7, 8, 9, 13, 14, 15, 21, 22, 29, 30, 31, 44, 90, 91, 120, 365, 366, 380)
"""Few moments, so that many facts share one and windows begin and end on them."""

CHANGE_IDS = tuple(f"CHG-{n}" for n in range(10, 22))
INCIDENT_IDS = tuple(f"INC-{n}" for n in range(30, 34))
ITEMS = ("web-01", "db-01", "db-02")
ESTATE = (*ITEMS, "san-01", "app-01")
PLANS = (
    None,
    "N/A",
    "restore the dump",
    "Restore dump 1 of the day",
    "restore  dump 22 of the day",
)
AFFECTED = ((), (), ("",), ("db-01",), ("db-02", "web-01", "db-02", ""), ITEMS)
TEXTS = (None, "All is slow", "Since CHG-10", "CHG-11 or CHG-10?", "see CHG-99", "chg-10 CHG10")
TITLES = (
    None,
    "",
    "Patch web-01 2024-01",
    "db-02: Patch 2025-03",
    "Move the rack",
    'Revert "Move the rack"',
)

# strategies --------------------------------------------------------------------------------------


def _any_of(*values: object) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


# One draw a value, for a history has hundreds of them.
EXTRA = (*[timedelta(0)] * 5, timedelta(hours=5), timedelta(microseconds=1))
TIMES = tuple(T0 + timedelta(days=days) + extra for extra in EXTRA for days in DAYS)
MOMENTS = _any_of(*TIMES)
MAYBE = _any_of(*[None] * len(TIMES), *TIMES)


def _revisions(change_id: str) -> st.SearchStrategy[list[Change]]:
    revision = st.builds(
        Change,
        change_id=st.just(change_id),
        known_at=MOMENTS,
        change_type=_any_of(None, "normal", "Emergency"),
        category=_any_of(None, "network"),
        change_model=_any_of(None, None, "patching"),
        short_description=_any_of(*TITLES),
        implementation_plan=_any_of(*PLANS),
        backout_plan=_any_of(*PLANS),
        ci=_any_of(None, "", *ITEMS),
        affected_cis=_any_of(*AFFECTED),
        service=_any_of(None, "Payments", "Shop"),
        impacted_services=_any_of((), ("", "Shop")),
        references=_any_of((), (), ("T-1",), ("T-2", "", "T-1", "T-2")),
        assignment_group=_any_of(None, "dba", "net"),
        cab_required=_any_of(None, True, False),
        submitted_at=MAYBE,
        planned_start=MAYBE,
        planned_end=MAYBE,
        attributes=_any_of({}, {"lines_added": 3.0}, {"unknown": 1.0}),
    )
    return st.lists(revision, min_size=1, max_size=3).map(
        lambda rows: [replace(row, revision=str(n)) for n, row in enumerate(rows)]
    )


CHANGES = st.integers(2, len(CHANGE_IDS)).flatmap(
    lambda count: st.tuples(*map(_revisions, CHANGE_IDS[:count]))
)
INCIDENTS = st.builds(
    Incident,
    incident_id=_any_of(*INCIDENT_IDS),
    occurred_at=MOMENTS,
    known_at=MOMENTS,
    resolved_at=MAYBE,
    priority=_any_of(None, 1, 2, 3, 4),
    ci=_any_of(None, "", *ITEMS, "san-01"),
    service=_any_of(None, "Payments", "Shop"),
    assignment_group=_any_of(None, "dba", "net"),
    short_description=_any_of(*TEXTS),
    description=_any_of(*TEXTS),
    close_code=_any_of(None, "Software", "Hardware"),
)
LINKS = st.builds(
    Link,
    incident_id=_any_of(*INCIDENT_IDS, "INC-99"),
    change_id=_any_of("CHG-10", "CHG-10", *CHANGE_IDS[:4], "CHG-99"),
    kind=_any_of("caused_by", "caused_by", "fixed_by"),
    source=_any_of("explicit", "explicit", "text", "same_item"),
    confidence=_any_of(1.0, 0.5, 0.1),
    occurred_at=MOMENTS,
    known_at=MOMENTS,
)
EVENTS = st.builds(
    ChangeEvent,
    change_id=_any_of(*CHANGE_IDS[:5], "CHG-99"),
    kind=_any_of("backed_out", "backed_out", "closed", "started"),
    occurred_at=MOMENTS,
    known_at=MOMENTS,
    planned=st.booleans(),
)
RELATIONS = st.builds(
    Relation,
    parent=_any_of(*ESTATE, *ESTATE, ""),
    child=_any_of(*ESTATE),
    kind=_any_of("runs_on", "runs_on", "uses"),
    occurred_at=MOMENTS,
    known_at=MOMENTS,
    ended_at=MAYBE,
)
DESCRIPTIONS = st.builds(
    Item,
    ci=_any_of(*ESTATE),
    known_at=MOMENTS,
    service=_any_of(None, "", "Payments", "Shop"),
    criticality=_any_of(None, 1, 2, 4, 9),
)
ENTRIES = st.builds(
    CalendarEntry,
    entry_id=_any_of("F1", "F2", "F3"),
    kind=_any_of("freeze", "blackout", "maintenance", "party"),
    scope=_any_of("*", "web-01", "Shop"),
    starts_at=MOMENTS,
    ends_at=MOMENTS,
    known_at=MOMENTS,
)


@st.composite
def _histories(draw: st.DrawFn) -> list[Record]:
    records: list[Record] = [one for change in draw(CHANGES) for one in change]
    records += draw(st.lists(INCIDENTS, max_size=12))
    records += draw(st.lists(LINKS, max_size=8))
    records += draw(st.lists(EVENTS, max_size=5))
    records += draw(st.lists(RELATIONS, max_size=7))
    records += draw(st.lists(DESCRIPTIONS, max_size=4))
    records += draw(st.lists(ENTRIES, max_size=4))
    draw(st.randoms(use_true_random=False)).shuffle(records)
    return records


POLICY_VARIANTS: dict[str, LabelPolicy] = {
    **POLICIES,
    "urgent": replace(POLICIES["incident"], max_priority=2, settle_days=0.0),
    "sure": replace(POLICIES["incident"], min_confidence=0.6),
    "short": replace(POLICIES["incident"], window_days=1.0, settle_days=0.0),
    "text only": replace(POLICIES["incident"], sources=("text",), settle_days=1.0),
    "steep rise": replace(POLICIES["incident_rise"], max_priority=3, min_confidence=0.6),
    "everything": LabelPolicy(
        name="everything",
        sources=("explicit", "text", "same_item", "back_out"),
        window_days=1.0,
        settle_days=0.5,
    ),
}


@pytest.fixture(scope="session")
def histories() -> st.SearchStrategy[list[Record]]:
    """Small histories with shared names, ties, late facts and wrong links, in any order."""
    return _histories()


@pytest.fixture(scope="session")
def moments() -> st.SearchStrategy[datetime]:
    """The moments at which facts of the histories become known."""
    return MOMENTS


@pytest.fixture(scope="session")
def policies() -> st.SearchStrategy[LabelPolicy]:
    """The named labels and variants of them."""
    return st.sampled_from(list(POLICY_VARIANTS.values()))


# helpers -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def day() -> Callable[[float], datetime]:
    """A moment by its distance from the first of January 2024, in days."""
    return lambda days: T0 + timedelta(days=days)


@pytest.fixture(scope="session")
def rows() -> Callable[..., FeatureTable]:
    """Features of changes at one moment, or each at its own."""

    def rows(
        state: FeatureState, changes: Iterable[Record], as_of: datetime | list[datetime]
    ) -> FeatureTable:
        table = Columns.from_records(Change, changes)
        moments = as_of if isinstance(as_of, list) else [as_of] * len(table)
        times = np.array([instants.to_micros(moment) for moment in moments], np.int64)
        return build(table, times, state)

    return rows


@pytest.fixture(scope="session")
def state_of() -> Callable[..., FeatureState]:
    """The state of some facts."""

    def state_of(facts: Iterable[Record], policy: LabelPolicy) -> FeatureState:
        return FeatureState(History.from_records(facts), policy)

    return state_of


@pytest.fixture(scope="session")
def differences() -> Callable[[FeatureTable, FeatureTable], dict[str, object]]:
    """Where two tables differ in any bit: by feature, the two columns."""

    def differences(left: FeatureTable, right: FeatureTable) -> dict[str, object]:
        found: dict[str, object] = {
            name: (left.values[:, column], right.values[:, column])
            for column, name in enumerate(NAMES)
            if not np.array_equal(left.values[:, column], right.values[:, column], equal_nan=True)
        }
        for name, counts in left.support.items():
            if not np.array_equal(counts, right.support[name], equal_nan=True):
                found[f"support of {name}"] = (counts, right.support[name])
        for name, words in left.words.items():
            if words.tolist() != right.words[name].tolist():
                found[f"words of {name}"] = (words, right.words[name])
        return found

    return differences


@pytest.fixture(scope="session")
def definitions() -> type[Definitions]:
    """The verdicts in plain loops over records."""
    return Definitions
