"""The doctor names what is wrong and what to do, and never breaks on a sick patient."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from features.settings import Settings
from serving.doctor import examine


def by_check(home: Path, now: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for one in examine(Settings.from_environment({"CHANGERISK_HOME": str(home)}), now=now):
        assert one.text
        assert bool(one.todo) == (one.outcome != "ok"), one
        found.setdefault(one.check, []).append(one)
    return found


@pytest.fixture
def now(organisation_made: Any) -> Any:
    """A day after the last fact of the synthetic organisation."""
    return max(r.known_at for r in organisation_made.records) + timedelta(days=1)


def test_a_healthy_home(home: Path, now: Any) -> None:
    found = by_check(home, now)
    assert {"environment", "store", "keys", "history", "links", "label", "registry", "model"} <= (
        set(found)
    )
    assert not [one for ones in found.values() for one in ones if one.outcome == "failure"]
    assert "synthetic" in found["store"][1].text


def test_old_facts_and_an_old_model(home: Path, now: Any) -> None:
    found = by_check(home, now + timedelta(days=400))
    assert found["history"][0].outcome == "warning"
    assert "400 days ago" in found["history"][0].text or "401" in found["history"][0].text
    assert found["model"][0].outcome == "warning"
    assert "changerisk train" in found["model"][0].todo


def test_a_score_makes_no_history_fresh(
    home: Path, now: Any, service: Any, ticket: Callable[..., Any]
) -> None:
    service.score(ticket())
    found = by_check(home, now + timedelta(days=400))
    assert found["history"][0].outcome == "warning"
    assert "`changerisk sync`" in found["history"][0].todo


def test_facts_from_the_future(home: Path, now: Any) -> None:
    (found,) = by_check(home, now - timedelta(days=30))["history"]
    assert (found.outcome, "time zone" in found.todo) == ("warning", True)


def test_a_damaged_registry(home: Path, now: Any) -> None:
    (home / "mlflow.db").write_bytes(b"no database at all" * 100)
    (found,) = by_check(home, now)["registry"]
    assert found.outcome == "failure"
    assert "mlflow.db" in found.todo


def test_a_home_that_is_a_file(home: Path, now: Any) -> None:
    found = by_check(home / "history.db", now)
    assert found["environment"][-1].outcome == "failure"
    assert "CHANGERISK_HOME" in found["environment"][-1].todo


def test_without_a_model(modelless: Path, now: Any) -> None:
    found = by_check(modelless, now)
    assert [(one.outcome, one.todo) for one in found["model"]] == [
        ("failure", "`changerisk train`")
    ]


def test_an_empty_home(tmp_path: Path, now: Any) -> None:
    found = by_check(tmp_path / "new", now)
    assert found["store"][0].outcome == "failure"
    assert found["keys"][0].outcome == "warning"


def test_a_store_that_is_none(home: Path, now: Any) -> None:
    (home / "history.db").write_bytes(b"this is not a database " * 100)
    found = by_check(home, now)
    assert found["store"][0].outcome == "failure"


def test_a_changed_journal(home: Path, now: Any, service: Any, ticket: Callable[..., Any]) -> None:
    service.score(ticket())
    with service.store.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE journal SET body = replace(body, '\"low\"', '\"lower\"')"
        )
        connection.exec_driver_sql("UPDATE journal SET written_at = written_at + 1")
    found = by_check(home, now)
    assert found["journal"][0].outcome == "failure"


def test_the_command(home: Path, modelless: Path, cli: Callable[..., Any]) -> None:
    ran = cli(home, "doctor", "--json")
    assert ran.code == 0, ran.err
    assert orjson.loads(ran.out)["healthy"] is True
    ran = cli(modelless, "doctor")
    assert ran.code == 1
    assert "FAILURE  model: the registry has no champion" in ran.out
