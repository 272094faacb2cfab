"""Sending one signed message over HTTP, to the address that was looked at and to no other.

Signed as Standard Webhooks [1]_ has it: ``webhook-signature`` is ``v1,`` and the base64 of the
HMAC-SHA256 of ``id.timestamp.body``, once for every secret.

.. [1] https://www.standardwebhooks.com
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from ipaddress import ip_address
from urllib.parse import urlsplit

import urllib3
from standardwebhooks import Webhook

from serving.subscriptions import Endpoint

MOST_READ = 1_024
"""Bytes of an answer that are read; none of them are kept."""

MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"

Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of sending.

    Parameters
    ----------
    outcome : str
        In words, without the address or anything the endpoint said.
    wait_seconds : float
        How long the endpoint asks not to be tried again.
    final : bool
        Whether trying again makes no sense.
    """

    taken: bool
    outcome: str
    wait_seconds: float = 0.0
    final: bool = False


def headers_of(endpoint: Endpoint, event_id: str, body: str, *, now: datetime) -> dict[str, str]:
    """The headers of a message, signed with every secret of its endpoint."""
    signed = " ".join(Webhook(secret).sign(event_id, now, body) for secret in endpoint.secrets)
    return {
        "Content-Type": MEDIA_TYPE,
        "User-Agent": f"change-risk/{version('change-risk')}",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signed,
    }


def addresses_of(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, in the order in which the system would try them.

    Raises
    ------
    OSError
        If it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def send(
    endpoint: Endpoint,
    event_id: str,
    body: str,
    *,
    now: datetime,
    resolve: Resolve = addresses_of,
) -> Reply:
    """Send a message once. Whatever goes wrong is told, never raised.

    The host is looked up here and the connection made to what was found, so that nothing can point
    it elsewhere in between; every address must be public unless the endpoint allows others.
    Redirects are not followed: the signed message is for its endpoint alone. No proxy is used.
    """
    url = urlsplit(endpoint.url)
    host, port = endpoint.host, url.port or (443 if url.scheme == "https" else 80)
    try:
        found = resolve(host, port)
    except OSError:
        return Reply(taken=False, outcome="the host has no address")
    if not endpoint.allow_private and not all(_is_public(address) for address in found):
        outcome = "the host's address is not public (allow_private = true lets it pass)"
        return Reply(taken=False, outcome=outcome)
    target = f"{url.path or '/'}{f'?{url.query}' if url.query else ''}"
    headers = headers_of(endpoint, event_id, body, now=now)
    headers["Host"] = url.netloc
    outcome = "the host has no address"
    for address in found:
        with _pool(endpoint, url.scheme, host, address, port) as pool:
            try:
                response = pool.urlopen(
                    "POST",
                    target,
                    body=body.encode(),
                    headers=headers,
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=False,
                )
                response.read(MOST_READ)
                return _reply(response, now)
            except urllib3.exceptions.NewConnectionError:
                outcome = "no connection"
            except (urllib3.exceptions.HTTPError, OSError) as error:
                return Reply(taken=False, outcome=_worded(error))
    return Reply(taken=False, outcome=outcome)


def _pool(
    endpoint: Endpoint, scheme: str, host: str, address: str, port: int
) -> urllib3.HTTPConnectionPool:
    # What it would log of a request is the path, which may hold what is secret.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    timeout = urllib3.Timeout(total=endpoint.timeout_seconds)
    if scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, timeout=timeout, maxsize=1)
    return urllib3.HTTPSConnectionPool(
        address,
        port,
        timeout=timeout,
        maxsize=1,
        ssl_context=_trust(os.environ.get("REQUESTS_CA_BUNDLE") or None),
        server_hostname=host,
        assert_hostname=host,
    )


@cache
def _trust(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)


def _is_public(address: str) -> bool:
    """Whether an address is one of the internet, not private, local, link-local or reserved."""
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


def _reply(response: urllib3.BaseHTTPResponse, now: datetime) -> Reply:
    status = response.status
    if 200 <= status < 300:
        return Reply(taken=True, outcome=f"HTTP {status}")
    if 300 <= status < 400:
        return Reply(taken=False, outcome=f"HTTP {status}: redirects are not followed")
    if status == 410:
        return Reply(taken=False, outcome="HTTP 410: the endpoint is gone", final=True)
    wait = _wait(response.headers.get("Retry-After"), now)
    return Reply(taken=False, outcome=f"HTTP {status}", wait_seconds=wait)


def _wait(said: str | None, now: datetime) -> float:
    """``Retry-After`` in seconds, at most a day; 0 where it says nothing usable."""
    if not said:
        return 0.0
    try:
        seconds = (
            float(said) if said.isdecimal() else (parsedate_to_datetime(said) - now).total_seconds()
        )
    except (TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), 86_400.0)


def _worded(error: Exception) -> str:
    """A failure without the address, which an exception would quote."""
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return "the certificate could not be verified, or no TLS"
    return f"the connection failed ({type(error).__name__})"
