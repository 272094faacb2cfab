"""What a campaign found, as figures."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.traffic import Seen


@dataclass
class Act:
    """One thing that was done, and how long it took to recover from."""

    name: str
    recovery: float


@dataclass
class Report:
    """What a campaign found."""

    seed: int
    store: str
    seconds: float
    acts: list[Act]
    seen: Seen
    entries: int
    lost: int
    altered: int
    fault: str | None
    unlike: list[str]
    unlisted: int
    problems: list[str] = field(default_factory=list)

    def held(self) -> bool:
        """Whether all that must hold does."""
        return not (
            self.lost or self.altered or self.fault or self.unlike or self.unlisted
            or self.seen.faulty or self.problems
        )  # fmt: skip

    def figures(self) -> dict[str, Any]:
        """As plain data."""
        by_name: dict[str, list[float]] = {}
        for act in self.acts:
            by_name.setdefault(act.name, []).append(act.recovery)
        return {
            "held": self.held(),
            "seed": self.seed,
            "store": self.store,
            "seconds": round(self.seconds, 1),
            "requests": self.seen.requests,
            "answers": dict(self.seen.statuses),
            "not_scored_because": dict(self.seen.codes),
            "models": dict(self.seen.versions),
            "connections_broken": self.seen.broken,
            "longest_answer_seconds": round(self.seen.longest, 2),
            "acts": {
                name: {
                    "times": len(taken),
                    "recovery_seconds_median": round(statistics.median(taken), 2),
                    "recovery_seconds_most": round(max(taken), 2),
                }
                for name, taken in sorted(by_name.items())
            },
            "acknowledged": len(self.seen.acknowledged),
            "journal_entries": self.entries,
            "lost": self.lost,
            "altered": self.altered,
            "chain_fault": self.fault,
            "replays_unlike": self.unlike,
            "not_in_the_queue": self.unlisted,
            "faulty_answers": self.seen.faulty[:10],
            "problems": self.problems,
        }
