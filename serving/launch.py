"""Starting the service: BentoML as a child process, and what to try once it answers."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Protocol

from features.settings import Settings
from features.store import Store
from models.policy_file import load as load_policy
from serving.board import Board
from serving.keys import caller, create
from serving.pages.session import issue, secret
from serving.runtime import wall_clock
from serving.subscriptions import load as load_endpoints

STILL_STARTING = (20, 60, 120, 300, 600, 1800)
"""Seconds after which a service that is not ready is said to be starting still."""

APPROVER = "Adaeze Okafor"
"""Who decides in the synthetic organisation."""

# Our own address is never behind a proxy, and the example's key is none of a proxy's business.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def launch(settings: Settings, example: bool, tell: Callable[[str], None]) -> int:
    """Serve until interrupted; returns the exit code of the server.

    Parameters
    ----------
    settings : Settings
        Also says where to listen, and with how many workers.
    example : bool
        Also make a key for a day, score an example change with it and show the curl command.
    tell : callable
        Prints a line for people.
    """
    # What cannot be read is said here, not by the child.
    Board.from_environment(os.environ)
    load_policy(settings.home)
    load_endpoints(settings.home, os.environ)
    host, port = settings.host, settings.port
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:ChangeRisk"]
    command += ["--host", host, "--port", str(port), "--working-dir", str(root)]
    held = hold(host, port)
    if held is None:
        tell(f"another start of this service has {host}:{port}; choose another --port")
        return 1
    with held:
        if _taken(host, port):
            tell(f"something else answers at {host}:{port}; choose another --port")
            return 1
        with tempfile.TemporaryDirectory(prefix="changerisk-") as scratch:
            return _supervised(settings, command, _environment(settings, scratch), example, tell)


def _environment(settings: Settings, scratch: str) -> dict[str, str]:
    """What the server's processes are told.

    Parameters
    ----------
    scratch : str
        A folder for as long as they run. BentoML keeps the workers' measures in its home and clears
        them whenever a server starts, so each server needs a home of its own.
    """
    return {
        "BENTOML_HOME": scratch,
        **os.environ,
        "CHANGERISK_HOME": str(settings.home),
        "CHANGERISK_STORE_URL": settings.store_url,
        "CHANGERISK_MLFLOW_URI": settings.mlflow_uri,
        "CHANGERISK_WORKERS": str(settings.workers),
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",
        "FORWARDED_ALLOW_IPS": "",
    }


def _supervised(
    settings: Settings,
    command: list[str],
    environment: dict[str, str],
    example: bool,
    tell: Callable[[str], None],
) -> int:
    """Run the server until it ends or is interrupted; its exit code."""
    server = subprocess.Popen(command, env=environment)  # noqa: S603 - our own interpreter
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        address = f"http://{settings.host}:{settings.port}"
        if waited(server, address, tell):
            tell(f"change-risk answers at {address} (contract: {address}/v1/openapi.json)")
            if example:
                _show_example(settings, address, tell)
            tell("press Ctrl-C to stop")
        return 0 if server.wait() in (0, -signal.SIGTERM) else 1
    except KeyboardInterrupt:
        server.send_signal(signal.SIGINT)
        server.wait()
        return 130


def hold(host: str, port: int) -> IO[str] | None:
    """The right to serve at an address, for as long as it is open; None where another start has it.

    A service listens only seconds after it was started. Until then a second one would find the
    port free, and take the first one's answers for its own.
    """
    place = re.sub(r"[^0-9A-Za-z.]", "_", host)
    path = Path(tempfile.gettempdir()) / f"changerisk-{os.getuid()}-{place}-{port}.lock"
    held = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        held.close()
        return None
    return held


def _taken(host: str, port: int) -> bool:
    """Whether something listens there already: it must not be mistaken for our service."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


class Child(Protocol):
    """What is asked of the server's process."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        ...


def waited(
    server: Child,
    address: str,
    tell: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait until the service says whether it is ready; False if it ended instead.

    However long that takes: a large history on a busy machine needs minutes, and is told of.
    """
    begun, patience = clock(), list(STILL_STARTING)
    while server.poll() is None:
        status, body = _get(f"{address}/readyz")
        if status == 200:
            return True
        reason = ""
        if status == 503:
            reason = json.loads(body).get("reason", "") if body.startswith(b"{") else ""
            if reason and reason != "the service is starting":
                tell(f"the service runs but cannot score: {reason}")
                return True
        if patience and clock() - begun >= patience[0]:
            stands = "the service is starting" if reason else "it does not listen yet"
            tell(
                f"not ready after {patience.pop(0)} seconds ({stands}): still waiting, Ctrl-C ends"
            )
        pause(0.3)
    return False


def _get(url: str) -> tuple[int, bytes]:
    try:
        with _direct(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def _show_example(settings: Settings, address: str, tell: Callable[[str], None]) -> None:
    """Score the upcoming changes of the synthetic organisation as a workflow would, and show the
    way to the board's pages.
    """
    upcoming = settings.home / "upcoming.jsonl"
    if not upcoming.is_file():
        tell("there is no example: it comes with the synthetic organisation (changerisk demo)")
        return
    changes, now = upcoming.read_bytes().splitlines(), wall_clock()
    shown = example_of(changes, now)
    with closing(Store(settings.store_url)) as store:
        key, _ = _key(store, "example", "requester", now)
        _, approver = _key(store, APPROVER, "approver", now)
        others = [change for change in changes if change != shown]
        fresh = [change for change in others if not _scored(store, change)]
    example = settings.home / "example-change.json"
    example.write_bytes(shown + b"\n")
    try:
        scored = _score(address, key, shown)
        for change in fresh:
            _score(address, key, change)
    except OSError as error:
        tell(f"the example could not be scored: {error}")
        return
    where = os.path.relpath(example)
    tell("an example change of the synthetic organisation, scored with:")
    tell(
        f"  curl -s {address}/v1/score -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d @{shlex.quote(where)}"
    )
    tell("  (the key is good for a day, like those of earlier starts: changerisk keys list)")
    tell(f"  {scored['change_id']}: {scored['status']}. {scored['summary']}")
    for factor in scored["factors"][:3]:
        tell(f"  {100 * factor['points']:+.1f}  {factor['text']}")
    link = issue(secret(settings.home), approver, "link", now=now)
    tell(f"the agenda of its board, signed in as {APPROVER} for a day:")
    tell(f"  {address}/sign-in?link={link}")


def example_of(changes: Sequence[bytes], now: datetime) -> bytes:
    """The change to show: the next one at least a day ahead, so that it can be tried for a while
    before its start has passed; where none is, the last one.

    Parameters
    ----------
    changes : sequence of bytes
        Bodies of changes, soonest first.
    """
    for change in changes:
        start = json.loads(change).get("planned_start")
        if start and datetime.fromisoformat(start) >= now + timedelta(days=1):
            return change
    return changes[-1]


def _key(store: Store, name: str, role: str, now: datetime) -> tuple[str, str]:
    """A key for a day, and its id."""
    made = create(store, name=name, role=role, now=now, expires_at=now + timedelta(days=1))
    known = caller(store, made, now=now)
    return made, "" if known is None else known.key_id


def _scored(store: Store, change: bytes) -> bool:
    """Whether a change was scored here before."""
    entries = store.journal_entries(change_id=json.loads(change)["change_id"])
    return any(entry.kind == "score" for entry in entries)


def _score(address: str, key: str, change: bytes) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - http, our own address
        f"{address}/v1/score",
        data=change,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with _direct(request, timeout=30) as answer:
        return dict(json.loads(answer.read()))
