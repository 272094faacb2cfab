"""Webhooks out, to a real server: signed, at least once, given up, retried, and to nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from features import instants
from features.store import Store
from features.store.outbox import DEAD, DELIVERED, WAITING
from serving.courier import BATCH, Courier, Couriers, backoff
from serving.events import SOURCE
from serving.sending import send
from serving.subscriptions import Endpoint, SubscriptionError, load, secret_name

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


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def service_with(serve: Callable[..., Any], home: Path, loaded: type) -> Callable[[str, str], Any]:
    """Starts a service with a file in its home."""

    def service_with(name: str, text: str) -> Any:
        (home / name).write_text(text, encoding="utf-8")
        return serve(home, kind=loaded)

    return service_with


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/history.db")
    yield store
    store.close()


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


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


@pytest.fixture
def courier(store: Store, receiver: Receiver, clock: Clock) -> Callable[..., Courier]:
    """Makes couriers; the first one has seen the journal as it is."""

    def courier(**said: Any) -> Courier:
        more = {name: said.pop(name) for name in ("send", "draw") if name in said}
        made = Courier(endpoint(receiver, **said), lambda: store, clock, **more)
        made.gather(store)
        return made

    return courier


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


# what is told ------------------------------------------------------------------------------------


def test_scores_decisions_and_promotions_are_told(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    score(store, "C0", "low")
    one = courier()
    score(store, "C1", "low")
    score(store, "C1", "low", 1)
    score(store, "C1", "high", 2)
    with store.write("decision", now=NOW) as writer:
        made = {"decision_id": "d1", "decision": "approve", "decided_by": "Ada", "reason": "why"}
        writer.append_journal("d1", "decision", "C1", {"decision": made, "by": {}})
        writer.append_journal("f1", "feedback", "C1", {"feedback": {}})
        moved = {"version": "2", "before": "1", "by": "Bo", "reason": "better", "comparison": {}}
        writer.append_journal("p1", "promotion", None, moved)
    drained(one)
    events = receiver.events()
    assert [event["type"].split(".", 1)[1] for event in events] == [
        "change.scored.v1",
        "change.scored.v1",
        "change.scored.v1",
        "change.band_changed.v1",
        "decision.recorded.v1",
        "model.promoted.v1",
    ], "nothing of what was there before the endpoint was"
    changed = events[3]["data"]
    assert (changed["previous_band"], changed["risk_band"]) == ("low", "high")
    assert [event["data"]["first_score"] for event in events[:3]] == [True, False, False]
    assert events[4]["data"]["decided_by"] == "Ada"
    assert events[5]["data"] == {"version": "2", "before": "1", "by": "Bo", "reason": "better"}
    assert b"private text" not in b"".join(body for _, body in receiver.got)
    assert statuses(store) == {WAITING: 0, DELIVERED: 6, DEAD: 0}


def test_a_revision_that_came_after_a_later_one_moves_no_band(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier()
    score(store, "C1", "high")
    late = {"code": "superseded", "field": "revision", "text": "Revision 2 stands"}
    score(store, "C1", "low", 1, warnings=[late])
    score(store, "C1", "high", 2)
    drained(one)
    events = receiver.events()
    assert [event["type"] for event in events] == ["changerisk.change.scored.v1"] * 3
    assert [event["data"]["previous_band"] for event in events] == [None, "high", "high"]


def test_events_are_cloudevents(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    drained(one)
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert event["specversion"] == "1.0"
    assert event["id"] == headers["webhook-id"]
    assert (event["source"], event["subject"]) == (SOURCE, "C1")
    assert event["datacontenttype"] == "application/json"
    assert datetime.fromisoformat(event["time"]) == NOW
    assert all(name.isalnum() and name == name.lower() for name in event), "attribute names"
    assert set(event) - {"data"} <= {
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "sequence",
    }  # fmt: skip


def test_bands_narrow_what_is_told_of_changes(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier(bands=frozenset({"high"}))
    for number, band in enumerate(["low", "high", "low", "moderate"]):
        score(store, "C1", band, number)
    drained(one)
    told = [(e["type"].split(".")[2], e["data"]["risk_band"]) for e in receiver.events()]
    assert told == [
        ("scored", "high"), ("band_changed", "high"), ("scored", "low"), ("band_changed", "low"),
    ]  # fmt: skip


# signatures --------------------------------------------------------------------------------------


def test_signatures_hold_by_the_specification(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    """Computed here from the text of the specification, without the library that signs."""
    one = courier(secrets=(SECRET, OTHER))
    score(store, "C1", "low")
    drained(one)
    headers, body = receiver.got[0]
    signed = headers["webhook-signature"].split(" ")
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [
        "v1," + base64.b64encode(hmac.new(key * 32, text, hashlib.sha256).digest()).decode()
        for key in (b"k", b"o")
    ]
    assert signed == expected, "one for each secret while they change"
    assert int(headers["webhook-timestamp"]) == int(NOW.timestamp())


def test_openssl_agrees(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    one = courier()
    score(store, "C1", "low")
    drained(one)
    headers, body = receiver.got[0]
    signed = tmp_path / "signed"
    signed.write_bytes(f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body)
    key = (b"k" * 32).hex()
    command = [openssl, "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    found = subprocess.run([*command, signed], capture_output=True, check=True).stdout
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(found).decode()}"


def test_the_library_of_a_receiver_verifies(receiver: Receiver) -> None:
    now = datetime.now(UTC)
    assert send(endpoint(receiver), "id-1", '{"a":1}', now=now).taken
    headers, body = receiver.got[0]
    assert Webhook(SECRET).verify(body, headers) == {"a": 1}
    for wrong in (OTHER, SECRET.replace("a", "b")):
        with pytest.raises(Exception, match="signature"):
            Webhook(wrong).verify(body, headers)


# at least once -----------------------------------------------------------------------------------


def test_what_fails_is_tried_again_with_the_same_id_and_body(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], clock: Clock
) -> None:
    one = courier(draw=lambda: 1.0, events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    receiver.answers = [500, (503, {"Retry-After": "60"})]
    drained(one)
    assert len(receiver.got) == 1
    clock.now += timedelta(seconds=4.9)
    drained(one)
    assert len(receiver.got) == 1, "not before its time"
    clock.now += timedelta(seconds=0.2)
    drained(one)
    assert len(receiver.got) == 2
    clock.now += timedelta(seconds=59)
    drained(one)
    assert len(receiver.got) == 2, "as long as the endpoint asks"
    clock.now += timedelta(seconds=2)
    drained(one)
    assert len(set(receiver.ids())) == 1
    assert len({body for _, body in receiver.got}) == 1
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.got]
    assert stamps == sorted(set(stamps)), "signed anew each time"
    assert statuses(store)[DELIVERED] == 1


def test_what_fails_for_good_is_given_up_kept_and_retried(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], clock: Clock
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    score(store, "C2", "low")
    receiver.answers = [500, 410, 500, 500]
    for _ in range(5):
        drained(one)
        clock.now += timedelta(hours=7)
    assert len(receiver.got) == 4, "three attempts at one, one at the other: 410 is final"
    with store.outbox() as outbox:
        dead = outbox.dead()
        assert [row["outcome"] for row in dead] == ["HTTP 500", "HTTP 410: the endpoint is gone"]
        assert [row["attempts"] for row in dead] == [3, 1]
    with store.outbox(writing=True) as outbox:
        assert outbox.retry(now=instants.to_micros(clock.now), event_id=dead[0]["event_id"]) == 1
        assert outbox.retry(now=instants.to_micros(clock.now), event_id="other") == 0
    drained(one)
    assert receiver.ids()[-1] == dead[0]["event_id"] == receiver.ids()[0]
    assert statuses(store) == {WAITING: 0, DELIVERED: 1, DEAD: 1}


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from features.store import Store
from serving.courier import Courier
sys.path.insert(0, {here!r})
import test_webhooks_out as t
store = Store({url!r})
one = t.endpoint(events=frozenset({{"change.scored"}}), url={hook!r})
courier = Courier(one, lambda: store, lambda: t.NOW)
courier._settle = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
courier.round()
"""


