"""Webhooks out: to nobody else, the file of endpoints, commands and workers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.store import Store
from serving.courier import Courier
from serving.sending import send
from serving.subscriptions import SubscriptionError, load, secret_name
from tests.serving.sync.telling import (
    NOW,
    OTHER,
    SECRET,
    Receiver,
    drained,
    endpoint,
    score,
)

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
