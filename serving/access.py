"""Who may do what: roles, what each may do, and what every path asks for. Closed by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.routing import compile_path

ROLES = ("requester", "approver", "data_scientist", "auditor", "service", "admin")
"""What a person or a machine may be."""

PERMISSIONS: Mapping[str, str] = {
    "score": "ask for scores and what-ifs",
    "read": "read changes, scores, decisions and the schedule",
    "inform": "read about the model and the service's measures",
    "decide": "decide about changes",
    "judge": "say how a score looks",
    "record": "report incidents and outcomes",
    "audit": "read the journal",
}
"""Everything a caller can be permitted, and what it means."""

MAY: Mapping[str, frozenset[str]] = {
    "requester": frozenset({"score", "read", "inform", "judge"}),
    "approver": frozenset({"score", "read", "inform", "judge", "decide"}),
    "data_scientist": frozenset({"score", "read", "inform", "judge"}),
    "auditor": frozenset({"read", "inform", "audit"}),
    "service": frozenset({"score", "inform", "record"}),
    "admin": frozenset(PERMISSIONS),
}
"""What each role may do."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a path asks of its caller.

    Parameters
    ----------
    method : str
        ``*`` for any.
    path : str
        A path as Starlette writes them, ``/v1/changes/{change_id:path}``.
    permission : str or None
        One of ``PERMISSIONS``; None for a path that is open to everybody.
    """

    method: str
    path: str
    permission: str | None


BESIDE = (
    Rule(method="POST", path="/score", permission="score"),
    Rule(method="POST", path="/score_bulk", permission="score"),
    Rule(method="GET", path="/livez", permission=None),
    Rule(method="GET", path="/healthz", permission=None),
    Rule(method="GET", path="/readyz", permission=None),
    Rule(method="GET", path="/schema.json", permission="inform"),
)
"""Routes that BentoML or the gate answers, beside the contract's own."""


class Rules:
    """The rules of all routes, asked in order: the first that fits a path decides.

    Examples
    --------
    >>> rules = Rules([Rule(method="GET", path="/v1/model", permission="inform")])
    >>> rules.needed("GET", "/v1/model"), rules.needed("GET", "/elsewhere")
    ('inform', '')
    """

    ANY_KEY = ""
    """Asked of a caller for a path nobody listed: a key of whatever kind, for a 404 or a 405."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._plain: dict[tuple[str, str], str | None] = {}
        self._patterns = []
        self._open: set[str] = set()
        for rule in rules:
            if "{" in rule.path:
                self._patterns.append((rule, compile_path(rule.path)[0]))
            else:
                self._plain[rule.method, rule.path] = rule.permission
                if rule.permission is None:  # with another method, too: that is a 405
                    self._open.add(rule.path)

    def needed(self, method: str, path: str) -> str | None:
        """The permission a request needs; None for none, not even a key."""
        method = "GET" if method == "HEAD" else method
        for asked in (method, "*"):
            if (asked, path) in self._plain:
                return self._plain[asked, path]
        if path in self._open:
            return None
        for rule, pattern in self._patterns:
            if rule.method in (method, "*") and pattern.match(path):
                return rule.permission
        return self.ANY_KEY

    def methods(self, path: str) -> list[str]:
        """The methods that routes of this path know."""
        found = {method for method, known in self._plain if known == path}
        found |= {rule.method for rule, pattern in self._patterns if pattern.match(path)}
        found |= {"HEAD"} if "GET" in found else set()
        return sorted(found)
