"""Whose key or token a request presents, for the API and the pages alike."""

from __future__ import annotations

from features.store import StoreUnavailableError
from serving.keys import PREFIX, Caller, caller
from serving.runtime import Runtime
from serving.tokens import Tokens


class Callers:
    """Knows the holders of keys and of the provider's tokens.

    Parameters
    ----------
    runtime : Runtime
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._tokens = Tokens(runtime.settings)

    def of(self, presented: str) -> Caller | None:
        """The holder; None for what is unknown, forged, expired or revoked.

        Raises
        ------
        StoreUnavailableError
            If neither the store nor the provider's keys can be asked.
        """
        now = self._runtime.clock()
        if self._tokens.accepted and not presented.startswith(PREFIX) and presented.count(".") == 2:
            return self._tokens.caller(presented, now=now)
        scorer = self._runtime.scorer()
        if scorer is None:
            raise StoreUnavailableError("the store is not open")
        return caller(scorer.store, presented, now=now)
