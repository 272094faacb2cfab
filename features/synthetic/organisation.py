"""The whole organisation from one seed: the public way in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain

import pandas as pd

from features import instants
from features.progress import Progress, silent
from features.records import Change, Record
from features.synthetic import freezes, links, writing
from features.synthetic.arrays import hours, stream
from features.synthetic.causes import COEFFICIENTS
from features.synthetic.forms import forms
from features.synthetic.story import Story, tell

NAME = "Synthetic Demo Organisation"
"""What the organisation is called wherever it is named."""

FEWEST_CHANGES, FEWEST_DAYS = 300, 60
"""Below this there are too few failures to retry and too little time to see them."""


@dataclass(frozen=True)
class Organisation:
    """A synthetic organisation: what its systems recorded, and the truth behind it.

    Parameters
    ----------
    name : str
        Says that it is synthetic.
    seed : int
    until : datetime
        The last moment anything could become known, to the second, UTC; no record is later.
    records : list of Record
        All facts, in the order in which they became known.
    upcoming : list of Change
        Changes submitted before ``until`` and planned in the 14 days after it, by planned start,
        in the revision that holds. They are among the records, too.
    causes : DataFrame
        The truth, never given to a feature. One row a change: ``change_id``, ``planned_start``,
        ``true_probability`` (0 to 1, of causing an incident within seven days), ``caused`` (whether
        it really did or will; recorded links miss some), ``base`` and the contribution of every
        cause of :data:`features.synthetic.causes.COEFFICIENTS`, in log-odds; base and
        contributions add up to the logit of the probability.
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
            + ", ".join(f"{name} {value:+.2f}" for name, value in COEFFICIENTS.items())
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
    report = progress or silent
    report("draw changes", 0, changes)
    story = tell(seed=seed, until=limit, changes=changes, days=days, noise_only=noise_only)
    report("draw changes", changes, changes)
    return _written(story, report)


def _written(story: Story, report: Progress) -> Organisation:
    scene = story.scene
    numbers = writing.Numbers.of(story.plans, story.tickets)
    form = forms(scene.estate, story.plans, stream(scene.seed, "forms"))
    revisions = list(writing.changes(scene.estate, story.plans, form, numbers, report))
    other = _others(story, numbers, report)
    known = list(chain(chain.from_iterable(revisions), other))
    known.sort(key=lambda record: record.known_at)
    limit = writing.moment(scene.until)
    pending = [change[-1] for change in revisions if _start(change[-1]) > limit]
    return Organisation(
        name=NAME,
        seed=scene.seed,
        until=limit,
        records=known,
        upcoming=sorted(pending, key=lambda change: (_start(change), change.change_id)),
        causes=_told(story, numbers),
        noise_only=scene.noise_only,
    )


def _start(change: Change) -> datetime:
    if change.planned_start is None:
        raise ValueError(f"{change.change_id}: expected a planned start, got none")
    return change.planned_start


def _others(story: Story, numbers: writing.Numbers, report: Progress) -> Iterator[Record]:
    """All records but the changes."""
    estate, seed, until = story.scene.estate, story.scene.seed, story.scene.until
    explicit, by_text = links.causes_stated(story.tickets, stream(seed, "links"))
    wrong = links.wrongly_stated(story.tickets, story.plans, stream(seed, "wrong links"), until)
    fixed = links.repairs_stated(story.plans, stream(seed, "fixed by"))
    lag = hours(stream(seed, "lag").exponential(0.3, len(story.plans)))
    write = partial(writing.links, found=story.tickets, numbers=numbers, until=until)
    mentions = _mentions(story, by_text, fixed, numbers)
    return chain(
        writing.items(estate, until),
        writing.relations(estate, until),
        freezes.entries(story.scene.closed),
        writing.events(story.ended, lag, numbers, until),
        writing.incidents(estate, story.tickets, mentions, numbers, until, report),
        write(explicit, "caused_by"),
        write(wrong, "caused_by"),
        write(fixed, "fixed_by"),
    )


def _mentions(
    story: Story,
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


def _told(story: Story, numbers: writing.Numbers) -> pd.DataFrame:
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
    for column, name in enumerate(COEFFICIENTS):
        frame[name] = story.truth.log_odds[:, column]
    return frame.sort_values("change_id", ignore_index=True)
