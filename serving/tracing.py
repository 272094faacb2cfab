"""W3C trace context: the caller's trace goes on in ours, and every problem names it."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

HEADER = "traceparent"

_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")

_trace: ContextVar[str | None] = ContextVar("trace_id", default=None)


def begin(given: str | None) -> str:
    """Go on with a trace, or begin one; returns our own ``traceparent``.

    Examples
    --------
    >>> begin("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")[:35]
    '00-4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = _FORM.fullmatch(given or "")
    flags = "00"
    trace = secrets.token_hex(16)
    if found and set(found[1]) != {"0"} and set(found[2]) != {"0"}:
        trace, flags = found[1], found[3]
    _trace.set(trace)
    return f"00-{trace}-{secrets.token_hex(8)}-{flags}"


def trace_id() -> str | None:
    """The trace of the request under way; None outside of one."""
    return _trace.get()
