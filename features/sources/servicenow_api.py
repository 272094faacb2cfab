"""ServiceNow's Table API through ServiceNow's own client; the only module that imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pysnc import ServiceNowClient
from pysnc.auth import ServiceNowClientCredentialsFlow
from pysnc.exceptions import (
    AuthenticationException,
    InstanceException,
    NotFoundException,
    RequestException,
    RestException,
    RoleException,
)

from features.sources.patience import ForbiddenError, PatientAdapter, VendorError, patiently

Rows = list[dict[str, Any]]

MOST_IDS = 100
"""Ids in one query: beyond some 10,000 characters of it the client changes its way of asking."""

_T = TypeVar("_T")


class ServiceNow:
    """An instance, asked over HTTPS.

    Parameters
    ----------
    url : str
        ``https://example.service-now.com``, or the instance's name alone.
    user, secret : str
        Name and password, or with ``oauth`` the id and secret of an OAuth client.

    Raises
    ------
    VendorError
        If the address is none, or the account is refused.
    """

    def __init__(self, url: str, user: str, secret: str, *, oauth: bool = False) -> None:
        auth = ServiceNowClientCredentialsFlow(user, secret) if oauth else (user, secret)
        try:
            self._client = ServiceNowClient(url, auth, auto_retry=False)
        except (InstanceException, AuthenticationException) as error:
            raise VendorError(f"ServiceNow: {error}") from error
        self._client.session.mount(self._client.instance, PatientAdapter())

    def rows(self, table: str, query: str, *, limit: int, order: Sequence[str]) -> Rows:
        """At most ``limit`` rows of a table, with values and display values.

        Raises
        ------
        ForbiddenError
            If the account may not read the table, or it is not there.
        VendorError
            If the instance could not be asked.
        """

        def ask() -> Rows:
            record = self._client.GlideRecord(table, batch_size=limit)
            record.limit = limit
            record.exclude_reference_link = False
            if query:
                record.add_encoded_query(query)
            record.order_by("^ORDERBY".join(order))
            record.query()
            return [
                {name: row.get_element(name).serialize() for name in row.fields} for row in record
            ]

        return self._guarded(ask, table)

    def every(self, table: str, query: str, *, limit: int) -> Iterator[dict[str, Any]]:
        """Every row that fits a query, by id, a page at a time."""
        last = ""
        while True:
            beyond = f"sys_id>{last}" if last else ""
            whole = "^".join(filter(None, [query, beyond]))
            page = self.rows(table, whole, limit=limit, order=["sys_id"])
            yield from page
            if len(page) < limit:
                return
            last = str(page[-1]["sys_id"]["value"])

    def about(
        self, table: str, column: str, ids: Sequence[str], *, limit: int, also: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Every row whose column holds one of some ids."""
        for start in range(0, len(ids), MOST_IDS):
            chosen = f"{column}IN{','.join(ids[start : start + MOST_IDS])}"
            yield from self.every(table, "^".join(filter(None, [also, chosen])), limit=limit)

    def update(
        self, table: str, sys_id: str, values: Mapping[str, str], note: Mapping[str, str]
    ) -> bool:
        """Set columns of a row, and add a note, if any of the columns differs.

        Columns and note go in one request, so a note that was written is not written again.

        Returns
        -------
        bool
            Whether anything differed.

        Raises
        ------
        ForbiddenError
            If the account may not write it, or the row is gone.
        VendorError
            If the instance could not be asked or refused.
        NotFoundException
            If the record is not there.
        """

        def ask() -> bool:
            record = self._client.GlideRecord(table)
            if not record.get(sys_id):
                raise NotFoundException(f"{table} {sys_id}")
            for name, value in values.items():
                _set(record, name, value)
            if not record.changes():
                return False
            for name, value in note.items():
                _set(record, name, value)
            record.update()
            return True

        return self._guarded(ask, table, again=False)

    def _guarded(self, ask: Callable[[], _T], table: str, *, again: bool = True) -> _T:
        """Ask; a session that has run out is given up and asked for anew, once."""
        for attempt in (1, 2):
            try:
                return patiently(ask) if again else ask()
            except AuthenticationException as error:
                if attempt == 2 or not self._client.session.cookies:
                    raise VendorError("ServiceNow does not accept the account") from error
                self._client.session.cookies.clear()
            except (RoleException, NotFoundException) as error:
                raise ForbiddenError(
                    f"ServiceNow: {table} may not be used or is not there"
                ) from error
            except (RequestException, RestException, OSError) as error:
                raise VendorError(f"ServiceNow: {table}: {_brief(error)}") from error
        raise VendorError("ServiceNow does not accept the account")


def _set(record: Any, name: str, value: str) -> None:
    if record.get_element(name) is None:
        # Only what differs from what is there is sent, so something must be there.
        record.set_value(name, "")
    record.set_value(name, value)


def _brief(error: Exception) -> str:
    said = error.args[0] if error.args else error
    if isinstance(said, dict) and isinstance(said.get("error"), dict):
        said = said["error"].get("message", said)
    return str(said)[:300]
