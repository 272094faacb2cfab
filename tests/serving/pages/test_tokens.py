"""The colours: every pair that must be read has its contrast, in light and in dark."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import serving.pages

CSS = (Path(serving.pages.__file__).parent / "static" / "app.css").read_text()

TEXT, SHAPE = 4.5, 3.0

PAIRS = [
    *((ink, ground, TEXT) for ink in ("ink", "ink2", "acc") for ground in ("bg", "card")),
    *((ink, "card", TEXT) for ink in ("raises", "lowers", "good")),
    ("raises", "bg", TEXT),
    ("good", "bg", TEXT),
    ("on-acc", "acc", TEXT),
    ("acc", "acc-soft", TEXT),
    ("on-bar", "bar", TEXT),
    ("on-bar2", "bar", TEXT),
    ("rule2", "card", SHAPE),
    ("rule2", "bg", SHAPE),
    *((f"on-{band}", band, TEXT) for band in ("low", "moderate", "high", "very-high")),
    *((f"edge-{band}", "card", 2.9) for band in ("moderate", "high", "very-high")),
    ("ink", "night", TEXT),
    ("halo", "ink", TEXT),
]


def tokens(theme: str) -> dict[str, str]:
    light, dark = CSS.split("@media screen and (prefers-color-scheme: dark)")[:2]
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if theme == "dark":
        found.update(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark.split("@font-face")[0]))
    return found


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_contrast(theme: str, ink: str, ground: str, least: float) -> None:
    values = tokens(theme)
    bright, dim = sorted((luminance(values[ink]), luminance(values[ground])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= least


def test_the_order_of_the_bands_survives_grey_print() -> None:
    values = tokens("light")
    bands = [luminance(values[name]) for name in ("low", "moderate", "high", "very-high")]
    assert bands == sorted(bands, reverse=True)
    assert min(a - b for a, b in itertools.pairwise(bands)) > 0.05


def test_nothing_comes_from_outside() -> None:
    assert not re.search(r"https?://|@import|url\((?!\"[\w-]+\.woff2\")", CSS)
