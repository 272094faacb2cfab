"""Sessions over HTTP that wait when they are told to, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from features.errors import ChangeRiskError

TIMEOUT = (10.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""

LONGEST_WAIT = 300
"""Seconds a server may make us wait before the next attempt."""

CUT_ATTEMPTS = 3
"""How often a reading that is cut off is tried."""

_T = TypeVar("_T")


class VendorError(ChangeRiskError):
    """An ITSM could not be asked; the message says what it said. What was committed stays."""


class ForbiddenError(VendorError):
    """The account may not read or write something, or it is not there."""


class PatientAdapter(HTTPAdapter):
    """Waits as ``Retry-After`` says, else longer each time; gives every request a time-out.

    Only readings are repeated: a writing that may have been done is left to the next run.
    """

    def __init__(self) -> None:
        retries = Retry(
            total=5,
            connect=2,
            read=2,
            backoff_factor=0.5,
            backoff_max=60,
            status_forcelist=[429, 502, 503, 504],
            allowed_methods={"GET"},
            raise_on_status=False,
            retry_after_max=LONGEST_WAIT,
        )
        super().__init__(max_retries=retries)

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:  # type: ignore[override]
        """Send a request, with a time-out whatever the client library asked for."""
        given["timeout"] = given.get("timeout") or TIMEOUT
        return super().send(request, **given)


def patiently(ask: Callable[[], _T], *, wait: Callable[[float], None] = time.sleep) -> _T:
    """Ask again where the connection was cut while an answer was read.

    Raises
    ------
    VendorError
        If it was cut every time, or the server could not be reached.
    """
    for attempt in range(1, CUT_ATTEMPTS + 1):
        try:
            return ask()
        except requests.exceptions.SSLError as error:
            raise VendorError(f"the server's certificate is not trusted: {_said(error)}") from error
        except requests.exceptions.RequestException as error:
            if attempt == CUT_ATTEMPTS:
                raise VendorError(f"the server could not be asked: {_said(error)}") from error
        wait(0.5 * 2**attempt)
    raise VendorError("the server could not be asked")


def _said(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
