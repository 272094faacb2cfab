"""What every page shares: templates, static files, headers, and who is looking."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import Response

from serving.keys import Caller
from serving.pages import charts, words
from serving.pages.session import secret
from serving.runtime import Runtime

HERE = Path(__file__).parent

STATIC = frozenset(
    (
        "app.css",
        "app.js",
        "htmx.min.js",
        "icon.svg",
        "public-sans.woff2",
        "atkinson-hyperlegible-mono.woff2",
    )
)
"""Files that are served; their licences lie beside them."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind} 'self'" for kind in ("script-src", "style-src", "font-src", "img-src")),
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of every answer."""

mimetypes.add_type("font/woff2", ".woff2")


@cache
def static_digest() -> str:
    """Names the static files' content, so that browsers may keep them for good."""
    parts = [(HERE / "static" / name).read_bytes() for name in sorted(STATIC)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


@cache
def static_file(name: str) -> tuple[bytes, str]:
    """Content and type of a static file.

    Raises
    ------
    KeyError
        If it is not one of those that are served.
    """
    if name not in STATIC:
        raise KeyError(name)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return (HERE / "static" / name).read_bytes(), kind


@cache
def environment() -> Environment:
    """The templates: everything escaped, and a name that nobody gave is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(
        static=f"/static/{static_digest()}",
        meters=charts.meters,
        band_words=words.BAND_WORDS,
        odd=words.ODD,
        route_words=words.ROUTE_WORDS,
        shadow_words=words.SHADOW_WORDS,
        role_words=words.ROLE_WORDS,
        operators=words.OPERATORS,
        counted=words.counted,
        listed=words.listed,
        page_of=page_of,
    )
    made.filters.update(
        short=words.short,
        points=words.points,
        role_of=words.role_of,
        remark=words.remark,
        kept=words.kept,
        whole=words.whole,
        sentence=lambda text: text[:1].upper() + text[1:],
        tenth=words.tenth,
        duration=words.duration,
        minutes=lambda minutes: words.duration(timedelta(minutes=minutes)),
        figure=words.figure,
    )
    return made


def page_of(change_id: str) -> str:
    """Address of a change's page."""
    return f"/changes/{quote(change_id, safe='')}"


def with_query(path: str, **given: object) -> str:
    """An address with those parameters that say something."""
    query = urlencode({name: value for name, value in given.items() if value not in (None, "")})
    return f"{path}?{query}" if query else path


@dataclass(frozen=True)
class Site:
    """The pages over one worker's runtime."""

    runtime: Runtime

    @cached_property
    def key(self) -> OctKey:
        """The secret that signs sessions."""
        return secret(self.runtime.settings.home)

    def times(self) -> words.Times:
        """Moments as this organisation reads them, now."""
        return words.Times(self.runtime.board.timezone, self.runtime.clock())

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """A page."""
        given = {
            "user": caller_of(request),
            "here": request.url.path,
            "again": address_of(request) if request.method in ("GET", "HEAD") else None,
            "times": self.times(),
            "part": False,
            **values,
        }
        body = environment().get_template(template).render(given)
        kept = {"Cache-Control": "no-store", "Vary": "Cookie, HX-Request", **(headers or {})}
        return Response(body, status, kept, "text/html; charset=utf-8")

    def message(
        self,
        request: Request,
        template: str,
        *,
        status: int,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """A page that says why there is none; above the page that asked where it asked for a part.

        What was typed into that page stays as it is.
        """
        part = swaps(request)
        above = {"HX-Retarget": "#alert", "HX-Reswap": "innerHTML"} if part else {}
        kept = {**above, **(headers or {})}
        return self.render(request, template, status=status, headers=kept, part=part, **values)


def caller_of(request: Request) -> Caller | None:
    """Who is looking; None before sign-in."""
    return getattr(request.state, "caller", None)


def address_of(request: Request) -> str:
    """The path and query asked for, as the browser wrote them: an id may hold what ends a path."""
    written = request.scope.get("raw_path", b"").decode("ascii", "replace")
    query = f"?{request.url.query}" if request.url.query else ""
    return (written or quote(request.url.path)) + query


def swaps(request: Request) -> bool:
    """Whether a part of a page is asked for, to be put in place by htmx.

    On the way back through the browser's history it asks for whole pages.
    """
    back = request.headers.get("hx-history-restore-request") == "true"
    return request.headers.get("hx-request") == "true" and not back
