"""The track record: what was predicted before changes began, and what is known to have followed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.bands import BANDS
from serving.pages.charts import Group

FEW = 20
"""Fewer changes than this say too little for a rate."""

GROUPS = 8
"""Dots of the reliability plot at most."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """A change that was scored before it began and whose outcome is known.

    Parameters
    ----------
    failed : bool
        As the model's label says.
    decision : str or None
        What was decided; None for nothing.
    """

    change_id: str
    start: datetime
    probability: float
    band: str
    failed: bool
    decision: str | None = None
    override: bool = False
    version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Changes of one kind: how many failures were expected, and how many there were."""

    name: str
    changes: int
    expected: float
    happened: int

    @property
    def few(self) -> bool:
        """Too few for a rate."""
        return self.changes < FEW

    @property
    def rate(self) -> float:
        """Failures in 100 changes."""
        return 100 * self.happened / self.changes if self.changes else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """95 per cent interval of the rate, in 100 changes, by Wilson's score method [1]_.

        .. [1] Wilson (1927), "Probable inference, the law of succession, and statistical
           inference", Journal of the American Statistical Association 22(158), 209-212.
        """
        if not self.changes:
            return 0.0, 100.0
        from scipy.stats import binomtest  # a second to import, at every start of a worker

        found = binomtest(self.happened, self.changes).proportion_ci(method="wilson")
        return 100 * float(found.low), 100 * float(found.high)


def tally(name: str, past: Sequence[Past]) -> Tally:
    """What some changes add up to."""
    return Tally(
        name=name,
        changes=len(past),
        expected=sum(change.probability for change in past),
        happened=sum(change.failed for change in past),
    )


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything the page says.

    Parameters
    ----------
    undecided : int
        Changes that began in the period but whose outcome is not known yet.
    late : int
        Changes that were scored only after they had begun: no forecast.
    caught : tuple of int
        Failures among the riskiest ``budget`` share of the changes, and all failures.
    linked : tuple of int
        Incidents of the period that name the change that caused them, and all incidents.
    """

    past: Sequence[Past]
    undecided: int
    late: int
    budget: float
    total: Tally
    bands: Sequence[Tally]
    months: Sequence[Tally]
    groups: Sequence[Group]
    caught: tuple[int, int]
    looks: Sequence[Tally]
    decisions: Sequence[Tally]
    overrides: Tally
    versions: Sequence[Tally]
    views: Sequence[Tally]
    linked: tuple[int, int]


def make_record(
    past: Sequence[Past],
    said: Mapping[str, Sequence[str]],
    expected: Mapping[str, Sequence[str]],
    *,
    undecided: int,
    late: int,
    budget: float,
    linked: tuple[int, int],
) -> Record:
    """The record of some changes.

    Parameters
    ----------
    said : mapping of str to sequence of str
        Of every change somebody spoke of, how its score looked to them.
    expected : mapping of str to sequence of str
        Of every change somebody was asked about, the bands they expected before they saw its score.
    """
    return Record(
        past=past,
        undecided=undecided,
        late=late,
        budget=budget,
        total=tally("all", past),
        bands=[tally(band, [p for p in past if p.band == band]) for band in BANDS[::-1]],
        months=_by(past, lambda p: f"{p.start:%Y-%m}"),
        groups=reliability_groups(past),
        caught=caught(past, budget),
        looks=[
            tally(look, [p for p in past if look in said.get(p.change_id, ())])
            for look in ("about_right", "too_high", "too_low")
        ],
        decisions=_by([p for p in past if p.decision], lambda p: str(p.decision)),
        overrides=tally("override", [p for p in past if p.override]),
        versions=_by(past, lambda p: p.version or "unknown"),
        views=[
            found
            for band in BANDS[::-1]
            if (found := tally(band, [p for p in past if band in expected.get(p.change_id, ())]))
            and found.changes
        ],
        linked=linked,
    )


def _by(past: Sequence[Past], name: Callable[[Past], str]) -> list[Tally]:
    grouped: dict[str, list[Past]] = defaultdict(list)
    for change in past:
        grouped[name(change)].append(change)
    return [tally(key, grouped[key]) for key in sorted(grouped)]


def caught(past: Sequence[Past], budget: float) -> tuple[int, int]:
    """Failures among the riskiest share of the changes that a board can read, and all failures."""
    ranked = sorted(past, key=lambda p: (-p.probability, p.change_id))
    read = ranked[: round(budget * len(ranked))]
    return sum(p.failed for p in read), sum(p.failed for p in past)


def reliability_groups(past: Sequence[Past]) -> list[Group]:
    """Changes of similar scores, about as many in each group, with what happened to them."""
    ranked = sorted(past, key=lambda p: p.probability)
    count = min(GROUPS, len(ranked) // FEW)
    groups = []
    for number in range(count):
        part = ranked[number * len(ranked) // count : (number + 1) * len(ranked) // count]
        found = tally("", part)
        low, high = found.interval
        groups.append(
            Group(
                predicted=found.expected / found.changes,
                happened=found.happened / found.changes,
                low=low / 100,
                high=high / 100,
                changes=found.changes,
            )
        )
    return groups
