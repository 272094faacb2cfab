"""The campaign: two instances of the service on one store, callers, and what is done to them.

The campaign plays the supervisor, too: an instance that was killed as a whole is started again, as
systemd would. Everything else has to recover by itself.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psutil

from features.policy import POLICIES
from features.settings import Settings
from features.store import Store
from features.synthetic import organisation
from models.registry import Registry
from serving.contract import neutral
from serving.journal import verify
from serving.keys import create
from serving.replay import replay
from tests.chaos.databases import Database, SqliteFile
from tests.chaos.instance import CLOCK
from tests.chaos.report import Act, Report
from tests.chaos.traffic import Seen, Traffic
from tests.load import ROOT, Server, answers, free_port
from tests.postgres import PostgresServer
from training.fit import train

REPLAYED = 3
"""Answers computed again at the end, bit for bit."""

SKEWS = (-3_600.0, -5.0, 30.0, 86_400.0)
"""Seconds a clock is off."""


ACTS = (
    "worker killed",
    "instance killed",
    "disk full",
    "database gone",
    "model damaged",
    "clock skewed",
    "rolling restart",
    "champion moved",
)
"""All that is done."""


class Campaign:
    """A home, two instances on it, and callers.

    Parameters
    ----------
    folder : Path
        Of the campaign's own.
    seed : int
        What is done when, and what is asked; how the processes take turns is up to the machine.
    postgres : bool
        Whether the store is a PostgreSQL server of the campaign's own rather than an SQLite file.
    patience : float
        Seconds after which an instance counts as not recovered.
    acts : sequence of str
        What is done, of ``ACTS``.
    tell : callable
        Prints a line of progress.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        postgres: bool,
        patience: float,
        tell: Callable[[str], None],
        acts: Sequence[str] = ACTS,
    ) -> None:
        self._seed, self._patience, self._tell = seed, patience, tell
        self._chance = random.Random(seed)  # noqa: S311 - not for secrets
        self._home = folder / "home"
        self._home.mkdir()
        self._database: Database = (
            PostgresServer(durable=True) if postgres else SqliteFile(self._home / "history.db")
        )
        self._settings = Settings.from_environment(
            {"CHANGERISK_HOME": str(self._home), "CHANGERISK_STORE_URL": self._database.url}
        )
        self._clocks = [folder / f"clock{number}" for number in range(2)]
        self._instances = [self._instance(folder, clock) for clock in self._clocks]
        self._acts: list[Act] = []
        self._problems: list[str] = []
        known: dict[str, Callable[[], None]] = {
            "worker killed": self.kill_worker,
            "instance killed": self.kill_instance,
            "disk full": self.fill_disk,
            "database gone": self.lose_database,
            "model damaged": self.damage_model,
            "clock skewed": self.skew_clock,
            "rolling restart": self.restart_in_turn,
            "champion moved": self.move_champion,
        }
        self._plan = {name: known[name] for name in acts}

    def _instance(self, folder: Path, clock: Path) -> Server:
        port = free_port()
        environment = {
            "CHANGERISK_HOME": str(self._home),
            "CHANGERISK_STORE_URL": self._database.url,
            "CHANGERISK_WORKERS": "1",
            "BENTOML_HOME": str(folder / f"bentoml-{port}"),
            "BENTOML_DO_NOT_TRACK": "True",
            "PYTHONDONTWRITEBYTECODE": "1",
            CLOCK: str(clock),
        }
        command = [
            sys.executable, "-m", "bentoml", "serve", "tests.chaos.instance:ChangeRisk",
            "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(ROOT),
        ]  # fmt: skip
        return Server(command, environment, port, "/readyz", folder / f"{port}.log")

    # from the first request to the last -----------------------------------------------------------

    def run(self, seconds: float) -> Report:
        """Every act once, in an order of the seed's, then acts at random until the time is up."""
        key, bodies = self._prepare()
        began = time.monotonic()
        try:
            for server in self._instances:
                server.begin()
            for server in self._instances:
                server.waited(seconds=self._patience)
            ports = [server.port for server in self._instances]
            traffic = Traffic(ports, key, bodies, seed=self._seed, patience=self._patience)
            self._seen = traffic.seen
            traffic.start()
            try:
                self._all_acts(seconds)
            finally:
                seen = traffic.stop()
        finally:
            for server in self._instances:
                server.end()
        report = self._audited(seen, time.monotonic() - began)
        self._database.close()
        return report

    def _prepare(self) -> tuple[str, list[dict[str, Any]]]:
        """A small organisation with two versions of a model; a key, and changes to ask about."""
        now = datetime.now(UTC)
        made = organisation(seed=7, until=now, changes=2000, days=250)
        store = Store(self._settings.store_url)
        with store.write("demo", now=now) as writer:
            writer.add(made.records)
        trained = train(store.load(), POLICIES["incident"], now=now)
        registry = self._registry()
        for alias in ("challenger", "champion"):
            registry.save(trained.model, params={}, metrics={}, tags={}, alias=alias)
        key = create(store, name="chaos", role="service", now=now, expires_at=None)
        store.close()
        return key, [orjson.loads(neutral(change)) for change in made.upcoming]

    def _registry(self) -> Registry:
        return Registry(self._settings.mlflow_uri, self._settings.artifacts)

    def _all_acts(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        waiting = list(self._plan)
        self._chance.shuffle(waiting)
        while waiting or time.monotonic() < deadline:
            name = waiting.pop() if waiting else self._chance.choice(list(self._plan))
            time.sleep(self._chance.uniform(0.2, 2.0))
            begun = time.monotonic()
            self._plan[name]()
            over = time.monotonic()
            self._recovered(name, over)
            taken = time.monotonic() - over
            self._acts.append(Act(name, taken))
            self._tell(f"{name}: {over - begun:.1f} s, recovered after {taken:.1f} s")

    def _recovered(self, name: str, since: float) -> None:
        """Wait until both instances have scored a change anew."""
        deadline = since + self._patience
        for server in self._instances:
            while self._seen.scored_at.get(server.port, 0.0) < since:
                if time.monotonic() > deadline:
                    self._problems.append(
                        f"{name}: no score {self._patience:.0f} s after it was over"
                    )
                    return
                time.sleep(0.02)

    # what is done ---------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        """kill -9 of the process that scores; its own arbiter starts another."""
        server = self._chance.choice(self._instances)
        family = server.family()[1:]
        if family:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._chance.choice(family).kill()

    def kill_instance(self) -> None:
        """kill -9 of all processes of an instance; the supervisor starts it again."""
        server = self._chance.choice(self._instances)
        for process in server.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        server.end()
        server.begin()

    def fill_disk(self) -> None:
        """No file can be written any more, as on a full disk; then there is room again."""
        if isinstance(self._database, PostgresServer):
            self._database.limit_files("0")
            time.sleep(self._chance.uniform(1.0, 3.0))
            self._database.limit_files("unlimited")
            self._database.revive()  # without room for its own journal it gives up, by design
            return
        most = psutil.Process().rlimit(psutil.RLIMIT_FSIZE)
        self._limit((0, most[1]))
        time.sleep(self._chance.uniform(1.0, 3.0))
        self._limit(most)

    def _limit(self, sizes: tuple[int, int]) -> None:
        """Set the sizes of files that the instances may write, all of their processes."""
        for process in (one for server in self._instances for one in server.family()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, sizes)

    def lose_database(self) -> None:
        """The database is gone, and comes back as it was."""
        self._database.take_away()
        time.sleep(self._chance.uniform(1.0, 4.0))
        self._database.give_back()

    def damage_model(self) -> None:
        """The champion's files are damaged and an instance starts over; then they are repaired."""
        found = sorted((self._home / "artifacts").rglob("bundle.json"))
        for path in found:
            shutil.copy(path, path.with_suffix(".kept"))
            path.write_bytes(path.read_bytes()[:-100])
        server = self._chance.choice(self._instances)
        server.end()
        server.begin()
        _until(lambda: answers(f"http://127.0.0.1:{server.port}/livez"), self._patience)
        time.sleep(self._chance.uniform(1.0, 3.0))
        for path in found:
            path.with_suffix(".kept").replace(path)

    def skew_clock(self) -> None:
        """The clock of one instance jumps, stays off for a while, and jumps back."""
        clock = self._chance.choice(self._clocks)
        clock.write_text(str(self._chance.choice(SKEWS)))
        time.sleep(self._chance.uniform(1.0, 3.0))
        clock.write_text("0")

    def restart_in_turn(self) -> None:
        """One instance after the other is asked to end and started again; nobody goes without."""
        for server in self._instances:
            server.end()
            server.begin()
            if not _until(lambda s=server: _ready(s), self._patience):
                self._problems.append("an instance that was started again did not become ready")

    def move_champion(self) -> None:
        """The alias moves to the other version; both instances follow without a pause."""
        registry = self._registry()
        new = "1" if registry.version_of("champion") == "2" else "2"
        before = self._seen.versions[new]
        registry.point("champion", new)
        if not _until(lambda: self._seen.versions[new] > before, self._patience):
            self._problems.append(f"version {new} never scored after it became the champion")

    # what must hold -------------------------------------------------------------------------------

    def _audited(self, seen: Seen, seconds: float) -> Report:
        store = Store(self._settings.store_url)
        found = verify(store)
        kept: dict[str, dict[str, Any]] = {}
        newest: dict[str, str] = {}
        for entry in store.journal_entries():
            kept[entry.entry_id] = entry.body["answer"]
            newest[str(entry.change_id)] = entry.entry_id
        with store.review() as review:
            states = {name: review.state(name) for name in newest}
        unlisted = sum(
            state is None or state["score_id"] != newest[name] for name, state in states.items()
        )
        scored = [i for i, answer in seen.acknowledged.items() if answer["status"] != "not_scored"]
        registry, unlike = self._registry(), []
        for score_id in self._chance.sample(scored, min(REPLAYED, len(scored))):
            if score_id in kept and not (result := replay(store, registry, score_id)).equal:
                unlike.append(f"{score_id}: {result.differences}")  # noqa: PERF401 - it is named in the condition
        store.close()
        return Report(
            seed=self._seed,
            store="postgresql" if isinstance(self._database, PostgresServer) else "sqlite",
            seconds=seconds,
            acts=self._acts,
            seen=seen,
            entries=found.entries,
            lost=sum(score_id not in kept for score_id in seen.acknowledged),
            altered=sum(
                kept[score_id] != answer
                for score_id, answer in seen.acknowledged.items()
                if score_id in kept
            ),
            fault=found.fault,
            unlike=unlike,
            unlisted=unlisted,
            problems=self._problems,
        )


def _ready(server: Server) -> bool:
    return answers(f"http://127.0.0.1:{server.port}{server.health}")


def _until(found: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
