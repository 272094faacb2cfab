"""Score, explain, record: the one way from a change to its answer, over HTTP and offline alike."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from features import instants
from features.history import History
from features.language import say
from features.records import Change
from features.saved import open_state
from features.similar import outcome_of
from features.state import FeatureState
from features.store import ASKED, Store, StoreError
from features.store.rows import to_row
from features.store.standing import Standing
from models.explanation import Explainer
from models.registry import Registered
from serving.answers import (
    Asked,
    Scored,
    at_fault,
    settled,
    unrecorded,
    waited_in_vain,
    with_score,
    without_model,
    without_score,
)
from serving.contract import Answer, ChangeIn, Warned, plain
from serving.late import Place, placed
from serving.queue import keep_all, shadowed
from serving.scoring import Case, score_all

_log = logging.getLogger(__name__)

WAIT_SECONDS = 10.0
"""How long a change waits for those before it; then it is answered without a score."""

READ_SECONDS = 2.0
"""How long a page waits for the history; then it goes without."""


class Scorer:
    """Answers changes from a store and a model.

    Parameters
    ----------
    store : Store
        History and journal.
    registered : Registered or None
        The model; None where none could be loaded.
    unavailable : str
        Why there is none.
    state : FeatureState, optional
        The indexed history, where somebody has it already; made for the model's label.
    indexes : Path, optional
        Folder of saved indexes, which workers share; without it each builds its own.
    """

    def __init__(
        self,
        store: Store,
        registered: Registered | None,
        unavailable: str = "no model is loaded",
        state: FeatureState | None = None,
        indexes: Path | None = None,
    ) -> None:
        self.store = store
        self._indexes = indexes
        self.registered = registered
        self.unavailable = unavailable
        self._own: History | None = None  # what this worker wrote last, not taken in yet
        self._lock = threading.Lock()
        self._state = state
        self._explainer = None if registered is None else Explainer(registered.model)
        self._refresh()

    @property
    def watermark(self) -> int:
        """The last write whose facts count."""
        return 0 if self._state is None else self._state.watermark

    def successor(self, registered: Registered) -> Scorer:
        """A scorer with another model over the same store; the history is indexed again only where
        the new model answers another question.
        """
        same = self.registered is not None and (
            self.registered.model.policy == registered.model.policy
            and self.registered.model.place == registered.model.place
        )
        if not same:
            return Scorer(self.store, registered, indexes=self._indexes)
        with self._lock:
            made = Scorer(self.store, registered, state=self._state, indexes=self._indexes)
        # The history grows in place: both hold it by one lock until the old scorer is gone.
        made._lock = self._lock
        return made

    def answer(self, change: ChangeIn, *, now: datetime) -> Answer:
        """Score one change and record the answer.

        Parameters
        ----------
        now : datetime
            The moment of the call, aware.

        Raises
        ------
        InputError
            If ``as_of`` lies in the future.
        """
        return self.answers([change], now=now)[0]

    def answers(self, changes: Sequence[ChangeIn], *, now: datetime) -> list[Answer]:
        """Score changes as of one moment, so that none knows of the others, and record the answers.

        Parameters
        ----------
        changes : sequence of ChangeIn
            None of them twice.
        now : datetime
            The moment of the call, aware.

        Raises
        ------
        InputError
            If ``as_of`` of any lies in the future; nothing is recorded then.
        """
        asked = [Asked.of(change, now) for change in changes]
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            return [without_score(one, self.registered, waited_in_vain()) for one in asked]
        try:
            return self._answers(changes, asked, now)
        finally:
            self._lock.release()

    def consider(self, change: ChangeIn, *, now: datetime) -> Answer:
        """The answer to a change that nobody has submitted; nothing of it is kept.

        Raises
        ------
        InputError
            If ``as_of`` lies in the future.
        StoreError
            If the history cannot be read.
        """
        asked = Asked.of(change, now, revision="1")
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            return without_score(asked, self.registered, waited_in_vain())
        try:
            self._refresh()
            return self._judged([asked])[0][0]
        finally:
            self._lock.release()

    def settle(self) -> None:
        """Take in what was written, unless somebody is at it, so that the next answer need not."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._refresh(own=True)
        except StoreError as error:
            _log.warning("the history could not be read: %s; the next answer tries again", error)
        except Exception:  # noqa: BLE001 - the answer is given; the next one starts anew
            _log.exception("what was written could not be taken in")
        finally:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[FeatureState | None]:
        """The indexed history as of the last write, held still while the block reads it.

        None where there is no model, or where scoring holds it for too long.
        """
        if not self._lock.acquire(timeout=READ_SECONDS):
            yield None
            return
        try:
            self._refresh()
            yield self._state
        finally:
            self._lock.release()

    def outcome(self, change_id: str, *, now: datetime) -> str | None:
        """Outcome of a change, ``caused`` or ``clean``; None while it is undecided or unknown.

        Raises
        ------
        StoreError
            If the store cannot be read.
        """
        with self.reading() as state:
            if state is None:
                return None
            return outcome_of(state, change_id, instants.to_micros(now))

    def _answers(
        self, changes: Sequence[ChangeIn], asked: Sequence[Asked], now: datetime
    ) -> list[Answer]:
        try:
            current = self._is_current()
            records = revised_all(self.store, changes, now, self._heard_of(changes))
            pairs = zip(asked, records, strict=True)
            asked = [replace(one, record=record) for one, record in pairs]
            judged = self._each_judged(asked) if current else [*map(self._failed, asked)]
        except StoreError as error:
            _log.error("the store could not be read: %s", error)
            unread = Warned(code="store_unavailable", text=say("The history could not be read."))
            return [without_score(one, self.registered, unread) for one in asked]
        answers = [answer for answer, _ in judged]
        rows = [None if one is None else one.table.values[0].tolist() for _, one in judged]
        try:
            return self.record(changes, asked, rows, answers)
        except StoreError as error:
            _log.error("the answer could not be recorded: %s", error)
            return [without_score(one, self.registered, unrecorded()) for one in asked]

    def _each_judged(self, asked: Sequence[Asked]) -> list[tuple[Answer, Scored | None]]:
        """The answers to all of them at once; where that fails, one by one, each for itself."""
        try:
            return self._judged(asked)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - the workflow always gets an answer; the log has the fault
            if len(asked) > 1:
                return [found for one in asked for found in self._each_judged([one])]
            (one,) = asked
            _log.exception("scoring %s failed", _loggable(one.record.change_id))
            return [self._failed(one)]

    def _failed(self, asked: Asked) -> tuple[Answer, None]:
        """The answer where a fault of ours is in the way of a score."""
        return without_score(asked, self.registered, at_fault()), None

    def _is_current(self) -> bool:
        """Whether all that was written is taken in; False where that fails by a fault of ours.

        Raises
        ------
        StoreError
            If the store cannot be read.
        """
        try:
            self._refresh()
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - what was sent is kept all the same, and answered
            _log.exception("what was written could not be taken in")
            return False
        return True

    def _judged(self, asked: Sequence[Asked]) -> list[tuple[Answer, Scored | None]]:
        """The answers, with scores if there is a model, from a history that is up to date."""
        registered, state, explainer = self.registered, self._state, self._explainer
        if registered is None or state is None or explainer is None:
            return [(without_score(one, registered, without_model()), None) for one in asked]
        cases = [Case(one.record, one.as_of, options=not one.begun) for one in asked]
        scored = score_all(cases, registered, state, explainer)
        return [
            (with_score(one, found, registered, state), found)
            for one, found in zip(asked, scored, strict=True)
        ]

    def _refresh(self, *, own: bool = False) -> None:
        """Take in what was written since the last answer, by this worker or another.

        Parameters
        ----------
        own : bool
            Whether what this worker wrote last is enough, if nobody wrote before it.
        """
        if self.registered is None:
            return
        if self._state is None:
            model = self.registered.model
            self._state = open_state(self.store, model.policy, self._indexes, model.place)
            return
        known, (newer, self._own) = self._state.watermark, (self._own, None)
        if not own or newer is None or newer.watermark != known + 1:
            last = self.store.watermark()
            if last <= known:
                return
            if newer is None or newer.watermark != last or last != known + 1:  # others wrote, too
                newer = self.store.load(after=known)
        # A state whose extension failed midway is not used again: the next answer starts anew.
        state, self._state = self._state, None
        self._state = state.extended(newer)

    def _heard_of(self, changes: Sequence[ChangeIn]) -> set[str]:
        """Those of some changes that may be on record; the history knows all there are."""
        ids = [change.change_id for change in changes]
        if self._state is None:
            return self.store.known_changes(set(ids))
        numbers = self._state.vocabulary("change").find(ids)
        return {name for name, number in zip(ids, numbers.tolist(), strict=True) if number >= 0}

    def record(
        self,
        changes: Sequence[ChangeIn],
        asked: Sequence[Asked],
        rows: Sequence[list[float] | None],
        answers: Sequence[Answer],
        **more: object,
    ) -> list[Answer]:
        """Keep payloads as revisions, answers in the journal and places in the queue: all or none;
        under the lock. The answers are returned as they were kept.

        An answer that cannot be recorded is not given as a score: nobody could account for it.

        Parameters
        ----------
        rows : sequence of (list of float or None)
            The features of every change; None of one without a score.
        more
            What else the journal's entries say.

        Raises
        ------
        StoreError
            If nothing could be written.
        """
        entries = [
            (
                answer.score_id,
                answer.change_id,
                {
                    "payload": change.payload(),
                    "revision": one.record.revision,
                    "as_of": instants.to_micros(one.as_of),
                    "watermark": self.watermark,
                    "features": values,
                    "answer": plain(answer),
                    **shadowed(answer),
                    **more,
                },
            )
            for change, one, values, answer in zip(changes, asked, rows, answers, strict=True)
        ]
        records = [one.record for one in asked]
        with self.store.write(ASKED, now=asked[0].now) as writer:
            places = placed(writer, records, [change.revision is not None for change in changes])
            kept = [settled(*pair) for pair in zip(answers, places, strict=True)]
            for answer, place, record, (_, _, body) in zip(
                kept, places, records, entries, strict=True
            ):
                if place != Place(record):
                    body |= {"revision": answer.revision, "answer": plain(answer)}
            writer.add([place.record for place in places if place.late is None])
            head = writer.append_all("score", entries)
            first = head.seq - len(entries) + 1
            keep_all(writer, first, kept, [place.record for place in places])
        self._own = writer.history() if writer.rows_written else None
        return kept


def revised_all(
    store: Store, changes: Sequence[ChangeIn], now: datetime, known: Collection[str]
) -> list[Change]:
    """The changes as records. One without a revision mark of its own gets the next number, unless
    its content is that of its last revision.

    Parameters
    ----------
    known : collection of str
        The changes that may be on record; all others are new.

    Raises
    ------
    StoreError
        If the store cannot be read.
    """
    again = [one.change_id for one in changes if one.revision is None and one.change_id in known]
    standing = store.standing(again) if again else {}
    return [
        change.to_record(revision=change.revision or "1", known_at=now)
        if change.revision is not None or change.change_id not in standing
        else _next_revision(standing[change.change_id], change, now)
        for change in changes
    ]


def _next_revision(last: Standing, change: ChangeIn, now: datetime) -> Change:
    same = change.to_record(revision=last.revision, known_at=now)
    if to_row(same)["identity"] == last.identity:
        return same
    mark = last.revision
    number = int(mark) if mark.isascii() and mark.isdecimal() and len(mark) < 10 else 0
    return replace(same, revision=str(max(last.known, number) + 1))


def _loggable(text: str) -> str:
    """An id that cannot break or forge a log line."""
    return "".join(c if c.isprintable() else "?" for c in text)[:80]
