"""Things that are made when they are asked for."""

from __future__ import annotations

import pytest

from features.later import Later


def test_a_thing_is_made_once_and_only_if_somebody_asks():
    made: list[str] = []
    things: Later[int] = Later()
    things.put([("there", 1)])
    things.when_asked("asked", lambda: made.append("asked") or 2)
    things.when_asked("never", lambda: made.append("never") or 3)
    assert set(things) == {"there", "asked", "never"}
    assert len(things) == 3
    assert [things["there"], things["asked"], things["asked"]] == [1, 2, 2]
    assert made == ["asked"]
    assert len(things) == 3


def test_a_stranger_is_missed():
    things: Later[int] = Later()
    assert things.get("nobody") is None
    with pytest.raises(KeyError):
        things["nobody"]
