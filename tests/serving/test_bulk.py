"""Many changes at once: the same numbers as one at a time, recorded the same way."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.bands import BOARD
from serving.bulk import CHUNK, chunks, score_many
from serving.contract import ChangeIn
from serving.journal import verify
from serving.routes.batch import MOST

SAME = (
    "change_id", "revision", "status", "incident_probability", "base_rate", "times_base_rate",
    "risk_band", "percentile", "summary", "recommendation", "warnings", "model", "as_of",
    "input_hash",
)  # fmt: skip

WITH_REASONS = ("nothing_changeable", "few_precedents")
"""Warnings that need reasons."""


@pytest.fixture
def bodies(ticket: Callable[..., Any]) -> list[dict[str, Any]]:
    odd = {"change_id": "BULK-BARE"}
    return [*(ticket() for _ in range(12)), odd, ticket(revision="7"), ticket(as_of=None)]


def test_the_same_numbers_as_one_at_a_time(
    serve: Any, new_home: Any, loaded: Any, bodies: list[Any]
) -> None:
    alone, together = (serve(new_home(), kind=loaded) for _ in range(2))
    one_by_one = [alone.score(body) for body in bodies]
    response = together.ask("POST", "/v1/score/batch?explain=none", json=bodies)
    assert response.status_code == 200
    at_once = [item["answer"] for item in response.json()["items"]]
    for one, other in zip(one_by_one, at_once, strict=True):
        high = other["risk_band"] in BOARD
        codes = [warning["code"] for warning in other["warnings"]]
        assert codes.count("without_reasons") == high
        for answer, only in ((one, WITH_REASONS), (other, "without_reasons")):
            answer["warnings"] = [w for w in answer["warnings"] if w["code"] not in only]
        assert {name: one[name] for name in SAME} == {name: other[name] for name in SAME}
        assert (other["factors"], other["levers"], other["similar_changes"]) == ([], [], [])
    assert verify(together.store).fault is None
    for name in ("change_revision", "journal", "change_state"):
        assert together.rows()[name] == alone.rows()[name]
    kept = {entry.entry_id: entry.body for entry in together.store.journal_entries()}
    for item in response.json()["items"]:
        body = kept[item["answer"]["score_id"]]
        assert (body["answer"], body["explain"]) == (item["answer"], "none")
    queued = together.ask("GET", "/v1/changes", params={"limit": 200}).json()["items"]
    assert {item["score_id"] for item in queued} <= {answer["score_id"] for answer in at_once}


def test_with_reasons_it_is_one_after_another(shared: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    (item,) = shared.ask("POST", "/v1/score/batch", json=[body]).json()["items"]
    single = shared.score(body)
    for name in (*SAME, "factors", "similar_changes"):  # warnings among them
        assert item["answer"][name] == single[name]


@pytest.mark.parametrize("explain", ["full", "none"])
def test_what_is_wrong_with_one_spares_the_others(
    shared: Any, ticket: Callable[..., Any], explain: str
) -> None:
    late = {"change_id": "X", "as_of": "2199-01-01T00:00:00Z"}
    bodies = [ticket(), {"change_id": ""}, ticket(), [], late]
    path = f"/v1/score/batch?explain={explain}"
    before = shared.rows()["journal"]
    items = shared.ask("POST", path, json=bodies).json()["items"]
    assert [item["answer"] is not None for item in items] == [True, False, True, False, False]
    assert items[1]["problem"]["errors"][0]["pointer"] == "/change_id"
    assert items[4]["problem"]["errors"][0]["pointer"] == "/as_of"
    assert shared.rows()["journal"] == before + 2


def test_one_a_line(shared: Any, ticket: Callable[..., Any]) -> None:
    lines = b"\xef\xbb\xbf" + json.dumps(ticket()).encode() + b"\n\n{\n" + b'{"change_id": "L"}'
    headers = {"Content-Type": "application/x-ndjson"}
    response = shared.ask("POST", "/v1/score/batch?explain=none", content=lines, headers=headers)
    assert response.headers["content-type"] == "application/x-ndjson"
    items = [json.loads(line) for line in response.text.splitlines()]
    assert [set(item) for item in items] == [{"answer"}, {"problem"}, {"answer"}]
    assert items[1]["problem"]["detail"].startswith("line 3: ")


@pytest.mark.parametrize("body", [{}, {"changes": []}, 1, "x"])
def test_what_is_no_list_is_refused(shared: Any, body: object) -> None:
    response = shared.ask("POST", "/v1/score/batch", json=body)
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "")


@pytest.mark.parametrize(("explain", "most"), MOST.items())
def test_there_is_a_limit(shared: Any, explain: str, most: int) -> None:
    path = f"/v1/score/batch?explain={explain}"
    response = shared.ask("POST", path, json=[0] * (most + 1))
    assert response.status_code == 422
    assert str(most) in response.json()["errors"][0]["detail"]
    assert shared.ask("POST", path, json=[0] * 3).status_code == 200


def test_a_large_body_is_taken_here_only(
    serve: Any, home: Path, loaded: Any, ticket: Callable[..., Any]
) -> None:
    service = serve(home, kind=loaded, CHANGERISK_MAX_BATCH_BYTES="600000")
    body = ticket(description="x" * 280_000)
    assert service.ask("POST", "/v1/score", json=body).status_code == 413
    path = "/v1/score/batch?explain=none"
    assert service.ask("POST", path, json=[body]).status_code == 200
    assert service.ask("POST", path, json=[body] * 3).status_code == 413


def test_revisions_are_counted_in_bulk_too(service: Any, ticket: Callable[..., Any]) -> None:
    body = ticket()
    other = {**body, "urgency": "1"}
    bodies = [body, body, other, {**other, "urgency": "2"}]
    items = service.ask("POST", "/v1/score/batch?explain=none", json=bodies).json()["items"]
    assert [item["answer"]["revision"] for item in items] == ["1", "1", "2", "3"]


def test_parts_hold_no_change_twice() -> None:
    names = ["a", "b", "a", *(str(n) for n in range(CHUNK + 3))]
    found = list(chunks(ChangeIn(change_id=name) for name in names))
    assert [change.change_id for part in found for change in part] == names
    assert [len(part) for part in found] == [2, CHUNK, 4]
    assert list(chunks([])) == []


def test_without_a_model_or_a_store_there_are_answers(
    serve: Any, modelless: Path, ticket: Callable[..., Any]
) -> None:
    service = serve(modelless)
    path = "/v1/score/batch?explain=none"
    (item,) = service.ask("POST", path, json=[ticket()]).json()["items"]
    assert item["answer"]["status"] == "not_scored"
    assert "model_unavailable" in {w["code"] for w in item["answer"]["warnings"]}
    assert service.journal()[-1]["answer"] == item["answer"], "on record, as one asked for alone"


def test_a_part_that_cannot_be_recorded_is_not_scored(
    service: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from features.store import StoreUnavailableError
    from features.store.writing import Writer

    def refuse(*_: object) -> None:
        raise StoreUnavailableError("no room")

    monkeypatch.setattr(Writer, "append_all", refuse)
    scorer = service.runtime.scorer()
    before = service.rows()
    changes = [ChangeIn.model_validate(ticket()) for _ in range(3)]
    answers = score_many(scorer, changes, now=service.clock.now)
    assert {answer.status for answer in answers} == {"not_scored"}
    assert service.rows() == before


def test_replay_of_a_number(shared: Any, ticket: Callable[..., Any], cli: Any) -> None:
    shared.clock.now += timedelta(microseconds=1)
    path = "/v1/score/batch?explain=none"
    (item,) = shared.ask("POST", path, json=[ticket()]).json()["items"]
    ran = cli(shared.home, "audit", "replay", item["answer"]["score_id"])
    assert ran.code == 0, ran.err
    assert "equal, bit for bit" in ran.out


def test_a_file_is_read_in_parts(
    home: Path, cli: Callable[..., Any], ticket: Callable[..., Any], tmp_path: Path
) -> None:
    path, count = tmp_path / "many.jsonl", CHUNK + 30
    lines = [json.dumps({**ticket(), "change_id": f"F{n}"}) for n in range(count)]
    lines[7] = "{"
    path.write_text("\n".join(lines))
    ran = cli(home, "score", str(path), "--explain", "none", "--json")
    assert ran.code == 2, "one line is no JSON"
    found = ran.lines()
    assert [answer["change_id"] for answer in found] == [f"F{n}" for n in range(count) if n != 7]
    assert all(answer["status"] == "scored" for answer in found)
    assert "line 8" in ran.err
