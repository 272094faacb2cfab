"""The store: the one module that speaks SQL. SQLite by default, PostgreSQL by URL."""

from features.store.database import ASKED, Store
from features.store.errors import StoreError, StoreUnavailableError

__all__ = ["ASKED", "Store", "StoreError", "StoreUnavailableError"]
