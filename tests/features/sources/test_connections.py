"""The file of connections: defaults, what a home sets, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.columns import kinds
from features.records import FORBIDDEN_FIELDS, Change, Incident
from features.sources import SourceError
from features.sources.connections import DEFAULTS, NAME, Connection, load


def loaded(folder: Path, text: str) -> dict[str, Connection]:
    (folder / NAME).write_text(text, encoding="utf-8")
    return load(folder)


def test_the_defaults_hold_without_a_file(tmp_path: Path) -> None:
    assert set(load()) == set(load(tmp_path)) == {"servicenow", "jira", "rt"}
    assert load()["servicenow"].columns("change", "change_id") == ("number",)


def test_the_file_shipped_may_be_copied_as_it_is(tmp_path: Path) -> None:
    copied = loaded(tmp_path, DEFAULTS.read_text(encoding="utf-8"))
    assert {k: c.settings for k, c in copied.items()} == {k: c.settings for k, c in load().items()}


def test_every_field_of_the_defaults_is_a_field_of_ours() -> None:
    beside = {"state", "started_at", "closed_at", "close_code", "caused_by", "fixed_by"}
    for connection in load().values():
        assert set(connection.fields("change")) <= {*kinds(Change), *beside}
        if "incident" in connection.settings:
            assert set(connection.fields("incident")) <= {*kinds(Incident), *beside}


def test_no_field_of_a_change_reads_what_is_known_only_afterwards() -> None:
    for connection in load().values():
        for field in set(connection.fields("change")) & set(kinds(Change)) - {"revision"}:
            assert not set(connection.columns("change", field)) & FORBIDDEN_FIELDS


def test_what_is_set_replaces_the_default(tmp_path: Path) -> None:
    text = '[servicenow.change]\nci = ["u_item", "cmdb_ci"]\ncategory = ""\n[jira]\npage = 7\n'
    found = loaded(tmp_path, text)
    assert found["servicenow"].columns("change", "ci") == ("u_item", "cmdb_ci")
    assert found["servicenow"].columns("change", "category") == ()
    assert found["jira"].wanted("page") == 7
    assert found["jira"].wanted("overlap_minutes") == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[servicenw]\n", "did you mean 'servicenow'"),
        ('[servicenow.change]\nplaned_start = "x"\n', "did you mean 'planned_start'"),
        ("[servicenow]\npage = 0\n", "expected 1 to 10000"),
        ('[servicenow]\npage = "many"\n', "expected a value like 200"),
        ("[servicenow]\naudit = 1\n", "expected a value like True"),
        ('[servicenow]\ndisplay_zone = "Berlin"\n', "did you mean 'Europe/Berlin'"),
        ('[servicenow]\ndisplay_zone = ["UTC"]\n', "expected a value like ''"),
        ('[servicenow]\nwithout_audit = "never"\n', "known are updated, opened"),
        ("[servicenow.change]\nci = [1]\n", "expected a value like"),
        ("servicenow = 3\n", "expected a value like"),
        ("[servicenow.values.impact]\n1 = [2]\n", "expected a value like"),
        ("[servicenow\n", "cannot be read"),
    ],
)
def test_what_cannot_be_is_an_error_that_helps(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SourceError) as refused:
        loaded(tmp_path, text)
    assert said in str(refused.value)
