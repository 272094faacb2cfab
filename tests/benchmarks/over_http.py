"""The whole answer over HTTP beside what else could be run, all in one run on two cores.

    python -m tests.benchmarks.over_http [--home HOME] [--seconds 3] [--json]

Features from live history, score, explanation and journal, through keys and limits, at 1, 8 and 32
connections; every request is a change never seen before. Beside it a BentoML endpoint that answers
a constant, the same code behind FastAPI, and `mlflow models serve`, which scores a row of features
and nothing else. Turns are taken in rounds, so that a busy machine slows all alike; quote ratios.
Then bulk: batches of 1,000 changes without reasons.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import uvloop

from features.policy import POLICIES
from features.settings import Settings
from features.store import Store
from features.synthetic import organisation
from models.registry import Registry
from serving.contract import neutral
from serving.keys import create
from tests.load import ROOT, Server, Took, drive, end_on_term, free_port, request
from training.fit import train

OURS, CONSTANT = "change-risk", "BentoML, a constant"
PLAIN, MLFLOW = "FastAPI, same code", "mlflow, score only"

CONNECTIONS = (1, 8, 32)
ROUNDS = 2
BATCH = 1_000
"""Changes of a bulk request."""

PATIENCE = 600.0
"""Seconds a server may take to start; all start at once."""

WARM_UP = 1.0

GOALS = {
    "p50 at 1 connection, ms": (1, "p50_ms", "most", 10.0),
    "p99 at 1 connection, ms": (1, "p99_ms", "most", 60.0),
    "a second at 8 connections": (8, "per_second", "least", 150.0),
}
BULK_GOAL = 1_500.0
"""Changes a second in bulk."""

"""Connections, figure, whether the bound is the most or the least, and the bound."""


@dataclass(frozen=True)
class Contestant:
    """A server and how it is asked."""

    name: str
    server: Server
    make: Callable[[], bytes]
    check: Callable[[int, bytes], bool]


def make_home(home: Path, *, changes: int = 20_000) -> None:
    """The synthetic organisation with a model, as `changerisk demo` and `train` leave it."""
    settings = Settings.from_environment({"CHANGERISK_HOME": str(home)})
    now = datetime.now(UTC)
    made = organisation(seed=7, until=now, changes=changes)
    store = Store(settings.store_url)
    with store.write("demo", now=now) as writer:
        writer.add(made.records)
    (home / "upcoming.jsonl").write_bytes(b"".join(neutral(c) for c in made.upcoming))
    trained = train(store.load(), POLICIES["incident"], now=now)
    store.close()
    registry = Registry(settings.mlflow_uri, settings.artifacts)
    registry.save(trained.model, params={}, metrics={}, tags={}, alias="champion")


def copy_of(home: Path, place: Path) -> Path:
    """A home of a server's own; what was registered stays where it is."""
    place.mkdir()
    for name in ("history.db", "mlflow.db"):
        shutil.copy(home / name, place / name)
    return place


def bodies(home: Path) -> Callable[[], bytes]:
    """Gives bodies of changes that nobody has seen, after those of the home still to come."""
    upcoming = [orjson.loads(line) for line in (home / "upcoming.jsonl").read_bytes().splitlines()]
    numbers = itertools.count()

    def body() -> bytes:
        number = next(numbers)
        content = {**upcoming[number % len(upcoming)], "change_id": f"BENCH{number:07}"}
        content.pop("revision", None)
        return orjson.dumps(content)

    return body


