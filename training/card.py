"""The model card: what a model is for, what it was made of and what it is worth, from its facts.

Nothing in it is typed in by hand: every section comes from the bundle, its run or its promotion,
and a section that has nothing to say says which command would fill it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from features.catalogue import BY_NAME, GROUPS
from models.bundle import RiskModel
from training.figures import DIRECTIONAL

USES = (
    "It advises the people who plan, approve and schedule changes: where to look first, why, and "
    "what would lower the number. People decide; the number never approves, rejects or blocks.",
    "It is not for judging persons: no feature names one. It is not a control of a safety "
    "component. A low number is no proof that a change is harmless.",
    "Regulation it is built to sit under: EU DORA 2022/2554 art. 9(4)(e) and RTS 2024/1774 art. 17 "
    "(risk-based, recorded, approver independent of requester and implementer); in the US, SR 26-2 "
    "(inventory, validation, monitoring, effective challenge).",
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading, what is said under it, and perhaps a table."""

    heading: str
    texts: tuple[str, ...]
    table: Table | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """A model card; ``html`` and ``markdown`` are the same content.

    Parameters
    ----------
    title, summary : str
        Which model, and what it tells in a sentence.
    sections : tuple of Section
        The rest, in the order it is read.
    """

    title: str
    summary: str
    sections: tuple[Section, ...]

    def html(self) -> str:
        """The card as one HTML page that fetches nothing."""
        return _render("card.html.j2", self)

    def markdown(self) -> str:
        """The card as Markdown."""
        return _render("card.md.j2", self)

    @property
    def frame(self) -> pd.DataFrame:
        """Headings and what is said under them."""
        rows = [(one.heading, " ".join(one.texts)) for one in self.sections]
        return pd.DataFrame(rows, columns=["heading", "text"]).set_index("heading")

    def save(self, path: Path | str) -> Path:
        """Keep it, as ``.html`` or ``.md``.

        Parameters
        ----------
        path : Path or str
            The file; its ending says in which form.

        Returns
        -------
        Path
            The file written.

        Raises
        ------
        ValueError
            If the ending is neither.
        """
        path = Path(path)
        if path.suffix not in (".html", ".md"):
            raise ValueError(f"expected .html or .md, got {path.suffix!r}")
        text = self.html() if path.suffix == ".html" else self.markdown()
        path.write_text(text, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        return self.html()


def make_card(
    model: RiskModel,
    *,
    version: str,
    tags: Mapping[str, str],
    comparison: Mapping[str, Any] | None = None,
) -> Card:
    """The card of a registered model.

    Parameters
    ----------
    version : str
        Its version in the registry.
    tags : mapping
        Tags of the version: source, and who promoted it when and why.
    comparison : mapping, optional
        What the promotion found (see :func:`training.promotion.compare`).
    """
    policy = model.policy
    reach = "" if policy.max_priority is None else f" of priority {policy.max_priority} or higher"
    summary = (
        f"The calibrated probability that a planned change {_singular(policy.means)}{reach} within "
        f"{policy.window_days:g} days. Usual: {model.base_rate:.1%}."
    )
    return Card(
        title=f"change-risk, version {version}",
        summary=summary,
        sections=(
            Section(heading="What it is for, and what not", texts=USES),
            _label(model),
            _data(model, tags),
            _making(model),
            _worth(model.metrics),
            _calibration(model),
            _bands(model),
            _placebo(model.metrics),
            _limits(model),
            _promotion(tags, comparison),
            _again(model, version),
        ),
    )


def _label(model: RiskModel) -> Section:
    policy = model.policy
    texts = (
        f"Label {policy.name!r}: changes that {policy.means}. It is decided by: "
        f"{', '.join(source.replace('_', ' ') for source in policy.sources)}. Links of a "
        f"confidence below {policy.min_confidence:g} are not counted.",
        f"A change is undecided until {policy.window_days:g} days after its start and "
        f"{policy.settle_days:g} further days in which late links may come; undecided changes are "
        "neither learnt from nor judged on.",
    )
    return Section(heading="What the probability is a probability of", texts=texts)


def _data(model: RiskModel, tags: Mapping[str, str]) -> Section:
    source = tags.get("source", "not recorded")
    texts = [
        f"Source: {source}. Nothing recorded after {model.history_until:%Y-%m-%d %H:%M} UTC was "
        f"seen; the store stood at write {model.training.get('watermark', 'not recorded')}."
    ]
    if source == "demo":
        texts.append(
            "This history is synthetic. Figures show that the software works, not how well it "
            "would predict anywhere."
        )
    counts = model.metrics.get("rows", {})
    rows = tuple((name.replace("_", " "), f"{count:,}") for name, count in counts.items())
    table = Table(head=("changes", "number"), rows=rows) if rows else None
    return Section(heading="The data", texts=tuple(texts), table=table)


def _making(model: RiskModel) -> Section:
    groups = Counter(BY_NAME[name].group for name in model.columns)
    texts = (
        f"Gradient-boosted trees on {len(model.columns)} numeric features "
        f"(catalogue {model.features[:12]}), calibrated by Platt's method on the newest window. "
        f"Settings: {_settings(model.training.get('config', {}))}. No class weights, no "
        "resampling; every feature looks only at facts known before its change was scored.",
    )
    rows = tuple((GROUPS[name], str(count)) for name, count in groups.most_common())
    return Section(
        heading="How it was made",
        texts=texts,
        table=Table(head=("factor group", "features"), rows=rows),
    )


def _worth(metrics: Mapping[str, Any]) -> Section:
    heading = "What it is worth"
    if not metrics.get("models"):
        return Section(heading=heading, texts=("Not measured: run `changerisk evaluate`.",))
    test = metrics["test"]
    texts = [
        f"The same configuration, trained only on what was known before, on {test['changes']:,} "
        f"later changes with {test['failures']:,} failures ({test['from'][:10]} to "
        f"{test['to'][:10]}). Shares are of the failures among the riskiest changes."
    ]
    if test["failures"] < DIRECTIONAL:
        texts.append(f"Fewer than {DIRECTIONAL} failures: these figures are directional.")
    head = ("model", "ROC AUC", "average precision", "riskiest 10 %", "riskiest 20 %", "ECE")
    rows = tuple(
        (
            name.replace("_", " "),
            _figure(found["roc_auc"]),
            _figure(found["average_precision"]),
            _share(found["recall_at"]["0.1"]),
            _share(found["recall_at"]["0.2"]),
            _figure(found["ece"]),
        )
        for name, found in metrics["models"].items()
    )
    return Section(heading=heading, texts=tuple(texts), table=Table(head=head, rows=rows))


def _calibration(model: RiskModel) -> Section:
    found = model.metrics.get("models", {}).get("champion")
    texts = [
        "Probability = 1 / (1 + exp(−(a · margin + b))) with "
        f"a = {model.platt.slope:.3f}, b = {model.platt.intercept:.3f}."
    ]
    if found:
        texts.append(
            f"On the later changes {found['observed']} failures were seen and "
            f"{found['expected']:.1f} were expected; mean distance between said and seen over ten "
            f"bins {found['ece']:.4f}; Brier skill {_figure(found['brier_skill'])}."
        )
    return Section(heading="Whether its numbers can be taken at their word", texts=tuple(texts))


def _bands(model: RiskModel) -> Section:
    bands = model.bands
    begins = {"low": 0.0, "moderate": bands.moderate, "high": bands.high}
    begins["very_high"] = bands.very_high
    rows = []
    for name, start in begins.items():
        seen = bands.observed.get(name)
        rate = "too few" if not seen or seen["rate"] is None else f"{seen['rate']:.1%}"
        changes = f"{seen['changes']:,.0f}" if seen and seen["changes"] is not None else "0"
        rows.append((name.replace("_", " "), f"{start:.1%}", changes, rate))
    text = (
        f"Set for a board that reads the riskiest {bands.review_budget:.0%}. Bands are policy, not "
        "truth; the rates are those of the later changes."
    )
    head = ("band", "from", "changes", "led to an incident")
    return Section(heading="Bands", texts=(text,), table=Table(head=head, rows=tuple(rows)))


def _placebo(metrics: Mapping[str, Any]) -> Section:
    heading = "Placebo: the same changes at a time when nothing happened"
    found = metrics.get("placebo") or []
    if not found:
        return Section(heading=heading, texts=("Not measured: run `changerisk evaluate`.",))
    texts = (
        "A score that finds trouble on a change's items as well at a moved date as at the real one "
        "finds noisy items, not risky changes.",
    )
    rows = tuple(
        (
            f"{one['shift_days']:g} days earlier",
            f"{one['rate']:.1%}",
            f"{one['placebo_rate']:.1%}",
            _figure(one["roc_auc"]),
            _figure(one["placebo_roc_auc"]),
        )
        for one in found
    )
    head = ("moved", "trouble, real", "trouble, moved", "ROC AUC, real", "ROC AUC, moved")
    return Section(heading=heading, texts=texts, table=Table(head=head, rows=rows))


def _limits(model: RiskModel) -> Section:
    models = model.metrics.get("models", {})
    own = models.get("champion", {}).get("average_precision")
    texts = [
        "It learns from recorded links between changes and incidents. Where teams record them "
        "unevenly it learns who records; watch `changerisk monitor`.",
        "It describes association. A lever that lowers the number lowers the chance of an incident "
        "only if the link is causal.",
    ]
    better = [
        name.replace("_", " ")
        for name, found in models.items()
        if name != "champion" and own is not None and (found["average_precision"] or 0) > own
    ]
    if better:
        texts.append(
            f"On the later changes {', '.join(better)} had a higher average precision than the "
            "model itself."
        )
    thin = sum(share < 0.5 for share in model.coverage.values())
    if thin:
        texts.append(f"{thin} of its features are known for fewer than half of the changes.")
    return Section(heading="Known limits", texts=tuple(texts))


def _promotion(tags: Mapping[str, str], comparison: Mapping[str, Any] | None) -> Section:
    heading = "How it came into service"
    if "promoted_at" not in tags and comparison is None:
        text = "It was not promoted: no comparison with a champion is on record."
        return Section(heading=heading, texts=(text,))
    texts = [
        f"Promoted at {tags.get('promoted_at', 'an unknown time')} by "
        f"{tags.get('promoted_by', 'someone not recorded')}: "
        f"{tags.get('promoted_because', 'no reason recorded')}."
    ]
    table = None
    if comparison is not None:
        texts.append(
            f"Compared with version {comparison['champion']} on "
            f"{comparison['window']['changes']:,} changes neither had seen."
        )
        rows = tuple(
            (one["code"].replace("_", " "), one["outcome"].replace("_", " "), one["sentence"])
            for one in comparison["conditions"]
        )
        table = Table(head=("condition", "outcome", "found"), rows=rows)
    return Section(heading=heading, texts=tuple(texts), table=table)


def _again(model: RiskModel, version: str) -> Section:
    text = (
        f"`changerisk model replay {version}` trains it again from the same snapshot, settings and "
        f"seed and compares the trees bit for bit. Trained at {model.trained_at:%Y-%m-%d %H:%M} "
        "UTC."
    )
    return Section(heading="How to make it again", texts=(text,))


def _settings(config: Mapping[str, Any]) -> str:
    flat = []
    for name, value in config.items():
        nested = value.items() if isinstance(value, Mapping) else [("", value)]
        flat += [f"{f'{name} {key}'.strip()} {shown}" for key, shown in nested]
    return ", ".join(flat) or "defaults"


def _singular(means: str) -> str:
    """The outcome of the label for one change: verbs of the labels known by name."""
    words = {"were": "is", "led": "leads", "have": "has"}
    first, _, rest = means.partition(" ")
    return f"{words.get(first, first)} {rest}".strip()


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0%}"


def _cell(text: str) -> str:
    """A cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _render(name: str, card: Card) -> str:
    environment = Environment(
        loader=PackageLoader("training"),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=name.endswith(".md.j2"),
    )
    environment.filters["cell"] = _cell
    return environment.get_template(name).render(card=card)


__all__: Sequence[str] = ("Card", "Section", "Table", "make_card")
