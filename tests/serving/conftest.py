"""A small organisation with a model, made once; copies of it, and the service over them."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

import changerisk
from features.policy import POLICIES
from features.saved import open_state
from features.store import Store
from features.synthetic import Organisation, organisation
from models.registry import Registered, Registry
from serving.access import ROLES
from serving.contract import neutral
from serving.keys import create
from serving.runtime import Runtime
from serving.service import create_service
from tests.postgres import POSTGRES
from tests.serving.running import (
    EMPTY,
    MOVED,
    ON_POSTGRES,
    UNTIL,
    Clock,
    Service,
    Template,
    moved_to_postgres,
    settings_of,
)
from training.fit import train

# made once ---------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What ``changerisk demo`` and ``changerisk train`` leave, small, and a key for every role."""
    settings = settings_of(tmp_path_factory.mktemp("organisation"))
    made = organisation(seed=7, until=UNTIL, changes=2000, days=250)
    store = Store(settings.store_url)
    with store.write("demo", now=UNTIL) as writer:
        writer.add(made.records)
    store.set_setting("source", "demo")
    store.set_setting("label", {"name": "incident"})
    lines = b"".join(neutral(change) for change in made.upcoming)
    (settings.home / "upcoming.jsonl").write_bytes(lines)
    keys = {
        role: create(store, name=f"{role}s", role=role, now=UNTIL, expires_at=None)
        for role in ROLES
    }
    trained = train(store.load(), POLICIES["incident"], now=UNTIL)
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    shutil.copy(settings.home / "mlflow.db", settings.home / EMPTY)
    registry.save(
        trained.model, params={}, metrics={}, tags={"label": "incident"}, alias="champion"
    )
    open_state(store, POLICIES["incident"], settings.indexes, trained.model.place)
    store.close()
    return Template(settings.home, keys, made)


@pytest.fixture(scope="session")
def registered(template: Template) -> Registered:
    """The model, as it comes out of the registry."""
    settings = settings_of(template.home)
    return Registry(settings.mlflow_uri, settings.artifacts).load("champion")


@pytest.fixture(scope="session")
def organisation_made(template: Template) -> Organisation:
    """What is in the store, and the truth behind it."""
    return template.made


# copies ------------------------------------------------------------------------------------------


def copy_of(template: Template, home: Path, *names: str) -> Path:
    """A home with the store and the registry of the template; artefacts stay where they are.

    With all of it the saved index comes along, which each would otherwise build anew.
    """
    home.mkdir(parents=True)
    if not names:
        saved = settings_of(template.home).indexes
        shutil.copytree(saved, settings_of(home).indexes)
    for name in names or ("history.db", "mlflow.db", "upcoming.jsonl"):
        shutil.copy(template.home / name, home / name)
    return home


@pytest.fixture
def new_home(template: Template, tmp_path: Path) -> Callable[..., Path]:
    """Makes homes of a test's own: with all, or with the files named."""
    numbers = itertools.count()
    return lambda *names: copy_of(template, tmp_path / f"home{next(numbers)}", *names)


@pytest.fixture
def modelless(new_home: Callable[..., Path]) -> Path:
    """A home with history and keys, and a registry without a model."""
    home = new_home("history.db", EMPTY)
    (home / EMPTY).rename(home / "mlflow.db")
    return home


@pytest.fixture
def home(new_home: Callable[..., Path]) -> Path:
    """A home of the test's own, with history, keys and model."""
    return new_home()


@pytest.fixture
def moved(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], str]]:
    """Moves what is in homes' files to a server, each to a database of its own; gives its URL."""
    with ExitStack() as stack:

        def moved(home: Path) -> str:
            monkeypatch.setenv(POSTGRES, request.getfixturevalue("postgres_server"))
            return stack.enter_context(moved_to_postgres(home))

        yield moved


class Loaded(Runtime):
    """A runtime whose model is in memory already: loading it takes a second."""

    model: Registered

    def _model(self) -> tuple[Registered | None, str]:
        return self.model, ""


