"""Training rows: which changes can teach, in which revision, as of which moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.columns import Columns
from features.history import History
from features.instants import MISSING
from features.policy import LabelPolicy
from features.records import ChangeEvent, Incident
from features.state import FeatureState
from features.table import FeatureTable, build
from features.verdicts import Revisions, Verdicts, verdicts

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TrainingRows:
    """One row a change: its features at its score time, and when its outcome became known.

    Parameters
    ----------
    changes : Columns
        The revision each change was scored in.
    start : ndarray of int64
        Start of the label window.
    decided_at, failed_at : ndarray of int64
        See :class:`features.verdicts.Verdicts`.
    taught : ndarray of bool
        Whether the row may be learnt from: submitted after the history is complete, not recorded
        only after its planned end, and not canceled: what was never done cannot have gone well.
    """

    changes: Columns
    table: FeatureTable
    start: Ints
    decided_at: Ints
    failed_at: Ints
    taught: Mask
    state: FeatureState

    def decided(self, moment: int) -> Mask:
        """Rows whose label window had closed at a moment.

        A failure known before its window closes is left out too: its clean neighbours are, and a
        rate of what is left would run high.
        """
        return self.decided_at <= moment

    def failed(self, moment: int) -> Mask:
        """Rows known at a moment to have failed."""
        return self.failed_at <= moment

    def digest(self) -> str:
        """SHA-256 of names, features, moments and outcomes: equal digests are equal tables."""
        found = hashlib.sha256("\0".join(self.changes["change_id"].tolist()).encode())
        moments = (self.table.as_of, self.start, self.decided_at, self.failed_at)
        for part in (self.table.values, *moments, self.taught):
            found.update(np.ascontiguousarray(part).tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class Spine:
    """What a training table is built for: changes, each with its moment and its verdict.

    Parameters
    ----------
    known : History
        All facts that count.
    changes : Columns
        One row a change, in the order of the verdicts, in the revision it is scored in.
    as_of : ndarray of int64
        The moment each row speaks for, microseconds.
    taught : ndarray of bool
        See :class:`TrainingRows`.
    """

    known: History
    verdicts: Verdicts
    changes: Columns
    as_of: Ints
    taught: Mask


def observed_until(history: History, policy: LabelPolicy) -> datetime | None:
    """The last moment up to which outcomes were being recorded; None where none ever were.

    A change after it has no failure on record because nobody looked, and must not count as clean.

    Incidents were watched until the newest one opened. Back-outs were watched until the newest
    report of what happened to a change (started, closed, canceled, backed out), or until the newest
    change that was read from the organisation's own records, which hold its outcome as well. A
    change that only came with a question for its score shows that somebody asks, not that somebody
    will say how it ended.
    """
    if policy.sources == ("back_out",):
        told = history[ChangeEvent].times("known_at")
        until = max(history.changes_read_until, int(told.max()) if len(told) else MISSING)
    else:
        opened = history[Incident].times("occurred_at")
        until = int(opened.max()) if len(opened) else MISSING
    return instants.from_micros(until)


def training_rows(
    history: History,
    policy: LabelPolicy,
    *,
    as_of: datetime,
    history_from: datetime | None = None,
) -> TrainingRows:
    """All changes known at ``as_of``, each as it stood when it would have been scored."""
    rows = spine(history, policy, as_of=as_of, history_from=history_from)
    state, found = FeatureState(rows.known, policy), rows.verdicts
    return TrainingRows(
        changes=rows.changes,
        table=build(rows.changes, rows.as_of, state),
        start=found.revisions.start[found.deciding],
        decided_at=found.decided_at,
        failed_at=found.failed_at,
        taught=rows.taught,
        state=state,
    )


def spine(
    history: History,
    policy: LabelPolicy,
    *,
    as_of: datetime,
    history_from: datetime | None = None,
) -> Spine:
    """The rows of all changes known at ``as_of``, without their features."""
    known = history.as_of(as_of)
    found = verdicts(known, policy)
    changes = found.revisions.table.take(scored_revisions(found.revisions))
    times = changes.times("known_at")
    late = (changes.times("planned_end") != MISSING) & (changes.times("planned_end") < times)
    complete = times >= instants.to_micros(history_from) if history_from else np.ones_like(late)
    taught = complete & ~late & ~_canceled(known, changes)
    return Spine(known=known, verdicts=found, changes=changes, as_of=times, taught=taught)


def _canceled(known: History, changes: Columns) -> Mask:
    """Changes that were withdrawn and not carried out all the same."""
    events = known[ChangeEvent]
    gone, begun = (
        set(events["change_id"][events["kind"] == kind]) for kind in ("canceled", "started")
    )
    return np.array([name in gone and name not in begun for name in changes["change_id"]], bool)


def scored_revisions(revisions: Revisions) -> Ints:
    """Row of the revision each change is learnt in: the last one known by its planned start, which
    is what the board decided on; the first one where all came later.
    """
    on_time = revisions.table.times("known_at") <= revisions.start
    rows = np.where(on_time, np.arange(len(on_time)), -1)
    last = np.maximum.reduceat(rows, revisions.first) if len(rows) else rows
    return np.where(last >= 0, last, revisions.first)
