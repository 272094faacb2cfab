"""One application for two kinds of callers: pages for people, the contract for machines."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api import create_app
from serving.measures import Measures
from serving.pages.app import create_pages
from serving.pages.door import is_page
from serving.runtime import Runtime
from serving.together import Together


def create_front(runtime: Runtime, measures: Measures, together: Together) -> ASGIApp:
    """The pages and the contract over one worker's runtime."""
    pages, contract = create_pages(runtime), create_app(runtime, measures, together)

    async def front(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = pages if scope["type"] == "http" and is_page(scope["path"]) else contract
        await chosen(scope, receive, send)

    return front
