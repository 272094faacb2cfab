"""Whatever fails, the workflow gets an answer; never a score nobody could account for."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.records import Change
from features.state import FeatureState
from features.store import StoreError, StoreUnavailableError
from features.store.writing import Writer
from models.registry import Registered, Registry, RegistryError
from serving import answers, runtime, scorer, scoring
from serving.problems import MEDIA_TYPE


def check_unscored(answer: dict[str, Any], code: str) -> None:
    assert answer["status"] == "not_scored"
    for name in ("incident_probability", "base_rate", "risk_band", "percentile", "recommendation"):
        assert answer[name] is None
    for name in ("factors", "levers", "similar_changes", "collisions"):
        assert answer[name] == []
    assert answer["warnings"][-1]["code"] == code
    assert answer["warnings"][-1]["text"]
    assert "not scored" in answer["summary"]


def check_health(service: Any, reason: str) -> None:
    """Alive, not ready, and it says why."""
    assert service.ask("GET", "/livez", role=None).status_code == 200
    response = service.ask("GET", "/readyz", role=None)
    assert response.status_code == 503
    assert response.json()["status"] == "not ready"
    assert reason in response.json()["reason"]


def journaled(service: Any, answer: dict[str, Any]) -> bool:
    return service.journal()[-1]["answer"] == answer


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed to open is tried again at once."""
    monkeypatch.setattr(runtime, "RETRY_SECONDS", 0.0)


# no model ----------------------------------------------------------------------------------------


def test_without_a_model(
    serve: Callable[..., Any],
    modelless: Path,
    ticket: Callable[..., Any],
    registered: Registered,
    eventually: Callable[..., Any],
) -> None:
    service = serve(modelless)
    answer = service.score(ticket())
    check_unscored(answer, "model_unavailable")
    assert answer["warnings"][-1]["text"] == "There was no model to score it with."
    assert answer["model"] is None
    assert journaled(service, answer)
    check_health(service, "no model change-risk@champion")
    response = service.ask("GET", "/v1/model")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert "changerisk_ready 0.0" in service.ask("GET", "/metrics").text

    settings = service.runtime.settings
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    registry.save(registered.model, params={}, metrics={}, tags={}, alias="champion")
    eventually(lambda: service.ask("GET", "/readyz").status_code == 200)
    assert service.score(ticket())["status"] == "scored"


DAMAGES: dict[str, Callable[[Path], object]] = {
    "facts cut off": lambda folder: cut(folder / "bundle.json"),
    "facts gone": lambda folder: (folder / "bundle.json").unlink(),
    "facts of another kind": lambda folder: (folder / "bundle.json").write_bytes(b"[]"),
    "facts without bands": lambda folder: replace(folder / "bundle.json", b'"bands"', b'"bonds"'),
    "another catalogue": lambda folder: replace(
        folder / "bundle.json", b'"features": "', b'"features": "x'
    ),
    "estimator changed": lambda folder: cut(folder / "estimator.skops"),
    "estimator gone": lambda folder: (folder / "estimator.skops").unlink(),
    "all gone": lambda folder: shutil.rmtree(folder),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize("damage", DAMAGES)
def test_with_a_damaged_model(
    serve: Callable[..., Any],
    home: Path,
    template: Any,
    ticket: Callable[..., Any],
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "RETRY_SECONDS", 60.0)
    shutil.copytree(template.home / "artifacts", home / "artifacts")
    with closing(sqlite3.connect(home / "mlflow.db")) as connection, connection:
        connection.execute(
            "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)",
            (str(template.home), str(home)),
        )
    (folder,) = (path.parent for path in (home / "artifacts").rglob("bundle.json"))
    DAMAGES[damage](folder)
    service = serve(home)
    answer = service.score(ticket())
    check_unscored(answer, "model_unavailable")
    assert answer["warnings"][-1]["text"] == "There was no model to score it with."
    assert journaled(service, answer)
    check_health(service, "")


def test_with_a_model_that_cannot_be_used(
    serve: Callable[..., Any],
    home: Path,
    ticket: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_model: object) -> None:
        raise ValueError("no trees")

    monkeypatch.setattr(scorer, "Explainer", fail)
    service = serve(home)
    answer = service.score(ticket())
    check_unscored(answer, "model_unavailable")
    assert journaled(service, answer)
    check_health(service, "could not be used (ValueError)")


def test_nobody_waits_for_a_registry_out_of_reach(
    serve: Callable[..., Any],
    modelless: Path,
    ticket: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., Any],
) -> None:
    service = serve(modelless)
    reached, let_go = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        reached.set()
        let_go.wait(30)
        raise RegistryError("out of reach")

    monkeypatch.setattr("models.registry.Registry", hang)
    assert eventually(lambda: service.score(ticket()) and reached.is_set())
    begun = time.monotonic()
    for _ in range(5):
        check_unscored(service.score(ticket()), "model_unavailable")
    assert time.monotonic() - begun < 5
    let_go.set()
    eventually(lambda: service.ask("GET", "/readyz").json()["reason"] == "out of reach")


