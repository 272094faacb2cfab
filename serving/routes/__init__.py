"""The routes of the contract, by resource."""

from serving.routes import about, changes, scores
from serving.routes.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *scores.OPERATIONS,
    *changes.OPERATIONS,
    *about.OPERATIONS,
)
"""Every operation; of two paths that fit a request the first counts."""
