"""Bodies of ServiceNow, Jira and RT as they come: scored, recorded, or refused and kept."""

from __future__ import annotations

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from pydantic import RootModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from features.sources.vendor import DeliveryError
from features.store import StoreError
from serving.bodies import parsed
from serving.contract import Answer
from serving.delivered import Recorded
from serving.inbox import KEPT, VENDORS, Inbox, Vendor
from serving.kept import Kept
from serving.moment import InputError
from serving.problems import of_input, of_validation, problem
from serving.routes.operation import BODY_PROBLEMS, RETRY, Context, Operation
from serving.runtime import Runtime

_inboxes: WeakKeyDictionary[Runtime, Inbox] = WeakKeyDictionary()


async def receive(vendor: Vendor, context: Context, request: Request) -> Response:
    """``POST /v1/webhooks/{vendor}``: one record in the vendor's own shape."""
    content = await request.body()
    refusal, body = parsed(request.headers, content)
    if refusal is None:
        refusal = response = await run_in_threadpool(_received, vendor, context, body)
        if response.status_code < 400 or response.status_code >= 500:
            return response
    kept = Kept(context.runtime.settings.home / KEPT)
    why = orjson.loads(bytes(refusal.body))
    await run_in_threadpool(kept.keep, vendor.name, content, why, context.runtime.clock())
    return refusal


def _received(vendor: Vendor, context: Context, body: object) -> Response:
    runtime = context.runtime
    inbox = _inboxes.get(runtime)
    if inbox is None:
        inbox = _inboxes[runtime] = Inbox(runtime)
    try:
        found = inbox.receive(vendor, body, partial(context.measures.answered, runtime.answer))
    except DeliveryError as error:
        fault = {"pointer": error.pointer, "detail": error.detail}
        return problem("invalid", "the record could not be understood", errors=[fault])
    except ValidationError as error:
        return of_validation(error)
    except InputError as error:
        return of_input(error)
    except StoreError:
        return problem("unavailable", "the record could not be stored", headers=RETRY)
    return Response(found.model_dump_json(), media_type="application/json")


class VendorRecord(RootModel[dict[str, Any]]):
    """A record in the vendor's own shape; see docs/connect-servicenow.md, docs/connect-jira.md."""


class WebhookAnswer(RootModel[Answer | Recorded]):
    """The answer to a change, or what was recorded of anything else."""


def _operation(vendor: Vendor, spoken: str) -> Operation:
    return Operation(
        name=f"{vendor.name}_webhook",
        summary=f"A record of {spoken}, as it comes",
        method="POST",
        path=f"/v1/webhooks/{vendor.name}",
        permission="record",
        handler=partial(receive, vendor),
        body=VendorRecord,
        gives={200: ("The answer to a change, or what was recorded", WebhookAnswer)},
        problems=BODY_PROBLEMS,
    )


OPERATIONS = tuple(
    _operation(VENDORS[name], spoken)
    for name, spoken in (("servicenow", "ServiceNow"), ("jira", "Jira"), ("rt", "Request Tracker"))
)
