"""Pictures: the same bytes every time, and lines that show who was in which part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from features.instants import DAY
from training.figures import Window, by_month
from training.pictures import save_pictures, text_picture
from training.splits import RollingOrigin

TIMES = np.arange(400) * DAY
SPLITS = RollingOrigin(folds=3, tested_share=0.3, calibration_share=0.2, gap=20 * DAY).split(TIMES)


def test_lines_show_the_parts_in_order() -> None:
    *lines, axis = text_picture(SPLITS, TIMES, width=80)
    assert len(lines) == 3
    for line in lines:
        marks = line[3:]
        assert len(marks) == 80
        assert "".join(dict.fromkeys(marks.rstrip("."))) == "=.ct"
    assert lines[0].rindex("t") < lines[1].index("t") <= lines[1].rindex("t") < lines[2].index("t")
    assert axis.split() == ["1970-01-01", "1971-02-04"]


def test_figures_are_the_same_bytes_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    said = rng.beta(2, 20, 400)
    failed = rng.random(400) < said
    months = by_month(said, Window(times=TIMES, failed=failed, base_rate=0.1))
    first, second = (
        save_pictures(tmp_path / name, SPLITS, TIMES, said, failed, months) for name in "ab"
    )
    assert [path.name for path in first] == ["splits.svg", "reliability.svg", "months.svg"]
    for ours, again in zip(first, second, strict=True):
        assert ours.read_bytes() == again.read_bytes()
        assert ours.read_text().startswith("<?xml")
