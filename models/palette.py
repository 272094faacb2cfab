"""The colours of every picture made for notebooks and reports; pages have their own in CSS.

Okabe and Ito's [1]_ can be told apart by people who see few colours. Print in grey keeps them apart
too, for lines differ in their dashes and signs in their side of zero, never in colour alone.

.. [1] Okabe and Ito (2008), *Color Universal Design*.
"""

BLUE, VERMILION = "#0072b2", "#d55e00"

COLOURS = (BLUE, VERMILION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

DASHES = ("-", "--", "-.", ":")

GREY = "#78828a"
"""Axes of comparison: chance, "said = seen", zero."""

PALE = "#c9ced3"
"""Areas behind lines."""
