"""Errors as RFC 9457 problem details, with the paths of the fields they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from serving.moment import InputError
from serving.tracing import trace_id

MEDIA_TYPE = "application/problem+json"

PROBLEMS: dict[str, tuple[int, str]] = {
    "broken-json": (400, "The body is not JSON"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden": (403, "This key may not do that"),
    "not-found": (404, "There is nothing here"),
    "conflict": (409, "Somebody else was first"),
    "stale": (412, "This is not how it stands any more"),
    "method-not-allowed": (405, "This cannot be done here"),
    "too-large": (413, "The body is too large"),
    "unsupported-media-type": (415, "The body must be JSON"),
    "invalid": (422, "Some fields cannot be used"),
    "key-reused": (422, "This key stands for another request"),
    "precondition-required": (428, "Say which state this is about"),
    "too-many-requests": (429, "Too many requests"),
    "internal-error": (500, "Something went wrong here"),
    "unavailable": (503, "The service cannot answer now"),
}
"""Status and title of every kind of problem this service answers with."""


def problem(
    kind: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    shown: Mapping[str, Any] | None = None,
) -> Response:
    """A problem response.

    Parameters
    ----------
    kind : str
        One of ``PROBLEMS``; its URI is documented in docs/api.md.
    errors : sequence of mappings
        ``pointer`` (a JSON pointer into the body) and ``detail`` of every fault.
    shown : mapping, optional
        Further members, such as the decision that stands.
    """
    status, title = PROBLEMS[kind]
    body: dict[str, Any] = {
        "type": f"https://change-risk.invalid/problems/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = list(errors)
    if (trace := trace_id()) is not None:
        body["trace_id"] = trace
    body.update(shown or {})
    return Response(
        orjson.dumps(body), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


class RefusedError(Exception):
    """What was asked cannot be done, for a reason its caller can understand.

    Parameters
    ----------
    kind : str
        One of ``PROBLEMS``.
    detail : str
        What was expected.
    pointer : str, optional
        JSON pointer of the field at fault, or ``?name`` of a parameter.
    shown : mapping, optional
        Further members of the problem, such as the decision that stands.
    """

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        pointer: str | None = None,
        shown: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.pointer = pointer
        self.shown = dict(shown or {})

    def response(self) -> Response:
        """The problem to answer with."""
        errors = []
        if self.pointer is not None:
            where = "parameter" if self.pointer.startswith("?") else "pointer"
            errors = [{where: self.pointer.removeprefix("?"), "detail": self.detail}]
        detail = "1 field could not be used" if errors else self.detail
        return problem(self.kind, detail, errors=errors, shown=self.shown)


def of_validation(error: ValidationError, *, of: str = "body") -> Response:
    """The problem of a body, or of a query's parameters, that cannot be understood."""
    errors = [
        {
            **_place(fault["loc"], of),
            "detail": _expectation(fault),
        }
        for fault in error.errors(include_url=False, include_input=False)
    ]
    count = len(errors)
    return problem(
        "invalid",
        f"{count} field{'s' if count > 1 else ''} could not be understood",
        errors=errors,
    )


def _place(location: Sequence[object], of: str) -> dict[str, str]:
    if of == "query":
        return {"parameter": str(location[0])} if location else {}
    return {"pointer": "".join(f"/{_escaped(part)}" for part in location)}


def of_input(error: InputError) -> Response:
    """The problem of a field that can be understood but not used."""
    fault = {"pointer": error.pointer, "detail": error.detail}
    return problem("invalid", "1 field could not be used", errors=[fault])


def _escaped(part: object) -> str:
    """A step of a JSON pointer (RFC 6901)."""
    return str(part).replace("~", "~0").replace("/", "~1")


def _expectation(fault: Mapping[str, Any]) -> str:
    message = str(fault["msg"]).removeprefix("Value error, ")
    known = {
        "missing": "this field is needed",
        "string_type": "expected a text that is not empty",
        "string_too_short": "expected a text that is not empty",
        "model_type": "expected a JSON object",
        "dict_type": "expected a JSON object",
    }
    if fault["type"] in known:
        return known[fault["type"]]
    if fault["type"] in ("string_too_long", "too_long"):
        what = "characters" if fault["type"] == "string_too_long" else "entries"
        return f"expected at most {fault['ctx']['max_length']} {what}"
    return message[:1].lower() + message[1:]


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The problem of a bare status, such as a router's 404 or 405."""
    for kind, (code, _) in PROBLEMS.items():
        if code == status:
            words = HTTPStatus(status).description or HTTPStatus(status).phrase
            return problem(kind, words, headers=headers)
    return problem("unavailable", HTTPStatus(status).phrase, headers=headers)
