"""Nobody decides about a change of their own, whatever it calls them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from features.people import PERSON
from features.store import Store
from features.store.schema import reference
from serving.keys import create, id_of, rotate

REJECTED = {"decision": "reject", "reason": "rehearsed on the twin twice"}


def test_a_key_has_further_names(shared: Any, ticket: Callable[..., Any]) -> None:
    store, now = shared.store, shared.clock.now
    also = ["eve@example.org", "557058:7"]
    key = create(store, name="Eve", role="approver", now=now, expires_at=None, also=also)
    key_id = id_of(store, key)
    again = rotate(store, key_id, now=now, overlap=timedelta(days=1), expires_at=None)
    for name in ("EVE", "Eve@Example.org", "557058:7"):
        change_id = shared.score(ticket(implementer=name))["change_id"]
        path = f"/v1/changes/{change_id}/decision"
        for one in (key, again):
            headers = {"X-API-Key": one}
            decided = shared.ask("POST", path, role=None, json=REJECTED, headers=headers)
            assert decided.status_code == 403, decided.text


def test_the_itsm_may_name_them_by_an_id(service: Any) -> None:
    record = {"number": "CHG77", "short_description": "Upgrade",
              "requested_by": {"value": "a" * 32, "display_value": "Someone else"},
              "assigned_to": {"value": "b" * 32, "display_value": "APPROVERS "}}  # fmt: skip
    issue = {"key": "CHG-78", "id": "1", "fields": {"issuetype": {"name": "Change"}, "reporter": {
        "accountId": "557058:1", "displayName": "A.", "emailAddress": "approvers"}}}  # fmt: skip
    service.ask("POST", "/v1/webhooks/servicenow", json={"record": record}, role="service")
    service.ask("POST", "/v1/webhooks/jira", json={"issue": issue}, role="service")
    for change_id in ("CHG77", "CHG-78"):
        path = f"/v1/changes/{change_id}/decision"
        refused = service.ask("POST", path, json=REJECTED, role="approver")
        assert (refused.status_code, refused.json()["title"]) == (403, "This key may not do that")
        assert service.ask("POST", path, json=REJECTED, role="admin").status_code == 201
    kept = people_on_record(service.store)
    assert len(kept) == 3
    assert "approvers" not in repr(kept).lower(), "no name is kept"


def people_on_record(store: Store) -> list[Any]:
    with store.engine.connect() as connection:
        query = sa.select(reference).where(reference.c.kind == PERSON)
        return list(connection.execute(query).mappings())
