"""A real Request Tracker, where it is installed: submit a ticket, get it scored, read it back."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from serving.service import create_service

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SERVER = Path("/usr/share/request-tracker5/libexec/rt-server")
SETUP = shutil.which("rt-setup-database-5")
ACCOUNT = ("root", "password")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not SERVER.is_file() or SETUP is None,
        reason="Request Tracker is not installed: "
        "apt-get install request-tracker5 rt5-db-sqlite rt5-standalone",
    ),
]

SITE = """
Set($rtname, 'test'); Set($Organization, 'test');
Set($WebDomain, '127.0.0.1'); Set($WebPort, PORT); Set($WebBaseURL, 'http://127.0.0.1:PORT');
Set($WebPath, ''); Set($WebSecureCookies, 0); Set($MailCommand, 'testfile');
Set($LogToSyslog, undef); Set($LogToSTDERR, 'warning');
Set($DatabaseType, 'SQLite'); Set($DatabaseName, 'FOLDER/rt.sqlite');
Set($DatabaseUser, ''); Set($DatabasePassword, '');
1;
"""


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@dataclass
class Tracker:
    """A running Request Tracker."""

    url: str

    def create(self, **fields: Any) -> str:
        ticket = {"Queue": "Changes", "Subject": "Upgrade the switch", **fields}
        made = requests.post(f"{self.url}/ticket", json=ticket, auth=ACCOUNT, timeout=60)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def read(self, number: str) -> dict[str, Any]:
        found = requests.get(f"{self.url}/ticket/{number}", auth=ACCOUNT, timeout=60)
        assert found.status_code == 200, found.text
        return found.json()

    def said(self, number: str, name: str) -> list[str]:
        fields = self.read(number)["CustomFields"]
        return next(field["values"] for field in fields if field["name"] == name)


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    """The service over HTTP, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def port() -> int:
    """Where the service is, or would be."""
    return free_port()


@pytest.fixture
def tracker(tmp_path: Path, template: Any, port: int) -> Iterator[Tracker]:
    folder, own = tmp_path / "rt", free_port()
    (folder / "conf.d").mkdir(parents=True)
    site = SITE.replace("PORT", str(own)).replace("FOLDER", str(folder))
    (folder / "RT_SiteConfig.pm").write_text(site)
    environment = {
        **os.environ,
        "RT_SITE_CONFIG": str(folder / "RT_SiteConfig.pm"),
        "RT_SITE_CONFIG_DIR": str(folder / "conf.d"),
        "CHANGERISK_URL": f"http://127.0.0.1:{port}",
        "CHANGERISK_KEY": template.keys["service"],
    }

    def do(*command: str) -> None:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr

    do(str(SETUP), "--action", "init", "--dba", "", "--dba-password", "")
    do("perl", str(EXAMPLES / "rt-setup.pl"), str(EXAMPLES / "rt-scrip.pl"))
    command = [str(SERVER), "--host", "127.0.0.1", "--port", str(own), "--server", "Starlet"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--max-workers", "1"],
            env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{own}/REST/2.0"
    try:
        _wait(lambda: requests.get(f"{url}/rt", auth=ACCOUNT, timeout=60).status_code == 200)
        yield Tracker(url)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError("Request Tracker did not come up")


def test_a_ticket_is_scored_as_it_is_submitted(
    tracker: Tracker, service: Any, port: int, upcoming: Any
) -> None:
    fields = {"Change type": "Normal", "CI": upcoming[0]["ci"], "Backout plan": "Switch back",
              "Planned start": "2025-06-04 22:00:00",
              "Planned end": "2025-06-04 23:00:00"}  # fmt: skip
    with served(create_service(service.runtime).to_asgi(), port):
        number = tracker.create(CustomFields=fields)
    (entry,) = service.journal()
    payload, answer = entry["payload"], entry["answer"]
    assert payload["change_id"] == f"RT-{number}"
    assert (payload["change_type"], payload["ci"]) == ("normal", upcoming[0]["ci"])
    assert payload["planned_start"] == "2025-06-04T22:00:00Z"
    assert answer["status"] in ("scored", "degraded")
    assert tracker.said(number, "Incident band") == [answer["risk_band"]]
    assert tracker.said(number, "Incident probability") == [f"{answer['incident_probability']:.4f}"]
    # What REST gives of the ticket is the same change, but for a text and names that it leaves out.
    again = service.ask("POST", "/v1/webhooks/rt", json=tracker.read(number)).json()
    assert again["change_id"] == f"RT-{number}"
    last = service.journal()[-1]["payload"]
    skipped = {"description", "requested_by", "assignment_group"}
    assert {k: v for k, v in last.items() if k not in skipped} == {
        k: v for k, v in payload.items() if k not in skipped
    }


def test_without_the_service_a_ticket_is_submitted_all_the_same(tracker: Tracker) -> None:
    number = tracker.create()
    assert tracker.said(number, "Incident band") == []
