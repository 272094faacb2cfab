"""Request Tracker's tickets to changes: the JSON of REST 2.0, or what a scrip sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from features.records import Change, ChangeEvent
from features.sources import vendor
from features.sources.connections import Connection
from features.sources.vendor import Delivery, DeliveryError, Oddities, word

_UNSET = datetime(1970, 1, 2, tzinfo=UTC)
"""RT writes a moment that is not set as 1970-01-01T00:00:00Z."""
_TIMES = ("submitted_at", "planned_start", "planned_end")
_CHOICES = ("change_type", "declared_risk", "impact", "urgency", "priority")


class _Ticket:
    """A ticket's fields and custom fields by name."""

    def __init__(self, content: Mapping[str, Any], connection: Connection, odd: Oddities) -> None:
        self._connection = connection
        self._odd = odd
        self._values = {word(str(name)): value for name, value in content.items()}
        custom = content.get("CustomFields")
        if isinstance(custom, dict):
            self._values |= {word(str(name)): value for name, value in custom.items()}
        for entry in custom if isinstance(custom, list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                self._values[word(entry["name"])] = entry.get("values")

    def text(self, field: str) -> str | None:
        for name in self._connection.columns("change", field):
            found = self._plain(name, self._values.get(word(name)))
            if found is not None:
                return found
        return None

    def _plain(self, name: str, value: object) -> str | None:
        """A value as text: the first of a list, the name or id of an object."""
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, dict):
            value = value.get("Name") or value.get("name") or value.get("id")
        try:
            return vendor.text(value)
        except TypeError:
            self._odd.note("unreadable_value", name, f"{name} holds no single value")
            return None

    def moment(self, field: str) -> datetime | None:
        for name in self._connection.columns("change", field):
            given = self._plain(name, self._values.get(word(name)))
            if given is None:
                continue
            moment = vendor.iso_time(given) or vendor.iso_time(f"{given}+00:00")
            if moment is None:
                self._odd.note("unreadable_value", name, f"{given[:60]!r} is not a time")
            elif moment >= _UNSET:
                return moment
        return None


def delivery(
    body: object, connection: Connection, _known: Mapping[str, str], *, now: datetime
) -> Delivery:
    """What a ticket says; its change is called ``RT-<id>``.

    Raises
    ------
    DeliveryError
        If it is no ticket.
    """
    content = body.get("ticket", body) if isinstance(body, dict) else None
    number = content.get("id") if isinstance(content, dict) else None
    if (
        not isinstance(content, dict)
        or isinstance(number, bool)
        or not isinstance(number, int | str)
    ):
        raise DeliveryError("/id", "expected the id of the ticket")
    digits = str(number).removeprefix("ticket/").strip()
    if not digits.isdecimal() or len(digits) > 18:
        raise DeliveryError("/id", "expected the id of the ticket, a number")
    odd = Oddities()
    ticket = _Ticket(content, connection, odd)
    fields: dict[str, Any] = {name: ticket.moment(name) for name in _TIMES}
    for name in set(connection.fields("change")) - {*_TIMES, "cab_required"}:
        given = ticket.text(name)
        if name in _CHOICES:
            given = vendor.put(name, [given], connection.words(name), odd)
        fields[name] = given
    key = f"RT-{digits}"
    change = Change(
        change_id=key,
        known_at=now,
        cab_required=vendor.flag("cab_required", ticket.text("cab_required"), odd),
        **fields,
    )
    status = vendor.text(content["Status"]) if isinstance(content.get("Status"), str) else None
    canceled = connection.words("state").get(word(status or "")) == "canceled"
    gone = ChangeEvent(change_id=key, kind="canceled", occurred_at=now, known_at=now)
    return Delivery(
        number=key,
        change=change,
        withdrawn=canceled,
        records=(gone,) if canceled else (),
        oddities=tuple(odd),
    )


def references(_body: object) -> set[str]:
    """RT names what it refers to: there is nothing to look up."""
    return set()
