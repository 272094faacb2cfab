"""What goes wrong with a store."""

from __future__ import annotations

from features.errors import ChangeRiskError


class StoreError(ChangeRiskError):
    """The store refused or could not do what was asked; the message says what to do."""


class StoreUnavailableError(StoreError):
    """The database cannot be reached or opened."""

    exit_code = 4