# no store ----------------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(b"this is not a database " * 1000)


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [garbage, folder, cut_in_half])
def test_without_a_store(
    serve: Callable[..., Any],
    home: Path,
    template: Any,
    ticket: Callable[..., Any],
    spoil: Callable[[Path], None],
    eventually: Callable[..., Any],
) -> None:
    spoil(home / "history.db")
    service = serve(home)
    body = ticket(revision="5")
    answer = service.score(body)
    check_unscored(answer, "store_unavailable")
    assert (answer["change_id"], answer["revision"]) == (body["change_id"], "5")
    check_health(service, "")
    closed_routes(service)

    path = home / "history.db"
    shutil.copy(template.home / "history.db", home / "restored.db")
    if path.is_dir():
        path.rename(home / "was.db")
    (home / "restored.db").replace(path)  # at once: where no file is, the service makes one
    eventually(lambda: service.ask("GET", "/readyz").status_code == 200)
    assert service.score(ticket())["status"] == "scored"


def closed_routes(service: Any) -> None:
    """Without keys that can be checked nothing is shown, and nobody without one is answered."""
    for path in ("/v1/model", "/v1/changes/C1", "/v1/scores/s1", "/metrics"):
        response = service.ask("GET", path)
        assert response.status_code == 503
        assert response.headers["content-type"] == MEDIA_TYPE
    assert service.ask("POST", "/score", json={"change_id": "C1"}).status_code == 503
    assert service.ask("POST", "/v1/score", role=None, json={"change_id": "C1"}).status_code == 401
    assert service.send(b"{").status_code == 400
    assert service.send(b"{}").status_code == 422


def test_a_store_server_out_of_reach(
    serve: Callable[..., Any], modelless: Path, ticket: Callable[..., Any]
) -> None:
    url = "postgresql+psycopg://somebody:hush-hush@127.0.0.1:9/changes"
    service = serve(modelless, CHANGERISK_STORE_URL=url)
    check_unscored(service.score(ticket()), "store_unavailable")
    response = service.ask("GET", "/readyz", role=None)
    assert response.status_code == 503
    assert "hush-hush" not in response.text


