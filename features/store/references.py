"""Names of the records of an ITSM by their ids there: items, teams, changes, fields of forms."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from features.people import PERSON, reference_id
from features.store.schema import reference

CHUNK = 500


class References:
    """The table of names, over an open connection."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def names(self, system: str, ref_ids: Iterable[str]) -> dict[str, str]:
        """Names by id, of those ids that are known."""
        wanted = sorted(set(ref_ids))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), CHUNK):
            query = sa.select(reference.c.ref_id, reference.c.name).where(
                reference.c.system == system,
                reference.c.ref_id.in_(wanted[start : start + CHUNK]),
            )
            found.update(
                (str(ref_id), str(name)) for ref_id, name in self._connection.execute(query)
            )
        return found

    def people(self, ids: Iterable[str]) -> set[str]:
        """Digests of the names of people, whichever ITSM knows them by these ids."""
        query = sa.select(reference.c.name).where(
            reference.c.kind == PERSON, reference.c.ref_id.in_(sorted(map(reference_id, ids)))
        )
        return {one for names in self._connection.scalars(query) for one in str(names).split()}

    def of_kind(self, system: str, kind: str) -> dict[str, str]:
        """All names of one kind by id, for kinds of which there are few."""
        query = sa.select(reference.c.ref_id, reference.c.name).where(
            reference.c.system == system, reference.c.kind == kind
        )
        return {str(ref_id): str(name) for ref_id, name in self._connection.execute(query)}

    def ids(self, system: str, kind: str, names: Iterable[str]) -> dict[str, str]:
        """Ids by name, of those names that are known."""
        wanted = sorted(set(names))
        found: dict[str, str] = {}
        for start in range(0, len(wanted), CHUNK):
            query = sa.select(reference.c.name, reference.c.ref_id).where(
                reference.c.system == system,
                reference.c.kind == kind,
                reference.c.name.in_(wanted[start : start + CHUNK]),
            )
            found.update(
                (str(name), str(ref_id)) for name, ref_id in self._connection.execute(query)
            )
        return found

    def learn(self, system: str, learnt: Iterable[tuple[str, str, str]]) -> int:
        """Keep names, each ``(kind, id, name)``, in place of earlier ones; give how many are new.

        Only within a write, where nobody else writes.
        """
        rows = {
            ref_id: {"system": system, "kind": kind, "ref_id": ref_id, "name": name}
            for kind, ref_id, name in learnt
        }
        known = self.names(system, rows)
        fresh = [row for ref_id, row in rows.items() if known.get(ref_id) != row["name"]]
        renamed = [row["ref_id"] for row in fresh if row["ref_id"] in known]
        for start in range(0, len(renamed), CHUNK):
            self._connection.execute(
                reference.delete().where(
                    reference.c.system == system,
                    reference.c.ref_id.in_(renamed[start : start + CHUNK]),
                )
            )
        if fresh:
            self._connection.execute(reference.insert(), fresh)
        return len(fresh)
