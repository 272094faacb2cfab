"""What can go wrong in ways that are known: failures with a sentence for people."""

from __future__ import annotations


class ChangeRiskError(Exception):
    """A known failure. Its message says what was expected, what came and what to do.

    Attributes
    ----------
    exit_code : int
        What the command line ends with: 1 did not succeed, 2 bad input or usage, 4 a store or a
        registry is out of reach.
    """

    exit_code = 1
