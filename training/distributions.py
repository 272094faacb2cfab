"""How far one sample has moved from another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHIFTED, CHANGED = 0.1, 0.25
"""Population stability indices from which a distribution is called shifted, and changed [1]_.

.. [1] Siddiqi (2006), *Credit Risk Scorecards*, ch. 8.
"""

LEAST_SHARE = 1e-4
"""Share taken for an empty bin, so that its logarithm exists."""


def stability_index(reference: Floats, recent: Floats, bins: int = 10) -> float:
    """Population stability index of a sample against a reference; missing values are a bin.

    ``sum((recent - reference) * log(recent / reference))`` over the shares in bins that each hold
    a tenth of the reference (Siddiqi, 2006).

    Parameters
    ----------
    reference, recent : ndarray, shapes (m,) and (n,)
        Values of one quantity; NaN where missing.
    bins : int
        Number of bins of known values.

    Returns
    -------
    float
        0 for equal shares; see ``SHIFTED`` and ``CHANGED``.

    Examples
    --------
    >>> one = np.arange(1000.0)
    >>> stability_index(one, one)
    0.0
    >>> stability_index(one, one + 500) > 0.25
    True
    """
    known = reference[~np.isnan(reference)]
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    cuts = np.unique(np.quantile(known, inner)) if len(known) else np.array([])
    shares = []
    for sample in (reference, recent):
        places = np.searchsorted(cuts, sample, side="right")
        places = np.where(np.isnan(sample), len(cuts) + 1, places)
        counts = np.bincount(places, minlength=len(cuts) + 2)
        shares.append(np.maximum(counts / max(len(sample), 1), LEAST_SHARE))
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))
