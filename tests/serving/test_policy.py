"""The policy in service: told, tried in shadow, followed, and never in the way of a score."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.catalogue import NAMES
from features.records import Change
from models.bands import Bands
from models.policy_file import kept_as, load
from models.routing import Case
from serving.policy import recommend
from serving.replay import replay

TRIED = """
[[rules]]
name = "everything"
route = "cab"
shadow = true
[[rules]]
name = "nothing"
route = "delegated_approver"
"""


def test_the_reason_says_what_was_seen() -> None:
    bands = Bands(
        moderate=0.1,
        high=0.2,
        very_high=0.3,
        review_budget=0.1,
        observed={
            "high": {"changes": 40, "failures": 9, "rate": 0.225},
            "low": {"changes": 0, "failures": 0, "rate": None},
        },
    )

    def reasons(band: str) -> list[str]:
        change = Change(change_id="C1", known_at=datetime(2026, 1, 1, tzinfo=UTC))
        row = np.full(len(NAMES), np.nan)
        case = Case(change=change, band=band, probability=0.25, degraded=False, row=row)
        told, _ = recommend(load(), case, bands)
        assert told is not None
        return told.reasons

    assert reasons("high") == ["The score is high: in the test window 9 of 40 such changes failed"]
    assert reasons("low") == ["The score is low"]


@pytest.fixture
def under(serve: Callable[..., Any], home: Path, loaded: type) -> Callable[[str], Any]:
    """Starts a service under a policy."""

    def under(text: str) -> Any:
        (home / "policy.toml").write_text(text, encoding="utf-8")
        return serve(home, kind=loaded)

    return under


def last(service: Any) -> dict[str, Any]:
    entries = [e for e in service.store.journal_entries() if e.kind == "score"]
    return entries[-1].body


def test_a_route_names_its_rule_and_policy(service: Any, ticket: Callable[..., Any]) -> None:
    told = service.score(ticket(change_type="standard"))["recommendation"]
    assert told["policy"] == load().version
    assert told["rule"] in {None, *(rule.name for rule in load().rules)}
    assert "shadow" not in last(service)
    kept = service.store.setting(kept_as(told["policy"]))
    assert kept == load().content


def test_in_shadow_mode_no_answer_names_a_route(
    under: Callable[[str], Any], ticket: Callable[..., Any]
) -> None:
    service = under('mode = "shadow"')
    body = ticket()
    answer = service.score(body)
    assert answer["recommendation"] is None
    assert "shadow" not in str(answer).lower()
    batch = service.ask("POST", "/v1/score/batch?explain=none", json=[ticket()]).json()
    assert batch["items"][0]["answer"]["recommendation"] is None
    again = service.ask("GET", f"/v1/scores/{answer['score_id']}").json()
    assert again["recommendation"] is None
    entries = [e.body for e in service.store.journal_entries() if e.kind == "score"]
    assert len(entries) == 2
    for entry in entries:
        assert entry["shadow"]["route"] in ("pre_approved", "delegated_approver", "cab", "ecab")
        assert entry["answer"]["recommendation"] is None
    found = service.ask("GET", f"/v1/changes/{body['change_id']}", role="approver").json()
    assert found["current"]["route"] is None
    assert found["current"]["shadow_route"] == entries[0]["shadow"]["route"]


def test_a_rule_in_shadow_is_kept_beside_what_was_told(
    under: Callable[[str], Any], ticket: Callable[..., Any]
) -> None:
    service = under(TRIED)
    answer = service.score(ticket())
    assert answer["recommendation"]["rule"] == "nothing"
    assert (last(service)["shadow"]["rule"], last(service)["shadow"]["route"]) == (
        "everything",
        "cab",
    )


def test_the_pages_say_what_would_have_been(
    under: Callable[[str], Any], ticket: Callable[..., Any], person_of: Callable[..., Any]
) -> None:
    service = under(TRIED)
    start = service.clock.now.isoformat()
    body = ticket(planned_start=start, planned_end=None)
    service.score(body)
    approver = person_of(service, "approver")
    assert "in shadow: go to the board" in approver("/")
    assert "In shadow, it would go to the board" in approver(f"/changes/{body['change_id']}")


def test_bands_of_the_policy_are_those_of_the_answer(
    under: Callable[[str], Any], ticket: Callable[..., Any]
) -> None:
    service = under("[bands]\nmoderate = 0.0\nhigh = 0.0\nvery_high = 0.0\n")
    answer = service.score(ticket(change_type="normal"))
    assert answer["risk_band"] == "very_high"
    assert answer["recommendation"]["route"] == "cab"
    assert answer["recommendation"]["reasons"] == ["The score is very high"]


def test_a_broken_policy_stops_no_score(
    under: Callable[[str], Any], ticket: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    service = under("mode = 7")
    answer = service.score(ticket())
    assert answer["status"] in ("scored", "degraded")
    assert answer["recommendation"] is None
    assert "policy_unreadable" in {warning["code"] for warning in answer["warnings"]}
    assert service.ask("GET", "/readyz", role=None).status_code == 200
    assert "mode: expected" in caplog.text


def test_a_new_file_is_followed_and_a_broken_one_is_not(
    service: Any,
    ticket: Callable[..., Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "serving.runtime")
    monkeypatch.setattr("serving.runtime.FOLLOW_SECONDS", 0.1)
    monkeypatch.setattr(service.runtime, "_follow_at", 0.0)
    monkeypatch.setattr(type(service.runtime), "_registry", lambda _: Unmoved())
    path = service.home / "policy.toml"

    def rule() -> str | None:
        answer = service.score(ticket())
        assert answer["recommendation"] is not None
        return answer["recommendation"]["rule"]

    assert rule() != "nothing"
    path.write_text(TRIED, encoding="utf-8")
    eventually(lambda: rule() == "nothing")
    path.write_text("mode = 7", encoding="utf-8")
    eventually(lambda: rule() == "nothing" and "mode: expected" in caplog.text)
    path.unlink()
    eventually(lambda: rule() != "nothing")


class Unmoved:
    """A registry whose champion is never another."""

    def version_of(self, _alias: str) -> str | None:
        return None


def test_a_score_is_replayed_whatever_the_policy_was(
    under: Callable[[str], Any], ticket: Callable[..., Any], registered: Any
) -> None:
    service = under("[bands]\nvery_high = 0.0\n")
    answer = service.score(ticket())

    class One:
        def load(self, _version: str) -> Any:
            return registered

    assert replay(service.store, One(), answer["score_id"]).equal  # type: ignore[arg-type]


# the command line --------------------------------------------------------------------------------


def test_check_and_show(cli: Callable[..., Any], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert cli(home, "policy", "check").code == 0
    assert "risky: band high or very high -> cab" in cli(home, "policy", "show").out
    (home / "policy.toml").write_text(TRIED, encoding="utf-8")
    (facts,) = cli(home, "policy", "show", "--json").lines()
    assert [rule["name"] for rule in facts["rules"]] == ["everything", "nothing"]
    assert "(in shadow)" in cli(home, "policy", "show").out
    (home / "policy.toml").write_text("[bands]\nhihg = 0.1", encoding="utf-8")
    ran = cli(home, "policy", "check")
    assert ran.code == 2
    assert "bands.hihg: unknown name; did you mean 'high'?" in ran.err
    assert cli(home, "serve").code == 2, "said before the server starts"
    assert cli(home, "policy", "check", str(tmp_path / "none.toml")).code == 2
    assert cli(home, "policy", "example").out == load_text()


def load_text() -> str:
    from models.policy_file import DEFAULTS

    return DEFAULTS.read_text(encoding="utf-8")


def test_a_policy_of_the_past_is_shown(
    service: Any, ticket: Callable[..., Any], cli: Callable[..., Any]
) -> None:
    version = service.score(ticket())["recommendation"]["policy"]
    ran = cli(service.home, "policy", "show", "--version", version)
    assert f"policy {version} (policy {version}), mode advise" in ran.out
    assert cli(service.home, "policy", "show", "--version", "0").code == 2