def contestants(home: Path, folder: Path) -> list[Contestant]:
    """All servers, each with a home of its own."""
    body = bodies(home)
    own = copy_of(home, folder / "ours")
    store = Store(f"sqlite:///{own}/history.db")
    key = create(store, name="bench", role="service", now=datetime.now(UTC), expires_at=None)
    store.close()
    json = {"Content-Type": "application/json"}
    known = {**json, "Authorization": f"Bearer {key}"}
    row = orjson.dumps({"inputs": [[1.0] * _columns(own)]})
    python, logs = sys.executable, itertools.count()

    def server(health: str, environment: Mapping[str, str], *command: str) -> Server:
        port = free_port()
        full = [one.format(port=port) for one in (python, *command)]
        return Server(full, environment, port, health, folder / f"{next(logs)}.log")

    quiet = {"BENTOML_DO_NOT_TRACK": "True", "OTEL_SDK_DISABLED": "true", "DO_NOT_TRACK": "true"}
    ours = {"CHANGERISK_HOME": str(own), **quiet}
    plain = {"CHANGERISK_HOME": str(copy_of(home, folder / "plain")), **quiet}
    registry = f"sqlite:///{home}/mlflow.db"
    mlflow = {"MLFLOW_TRACKING_URI": registry, "MLFLOW_DISABLE_TELEMETRY": "true", **quiet}
    # It starts uvicorn by name.
    mlflow["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return [
        Contestant(
            OURS,
            server("/readyz", ours, str(ROOT / "changerisk.py"), "serve", "--port", "{port}"),
            lambda: request("/v1/score", body(), known),
            _is_scored,
        ),
        Contestant(
            CONSTANT,
            server(
                "/readyz", quiet, "-m", "bentoml", "serve", "tests.benchmarks.contestants:Constant",
                "--port", "{port}", "--working-dir", str(ROOT),
            ),
            lambda: request("/score", body(), json),
            _is_fine,
        ),
        Contestant(
            PLAIN,
            server(
                "/readyz", plain, "-m", "uvicorn", "--factory",
                "tests.benchmarks.contestants:plain", "--port", "{port}", "--no-access-log",
                "--log-level", "warning",
            ),
            lambda: request("/v1/score", body(), json),
            _is_scored,
        ),
        Contestant(
            MLFLOW,
            server(
                "/ping", mlflow, "-m", "mlflow", "models", "serve", "-m",
                "models:/change-risk@champion", "--env-manager", "local", "--port", "{port}",
            ),
            lambda: request("/invocations", row, json),
            _is_fine,
        ),
    ]  # fmt: skip


def _columns(home: Path) -> int:
    settings = Settings.from_environment({"CHANGERISK_HOME": str(home)})
    registered = Registry(settings.mlflow_uri, settings.artifacts).load("champion")
    return len(registered.model.columns)


def _is_fine(status: int, _body: bytes) -> bool:
    return status == 200


def _is_scored(status: int, body: bytes) -> bool:
    return status == 200 and (b'"status":"scored"' in body or b'"status":"degraded"' in body)


def measure(home: Path, seconds: float) -> dict[str, Any]:
    """Every figure: by contestant and number of connections, and what a start took."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        asked = contestants(home, Path(folder))
        for one in asked:
            stack.callback(one.server.end)
            one.server.begin()
        starts = {one.name: one.server.waited(seconds=PATIENCE) for one in asked}
        took = {(one.name, level): Took() for one in asked for level in CONNECTIONS}
        for one in asked:
            uvloop.run(drive(one.server.port, 4, WARM_UP, one.make, one.check))
        for turn, level in itertools.product(range(ROUNDS), CONNECTIONS):
            for one in (asked, asked[::-1])[turn % 2]:
                _turn(one, level, seconds / ROUNDS, took[one.name, level])
        bulk = _bulk(asked[0], seconds)
    figures = {
        one.name: {str(level): took[one.name, level].figures() for level in CONNECTIONS}
        for one in asked
    }
    return {
        "cores": len(cores),
        "start_seconds_all_at_once": starts,
        "servers": figures,
        "ratios": _ratios(figures),
        "bulk": bulk,
        "goals": {**_goals(figures), **_bulk_goal(bulk)},
    }


def _bulk(ours: Contestant, seconds: float) -> dict[str, float]:
    """Changes a second, by the clock and by the processor."""

    def make() -> bytes:
        requests = [ours.make().partition(b"\r\n\r\n") for _ in range(BATCH)]
        lines = requests[0][0].decode().split("\r\n")
        known = next(line for line in lines if line.startswith("Authorization: "))
        headers = {
            "Content-Type": "application/x-ndjson",
            "Authorization": known.removeprefix("Authorization: "),
        }
        content = b"\n".join(body for _, _, body in requests)
        return request("/v1/score/batch?explain=none", content, headers)

    before = ours.server.cpu_seconds()
    took = uvloop.run(drive(ours.server.port, 1, seconds, make, _is_fine))
    changes = BATCH * len(took.milliseconds)
    spent = ours.server.cpu_seconds() - before
    waited = sum(took.milliseconds) / 1000
    return {"per_second": changes / waited, "per_cpu_second": changes / spent}


def _bulk_goal(bulk: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    value = bulk["per_second"]
    return {
        "changes a second in bulk": {
            "value": value,
            "least": BULK_GOAL,
            "met": value >= BULK_GOAL,
        }
    }


def _turn(one: Contestant, level: int, seconds: float, total: Took) -> None:
    before = one.server.cpu_seconds()
    found = uvloop.run(drive(one.server.port, level, seconds, one.make, one.check))
    total.milliseconds += found.milliseconds
    total.seconds += found.seconds
    total.cpu_seconds += one.server.cpu_seconds() - before


def _ratios(figures: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """How many times another's p50, p99 and throughput ours are."""
    names = ("p50_ms", "p99_ms", "per_second")
    return {
        other: {
            level: {name: ours[name] / figures[other][level][name] for name in names}
            for level, ours in figures[OURS].items()
        }
        for other in figures
        if other != OURS
    }


