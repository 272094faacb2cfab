"""An evaluation for people: a calm table, every figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.bands import rehearsed_sentence

NAMES = {
    "champion": "this model",
    "random": "random order",
    "base_rate": "the usual rate",
    "declared_risk": "declared risk",
    "item_rate": "rate of the item",
    "item_team_rate": "rate of item and team",
    "rule_matrix": "rule matrix",
    "item_incidents": "incidents on the items",
    "logistic_regression": "logistic regression",
}
"""How people call the rankings."""

_WIDE = 22


def lines(report: Mapping[str, Any]) -> list[str]:
    """The report, a line each."""
    overall = report["overall"]
    found = [*_heading(report), ""]
    found += [
        *report["picture"],
        "   = learnt   c calibrated on, then learnt   t tested   . left out",
    ]
    found += ["", *(_split_line(split) for split in report["splits"])]
    found += ["", *_table(overall)]
    if overall["directional"]:
        found.append(
            f"directional: fewer than {report['protocol']['directional_below']} failures stand "
            "behind these figures"
        )
    found += ["", _verdict(overall["gain"]), "", *_slices(report["slices"])]
    found += ["", *_bands(report["bands"]), "", *_placebo(report["placebo"]), ""]
    found += [_audit(one) for one in report["audits"]]
    return found


def _slices(slices: Mapping[str, Any]) -> list[str]:
    heads = ("changes", "failures", "ROC AUC", "observed / expected")
    found = [f"{'this model, by kind of change:':44}{heads[0]:>9}{heads[1]:>10}{_row(*heads[2:])}"]
    for name, one in slices.items():
        said = "  directional" if one["directional"] else ""
        cells = _row(figure(one["roc_auc"]), figure(one["observed_expected"], 2))
        found.append(f"  {name[:42]:42}{one['rows']:>9,}{one['positives']:>10,}{cells}{said}")
    return found


def _bands(bands: Mapping[str, Any]) -> list[str]:
    quarters = bands["quarters"]
    found = [f"{rehearsed_sentence(quarters)} (review budget {bands['review_budget']:.0%})"]
    for one in quarters:
        there = one["failures_to_board"] / one["failures"] if one["failures"] else 0.0
        board, low = one["to_board"] / one["changes"], one["low"] / one["changes"]
        found.append(
            f"  {one['quarter']}: {one['changes']:,} changes, {board:.0%} to the board with "
            f"{there:.0%} of {one['failures']:,} failures; {low:.0%} in the band low with "
            f"{one['failures_low']:,}"
        )
    return found


def _placebo(placebo: Mapping[str, Any]) -> list[str]:
    asked = {
        "incidents_rose": "incidents rose on the items after",
        "item_had_a_failure": "some change on the same items failed soon after",
    }
    found = [
        f"placebo: {placebo['verdict']}",
        f"  share of the changes where {asked[placebo['question']]} them, and the score's ROC AUC:",
        f"{'':16}" + _row("really", "moved back", "AUC really", "AUC moved back", "fitted again"),
    ]
    for one in placebo["shifts"]:
        names = ("rate", "placebo_rate", "roc_auc", "placebo_roc_auc")
        cells = [figure(one[name]) for name in names]
        again = one.get("refitted")
        cells.append(figure(again["roc_auc"]) if again else "-")
        days = f"{one['shift_days']} days"
        found.append(f"    {days:12}{_row(*cells)}")
    return [*found, *_labels(placebo["labels"])]


def _labels(labels: Sequence[Mapping[str, Any]]) -> list[str]:
    if not labels:
        return []
    found = [
        "  where an effect of the change itself remains (real over placebo, all three shifts):"
    ]
    for one in labels:
        word = "remains" if one["effect_remains"] else "not shown"
        found.append(
            f"    {one['label']:18}{one['starts'] + ' start':14} changes with a yes "
            f"{figure(one['rate_ratio'], 2)}, incidents {figure(one['incident_ratio'], 2)}: "
            f"{word} ({one['yes']:,} of {one['changes']:,})"
        )
    return found


def _audit(one: Mapping[str, Any]) -> str:
    return f"audit {one['code']:20}{one['outcome'].replace('_', ' '):15} {one['sentence']}"


def _heading(report: Mapping[str, Any]) -> list[str]:
    label, protocol = report["label"], report["protocol"]
    return [
        f"label {label['name']}: changes that {label['means']} within {label['window_days']:g} "
        f"days; {label['usable']:,} of {label['changes']:,} changes usable, base rate "
        f"{label['base_rate']:.2%}",
        f"{protocol['folds']} test window{'s' if protocol['folds'] > 1 else ''}, each after a gap "
        f"of {protocol['embargo_days']:g} days; budgets are shares of each week's changes; in "
        "brackets 95 % intervals",
    ]


def _split_line(split: Mapping[str, Any]) -> str:
    champion = split["models"]["champion"]
    said = "  directional" if split["directional"] else ""
    return (
        f"  {split['test_from'][:10]} to {split['test_to'][:10]}: {split['rows']:,} changes, "
        f"{split['positives']:,} failures ({split['base_rate']:.2%}); ROC AUC "
        f"{figure(champion['roc_auc'])}, learnt from {split['learnt']:,}{said}"
    )


def _table(overall: Mapping[str, Any]) -> list[str]:
    heads = ("ROC AUC", "average precision", "in riskiest 10 %", "in riskiest 20 %", "ECE")
    found = [
        f"{overall['rows']:,} changes, {overall['positives']:,} failures "
        f"({overall['base_rate']:.2%}), all windows together",
        f"{'':24}" + "".join(f"{head:>{_WIDE}}" for head in heads),
    ]
    for name, one in _ranked(overall["models"]):
        recall = one["recall_at"]
        cells = [one["roc_auc"], one["average_precision"], recall["0.1"], recall["0.2"], one["ece"]]
        shown = "".join(f"{figure(cell):>{_WIDE}}" for cell in cells)
        found.append(f"{NAMES.get(name, name):24}{shown}")
    if overall["idle_baselines"]:
        idle = ", ".join(NAMES.get(name, name) for name in overall["idle_baselines"])
        found.append(f"(nothing on record to rank by, so the usual rate for every change: {idle})")
    return [*found, *_champion(overall["models"]["champion"])]


def _champion(one: Mapping[str, Any]) -> list[str]:
    recall, precision, lift = one["recall_at"], one["precision_at"], one["lift_at"]
    found = ["", f"{'this model, of each week:':36}" + _row("recall", "precision", "lift")]
    for share in recall:
        title = f"riskiest {float(share):.0%}"
        cells = (figure(recall[share]), figure(precision[share]), figure(lift[share], 1))
        found.append(f"  {title:34}" + _row(*cells))
    for share, left in one["safest"].items():
        title = f"failures left in the safest {float(share):.0%}"
        found.append(f"  {title:34}" + _row(figure(left)))
    found += [
        f"average precision over the base rate {figure(one['average_precision_over_base'], 1)}",
        f"Brier skill {figure(one['brier_skill'])}; observed over expected failures "
        f"{figure(one['observed_expected'], 2)}",
        _ties(one),
    ]
    return found


def _row(*cells: str) -> str:
    return "".join(f"{cell:>{_WIDE}}" for cell in cells)


def _ties(one: Mapping[str, Any]) -> str:
    ends = one["recall_at_ties"]["0.1"]
    if ends["worst"] is None:
        return "no failure: nothing to rank"
    return (
        "ties at the cut of the riskiest 10 %: recall between "
        f"{ends['worst']:.3f} and {ends['best']:.3f}"
    )


def _ranked(models: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The model first, then the baselines from the best on."""

    def place(entry: tuple[str, Mapping[str, Any]]) -> tuple[bool, float]:
        name, one = entry
        return name != "champion", -(one["roc_auc"]["value"] or 0.0)

    return sorted(models.items(), key=place)


def _verdict(gain: Mapping[str, Any]) -> str:
    over, more = NAMES.get(gain["over"], gain["over"]), figure(gain["roc_auc"])
    if gain["verdict"] == "ship the model":
        return f"gain in ROC AUC over the best baseline ({over}): {more}. It is worth its keep"
    return (
        f"gain in ROC AUC over the best baseline ({over}): {more}. The interval reaches 0: "
        "ship the simple one"
    )


def figure(found: Mapping[str, float | None], digits: int = 3) -> str:
    """A figure with its interval in brackets.

    Examples
    --------
    >>> figure({"value": 0.7214, "low": 0.69, "high": 0.751})
    '0.721 [0.690 0.751]'
    >>> figure({"value": None, "low": None, "high": None})
    '-'
    """
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} [{low:.{digits}f} {high:.{digits}f}]"
