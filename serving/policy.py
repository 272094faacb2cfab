"""The route a score suggests. It advises; people decide."""

from __future__ import annotations

from features.records import Change
from models.bands import Bands
from serving.contract import Recommendation

_WORDS = {"low": "low", "moderate": "moderate", "high": "high", "very_high": "very high"}


def recommend(change: Change, band: str, bands: Bands, *, missing: bool) -> Recommendation:
    """Who might decide about a change of this band.

    Low standard changes may go ahead as pre-approved, other low and moderate ones to a delegated
    approver, high ones to the board, emergencies to its emergency subset. A degraded score never
    shortens the way.
    """
    kind = (change.change_type or "").strip().lower()
    reasons = [f"The score is {_WORDS[band]}" + _observed(band, bands)]
    urgent = kind == "emergency"
    if band in ("high", "very_high"):
        route = "ecab" if urgent else "cab"
    elif missing:
        reasons.append("Part of what the score usually rests on is missing")
        route = "ecab" if urgent else "cab"
    elif band == "low" and kind == "standard":
        reasons.append("It is a standard change")
        route = "pre_approved"
    else:
        route = "delegated_approver"
    if urgent:
        reasons.append("It is an emergency change")
    return Recommendation(route=route, reasons=reasons)  # type: ignore[arg-type]


def _observed(band: str, bands: Bands) -> str:
    seen = bands.observed.get(band)
    if not seen or not seen.get("changes"):
        return ""
    return f": in the test window {seen['failures']} of {seen['changes']} such changes failed"