def test_a_store_that_breaks_and_comes_back(
    service: Any, template: Any, ticket: Callable[..., Any]
) -> None:
    assert service.score(ticket())["status"] == "scored"
    path = service.home / "history.db"
    service.store.close()
    for leftover in service.home.glob("history.db-*"):
        leftover.unlink()
    kept = path.read_bytes()
    garbage(path)
    check_unscored(service.score(ticket()), "store_unavailable")
    check_health(service, "not a database")
    closed_routes(service)
    service.store.close()
    path.write_bytes(kept)
    assert service.score(ticket())["status"] == "scored"


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Another process writes, and writes, and writes."""
    connection = sqlite3.connect(home / "history.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def test_a_store_that_another_holds(service: Any, ticket: Callable[..., Any]) -> None:
    def impatient(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA busy_timeout = 200")

    sa.event.listen(service.store.engine, "connect", impatient)
    service.store.close()
    before = service.rows()
    with held(service.home):
        check_unscored(service.score(ticket()), "not_recorded")
        assert service.ask("GET", "/readyz").status_code == 200
    assert service.rows() == before
    assert service.score(ticket())["status"] == "scored"


# faults of our own -------------------------------------------------------------------------------


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError("a fault of ours")


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (scorer, "score_all"),
        (scoring, "best"),
        (answers, "similar_changes"),
        (scorer, "with_score"),
    ],
)
def test_code_that_fails(
    shared: Any,
    ticket: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: object,
    name: str,
) -> None:
    monkeypatch.setattr(place, name, fail)
    # Still to come, or nobody would ask what could be done instead.
    window = {"planned_start": "2025-06-05T10:00:00Z", "planned_end": "2025-06-05T11:00:00Z"}
    turned = "FAIL\u202e1"  # what follows would be read from right to left
    answer = shared.score(ticket(change_id=turned, **window))
    check_unscored(answer, "internal_error")
    assert journaled(shared, answer)
    assert "a fault of ours" in caplog.text
    assert "a fault of ours" not in str(answer)
    assert "scoring FAIL?1 failed" in caplog.text, "an id cannot forge a line of the log"


def test_an_index_that_failed_midway_is_made_anew(
    service: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ticket(), ticket()
    service.score(first)
    with service.store.write("import", now=service.clock.now) as writer:
        writer.add([Change(change_id="ELSEWHERE", known_at=service.clock.now)])
    with monkeypatch.context() as patch:
        patch.setattr(FeatureState, "extended", fail)
        answer = service.score(second)
        check_unscored(answer, "internal_error")
        assert journaled(service, answer), "what was sent is kept all the same"
    found = service.score(second)
    assert found["status"] == "scored"
    service.runtime.scorer()._state = None
    again = service.score(second)
    assert again["factors"] == found["factors"]


def test_what_cannot_be_taken_in_after_an_answer_spoils_neither_it_nor_the_next(
    service: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    service.score(ticket())
    with service.runtime.scorer().reading():
        pass  # what was written is taken in
    with monkeypatch.context() as patch:
        patch.setattr(FeatureState, "extended", fail)
        assert service.score(ticket())["status"] == "scored"
    assert service.score(ticket())["status"] == "scored"


@pytest.mark.parametrize("error", [StoreUnavailableError("disk full"), StoreError("broken")])
def test_an_answer_that_cannot_be_recorded_is_no_score(
    shared: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    before = shared.rows()
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "append_all", refuse)
        answer = shared.score(ticket())
    check_unscored(answer, "not_recorded")
    assert shared.rows() == before, "not the change either"
    assert shared.ask("GET", f"/v1/scores/{answer['score_id']}").status_code == 404


def test_a_fault_while_recording(
    shared: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shared.rows()
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "append_all", fail)
        check_unscored(shared.score(ticket()), "internal_error")
    assert shared.rows() == before
    assert shared.score(ticket())["status"] == "scored"


def test_those_who_would_wait_too_long_are_told(
    shared: Any, ticket: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "WAIT_SECONDS", 0.1)
    before = shared.rows()
    with shared.runtime.scorer()._lock:
        check_unscored(shared.score(ticket()), "busy")
    assert shared.rows() == before
    assert shared.score(ticket())["status"] == "scored"


def test_reading_says_when_it_cannot(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailableError("gone")

    monkeypatch.setattr(type(shared.store), "journal_entries", refuse)
    monkeypatch.setattr(type(shared.store), "journal_entry", refuse)
    monkeypatch.setattr(type(shared.store), "review", refuse)
    for path in ("/v1/changes", "/v1/schedule", "/v1/changes/C1", "/v1/scores/s1"):
        response = shared.ask("GET", path)
        assert response.status_code == 503
        assert response.json()["type"].endswith("/unavailable")
