"""The whole organisation from one seed: draws everything in order and hands out the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd

from features import instants
from features.records import Change, Record
from features.sources.reading import Progress
from features.synthetic import causes, freezes, incidents, links, outcomes, plans, writing
from features.synthetic.arrays import Arrays, Floats, Mask, hours, stream
from features.synthetic.estate import Estate, estate
from features.synthetic.forms import forms

NAME = "Synthetic Demo Organisation"

FEWEST_CHANGES, FEWEST_DAYS = 300, 60

INCIDENTS_EACH = 3.0
"""Incidents for each change, those caused by changes included."""

UPCOMING_DAYS = 14

_RETRIES, _REPAIRS = 0.03, 0.03


@dataclass(frozen=True)
class Organisation:
    """A synthetic organisation: what its systems recorded, and the truth behind it.

    Parameters
    ----------
    name : str
        Says that it is synthetic.
    seed : int
    until : datetime
        The last moment anything could become known; every record lies before.
    records : list of Record
        All facts, in the order in which they became known.
    upcoming : list of Change
        Changes submitted before ``until`` and planned in the 14 days after it, by planned start,
        in the revision that holds. They are among the records, too.
    causes : DataFrame
        The truth, never given to a feature. One row a change: ``change_id``, ``planned_start``,
        ``true_probability`` (0 to 1, of causing an incident within seven days), ``caused`` (whether
        it really did or will; recorded links miss some), ``base`` and the contribution of every
        cause of ``features.synthetic.COEFFICIENTS``, in log-odds; base and contributions add up to
        the logit of the probability.
    noise_only : bool
        Whether incidents were caused by changes at random.
    """

    name: str
    seed: int
    until: datetime
    records: list[Record] = field(repr=False)
    upcoming: list[Change] = field(repr=False)
    causes: pd.DataFrame = field(repr=False)
    noise_only: bool = False

    def describe(self) -> str:
        """What this is, in words; says first that nothing of it is real."""
        kinds = Counter(type(record).__name__ for record in self.records)
        share = float(self.causes["caused"].mean())
        why = (
            "Causes are switched off: every change is as likely as any other to cause an incident."
            if self.noise_only
            else "Known causes, by log-odds for one unit: "
            + ", ".join(f"{name} {value:+.2f}" for name, value in causes.COEFFICIENTS.items())
            + "."
        )
        return (
            f"{self.name}: SYNTHETIC data, invented by features.synthetic with seed {self.seed}; "
            f"no real organisation, system or person is in it.\n"
            f"{len(self.causes):,} changes, of which {len(self.upcoming)} are planned after "
            f"{self.until:%Y-%m-%d %H:%M} UTC; {100 * share:.1f} % really cause incidents.\n"
            f"Records: {', '.join(f'{n:,} {kind}' for kind, n in sorted(kinds.items()))}.\n"
            f"{why}\nFigures measured on it show that the software works, not how well it would "
            "predict anywhere."
        )


@dataclass(frozen=True)
class _Truth(Arrays):
    """Why and whether each change goes wrong."""

    log_odds: Floats
    probability: Floats
    caused: Mask


@dataclass(frozen=True)
class _Story:
    """Everything drawn, before it is written down."""

    estate: Estate
    closed: list[freezes.Span]
    plans: plans.Plans
    truth: _Truth
    base: float
    ended: outcomes.Endings
    tickets: incidents.Tickets


def organisation(
    *,
    seed: int,
    until: datetime,
    changes: int = 20_000,
    days: int = 730,
    noise_only: bool = False,
    progress: Progress | None = None,
) -> Organisation:
    """Invent an organisation whose causes are known; the same arguments give the same records.

    Parameters
    ----------
    seed : int
        Not negative.
    until : datetime
        When the records end, aware. Upcoming changes are planned after it.
    changes : int
        Number of changes, at least 300.
    days : int
        Length of the records in days, at least 60.
    noise_only : bool
        Changes cause incidents at random, all with the same probability: no honest model can rank
        them better than chance.
    progress : callable, optional
        Told a stage, how much of it is done and how much there is.

    Raises
    ------
    ValueError
        If ``until`` has no time zone, or ``changes`` or ``days`` is too small.
    """
    if changes < FEWEST_CHANGES or days < FEWEST_DAYS:
        raise ValueError(
            f"expected at least {FEWEST_CHANGES} changes over at least {FEWEST_DAYS} days, "
            f"got {changes} over {days}"
        )
    limit = instants.to_micros(until) // instants.SECOND * instants.SECOND
    tell: Progress = progress or _silent
    story = _story(seed, limit, changes, days, noise_only, tell)
    return _written(story, seed, limit, noise_only, tell)


def _silent(_stage: str, _done: int, _total: int | None) -> None:
    """Tells nobody."""


def _story(
    seed: int, until: int, changes: int, days: int, noise_only: bool, tell: Progress
) -> _Story:
    begin = until - days * instants.DAY
    owned, closed = estate(seed, begin, until), freezes.spans(begin, until)
    tell("draw changes", 0, changes)
    count = round(changes * (INCIDENTS_EACH - 1.5 * causes.USUAL))
    noise = incidents.noise(owned, count, stream(seed, "noise"), begin, until)
    retries = round(changes * _RETRIES)
    first = _first_plans(owned, noise, seed, plans.Period(begin, begin, until, until), closed,
                         changes - retries, days)  # fmt: skip
    truth, base = _truth(owned, first, closed, seed, noise_only)
    went = outcomes.endings(first, truth.caused, stream(seed, "endings"))
    struck = _caused(owned, first, truth.caused, stream(seed, "caused"))
    failed_at = outcomes.failures(len(first), went, struck)
    again = plans.retrying(owned, first, failed_at, retries, stream(seed, "retries"), until)
    every = plans.Plans.concatenate([first, again])
    truth = _truth_with_retries(owned, every, truth, base, closed, seed, noise_only)
    late = np.arange(len(every)) >= len(first)
    went_again = outcomes.endings(again, truth.caused[late], stream(seed, "endings again"))
    struck_again = _caused(owned, every, truth.caused & late, stream(seed, "caused again"))
    tell("draw changes", changes, changes)
    found = incidents.Tickets.concatenate([noise, struck, struck_again])
    return _Story(
        estate=owned,
        closed=closed,
        plans=every,
        truth=truth,
        base=base,
        ended=outcomes.Endings.concatenate([went, went_again]),
        tickets=_repaired(found, every, stream(seed, "repaired")),
    )


def _first_plans(
    owned: Estate,
    noise: incidents.Tickets,
    seed: int,
    period: plans.Period,
    closed: list[freezes.Span],
    count: int,
    days: int,
) -> plans.Plans:
    """All changes but the retries."""
    pending = int(np.clip(round(count / days * 1.8), 30, 60))
    ahead = period._replace(
        low=period.until + instants.HOUR // 4,
        high=period.until + UPCOMING_DAYS * instants.DAY,
    )
    repairs = plans.repairing(
        owned, noise, round(count * _REPAIRS), stream(seed, "repairs"), period
    )
    regular = count - pending - len(repairs)
    return plans.numbered(
        plans.Plans.concatenate(
            [
                plans.planned(owned, regular, stream(seed, "plans"), period, closed),
                plans.planned(owned, pending, stream(seed, "upcoming"), ahead, closed),
                repairs,
            ]
        )
    )


def _truth(
    owned: Estate, first: plans.Plans, closed: list[freezes.Span], seed: int, noise_only: bool
) -> tuple[_Truth, float]:
    parts = causes.contributions(owned, first, closed, seed)
    log_odds = np.column_stack(list(parts.values())) * (0.0 if noise_only else 1.0)
    base = causes.base_for(log_odds.sum(axis=1), causes.USUAL)
    probability = causes.probability(log_odds.sum(axis=1), base)
    caused = outcomes.struck(probability, stream(seed, "struck"))
    return _Truth(log_odds, probability, caused), base


def _truth_with_retries(
    owned: Estate,
    every: plans.Plans,
    first: _Truth,
    base: float,
    closed: list[freezes.Span],
    seed: int,
    noise_only: bool,
) -> _Truth:
    """The truth of the first attempts as it was, and that of the retries after them."""
    parts = causes.contributions(owned, every, closed, seed)
    log_odds = np.column_stack(list(parts.values()))[len(first) :] * (0.0 if noise_only else 1.0)
    probability = causes.probability(log_odds.sum(axis=1), base)
    caused = outcomes.struck(probability, stream(seed, "struck again"))
    return _Truth.concatenate([first, _Truth(log_odds, probability, caused)])


def _caused(
    owned: Estate, every: plans.Plans, harmful: Mask, rng: np.random.Generator
) -> incidents.Tickets:
    rows = np.flatnonzero(harmful)
    return incidents.caused(rows, every.start[rows], every.affected[rows], owned, rng)


def _repaired(
    found: incidents.Tickets, every: plans.Plans, rng: np.random.Generator
) -> incidents.Tickets:
    """The incidents, those repaired by a change resolved after it."""
    rows = np.flatnonzero(every.repairs >= 0)
    resolved = found.resolved.copy()
    resolved[every.repairs[rows]] = every.end[rows] + hours(rng.uniform(0.2, 2.0, len(rows)))
    return replace(found, resolved=resolved)


def _written(
    story: _Story, seed: int, until: int, noise_only: bool, tell: Progress
) -> Organisation:
    numbers = writing.Numbers.of(story.plans, story.tickets)
    form = forms(story.estate, story.plans, stream(seed, "forms"))
    revisions = list(writing.changes(story.estate, story.plans, form, numbers, tell))
    other = _others(story, numbers, seed, until, tell)
    known = list(chain(chain.from_iterable(revisions), other))
    known.sort(key=lambda record: record.known_at)
    limit = writing.moment(until)
    pending = [change[-1] for change in revisions if _start(change[-1]) > limit]
    return Organisation(
        name=NAME,
        seed=seed,
        until=limit,
        records=known,
        upcoming=sorted(pending, key=lambda change: (_start(change), change.change_id)),
        causes=_told(story, numbers),
        noise_only=noise_only,
    )


def _start(change: Change) -> datetime:
    if change.planned_start is None:
        raise ValueError(f"{change.change_id}: expected a planned start, got none")
    return change.planned_start


def _others(
    story: _Story, numbers: writing.Numbers, seed: int, until: int, tell: Progress
) -> Iterator[Record]:
    """All records but the changes."""
    explicit, by_text = links.causes_stated(story.tickets, stream(seed, "links"))
    wrong = links.wrongly_stated(story.tickets, story.plans, stream(seed, "wrong links"), until)
    fixed = links.repairs_stated(story.plans, stream(seed, "fixed by"))
    lag = hours(stream(seed, "lag").exponential(0.3, len(story.plans)))
    write = partial(writing.links, found=story.tickets, numbers=numbers, until=until)
    mentions = _mentions(story, by_text, fixed, numbers)
    return chain(
        writing.items(story.estate, until),
        writing.relations(story.estate, until),
        freezes.entries(story.closed),
        writing.events(story.ended, lag, numbers, until),
        writing.incidents(story.estate, story.tickets, mentions, numbers, until, tell),
        write(explicit, "caused_by"),
        write(wrong, "caused_by"),
        write(fixed, "fixed_by"),
    )


def _mentions(
    story: _Story,
    by_text: links.Statements,
    fixed: links.Statements,
    numbers: writing.Numbers,
) -> dict[int, list[tuple[int, str]]]:
    """Sentences added to incidents: a suspected cause, or (every second time) the repair."""
    found: dict[int, list[tuple[int, str]]] = {}
    for row in range(len(by_text)):
        name = numbers.changes[by_text.change[row]]
        sentence = f"It began after {name} went in."
        found.setdefault(int(by_text.ticket[row]), []).append((int(by_text.known[row]), sentence))
    for row in range(0, len(fixed), 2):
        ticket = int(fixed.ticket[row])
        sentence = f"Repaired with {numbers.changes[fixed.change[row]]}."
        found.setdefault(ticket, []).append((int(story.tickets.resolved[ticket]), sentence))
    return found


def _told(story: _Story, numbers: writing.Numbers) -> pd.DataFrame:
    """The truth as a table, in the order of the numbers."""
    frame = pd.DataFrame(
        {
            "change_id": numbers.changes,
            "planned_start": instants.micros_to_series(story.plans.start),
            "true_probability": story.truth.probability,
            "caused": story.truth.caused,
            "base": story.base,
        }
    )
    for column, name in enumerate(causes.COEFFICIENTS):
        frame[name] = story.truth.log_odds[:, column]
    return frame.sort_values("change_id", ignore_index=True)
