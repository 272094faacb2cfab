"""Those who want to be told, what they are told of, and when."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from features.store import Store
from serving.courier import Courier
from serving.subscriptions import Endpoint

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
ALL = ("change.scored", "change.band_changed", "decision.recorded", "model.promoted")


class Receiver:
    """A server that keeps what it was sent and answers what a test wants."""

    def __init__(self) -> None:
        self.answers: list[int | tuple[int, dict[str, str]]] = []
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def endpoint(receiver: Receiver | None = None, **said: Any) -> Endpoint:
    port = 9 if receiver is None else receiver.port
    settings: dict[str, Any] = {
        "name": "board",
        "url": f"http://127.0.0.1:{port}/hook?key=s3cr3t",
        "secrets": (SECRET,),
        "events": frozenset(ALL),
        "bands": frozenset(),
        "attempts": 3,
        "timeout_seconds": 5.0,
        "allow_http": True,
        "allow_private": True,
    }
    return Endpoint(**{**settings, **said})


def score(
    store: Store, change_id: str, band: str | None, number: int = 0, *, warnings: Any = ()
) -> str:
    """A score's journal entry, as the service writes it."""
    entry_id = f"{change_id}-{number}-{band}"
    answer = {
        "score_id": entry_id, "revision": "1", "status": "scored", "incident_probability": 0.1,
        "base_rate": 0.05, "times_base_rate": 2.0, "risk_band": band, "percentile": 90,
        "summary": "About 10 in 100.", "recommendation": {"route": "cab", "reasons": ["x"]},
        "model": {"name": "change-risk", "version": "1"}, "warnings": list(warnings),
    }  # fmt: skip
    body = {"payload": {"short_description": "private text"}, "answer": answer}
    with store.write("score", now=NOW) as writer:
        writer.append_journal(entry_id, "score", change_id, body)
    return entry_id


def drained(courier: Courier) -> None:
    while courier.round():
        pass


def statuses(store: Store) -> dict[str, int]:
    with store.outbox() as outbox:
        return outbox.counts()["board"]
