"""A training's report for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.figures import DIRECTIONAL


def lines(version: str, alias: str, report: Mapping[str, Any]) -> list[str]:
    """The report, a line each."""
    rows, test = report["rows"], report["test"]
    found = [
        f"registered version {version} as {alias}",
        f"changes {rows['changes']:,} = usable {rows['usable']:,} + undecided "
        f"{rows['undecided']:,} (outcome still open) + left out {rows['left_out']:,} (before the "
        f"history is complete, recorded after their end, or withdrawn); "
        f"base rate {report['base_rate']:.2%}",
        f"trained on {report['train']['changes']:,}, calibrated on "
        f"{report['calibrate']['changes']:,}, tested on {test['changes']:,} changes with "
        f"{test['failures']:,} failures ({test['from'][:10]} to {test['to'][:10]})",
        "",
        f"{'':22}{'ROC AUC':>8}{'AP':>8}{'5 %':>8}{'10 %':>8}{'20 %':>8}{'50 %':>8}{'ECE':>8}",
    ]
    for name, figures in report["models"].items():
        recall = figures["recall_at"].values()
        cells = [figures["roc_auc"], figures["average_precision"], *recall, figures["ece"]]
        found.append(f"{name:22}" + "".join(f"{_figure(cell):>8}" for cell in cells))
    found.append("(5 to 50 %: share of the failures among that share of riskiest changes)")
    found += _simpler(report["models"])
    if test["failures"] < DIRECTIONAL:
        found.append(f"fewer than {DIRECTIONAL} failures in the test: figures are directional")
    found.append("")
    found += [_placebo(moved) for moved in report["placebo"]]
    return found


def _simpler(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence where a baseline ranks better than the model, which comes first."""
    (ours, own), *baselines = models.items()
    better = [(one["roc_auc"], name) for name, one in baselines if one["roc_auc"] is not None]
    if own["roc_auc"] is None or not better or max(better)[0] <= own["roc_auc"]:
        return []
    value, name = max(better)
    return [
        f"{name} ranks better here than {ours}, ROC AUC {_figure(value)} against "
        f"{_figure(own['roc_auc'])}: `changerisk evaluate` tells whether it does over time"
    ]


def _placebo(moved: Mapping[str, Any]) -> str:
    return (
        f"placebo, the same changes moved back {moved['shift_days']} days: trouble on their items "
        f"{moved['rate']:.2%} at the real time, {moved['placebo_rate']:.2%} at the moved one; the "
        f"score's AUC for either {_figure(moved['roc_auc'])} and "
        f"{_figure(moved['placebo_roc_auc'])}"
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
