"""The examples of docs/integrations.md, run as they are written, against the service."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from serving.sending import send
from serving.subscriptions import Endpoint

DOCS = Path(__file__).parents[2] / "docs"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def address(shared: Any) -> Iterator[str]:
    """The service on a port of this machine."""
    config = uvicorn.Config(
        shared.client.app, host="127.0.0.1", port=0, log_level="error", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=20)


def ran(command: list[str], **environment: str) -> str:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    return done.stdout


def test_curl(address: str, shared: Any) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = (DOCS / "integrations.md").read_text(encoding="utf-8")
    found = re.search(r"```sh\n(curl .*?)```", page, re.DOTALL)
    assert found is not None
    command = found[1].replace("--max-time 3", "--max-time 50")
    key = shared.keys["service"]
    answer = json.loads(ran(["sh", "-c", command], CHANGERISK_URL=address, CHANGERISK_KEY=key))
    assert (answer["change_id"], answer["revision"]) == ("CHG0031874", "6")
    assert answer["status"] in ("scored", "degraded")


def test_the_python_client(
    address: str,
    shared: Any,
    ticket: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = tmp_path / "change.json"
    body.write_text(json.dumps({**ticket(), "revision": "1"}), encoding="utf-8")
    example = (DOCS / "examples" / "client.py").read_text(encoding="utf-8")
    patient = tmp_path / "client.py"
    patient.write_text(example.replace("TIMEOUT_SECONDS = 3", "TIMEOUT_SECONDS = 50"), "utf-8")
    command, key = [sys.executable, str(patient), str(body)], shared.keys["service"]
    said = ran(command, CHANGERISK_URL=address, CHANGERISK_KEY=key)
    assert re.match(r"0\.\d{3} (low|moderate|high|very_high): About ", said)
    assert "suggested: " in said
    nobody = ran(command, CHANGERISK_URL="http://127.0.0.1:9", CHANGERISK_KEY=key)
    assert nobody == "no score: go on without one\n"
    refused = ran(command, CHANGERISK_URL=address, CHANGERISK_KEY="crk_none")
    assert refused == "no score: go on without one\n"


def test_the_receiver_takes_what_is_genuine_once(tmp_path: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(DOCS / "examples" / "receiver.py"), str(port)]
    server = subprocess.Popen(
        command, env={**os.environ, "CHANGERISK_SECRET": SECRET}, stdout=subprocess.PIPE, text=True
    )
    try:
        one = Endpoint(
            name="mine", url=f"http://127.0.0.1:{port}/", secrets=(SECRET,), events=frozenset(),
            bands=frozenset(), attempts=1, timeout_seconds=20.0, allow_http=True,
            allow_private=True,
        )  # fmt: skip
        body, now = json.dumps({"type": "t", "subject": "CHG1"}), datetime.now(UTC)
        deadline = time.monotonic() + 30
        while not (reply := send(one, "id-1", body, now=now)).taken:
            assert reply.outcome == "no connection"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert send(one, "id-1", body, now=now).taken
        other = "whsec_" + base64.b64encode(b"o" * 32).decode()
        forged = Endpoint(**{**vars(one), "secrets": (other,)})
        assert send(forged, "id-2", body, now=now).outcome == "HTTP 401"
        old = now - timedelta(minutes=6)
        assert send(one, "id-3", body, now=old).outcome == "HTTP 401"
        rotated = Endpoint(**{**vars(one), "secrets": (other, SECRET)})
        assert send(rotated, "id-4", body, now=now).taken
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(2)]  # it answers first, then works
    finally:
        server.terminate()
        more, _ = server.communicate(timeout=20)
    assert [*said, more] == ["t CHG1\n", "t CHG1\n", ""], "id-1 once, then id-4"
