"""What counts as *caused*: the settings of a label, and the labels known by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from features import instants


@dataclass(frozen=True, kw_only=True)
class LabelPolicy:
    """What counts as *caused*.

    Parameters
    ----------
    name : str
        Short name of the label, shown wherever a figure rests on it.
    sources : tuple of str
        Which of ``explicit, text, same_item, back_out`` decide.
    window_days : float
        The incident or back-out must come within this many days after the start.
    max_priority : int or None
        Incidents of this priority or more urgent count (1 is the most urgent); None counts all.
    min_confidence : float
        Links below it are ignored, between 0 and 1.
    settle_days : float
        How long after the window a change stays undecided, for links that are entered late.
    close_code : str or None
        Of the incidents on the same item only those closed with this code count, and of them those
        closed within ``settle_days`` of being opened: at any moment, before a change as after it.
    min_rise : int
        Number of incidents on the same items by which more must come after than before.
    means : str
        The outcome in words, after "changes that …".
    """

    name: str
    sources: tuple[str, ...]
    window_days: float = 7.0
    max_priority: int | None = None
    min_confidence: float = 0.0
    settle_days: float = 0.0
    close_code: str | None = None
    min_rise: int = 1
    means: str = "led to an incident"

    @property
    def window(self) -> int:
        """The window in microseconds."""
        return round(self.window_days * instants.DAY)

    @property
    def embargo(self) -> timedelta:
        """Window and settling time together: the gap an honest split leaves."""
        return timedelta(days=self.window_days + self.settle_days)

    @property
    def settle(self) -> int:
        """The settling time in microseconds."""
        return round(self.settle_days * instants.DAY)


POLICIES: dict[str, LabelPolicy] = {
    "incident": LabelPolicy(name="incident", sources=("explicit", "text"), settle_days=7.0),
    "failed": LabelPolicy(name="failed", sources=("back_out",), means="were backed out"),
    "incident_rise": LabelPolicy(
        name="incident_rise",
        sources=("same_item",),
        means="were followed by more incidents on their items than came before",
    ),
    "incident_24h": LabelPolicy(
        name="incident_24h",
        sources=("same_item",),
        window_days=1.0,
        means="were followed within a day by more incidents on their items than came before",
    ),
    "software_incident": LabelPolicy(
        name="software_incident",
        sources=("same_item",),
        window_days=1.0,
        settle_days=14.0,
        close_code="Software",
        means="were followed within a day by more incidents closed as software than came before",
    ),
    "burst": LabelPolicy(
        name="burst",
        sources=("same_item",),
        window_days=3.0,
        min_rise=3,
        means="were followed by a burst of incidents on their items",
    ),
}
"""The labels known by name."""


def policy_from(name: str, **changed: Any) -> LabelPolicy:
    """A named policy with some of its settings replaced.

    Parameters
    ----------
    name : str
        A label known by name.
    **changed
        Its settings to replace, such as ``window_days=3``.

    Raises
    ------
    ValueError
        If there is no label of that name.
    """
    if name not in POLICIES:
        raise ValueError(f"there is no label {name!r}; known are {', '.join(sorted(POLICIES))}")
    return replace(POLICIES[name], **{k: v for k, v in changed.items() if v is not None})
