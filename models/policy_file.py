"""The file of the policy: read, checked to the last name, and merged with the defaults.

The defaults are ``policy.toml`` beside this module, with a comment on everything; a file of that
name in ``CHANGERISK_HOME`` replaces what it names.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from features.catalogue import NAMES
from features.errors import ChangeRiskError
from models.faults import faults_of, near
from models.routing import WORD_FIELDS, Cuts, RoutingPolicy, Rule, word

NAME = "policy.toml"
DEFAULTS = Path(__file__).with_name(NAME)

Band = Literal["low", "moderate", "high", "very_high"]
Route = Literal["pre_approved", "delegated_approver", "cab", "ecab"]


class PolicyError(ChangeRiskError):
    """The policy file cannot be used; the message names every wrong key with its path.

    Parameters
    ----------
    faults : sequence of str
        One sentence a fault.
    """

    exit_code = 2

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        super().__init__("\n".join(f"{source}: {fault}" for fault in faults))
        self.faults = tuple(faults)


def _several(value: object) -> object:
    return [value] if isinstance(value, (str, int)) and not isinstance(value, bool) else value


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Word = Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=500)]
Words = Annotated[list[Word], BeforeValidator(_several), Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Reason = Annotated[str, Field(min_length=1, max_length=300)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Rule(_Strict):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    route: Route
    reasons: list[Reason] = []
    band: Annotated[list[Band], BeforeValidator(_several), Field(min_length=1)] | None = None
    change_type: Words | None = None
    change_model: Words | None = None
    category: Words | None = None
    service: Words | None = None
    ci: Words | None = None
    assignment_group: Words | None = None
    declared_risk: Words | None = None
    impact: Words | None = None
    urgency: Words | None = None
    priority: Words | None = None
    cab_required: Annotated[bool, Field(strict=True)] | None = None
    degraded: Annotated[bool, Field(strict=True)] | None = None
    probability_at_least: Share | None = None
    probability_below: Share | None = None
    at_least: dict[str, Number] = {}
    below: dict[str, Number] = {}
    shadow: Annotated[bool, Field(strict=True)] = False

    def rule(self) -> Rule:
        """The rule as it is asked."""
        said = {name: getattr(self, name) for name in WORD_FIELDS}
        plain = self.model_dump(exclude={"band", "reasons", *WORD_FIELDS})
        return Rule(
            **plain,
            reasons=tuple(self.reasons),
            band=frozenset(self.band or ()),
            words={name: frozenset(map(word, words)) for name, words in said.items() if words},
        )


class _Bands(_Strict):
    review_budget: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = None
    moderate: Share | None = None
    high: Share | None = None
    very_high: Share | None = None


class _Otherwise(_Strict):
    route: Route
    reasons: list[Reason] = []


class _File(_Strict):
    mode: Literal["advise", "shadow"]
    bands: _Bands
    rules: list[_Rule]
    otherwise: _Otherwise


def load(home: Path | None = None) -> RoutingPolicy:
    """The policy of an organisation: the defaults with what the home's file sets.

    Raises
    ------
    PolicyError
        If the file is no TOML or says something that cannot be.
    """
    path = None if home is None else home / NAME
    if path is None or not path.is_file():
        return _default()
    return read(path)


def read(path: Path) -> RoutingPolicy:
    """The policy of a file.

    Raises
    ------
    PolicyError
        If the file cannot be read, is no TOML, or says something that cannot be.
    """
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(str(path), [f"cannot be read: {error}"]) from error
    return parsed({**_defaults(), **own}, str(path))


def parsed(content: Mapping[str, Any], source: str) -> RoutingPolicy:
    """A policy of plain data.

    Raises
    ------
    PolicyError
        If it says something that cannot be; every fault is named at once.
    """
    try:
        said = _File.model_validate(content)
    except ValidationError as error:
        raise PolicyError(source, faults_of(error, content, _File)) from error
    faults = list(_together(said))
    if faults:
        raise PolicyError(source, faults)
    otherwise = Rule(name="", route=said.otherwise.route, reasons=tuple(said.otherwise.reasons))
    return RoutingPolicy(
        mode=said.mode,
        cuts=Cuts(**said.bands.model_dump()),
        rules=tuple(one.rule() for one in said.rules),
        otherwise=otherwise,
        content=said.model_dump(mode="json", exclude_defaults=True),
        source=source,
    )


def kept_as(version: str) -> str:
    """Name of the store's setting that keeps what a policy said, once it was in force."""
    return f"policy {version}"


@cache
def _defaults() -> dict[str, Any]:
    return tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))


@cache
def _default() -> RoutingPolicy:
    return parsed(_defaults(), "the defaults")


def _together(said: _File) -> Iterator[str]:
    """What is wrong with values that are each right."""
    names = [rule.name for rule in said.rules]
    for place, rule in enumerate(said.rules):
        where = f"rules[{place}]"
        if rule.name in names[:place]:
            yield f"{where}.name: {rule.name!r} is the name of an earlier rule; expected its own"
        for table in ("at_least", "below"):
            for feature in getattr(rule, table):
                if feature not in NAMES:
                    yield f"{where}.{table}.{feature}: unknown feature{near(feature, NAMES)}"
        low, high = rule.probability_at_least, rule.probability_below
        if low is not None and high is not None and low >= high:
            yield f"{where}.probability_below: expected more than probability_at_least, {low}"
    cuts = said.bands.model_dump(exclude={"review_budget"}, exclude_none=True)
    for (low_name, low), (high_name, high) in zip(
        list(cuts.items())[:-1], list(cuts.items())[1:], strict=True
    ):
        if low > high:
            yield f"bands.{high_name}: expected at least {low_name}, {low}, got {high}"