def test_killed_between_sending_and_marking(
    store: Store, receiver: Receiver, courier: Callable[..., Courier], clock: Clock
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    for number in range(3):
        score(store, f"C{number}", "low")
    url = store.engine.url.render_as_string()
    script = KILLED.format(here=str(Path(__file__).parent), url=url, hook=one.endpoint.url)
    ended = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path.cwd())
    assert ended.returncode == -signal.SIGKILL
    assert len(receiver.got) == 1
    drained(one)
    assert len(receiver.got) == 1, "claimed by the one that died"
    clock.now += timedelta(minutes=5)
    drained(one)
    assert len(receiver.got) == 4
    assert receiver.ids()[0] == receiver.ids()[1], "sent again under the same id"
    assert len(set(receiver.ids())) == 3, "and nothing is lost"
    assert statuses(store) == {WAITING: 0, DELIVERED: 3, DEAD: 0}


def test_many_workers_send_each_once(store: Store, receiver: Receiver, clock: Clock) -> None:
    url = store.engine.url.render_as_string()
    stores = [Store(url) for _ in range(4)]
    one = endpoint(receiver, events=frozenset({"change.scored"}))
    couriers = [Courier(one, lambda own=own: own, clock) for own in stores]  # type: ignore[misc]
    couriers[0].gather(stores[0])
    for number in range(25):
        score(store, f"C{number}", "low")
    threads = [threading.Thread(target=drained, args=(courier,)) for courier in couriers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(event["subject"] for event in receiver.events()) == sorted(
        f"C{number}" for number in range(25)
    )
    assert len(set(receiver.ids())) == 25 > BATCH
    for own in stores:
        own.close()


def test_an_entry_that_is_undone_is_not_told(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier()

    def broken() -> None:
        with store.write("score", now=NOW) as writer:
            writer.append_journal("x", "score", "C1", {"answer": {"risk_band": "low"}})
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        broken()
    drained(one)
    assert receiver.got == []


def test_a_store_that_is_away_loses_nothing(
    store: Store, receiver: Receiver, courier: Callable[..., Courier]
) -> None:
    one = courier(events=frozenset({"change.scored"}))
    score(store, "C1", "low")
    away = Courier(one.endpoint, lambda: None, Clock())
    assert away.round() is False
    drained(one)
    assert len(receiver.got) == 1


def test_couriers_work_in_the_background_and_end(
    store: Store, receiver: Receiver, eventually: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr("serving.courier.POLL_SECONDS", 0.02)
    one = Courier(endpoint(receiver, events=frozenset({"change.scored"})), lambda: store, Clock())
    one.gather(store)
    couriers = Couriers([one])
    couriers.start()
    score(store, "C1", "low")
    eventually(lambda: receiver.got)
    couriers.stop()
    score(store, "C2", "low")
    assert all(not thread.is_alive() for thread in couriers._threads)
    assert len(receiver.got) == 1


def test_backing_off_grows_and_varies() -> None:
    waits = [backoff(n, 0.5) for n in range(1, 12)]
    assert waits == sorted(waits)
    assert {backoff(3, draw / 10) for draw in range(11)} == {40 + 4.0 * n for n in range(11)}


# to nobody else ----------------------------------------------------------------------------------


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    other = Receiver()
    receiver.answers = [(307, {"Location": f"http://127.0.0.1:{other.port}/"})]
    reply = send(endpoint(receiver), "i", "{}", now=NOW)
    assert (reply.taken, reply.outcome) == (False, "HTTP 307: redirects are not followed")
    assert other.got == []
    other.close()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
     "::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "224.0.0.1"],
)  # fmt: skip
def test_inner_addresses_are_refused(receiver: Receiver, address: str) -> None:
    one = endpoint(receiver, allow_private=False)
    reply = send(one, "i", "{}", now=NOW, resolve=lambda *_: ["93.184.216.34", address])
    assert not reply.taken
    assert "not public" in reply.outcome
    assert receiver.got == []


def test_the_connection_goes_to_what_was_looked_at(receiver: Receiver) -> None:
    one = endpoint(receiver, url=f"http://hooks.example:{receiver.port}/a?b=c")
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["127.0.0.1"]

    assert send(one, "i", "{}", now=NOW, resolve=resolve).taken
    assert asked == [("hooks.example", receiver.port)], "looked up once"
    assert receiver.got[0][0]["host"] == f"hooks.example:{receiver.port}"


def test_failures_say_nothing_of_the_address(caplog: pytest.LogCaptureFixture) -> None:
    def nobody(*_: object) -> list[str]:
        raise OSError("hooks.example")

    closed = Receiver()
    closed.close()
    found = [
        send(endpoint(closed), "i", "{}", now=NOW),
        send(endpoint(), "i", "{}", now=NOW, resolve=nobody),
        send(endpoint(), "i", "{}", now=NOW, resolve=lambda *_: []),
    ]
    assert [reply.outcome for reply in found] == [
        "no connection", "the host has no address", "the host has no address",
    ]  # fmt: skip
    assert "s3cr3t" not in repr([*found, endpoint()]) + caplog.text
    assert SECRET not in repr(endpoint())


def test_nothing_secret_is_logged_or_kept(
    store: Store,
    receiver: Receiver,
    courier: Callable[..., Courier],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    one = courier(attempts=1)
    score(store, "C1", "low")
    receiver.answers = [500]
    drained(one)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for secret in (SECRET.removeprefix("whsec_"), "s3cr3t"):
        assert secret not in caplog.text
        assert secret.encode() not in kept
    assert "a webhook to board is given up: HTTP 500" in caplog.text


def test_a_certificate_must_hold(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver.http.socket = context.wrap_socket(receiver.http.socket, server_side=True)
    one = endpoint(receiver, url=f"https://127.0.0.1:{receiver.port}/", allow_http=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    reply = send(one, "i", "{}", now=NOW)
    assert (reply.taken, receiver.got) == (False, [])
    assert "certificate" in reply.outcome
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert send(one, "i", "{}", now=NOW).taken
    named = endpoint(receiver, url=f"https://other.example:{receiver.port}/", allow_http=False)
    reply = send(named, "i", "{}", now=NOW, resolve=lambda *_: ["127.0.0.1"])
    assert not reply.taken, "the certificate is of another name"


# the file of endpoints ---------------------------------------------------------------------------

FINE = '[board-chat]\nurl = "https://hooks.example/x"\n'
SECRETS = {secret_name("board-chat"): SECRET}


def test_a_file_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == ()
    (tmp_path / "webhooks.toml").write_text(FINE, encoding="utf-8")
    (one,) = load(tmp_path, {secret_name("board-chat"): f"{SECRET} {OTHER}"})
    assert (one.name, one.host, one.secrets) == ("board-chat", "hooks.example", (SECRET, OTHER))
    assert one.events == {"change.band_changed", "decision.recorded", "model.promoted"}


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        (FINE, {}, "expected its secret in the environment, CHANGERISK_WEBHOOK_SECRET_BOARD_CHAT"),
        (FINE, {secret_name("board-chat"): "whsec_short"}, "expected one secret or two"),
        (FINE, {secret_name("board-chat"): "k" * 40}, "expected one secret or two"),
        (FINE.replace("https", "http"), SECRETS, "begins with https:// (allow_http = true lets"),
        (FINE.replace("https", "ftp") + "allow_http = true", SECRETS, "https:// or http://"),
        (FINE.replace("hooks", "me:pw@hooks"), SECRETS, "no user or password"),
        (FINE.replace("hooks.example", "hooks:0"), SECRETS, "begins with https"),
        (FINE + 'evnts = ["x"]', SECRETS, "board-chat.evnts: unknown name; did you mean 'events'?"),
        (FINE + 'events = ["change.score"]', SECRETS, "board-chat.events[0]: expected one of"),
        (FINE + "attempts = 0", SECRETS, "board-chat.attempts: expected greater than or equal"),
        (
            "[Board_Chat]\nurl = 'https://x.example'",
            SECRETS,
            "Board_Chat: expected a name of small",
        ),
        ("[board-chat]", SECRETS, "board-chat.url: expected it to be set"),
        ("x = 1", SECRETS, "x: expected a table, got 1"),
        ("[", SECRETS, "cannot be read"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, text: str, environment: dict[str, str], said: str
) -> None:
    (tmp_path / "webhooks.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SubscriptionError) as found:
        load(tmp_path, environment)
    assert said in str(found.value)
    assert "pw" not in str(found.value)
    assert found.value.exit_code == 2


# the command line --------------------------------------------------------------------------------


def test_the_commands(
    cli: Callable[..., Any], store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    text = f'[board]\nurl = "http://localhost:{receiver.port}"\nallow_http = true\nattempts = 1\n'
    text += 'allow_private = true\nevents = ["change.scored"]\n'
    (tmp_path / "webhooks.toml").write_text(text, encoding="utf-8")
    environment = {secret_name("board"): cli(tmp_path, "webhooks", "secret").out.strip()}

    def ran(*arguments: str) -> Any:
        return cli(tmp_path, "webhooks", *arguments, **environment)

    assert ran("test", "board").code == 0
    assert receiver.events()[0]["type"] == "changerisk.test.v1"
    receiver.answers = [500]
    refused = ran("test", "board")
    assert (refused.code, refused.out) == (1, "NOT taken: HTTP 500\n")
    assert ran("test", "other").code == 2
    assert ran("deliver", "board").code == 0
    score(store, "C1", "low")
    receiver.answers = [500]
    assert "dead 1" in ran("deliver", "board").out
    (listed,) = ran("list", "--json").lines()
    assert listed["endpoints"][0]["dead"] == 1
    assert listed["endpoints"][0]["host"] == "localhost"
    (dead,) = ran("dead", "--json").lines()
    event_id = dead["dead"][0]["event_id"]
    assert dead["dead"][0]["outcome"] == "HTTP 500"
    assert "1 webhooks were given up" in cli(tmp_path, "doctor", **environment).out
    assert ran("retry").code == 2
    assert ran("retry", "nothing").code == 1
    assert ran("retry", event_id).code == 0
    assert "delivered 1" in ran("deliver", "board").out
    assert receiver.ids()[-1] == event_id
    assert ran("dead").out == "none\n"


def test_a_worker_starts_its_couriers(
    service_with: Callable[..., Any],
    receiver: Receiver,
    ticket: Callable[..., Any],
    eventually: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.courier.POLL_SECONDS", 0.05)
    monkeypatch.setenv(secret_name("board"), SECRET)
    text = f'[board]\nurl = "http://127.0.0.1:{receiver.port}"\nallow_http = true\n'
    text += 'allow_private = true\nevents = ["change.scored", "decision.recorded"]\n'
    service = service_with("webhooks.toml", text)
    body = ticket()

    def told() -> Any:
        service.score(body)
        return receiver.got

    eventually(told)
    assert receiver.events()[0]["data"]["summary"].startswith("About")
    measures = service.ask("GET", "/metrics").text
    assert 'changerisk_webhooks{endpoint="board",status="dead"} 0.0' in measures
