"""What the guides to ServiceNow, Jira and RT say: settings load, bodies are understood."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.sources import jira_webhook, servicenow_webhook
from features.sources.connections import NAME, load

DOCS = Path(__file__).parents[1] / "docs"
GUIDES = sorted(DOCS.glob("connect-*.md"))
NOW = datetime(2026, 11, 20, 14, 3, 12, tzinfo=UTC)


def blocks(guide: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_settings_load(guide: Path, tmp_path: Path) -> None:
    for text in blocks(guide, "toml"):
        (tmp_path / NAME).write_text(text, encoding="utf-8")
        assert load(tmp_path) != load()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_files_and_pages_named_are_there(guide: Path) -> None:
    text = guide.read_text(encoding="utf-8")
    for name in re.findall(r"@(docs/examples/[\w.-]+)", text):
        assert (DOCS.parent / name).is_file()
    for name in re.findall(r"\]\(([\w./-]+)[#)]", text):
        assert (DOCS / name).is_file()


def test_bodies_are_understood() -> None:
    (body,) = blocks(DOCS / "connect-servicenow.md", "json")
    found = servicenow_webhook.delivery(json.loads(body), load()["servicenow"], {}, now=NOW)
    assert found.change is not None
    assert found.change.affected_cis == ("pay-db-01", "1b0c7d22c6112276018f7705562f9cb0")
    for path in (DOCS / "examples").glob("servicenow-*.json"):
        row = json.loads(path.read_text(encoding="utf-8"))
        assert servicenow_webhook.delivery(row, load()["servicenow"], {}, now=NOW).number
    for name in ("webhook", "automation"):
        issue = json.loads((DOCS / "examples" / f"jira-{name}.json").read_text(encoding="utf-8"))
        assert jira_webhook.delivery(issue, load()["jira"], {}, now=NOW).number == "CHG-412"


HARNESS = """
var sent = {headers: {}}, written = [];
var known = {'changerisk.url': 'https://risk', 'changerisk.key': 'crk_x'};
var gs = {getProperty: function (name) { return known[name]; },
          info: function (text) { sent.said = text; }, warn: function (text) { sent.said = text; }};
var JOURNAL = ANSWER;
function record(row) {
    return {row: row, getValue: function (n) { return row[n] && row[n].value; },
            getDisplayValue: function (n) { return row[n] && row[n].display_value; },
            getUniqueValue: function () { return row.sys_id.value; },
            getTableName: function () { return 'TABLE'; },
            operation: function () { return 'update'; }};
}
function GlideRecord(table) {
    var left = [record({ci_item: {value: 'f'.repeat(32), display_value: 'pay-db-02'}})];
    return {addQuery: function () {}, query: function () {},
            get: function () { this.row = table === 'cmn_schedule' && record(SCHEDULE);
                               return true; },
            next: function () { this.row = left.pop(); return !!this.row; },
            getValue: function (n) { return this.row ? this.row.getValue(n) : ''; },
            getDisplayValue: function (n) { return this.row.getDisplayValue(n); },
            setValue: function (n, v) { written.push([n, v]); }, setWorkflow: function () {},
            update: function () { written.push(['update', table]); }};
}
var sn_ws = {RESTMessageV2: function () {
    return {setEndpoint: function (u) { sent.url = u; }, setHttpTimeout: function () {},
            setHttpMethod: function (m) { sent.method = m; },
            setRequestHeader: function (n, v) { sent.headers[n] = v; },
            setRequestBody: function (b) { sent.body = JSON.parse(b); },
            executeAsync: function () {},
            execute: function () {
                if (JOURNAL === null) { throw 'no connection'; }
                return {getStatusCode: function () { return 200; },
                        getBody: function () { return JSON.stringify(JOURNAL); }};
            }};
}};
var current = record(ROW), previous = null;
RULE
console.log(JSON.stringify({sent: sent, written: written}));
"""


def cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row with value and display value in every cell."""
    return {
        name: {"display_value": cell["value"], **cell}
        if isinstance(cell, dict)
        else {"value": cell, "display_value": cell}
        for name, cell in row.items()
    }


def ran(answer: Any, example: str = "change-all", rule: str = "business-rule") -> Any:
    """A business rule, run by Node with ServiceNow's objects stood in for."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    path = DOCS / "examples" / f"servicenow-{example}.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    row = body.get("result") or body["record"]
    text = (DOCS / "examples" / f"servicenow-{rule}.js").read_text(encoding="utf-8")
    script = (
        HARNESS.replace("ANSWER", json.dumps(answer))
        .replace("= record(ROW)", f"= record({json.dumps(cells(row))})")
        .replace("record(SCHEDULE)", f"record({json.dumps(cells(body.get('schedule', {})))})")
        .replace("'TABLE'", json.dumps(body.get("table")))
        .replace("RULE", text)
    )
    done = subprocess.run(
        [node, "-"], input=script, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_the_business_rule_sends_what_is_understood() -> None:
    answer = {"incident_probability": 0.087, "risk_band": "high", "summary": "About 9 in 100.",
              "factors": [{"text": f"Sentence {number}"} for number in range(5)],
              "warnings": [{"code": "missing_field"}]}  # fmt: skip
    late = {**answer, "warnings": [{"code": "missing_field"}, {"code": "superseded"}]}
    assert ran(late)["written"] == [], "a later update was scored before"
    done = ran(answer)
    sent = done["sent"]
    assert (sent["method"], sent["url"]) == ("POST", "https://risk/v1/webhooks/servicenow")
    assert sent["headers"]["Authorization"] == "Bearer crk_x"
    found = servicenow_webhook.delivery(sent["body"], load()["servicenow"], {}, now=NOW)
    assert found.change is not None
    assert (found.change.change_id, found.change.revision) == ("CHG0031874", "6")
    assert found.change.planned_start == datetime(2026, 11, 24, 22, tzinfo=UTC)
    assert (found.change.ci, found.change.affected_cis) == ("pay-db-01", ("pay-db-02",))
    assert found.oddities == ()
    assert done["written"] == [
        ["u_risk_probability", 0.087],
        ["u_risk_band", "high"],
        ["work_notes", "About 9 in 100.\nSentence 0\nSentence 1\nSentence 2"],
        ["update", "change_request"],
    ]


@pytest.mark.parametrize("answer", [None, {"incident_probability": None, "summary": "Not scored."}])
def test_without_a_score_the_business_rule_changes_nothing(answer: Any) -> None:
    done = ran(answer)
    assert done["written"] == []
    assert "changerisk:" in done["sent"]["said"]


@pytest.mark.parametrize("name", ["item", "relation", "affected", "blackout"])
def test_the_rule_of_the_other_tables_sends_what_is_understood(name: str) -> None:
    path = DOCS / "examples" / f"servicenow-{name}.json"
    expected = json.loads(path.read_text(encoding="utf-8"))
    sent = ran(None, name, "rows-rule")["sent"]
    assert (sent["method"], sent["url"]) == ("POST", "https://risk/v1/webhooks/servicenow")
    given, meant = (
        servicenow_webhook.delivery(body, load()["servicenow"], {}, now=NOW)
        for body in (sent["body"], expected)
    )
    assert (given.records, given.affects) == (meant.records, meant.affects)
    assert given.oddities == ()
