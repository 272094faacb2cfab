"""The store: the one module that speaks SQL. SQLite by default, PostgreSQL by URL."""

from features.store.database import Store, StoreError, StoreUnavailableError

__all__ = ["Store", "StoreError", "StoreUnavailableError"]
