"""The routes of the contract, by resource."""

from serving.routes import about, changes, scores, webhooks
from serving.routes.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *scores.OPERATIONS,
    *changes.OPERATIONS,
    *webhooks.OPERATIONS,
    *about.OPERATIONS,
)
"""Every operation; of two paths that fit a request the first counts."""