def started(
    stack: ExitStack, home: Path, keys: dict[str, str], kind: type[Runtime] = Runtime, **more: str
) -> Service:
    clock = Clock()
    if os.environ.get(ON_POSTGRES) and (home / "history.db").is_file():
        MOVED[home] = stack.enter_context(moved_to_postgres(home))
        more.setdefault("CHANGERISK_STORE_URL", MOVED[home])
    runtime = kind(settings_of(home, **more), clock=clock)
    client = stack.enter_context(TestClient(create_service(runtime).to_asgi()))
    return Service(client, runtime, home, clock, keys)


@pytest.fixture
def serve(template: Template) -> Iterator[Callable[..., Service]]:
    """Starts services over homes; they end with the test."""
    with ExitStack() as stack:
        yield lambda home, **given: started(stack, home, template.keys, **given)


@pytest.fixture(scope="session")
def begin(template: Template) -> Iterator[Callable[..., Service]]:
    """Starts services over copies of the home that several tests share."""
    with ExitStack() as stack:

        def begin(home: Path, **given: Any) -> Service:
            return started(stack, copy_of(template, home), template.keys, **given)

        yield begin


@pytest.fixture(scope="session")
def loaded(registered: Registered) -> type[Runtime]:
    """The kind of runtime for tests that are not about the model."""
    return type("Loaded", (Loaded,), {"model": registered})


@pytest.fixture
def service(serve: Callable[..., Service], home: Path, loaded: type[Runtime]) -> Service:
    """A service of the test's own."""
    return serve(home, kind=loaded)


@pytest.fixture(scope="session")
def shared(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests that only add changes of their own to it."""
    with ExitStack() as stack:
        home = copy_of(template, tmp_path_factory.mktemp("shared") / "home")
        yield started(stack, home, template.keys)


@pytest.fixture
def untouched(shared: Any) -> Iterator[None]:
    """Nothing is stored in this test, in any table."""
    before = shared.rows()
    yield
    assert shared.rows() == before


# what to ask -------------------------------------------------------------------------------------

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def upcoming(template: Template) -> list[dict[str, Any]]:
    """The bodies of the upcoming changes, as the demo writes them."""
    lines = (template.home / "upcoming.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


@pytest.fixture(scope="session")
def ticket(upcoming: list[dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Bodies of complete changes that nobody has seen, with some fields replaced."""

    def ticket(**fields: Any) -> dict[str, Any]:
        number = next(_numbers)
        body = {**upcoming[number % len(upcoming)], "change_id": f"NEW{number:05}"}
        del body["revision"]
        body.update(fields)
        return body

    return ticket


@dataclass(frozen=True)
class Ran:
    """What a run of the command line left."""

    code: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        """The output, a JSON value a line."""
        return [orjson.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the command line in this process."""

    def cli(home: Path, *arguments: str, **environment: str) -> Ran:
        place = {"CHANGERISK_HOME": str(home)}
        monkeypatch.delenv("CHANGERISK_STORE_URL", raising=False)
        if home in MOVED:
            place["CHANGERISK_STORE_URL"] = MOVED[home]
        for name, value in {**place, **environment}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["changerisk", *arguments])
        capsys.readouterr()
        code = 0
        try:
            changerisk.main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Ran(code, *capsys.readouterr())

    return cli


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Waits until something holds, at most some seconds."""

    def eventually(found: Callable[[], Any], seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := found()):
            assert time.monotonic() < deadline, "did not come to hold"
            time.sleep(0.05)
        return value

    return eventually


@pytest.fixture
def person_of() -> Callable[..., Callable[[str], str]]:
    """Gives what somebody of a role reads on the pages of a service."""
    from serving.pages.session import COOKIE, issue, secret

    def person_of(service: Service, role: str) -> Callable[[str], str]:
        ids = {row["role"]: row["key_id"] for row in service.store.keys.all()}
        token = issue(secret(service.home), ids[role], "session", now=service.clock.now)

        def read(path: str) -> str:
            response = service.ask("GET", path, role=None, headers={"Cookie": f"{COOKIE}={token}"})
            assert response.status_code == 200, response.text
            return str(response.text)

        return read

    return person_of
