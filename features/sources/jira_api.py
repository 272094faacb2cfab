"""Jira through the well-kept client of that name; the only module that imports it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jira import JIRA
from jira.exceptions import JIRAError

from features.sources.patience import ForbiddenError, PatientAdapter, VendorError, patiently

_T = TypeVar("_T")


class Jira:
    """A site, Cloud or Data Center, asked over HTTPS.

    Parameters
    ----------
    url : str
        ``https://example.atlassian.net``.
    user : str or None
        The account of the API token; None where the token is a personal one of Data Center.

    Raises
    ------
    VendorError
        If the address is not HTTPS, the site cannot be reached or refuses the account.
    """

    def __init__(self, url: str, user: str | None, token: str) -> None:
        if not url.startswith("https://"):
            raise VendorError(f"Jira: expected an https:// address, got {url[:100]!r}")
        # The client's own messages quote whole answers; ours say what matters.
        logging.getLogger("jira").setLevel(logging.CRITICAL)
        account: dict[str, Any] = {"token_auth": token}
        if user:
            account = {"basic_auth": (user, token)}
        self._client = JIRA(url, **account, get_server_info=False, max_retries=0, logging=False)
        self._client._session.mount(url, PatientAdapter())
        info = self._guarded(self._client.server_info)
        self._client.deploymentType = info.get("deploymentType")

    @property
    def cloud(self) -> bool:
        """Whether pages are asked for by token; else by position."""
        return bool(self._client.deploymentType == "Cloud")

    def field_names(self) -> dict[str, str]:
        """Names of the site's fields by id."""
        fields = self._guarded(self._client.fields)
        return {
            str(field["id"]): str(field["name"])
            for field in fields
            if isinstance(field, dict) and "id" in field and "name" in field
        }

    def search(
        self, jql: str, *, limit: int, start: int = 0, token: str | None = None
    ) -> dict[str, Any]:
        """A page of issues with all fields and their history.

        Raises
        ------
        VendorError
            If the query is refused or the site cannot be asked.
        """

        def ask() -> dict[str, Any]:
            asked: dict[str, Any] = {
                "maxResults": limit,
                "expand": "changelog",
                "json_result": True,
            }
            if self.cloud:
                return dict(self._client.enhanced_search_issues(jql, nextPageToken=token, **asked))
            return dict(self._client.search_issues(jql, startAt=start, **asked))

        return self._guarded(ask)

    def set_property(self, key: str, name: str, value: Mapping[str, Any]) -> None:
        """Keep a JSON object with an issue, which no screen shows."""
        self._guarded(lambda: self._client.add_issue_property(key, name, dict(value)), again=False)

    def set_fields(self, key: str, fields: Mapping[str, Any]) -> None:
        """Set fields of an issue, by id, without telling its watchers."""

        def ask() -> None:
            self._client.issue(key, fields="summary").update(fields=dict(fields), notify=False)

        self._guarded(ask, again=False)

    def property_of(self, key: str, name: str) -> Mapping[str, Any]:
        """What is kept with an issue under a name; empty for nothing."""
        try:
            found = self._guarded(lambda: self._client.issue_property(key, name)).raw.get("value")
        except ForbiddenError:
            return {}
        return found if isinstance(found, dict) else {}

    def comment(self, key: str, body: str) -> None:
        """Add a comment that a service desk's customers do not see."""
        self._guarded(lambda: self._client.add_comment(key, body, is_internal=True), again=False)

    def _guarded(self, ask: Callable[[], _T], *, again: bool = True) -> _T:
        for attempt in (1, 2):
            try:
                return patiently(ask) if again else ask()
            except JIRAError as error:
                if error.status_code == 401 and attempt == 1 and self._client._session.cookies:
                    self._client._session.cookies.clear()  # the session has run out
                    continue
                raise _told(error) from error
            except (OSError, ValueError) as error:
                said = str(error)[:300] or type(error).__name__
                raise VendorError(f"Jira could not be asked: {said}") from error
        raise VendorError("Jira does not accept the account")


def _told(error: JIRAError) -> VendorError:
    said = " ".join(str(error.text or "").split())[:300]
    if error.status_code == 401:
        return VendorError("Jira does not accept the account")
    if error.status_code in (403, 404):
        return ForbiddenError(f"Jira: not allowed or not there ({error.status_code}) {said}")
    return VendorError(f"Jira answered {error.status_code}: {said}")
