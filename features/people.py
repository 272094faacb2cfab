"""Names of people, compared without being kept.

An ITSM's record gives a person by an id and, beside it, a name. The id is kept; of the names only
digests are, by which an approver is recognised as the requester of a change.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable

PERSON = "person"
"""Kind of a reference that gives the digests of a person's names by their id."""


def plain(name: str) -> str:
    """A name as it is compared: neither case, blanks nor forms of letters matter.

    Examples
    --------
    >>> plain(" Ana  RUIZ") == plain("ana ruiz")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def digest(name: str) -> str:
    """What is kept of a name."""
    return hashlib.sha256(plain(name).encode("utf-8", "replace")).hexdigest()[:32]


def reference_id(person_id: str) -> str:
    """The id of a reference to a person, apart from those of all other records."""
    return f"{PERSON}:{person_id[:300]}"


def digests(names: Iterable[object]) -> str:
    """The digests of a person's names as one text, in order; empty for no name."""
    given = {name for name in names if isinstance(name, str) and plain(name)}
    return " ".join(sorted(map(digest, given)))
