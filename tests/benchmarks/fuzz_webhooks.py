"""Bodies nobody would send, at all webhooks: `python -m tests.benchmarks.fuzz_webhooks`.

Bodies are the examples of docs/examples, broken in up to eight places, or cut, or not JSON at all;
the same seed gives the same bodies. They go through the whole application, in process, over a store
without a model. Ends with 1 if any answer is a 5xx or none of the documented ones.
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import orjson
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from features.settings import Settings
from features.store import Store
from serving.inbox import KEPT
from serving.kept import Kept
from serving.keys import create
from serving.runtime import Runtime
from serving.service import create_service

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
AT_ONCE = 8
"""Bodies under way at a time."""

DOCUMENTED = {200, 400, 413, 415, 422}
ODD: list[Any] = [
    None, True, False, 0, -1, 2**63, 1e308, -0.0, "", " ", "x", "\x00", "é" * 50, "🜁", "null",
    "NaN", "2026-11-24 22:00:00", "9999-12-31 23:59:59", "1969-12-31",
    "2026-11-24T22:00:00.000+0100",
    "1b0c7d22c6112276018f7705562f9cb0", "https://x/api/now/table/cmdb_ci/" + "f" * 32, [], {}, [[]],
    "delete", "cmdb_rel_ci", "20261224T220000Z", "blackout",
    [None], {"value": None}, {"display_value": []}, {"value": {"value": 1}}, {"link": 3},
    {"type": "doc", "content": "x"}, {"type": "doc", "content": [{"type": []}]}, {"id": {}},
    {"name": 7}, [{"name": []}], 10**400, "x" * 5_000,
]  # fmt: skip
TICKET = {"id": 4, "Subject": "x", "Status": "new", "Queue": {"id": "3"},
          "Created": "2026-11-19", "CustomFields": [{"name": "CI", "values": ["a"]},
                                                    {"name": "Risk", "values": []}]}  # fmt: skip


class Modelless(Runtime):
    """A runtime that looks for no model: what a body says is read all the same."""

    def _model(self) -> tuple[None, str]:
        return None, "the campaign needs no model"


def examples() -> list[tuple[str, Any]]:
    """A path and a good body for it."""
    found: list[tuple[str, Any]] = [("/v1/webhooks/rt", TICKET)]
    for path in sorted(EXAMPLES.glob("*.json")):
        vendor = path.stem.split("-")[0]
        if path.stem != "jira-fields":
            found.append((f"/v1/webhooks/{vendor}", orjson.loads(path.read_bytes())))
    gone = [(path, {**body, "operation": "delete"}) for path, body in found if "table" in body]
    return found + gone


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a body with every key of it."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        found += [(inner, key) for key in keys]
        waiting += [inner[key] for key in keys if isinstance(inner[key], (dict, list))]
    return found


def broken(body: Any, chance: random.Random) -> bytes:
    """A body with some of its values replaced, removed or renamed; sometimes not even JSON."""
    made = copy.deepcopy(body)
    for _ in range(chance.randint(1, 8)):
        within = places(made)
        if not within:
            break
        container, key = chance.choice(within)
        if isinstance(container, dict) and chance.random() < 0.2:
            value = container.pop(key)
            if chance.random() < 0.5:
                container[chance.choice(["", "value", "é", "issue", "result", key * 2])] = value
        else:
            container[key] = copy.deepcopy(chance.choice(ODD))
    content = orjson.dumps(made) if not _huge(made) else repr(made).encode()
    shape = chance.random()
    if shape < 0.05:
        return content[: chance.randrange(len(content) + 1)]
    if shape < 0.1:
        at = chance.randrange(len(content) + 1)
        return content[:at] + chance.randbytes(chance.randint(1, 9)) + content[at:]
    return content


async def post(
    app: ASGIApp, path: str, content: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """Status and body of the answer to a POST, without a client's own work."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
        "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "state": {},
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    given: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
    status, parts = 0, []

    async def receive() -> Message:
        return given.pop() if given else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    try:
        await app(scope, receive, send)
    except Exception:  # noqa: BLE001 - a server answers it with a 500
        return 500, b""
    return status, b"".join(parts)


def _huge(made: Any) -> bool:
    try:
        orjson.dumps(made)
    except TypeError:
        return True
    return False


def main() -> None:
    """Run the campaign and print its figures."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--bodies", type=int, default=10_000)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--seconds", type=float, default=3_600, help="Stop after so many.")
    asked.add_argument("--folder", help="Where the store is made, such as /dev/shm.")
    given = asked.parse_args()
    chance, good = random.Random(given.seed), examples()  # noqa: S311 - not for secrets
    statuses: Counter[int] = Counter()
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        settings = Settings.from_environment({"CHANGERISK_HOME": folder})
        store, now = Store(settings.store_url), datetime.now(UTC)
        key = create(store, name="fuzz", role="service", now=now, expires_at=None)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        begun = time.monotonic()
        with TestClient(
            create_service(Modelless(settings)).to_asgi(), raise_server_exceptions=False
        ) as client:
            deadline = begun + given.seconds
            made = (
                (path, broken(body, chance))
                for path, body in (chance.choice(good) for _ in range(given.bodies))
                if time.monotonic() < deadline
            )

            async def sender() -> None:
                for path, content in made:
                    status, answer = await post(client.app, path, content, headers)
                    statuses[status] += 1
                    if status == 200:
                        kinds[str(orjson.loads(answer)["status"])] += 1
                    if status not in DOCUMENTED:
                        sys.stdout.write(f"{status} {path} {content[:2_000]!r}\n")

            async def senders() -> None:
                async with anyio.create_task_group() as group:
                    for _ in range(AT_ONCE):
                        group.start_soon(sender)

            assert client.portal is not None
            client.portal.call(senders)
        seconds = time.monotonic() - begun
        kept = sum(1 for _ in Kept(Path(folder) / KEPT).bodies())
    refused = sum(count for status, count in statuses.items() if 400 <= status < 500)
    sys.stdout.write(
        f"seed {given.seed}: {statuses.total():,} bodies in {seconds:,.0f} s; statuses "
        f"{dict(sorted(statuses.items()))}; answers {dict(kinds)}; refused {refused:,}, "
        f"kept {kept:,}\n"
    )
    sys.exit(0 if set(statuses) <= DOCUMENTED else 1)


if __name__ == "__main__":
    main()
