"""``Idempotency-Key``: a request that comes twice is done once and answered twice.

Follows draft-ietf-httpapi-idempotency-key-header-07: the same key and content get the stored
answer, other content a 422, and a 409 while the first is under way. Kept for a day, per client. A
request that was refused is not kept: it was not done, and comes mended under the same key.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features import instants
from features.store import Store, StoreError
from serving.problems import problem
from serving.runtime import Runtime

_log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
LONGEST = 255
REPLAYED = "Idempotency-Replayed"

_KEPT_HEADERS = ("content-type", "etag", "link")


async def once(
    runtime: Runtime, request: Request, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Handle a request, unless it was handled before; then give that answer again."""
    key, who = request.headers.get(HEADER), request.scope.get("state", {}).get("caller")
    scorer = await run_in_threadpool(runtime.scorer) if key is not None else None
    if key is None or who is None or scorer is None:
        return await handle(request)
    if not 1 <= len(key) <= LONGEST or not key.isprintable():
        fault = {"parameter": HEADER, "detail": f"expected 1 to {LONGEST} printable characters"}
        return problem("invalid", "1 header could not be used", errors=[fault])
    digest = await _digest(request)
    try:
        earlier = await run_in_threadpool(
            _begun, scorer.store, who.key_id, key, digest, instants.to_micros(runtime.clock())
        )
    except StoreError as error:
        _log.error("requests cannot be remembered: %s", error)
        return await handle(request)  # what needs the store will say so itself
    if earlier is not None:
        return earlier
    response: Response | None = None
    try:
        response = await handle(request)
    finally:
        await run_in_threadpool(_finished, scorer.store, who.key_id, key, response)
    return response


async def _digest(request: Request) -> str:
    parts = [request.method, request.url.path, request.url.query, request.headers.get("if-match")]
    content = orjson.dumps(parts) + b"\0" + await request.body()
    return hashlib.sha256(content).hexdigest()


def _begun(store: Store, client: str, key: str, digest: str, now: int) -> Response | None:
    """None for a request to be handled, else the answer it gets."""
    with store.requests() as requests:
        row = requests.begin(client, key, digest, now=now)
    if row is None:
        return None
    if row["digest"] != digest:
        return problem("key-reused", f"this {HEADER} came with another request before")
    if row["status"] is None:
        detail = "the first request with this key is still under way"
        return problem("conflict", detail, headers={"Retry-After": "1"})
    headers = {**orjson.loads(row["headers"]), REPLAYED: "true"}
    return Response(row["body"], status_code=row["status"], headers=headers)


def _finished(store: Store, client: str, key: str, response: Response | None) -> None:
    """Keep an answer; what was refused or failed may be asked again."""
    try:
        with store.requests() as requests:
            # Of what was refused nothing was done: it may come again, mended.
            if response is None or response.status_code >= 400:
                requests.forget(client, key)
                return
            headers = {n: v for n, v in response.headers.items() if n in _KEPT_HEADERS}
            kept, body = orjson.dumps(headers).decode(), bytes(response.body)
            requests.finish(client, key, status=response.status_code, headers=kept, body=body)
    except StoreError as error:
        _log.error("an answer cannot be kept for a second request: %s", error)
