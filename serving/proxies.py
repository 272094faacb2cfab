"""Sign-in by a proxy in front: the names it passes on, believed from listed peers only."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from features.settings import Network
from serving.access import MAY, ROLES
from serving.keys import Caller

USER, ROLES_OF_USER = "x-remote-user", "x-remote-roles"
"""Headers in which the proxy says who it is; it must remove those a client sends."""


def proxied(scope: Scope, peers: Sequence[Network]) -> Caller | None:
    """Who the proxy says it is; None where it is no listed peer or says nothing usable."""
    if not peers or not _is_listed(scope, peers):
        return None
    headers = Headers(scope=scope)
    name = headers.get(USER, "").strip()
    said = {role.strip() for role in headers.get(ROLES_OF_USER, "").split(",")}
    roles = [role for role in reversed(ROLES) if role in said]
    # Two headers of one name: somebody but the proxy wrote one of them.
    once = len(headers.getlist(USER)) == 1 and len(headers.getlist(ROLES_OF_USER)) == 1
    if not name or not roles or not once:
        return None
    granted = frozenset().union(*(MAY[role] for role in roles))
    return Caller(key_id=f"proxy:{name}", name=name, role=roles[0], granted=granted)


def from_here(headers: Headers) -> bool:
    """Whether an unsafe request comes from our own pages: by Fetch Metadata, else by its origin.

    Browsers add a proxy's sign-in to whatever a page elsewhere makes them send.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")


def _is_listed(scope: Scope, peers: Sequence[Network]) -> bool:
    client = scope.get("client")
    try:
        address = ip_address(client[0]) if client else None
    except ValueError:
        return False
    return address is not None and any(address in peer for peer in peers)
