"""The route a score suggests. It advises; people decide."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from features.language import say
from features.store import Store, StoreError
from models.bands import Bands
from models.policy_file import kept_as
from models.routing import Case, Routed, RoutingPolicy
from serving.contract import Recommendation, Warned

_log = logging.getLogger(__name__)

BAND_WORDS = {"low": "low", "moderate": "moderate", "high": "high", "very_high": "very high"}

UNREADABLE = Warned(
    code="policy_unreadable", text="The policy could not be read: no route is suggested."
)


def keep_policy(store: Store, policy: RoutingPolicy | None) -> None:
    """Keep what a policy says under its digest: answers name their policy by its version."""
    if policy is None:
        return
    try:
        if store.setting(kept_as(policy.version)) is None:
            store.set_setting(kept_as(policy.version), policy.content)
    except StoreError as error:
        _log.error("the policy in force could not be kept: %s", error)


def recommend(
    policy: RoutingPolicy, case: Case, bands: Bands
) -> tuple[Recommendation | None, Recommendation | None]:
    """Who might decide about a change, and who would have been suggested in shadow.

    See ``models/policy.toml`` for the rules.
    """
    told, tried = policy.route(case)
    return _worded(policy, told, case, bands), _worded(policy, tried, case, bands)


def _worded(
    policy: RoutingPolicy, routed: Routed | None, case: Case, bands: Bands
) -> Recommendation | None:
    if routed is None:
        return None
    return Recommendation(
        route=routed.route,  # type: ignore[arg-type]
        reasons=[*_score(case, bands), *map(say, routed.reasons)],
        rule=routed.rule,
        policy=policy.version,
    )


def _score(case: Case, bands: Bands) -> Sequence[str]:
    """What the score says, and how often it was so."""
    seen, shown = bands.observed.get(case.band), say(BAND_WORDS[case.band])
    if not seen or not seen.get("changes"):
        return [say("The score is {band}", band=shown)]
    told = say(
        "The score is {band}: in the test window {failed} of {changes} such changes failed",
        band=shown,
        failed=str(seen["failures"]),
        changes=str(seen["changes"]),
    )
    return [told]
