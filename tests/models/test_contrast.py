"""One change against another: the parts are the whole difference; none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from models.bundle import RiskModel
from models.contrast import Row, contrast
from models.explanation import SHOWN
from training.rows import TrainingRows


@pytest.mark.parametrize(("one", "two"), [(5, 900), (900, 5), (-1, 0), (1200, 1201)])
def test_parts_are_the_whole_difference(
    model: RiskModel, rows: TrainingRows, one: int, two: int
) -> None:
    size = len(rows.start)
    this, other = (Row(rows.table, rows.changes, row % size) for row in (one, two))
    found = contrast(model, this, other)
    expected = model.probability(rows.table.values[[one % size, two % size]])
    assert [found.probability, found.other_probability] == pytest.approx(expected, abs=1e-12)
    points = sum(difference.points for difference in found.differences)
    log_odds = sum(difference.log_odds for difference in found.differences)
    assert points == pytest.approx(expected[0] - expected[1], abs=1e-12)
    assert log_odds == pytest.approx(np.diff(logit(expected))[0] * -1, abs=1e-9)
    assert 0 < len(found.differences) <= SHOWN + 1
    for difference in found.differences:
        if difference.feature is not None:
            assert difference.text
            assert difference.other_text
            assert difference.text != difference.other_text or difference.feature.endswith("rate")


def test_turned_round(model: RiskModel, rows: TrainingRows) -> None:
    one, two = Row(rows.table, rows.changes, 30), Row(rows.table, rows.changes, 1500)
    there, back = contrast(model, one, two), contrast(model, two, one)
    assert {d.group: d.log_odds for d in there.differences if d.feature} == pytest.approx(
        {d.group: -d.log_odds for d in back.differences if d.feature}, abs=1e-12
    )


def test_against_itself_nothing_differs(model: RiskModel, rows: TrainingRows) -> None:
    same = Row(rows.table, rows.changes, 77)
    found = contrast(model, same, same)
    assert found.differences == []
    assert found.probability == pytest.approx(found.other_probability, abs=1e-12)
