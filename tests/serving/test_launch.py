"""Before the service answers: who may have the address, how long it takes, what is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from features.settings import Settings
from serving.launch import STILL_STARTING, example_of, hold, launch, waited

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of these tests are no business of a service that runs here."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def body(number: int, start: datetime | None) -> bytes:
    said = {"change_id": f"C{number}", "planned_start": start}
    return orjson.dumps({name: value for name, value in said.items() if value is not None})


def test_the_example_is_still_to_come_tomorrow() -> None:
    hours = (-5, 0.1, 23.9, 24, 30)
    changes = [body(n, NOW + timedelta(hours=hour)) for n, hour in enumerate(hours)]
    assert example_of(changes, NOW) == changes[3]
    assert example_of(changes, NOW + timedelta(days=9)) == changes[4], "the last, if all are past"
    assert example_of([body(1, None), changes[4]], NOW) == changes[4]


def test_an_address_is_for_one_start_at_a_time(tmp_path: Path) -> None:
    first = hold("127.0.0.1", 1)
    assert first is not None
    assert hold("127.0.0.1", 1) is None
    for host, port in (("127.0.0.1", 2), ("127.0.0.2", 1), ("::1", 1)):
        other = hold(host, port)
        assert other is not None
        other.close()
    told: list[str] = []
    settings = Settings.from_environment({"CHANGERISK_HOME": str(tmp_path), "CHANGERISK_PORT": "1"})
    assert launch(settings, False, told.append) == 1
    assert told == ["another start of this service has 127.0.0.1:1; choose another --port"]
    first.close()
    again = hold("127.0.0.1", 1)
    assert again is not None, "an address is free once its start has ended"
    again.close()


class Slow:
    """A process that never listens, and the time that passes meanwhile."""

    def __init__(self, ends: float) -> None:
        self.seconds, self._ends = 0.0, ends

    def poll(self) -> int | None:
        return 1 if self.seconds >= self._ends else None

    def pass_by(self, seconds: float) -> None:
        self.seconds += 30 * seconds


def test_a_service_that_takes_long_is_told_of_and_waited_for() -> None:
    told: list[str] = []
    slow = Slow(ends=700)
    nobody = "http://127.0.0.1:9"
    found = waited(slow, nobody, told.append, clock=lambda: slow.seconds, pause=slow.pass_by)
    assert found is False, "it ended"
    said = [seconds for seconds in STILL_STARTING if seconds < 700]
    assert [int(line.split()[3]) for line in told] == said
    assert all("does not listen yet" in line for line in told)