def _goals(figures: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for name, (level, figure, kind, bound) in GOALS.items():
        value = figures[OURS][str(level)][figure]
        met = value <= bound if kind == "most" else value >= bound
        found[name] = {"value": value, kind: bound, "met": met}
    ours, other = figures[OURS], figures[MLFLOW]
    for name, level, figure in (("p50", "1", "p50_ms"), ("throughput", "8", "per_second")):
        value, bound = ours[level][figure], other[level][figure]
        met = value <= bound if figure == "p50_ms" else value >= bound
        found[f"{name} ahead of mlflow at {level}"] = {"value": value, "bound": bound, "met": met}
    return found


def report(found: Mapping[str, Any]) -> Iterator[str]:
    """The figures as lines."""
    yield f"over HTTP on {found['cores']} cores; all started at once, s: " + ", ".join(
        f"{name} {seconds:.1f}" for name, seconds in found["start_seconds_all_at_once"].items()
    )
    heads = ("p50 ms", "p95 ms", "p99 ms", "a second", "cpu ms")
    yield f"{'':22}{'conn.':>6}" + "".join(f"{head:>10}" for head in heads)
    for name, levels in found["servers"].items():
        for level, figures in levels.items():
            values = [figures[key] for key in ("p50_ms", "p95_ms", "p99_ms", "per_second")]
            values.append(figures["cpu_ms"])
            yield f"{name:22}{level:>6}" + "".join(f"{value:10.2f}" for value in values)
    for other, levels in found["ratios"].items():
        for level, ratios in levels.items():
            yield f"ours / {other} at {level}: " + ", ".join(
                f"{name.removesuffix('_ms')} {value:.2f}" for name, value in ratios.items()
            )
    bulk = found["bulk"]
    yield (
        f"in bulk: {bulk['per_second']:,.0f} changes a second, "
        f"{bulk['per_cpu_second']:,.0f} in a second of the processor"
    )
    for name, goal in found["goals"].items():
        bound = next(value for key, value in goal.items() if key in ("most", "least", "bound"))
        yield f"goal {name}: {goal['value']:.1f} ({bound:.1f}) {'met' if goal['met'] else 'MISSED'}"


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--home", type=Path, help="A home with history and model; else one is made.")
    asked.add_argument("--seconds", type=float, default=3.0, help="Of every server and level.")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    end_on_term()
    compare(given.home, given.seconds, as_json=given.json)


def compare(home: Path | None = None, seconds: float = 3.0, *, as_json: bool = False) -> None:
    """Measure a home, or one made for it, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        if home is None:
            home = Path(folder)
            make_home(home)
        found = measure(home.resolve(), seconds)
    text = [orjson.dumps(found).decode()] if as_json else report(found)
    sys.stdout.write("".join(f"{line}\n" for line in text))


if __name__ == "__main__":
    main()
