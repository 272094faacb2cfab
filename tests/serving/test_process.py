"""Real processes: the service started, asked and stopped; long commands broken off."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from features.settings import Settings
from features.store import Store
from serving.journal import verify
from serving.launch import launch

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "changerisk.py")]

_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts commands; what still runs at the end of the test is ended."""
    with ExitStack() as stack:

        def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                env={**os.environ, "CHANGERISK_HOME": str(home), "COLUMNS": "200"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            stack.callback(end, process)
            return process

        yield start


def end(process: subprocess.Popen[str]) -> None:
    """End a process and its children, which may outlive it and hold its output open."""
    family = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    for one in family:  # workers are in groups of their own
        with suppress(psutil.NoSuchProcess):
            one.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


MANY = 8
"""Requests one after another, enough that each of two workers gets some."""

PATIENCE = 240
"""Seconds in which a process must say what is waited for; on an idle machine it takes ten."""


def lines_until(process: subprocess.Popen[str], words: str, seconds: float = PATIENCE) -> str:
    """What a process says up to a line with some words; one that takes too long is ended."""
    said = []
    assert process.stdout is not None
    watch = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    watch.start()
    try:
        for line in process.stdout:
            said.append(line)
            if words in line:
                return "".join(said)
    finally:
        watch.cancel()
    raise AssertionError(f"never said {words!r} within {seconds} seconds: {''.join(said)}")


def test_a_process_that_says_nothing_is_not_waited_for() -> None:
    mute = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
    with subprocess.Popen(
        mute, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        with pytest.raises(AssertionError, match=r"never said 'done' within 2 seconds: (begun)?"):
            lines_until(process, "done", seconds=2)
        assert process.wait(timeout=30) == -signal.SIGKILL


# the service -------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def ask(url: str, key: str | None = None, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - loopback
    try:
        with _open(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def answers_counted(address: str, key: str) -> float:
    """Answers that all workers have given so far, as Prometheus reads it."""
    status, shown = ask(f"{address}/metrics", key)
    assert status == 200
    named = [line for line in shown.decode().splitlines() if line.startswith("changerisk_scores_t")]
    return sum(float(line.rpartition(" ")[2]) for line in named)


def test_the_service_from_start_to_stop(
    start: Callable[..., subprocess.Popen[str]],
    home: Path,
    upcoming: list[dict[str, Any]],
    template: Any,
) -> None:
    port, key = free_port(), template.keys["requester"]
    process = start(home, "serve", "--port", str(port), "--workers", "2", "--example")
    said = lines_until(process, "press Ctrl-C to stop")
    address = f"http://127.0.0.1:{port}"
    assert f"change-risk answers at {address}" in said
    example = re.search(r"Authorization: Bearer (crk_\S+)' .* -d @(\S+)", said)
    assert example, said
    assert ask(f"{address}/v1/model", example[1])[0] == 200, "the key shown is one"
    shown = re.search(r"  (\S+): scored\. About ", said)
    assert shown, said
    assert shown[1] in {change["change_id"] for change in upcoming}

    assert ask(f"{address}/readyz") == (200, b'{"status":"ready","reason":"scoring"}')
    assert ask(f"{address}/v1/score", None, b"{}")[0] == 401
    body = orjson.dumps({**upcoming[1], "change_id": "PROC/1 %2F"})
    status, content = ask(f"{address}/v1/score", key, body)
    assert status == 200
    answer = orjson.loads(content)
    assert answer["status"] == "scored"
    assert ask(f"{address}{answer['links']['change']}", key)[0] == 200
    assert ask(f"{address}/score", key, body)[0] == 200

    # Every connection is a new one, and either worker may take it.
    counted = answers_counted(address, template.keys["service"])
    for number in range(MANY):
        new = {"change_id": "TURN", "revision": None, "short_description": f"{number}"}
        body = orjson.dumps({**upcoming[2], **new})
        answer = orjson.loads(ask(f"{address}/v1/score", key, body)[1])
        assert answer["revision"] == str(number + 1)
        scores = orjson.loads(ask(f"{address}/v1/changes/TURN", key)[1])["scores"]
        assert next(score["revision"] for score in scores) == answer["revision"]
    for _ in range(MANY):
        assert answers_counted(address, template.keys["service"]) == counted + MANY

    told: list[str] = []
    settings = Settings.from_environment(
        {"CHANGERISK_HOME": str(home), "CHANGERISK_PORT": str(port)}
    )
    assert launch(settings, False, told.append) == 1, "the port is taken"
    assert "choose another --port" in told[0]

    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) > 2
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does: to all of them
    left, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in left
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    store = Store(f"sqlite:///{home}/history.db")
    assert verify(store).fault is None
    store.close()


# broken off --------------------------------------------------------------------------------------


def broken_off(process: subprocess.Popen[str], words: str) -> str:
    """What a command says that is interrupted once it has said some words."""
    said = lines_until(process, words)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said + rest
    assert "Traceback" not in said + rest
    return said + rest


def counts_of(home: Path) -> dict[str, int]:
    store = Store(f"sqlite:///{home}/history.db")
    found = store.counts()
    assert store.setting("source") is None
    store.close()
    return found


def test_a_demo_broken_off_leaves_nothing(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    said = broken_off(start(tmp_path, "demo", "--changes", "3000"), "store")
    assert "interrupted; nothing half-written was kept" in said
    assert set(counts_of(tmp_path).values()) == {0}


def test_an_import_broken_off_leaves_nothing(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    export = tmp_path / "export"
    export.mkdir()
    rows = (f"C{n},2025-01-01T00:00:00Z,title {n}\n" for n in range(40_000))
    head = "change_id,known_at,short_description\n"
    (export / "changes.csv").write_text(head + "".join(rows))
    broken_off(start(tmp_path, "import", "csv", str(export)), "store:")
    assert set(counts_of(tmp_path).values()) == {0}


def test_a_training_broken_off_registers_nothing(
    start: Callable[..., subprocess.Popen[str]], modelless: Path
) -> None:
    broken_off(start(modelless, "train"), "fit for the test")
    with closing(sqlite3.connect(modelless / "mlflow.db")) as connection:
        for table in ("runs", "registered_models", "model_versions"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
