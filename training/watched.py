"""A look at a model in service, to look at."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from training import plots
from training.monitoring import Monitored, lines
from training.views import Shown, View


@dataclass(frozen=True)
class Watched(Shown):
    """What a model said beside what happened, and how far the changes have moved.

    Parameters
    ----------
    monitored : Monitored
        What :func:`training.monitoring.monitor` found.
    """

    monitored: Monitored

    @property
    def view(self) -> View:
        """Failures expected and seen, by month."""
        found = self.monitored
        months = [
            {"month": one["month"], "ratio": {end: one[end] for end in ("value", "low", "high")}}
            for one in found.months
        ]
        names = ["month", "changes", "expected", "observed", "value", "low", "high", "alarm"]
        frame = pd.DataFrame(found.months, columns=names).set_index("month")
        alarms = "; ".join(found.alarms) or "no alarm"
        note = (
            f"Version {found.version}, {found.changes:,} mature changes ({found.judged_on}), "
            f"{found.undecided:,} undecided: {alarms}."
        )
        draw = plots.months(months).draw
        return View(title="Seen for each failure expected", frame=frame, note=note, draw=draw)

    def drift(self) -> View:
        """How far the changes and their scores have moved from those learnt from."""
        return plots.drift(self.monitored.features, self.monitored.score_psi)

    def __str__(self) -> str:
        return "\n".join(lines(self.monitored))
