"""The routes of the contract, by resource."""

from serving.routes import about, batch, changes, review, scores, webhooks
from serving.routes.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *scores.OPERATIONS,
    *batch.OPERATIONS,
    *review.OPERATIONS,  # before the path of one change, whose id may hold slashes
    *changes.OPERATIONS,
    *webhooks.OPERATIONS,
    *about.OPERATIONS,
)
"""Every operation; of two paths that fit a request the first counts."""
