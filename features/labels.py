"""STEP 2. Labels: whether a change caused an incident, as far as was known at a moment.

A label is a product with a provenance, not a column. It is found from links between incidents and
changes, each with a source, a confidence and the time it became known:

``explicit``
    A field or a person says so (ServiceNow's ``caused_by``). ``rfc`` names the change that *fixes*
    the incident and is never read as a cause.
``text``
    The incident's text names the change.
``same_item``
    More incidents opened on the change's items in the window after its start than in the window of
    equal length before. Confidence is the attributable fraction ``(after - before) / after``
    [1]_. It finds noisy items as readily as risky changes: report the placebo beside it.
``back_out``
    The change itself was backed out, unplanned.

A change too young to know is *undecided*, never clean.

.. [1] Rothman, Greenland and Lash, *Modern Epidemiology*, 3rd ed., ch. 4, attributable fraction.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from features import instants
from features.history import History
from features.instants import MISSING
from features.policy import LabelPolicy
from features.records import Link
from features.verdicts import Verdicts, verdicts


def label(history: History, policy: LabelPolicy, *, as_of: datetime) -> pd.DataFrame:
    """Outcome of every change, as far as was known at ``as_of``.

    Parameters
    ----------
    as_of : datetime
        Use only what was known then, aware.

    Returns
    -------
    DataFrame
        One row a change: ``change_id``, ``outcome`` (``caused``, ``clean`` or ``undecided``),
        ``source``, ``confidence``, ``known_at`` (when the outcome became known, NaT if undecided)
        and ``start``.
    """
    return outcomes(verdicts(history.as_of(as_of), policy), as_of)


def outcomes(found: Verdicts, as_of: datetime) -> pd.DataFrame:
    """The same of verdicts that were found from what was known at ``as_of``."""
    limit = instants.to_micros(as_of)
    caused = found.failed_at <= limit
    clean = ~caused & (found.decided_at <= limit)
    known_at = np.where(caused, found.failed_at, np.where(clean, found.decided_at, MISSING))
    return pd.DataFrame(
        {
            "change_id": found.revisions.table["change_id"][found.deciding],
            "outcome": np.select([caused, clean], ["caused", "clean"], "undecided"),
            # Of objects, or pandas would make None a NaN where another row has a source.
            "source": pd.Series(
                [s if c else None for s, c in zip(found.source, caused, strict=True)], dtype=object
            ),
            "confidence": np.where(caused, found.confidence, np.nan),
            "known_at": instants.micros_to_series(known_at),
            "start": instants.micros_to_series(found.revisions.start[found.deciding]),
        }
    )


def summary(history: History, policy: LabelPolicy, *, as_of: datetime) -> dict[str, Any]:
    """Counts by outcome and by source, and the base rate, as ``changerisk labels`` prints them.

    Parameters
    ----------
    as_of : datetime
        Use only what was known then, aware.
    """
    labels = label(history, policy, as_of=as_of)
    counts = Counter(labels["outcome"])
    decided = counts["caused"] + counts["clean"]
    by_source = {}
    for name in ("explicit", "text", "same_item", "back_out"):
        alone = label(history, replace(policy, sources=(name,)), as_of=as_of)
        by_source[name] = {
            "changes": int((alone["outcome"] == "caused").sum()),
            "decides": name in policy.sources,
        }
    return {
        "label": {
            "name": policy.name,
            "window_days": policy.window_days,
            "max_priority": policy.max_priority,
            "min_confidence": policy.min_confidence,
            "settle_days": policy.settle_days,
            "sources": list(policy.sources),
        },
        "as_of": as_of.isoformat(),
        "changes": len(labels),
        "caused": counts["caused"],
        "clean": counts["clean"],
        "undecided": counts["undecided"],
        "base_rate": counts["caused"] / decided if decided else None,
        "by_source": by_source,
        "fixed_by_links_ignored": int((history.as_of(as_of)[Link]["kind"] == "fixed_by").sum()),
    }


def summary_lines(found: dict[str, Any]) -> list[str]:
    """The summary for people, a line each."""
    name, rate = found["label"]["name"], found["base_rate"]
    shown = "unknown" if rate is None else f"{rate:.2%}"
    lines = [
        f"label {name}, as of {found['as_of']}: base rate {shown}",
        f"caused {found['caused']:,}, clean {found['clean']:,}, undecided {found['undecided']:,}",
    ]
    for source, entry in found["by_source"].items():
        word = "decides" if entry["decides"] else "only counted"
        lines.append(f"  {source}: {entry['changes']:,} changes ({word})")
    return lines
