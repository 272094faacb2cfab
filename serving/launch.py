"""Starting the service: BentoML as a child process, and what to try once it answers."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from features.settings import Settings
from features.store import Store
from serving.keys import create
from serving.runtime import wall_clock

START_SECONDS = 120

# Our own address is never behind a proxy, and the example's key is none of a proxy's business.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def launch(
    settings: Settings, host: str, port: int, example: bool, tell: Callable[[str], None]
) -> int:
    """Serve until interrupted; returns the exit code of the server.

    Parameters
    ----------
    example : bool
        Also make a key for a day, score an example change with it and show the curl command.
    tell : callable
        Prints a line for people.
    """
    environment = {
        **os.environ,
        "CHANGERISK_HOME": str(settings.home),
        "CHANGERISK_STORE_URL": settings.store_url,
        "CHANGERISK_MLFLOW_URI": settings.mlflow_uri,
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",
    }
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:ChangeRisk"]
    command += ["--host", host, "--port", str(port), "--working-dir", str(root)]
    if _taken(host, port):
        tell(f"something else answers at {host}:{port}; choose another --port")
        return 1
    server = subprocess.Popen(command, env=environment)  # noqa: S603 - our own interpreter
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        address = f"http://{host}:{port}"
        if _waited(server, address, tell):
            tell(f"change-risk answers at {address} (contract: {address}/v1/openapi.json)")
            if example:
                _show_example(settings, address, tell)
            tell("press Ctrl-C to stop")
        return 0 if server.wait() in (0, -signal.SIGTERM) else 1
    except KeyboardInterrupt:
        server.send_signal(signal.SIGINT)
        server.wait()
        return 130


def _taken(host: str, port: int) -> bool:
    """Whether something listens there already: it must not be mistaken for our service."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


def _waited(server: subprocess.Popen[bytes], address: str, tell: Callable[[str], None]) -> bool:
    """Wait until the service says whether it is ready; False if it ended instead."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        status, body = _get(f"{address}/readyz")
        if status == 200:
            return True
        if status == 503:
            reason = json.loads(body).get("reason", "") if body.startswith(b"{") else ""
            if reason and reason != "the service is starting":
                tell(f"the service runs but cannot score: {reason}")
                return True
        time.sleep(0.3)
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
    """Score one upcoming change of the synthetic organisation as a workflow would."""
    upcoming = settings.home / "upcoming.jsonl"
    if not upcoming.is_file():
        tell("there is no example: it comes with the synthetic organisation (changerisk demo)")
        return
    store = Store(settings.store_url)
    now = wall_clock()
    key = create(
        store, name="example", role="requester", now=now, expires_at=now + timedelta(days=1)
    )
    store.close()
    change = upcoming.read_bytes().splitlines()[0]
    example = settings.home / "example-change.json"
    example.write_bytes(change + b"\n")
    request = urllib.request.Request(  # noqa: S310 - http, our own address
        f"{address}/v1/score",
        data=change,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with _direct(request, timeout=30) as answer:
            scored = json.loads(answer.read())
    except OSError as error:
        tell(f"the example could not be scored: {error}")
        return
    where = os.path.relpath(example)
    tell("an example change of the synthetic organisation, scored with:")
    tell(
        f"  curl -s {address}/v1/score -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d @{shlex.quote(where)}"
    )
    tell(f"  {scored['change_id']}: {scored['status']}. {scored['summary']}")
    for factor in scored["factors"][:3]:
        tell(f"  {100 * factor['points']:+.1f}  {factor['text']}")
