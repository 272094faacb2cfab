"""The wire: one neutral change in, one answer out; and the way to and from records.

Missing or odd fields of real tickets are normal: they are taken as missing and reported. Only what
cannot be understood at all is refused, with the path of the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from features.language import say
from features.records import FORBIDDEN_FIELDS, LIST_FIELDS, TEXT_FIELDS, Change
from features.request import ATTRIBUTES, CHANGE_TYPES, DESCRIBED_BY
from serving.values import Flag, Moment, Names, Numbers, Text, identifier, text_or_none


class ChangeIn(BaseModel):
    """One change to be scored. All but ``change_id`` may be missing; missing is reported."""

    # Texts of a ticket do not belong into the log, where a refused one would be quoted.
    model_config = ConfigDict(extra="allow", title="Change", hide_input_in_errors=True)

    change_id: Annotated[
        str,
        BeforeValidator(identifier),
        Field(min_length=1, max_length=200, examples=["CHG0031874"]),
    ]
    revision: Annotated[
        Annotated[str, Field(max_length=100)] | None, BeforeValidator(text_or_none)
    ] = None
    change_type: Text = None
    category: Text = None
    change_model: Text = None
    short_description: Text = None
    description: Text = None
    justification: Text = None
    implementation_plan: Text = None
    backout_plan: Text = None
    test_plan: Text = None
    ci: Text = None
    affected_cis: Names = ()
    service: Text = None
    impacted_services: Names = ()
    references: Names = ()
    assignment_group: Text = None
    requested_by: Text = None
    implementer: Text = None
    declared_risk: Text = None
    impact: Text = None
    urgency: Text = None
    priority: Text = None
    cab_required: Flag = None
    submitted_at: Moment = None
    planned_start: Moment = None
    planned_end: Moment = None
    attributes: Numbers = Field(
        default_factory=dict, description="Further numbers: " + ", ".join(ATTRIBUTES)
    )
    as_of: Moment = Field(
        default=None,
        description="Score with what was known at this moment. By default now; for a change whose "
        "planned start has passed, its submission.",
    )

    def to_record(self, *, revision: str, known_at: datetime) -> Change:
        """The change as a record of the history."""
        return Change(
            change_id=self.change_id,
            known_at=known_at,
            revision=revision,
            cab_required=self.cab_required,
            submitted_at=self.submitted_at,
            planned_start=self.planned_start,
            planned_end=self.planned_end,
            attributes=dict(self.attributes),
            **{name: getattr(self, name) for name in (*TEXT_FIELDS, *LIST_FIELDS)},
        )

    def payload(self) -> dict[str, Any]:
        """The fields of a change as JSON values; what is no field of a change is not kept."""
        return self.model_dump(mode="json", include=set(type(self).model_fields))

    def warnings(self) -> list[Warned]:
        """What of the body was missing or not used."""
        found = [
            Warned(
                code="missing_field",
                field=name,
                text=say("{field} is missing", field=say(spoken(name))),
            )
            for name in DESCRIBED_BY
            if getattr(self, name) is None
        ]
        for name in sorted(self.__pydantic_extra__ or {})[:20]:
            after = name in FORBIDDEN_FIELDS
            shown = name[:100].replace("\x00", "\ufffd")
            found.append(
                Warned(
                    code="after_the_fact_field" if after else "unknown_field",
                    field=shown,
                    text=say("{field} is known only after the fact and was not used", field=shown)
                    if after
                    else say("{field} is not a field of a change and was not used", field=shown),
                )
            )
        unused = sorted(set(self.attributes) - set(ATTRIBUTES))
        for name in unused[:20]:
            text = say("{field} is not an attribute the features read", field=name[:100])
            found.append(Warned(code="unknown_attribute", field=name[:100], text=text))
        return [*found, *self._odd_values()]

    def _odd_values(self) -> Iterator[Warned]:
        """Values that were understood but can hardly be meant."""
        kind = (self.change_type or "normal").strip().lower()
        if kind not in CHANGE_TYPES:
            known = ", ".join(CHANGE_TYPES)
            text = f"{self.change_type!r:.60} is no type that is told apart: {known}"
            yield Warned(code="unknown_value", field="change_type", text=text)
        for name in ATTRIBUTES:
            if self.attributes.get(name, 0) < 0:
                text = f"{name} is negative, which it cannot be; it was used as it is"
                yield Warned(code="impossible_value", field=name, text=text)


def spoken(name: str) -> str:
    """A field of a change as the subject of a sentence."""
    words = {"ci": "The configuration item", "assignment_group": "The assignment group"}
    return words.get(name, f"The {name.replace('_', ' ')}")


class Warned(BaseModel):
    """Something the reader of a score should know."""

    code: str
    field: str | None = None
    text: str


class FactorOut(BaseModel):
    """A factor group's part in the score."""

    group: str
    heading: str
    text: str
    feature: str | None
    value: float | None
    reference: float | None
    direction: Literal["raises", "lowers"]
    log_odds: float
    points: float
    changeable: bool
    evidence: list[str]


class LeverOut(BaseModel):
    """Something the requester could change, and the score that goes with it."""

    text: str
    change: dict[str, Any]
    incident_probability: float
    risk_band: str


class SimilarOut(BaseModel):
    """An earlier change like this one, and what followed."""

    change_id: str
    similarity: float
    outcome: Literal["caused", "clean"]
    incidents: list[str]
    reasons: list[str] = Field(default=[], description="What the two have in common, in words.")


class ClosedTimeOut(BaseModel):
    """A freeze or a blackout of an item, a service or (scope ``*``) everything."""

    entry_id: str
    scope: str
    starts_at: datetime
    ends_at: datetime


class CollisionOut(BaseModel):
    """What the planned window meets: another change, or a closed time of the calendar."""

    change_id: str | None = Field(default=None, description="Null for a freeze or a blackout.")
    kind: Literal[
        "freeze",
        "blackout",
        "same_ci",
        "dependency",
        "indirect_dependency",
        "same_service",
        "same_team",
    ]
    overlap_minutes: float
    closed: ClosedTimeOut | None = Field(
        default=None, description="The freeze or the blackout; null for another change."
    )


class Recommendation(BaseModel):
    """The route the policy suggests; people decide. An answer has none without a score, while the
    policy is in shadow mode or where it cannot be read.
    """

    route: Literal["pre_approved", "delegated_approver", "cab", "ecab"]
    reasons: list[str]
    rule: str | None = Field(
        default=None, description="The rule of the policy that decided; null where none fitted."
    )
    policy: str | None = Field(default=None, description="The policy's version.")


class ModelOut(BaseModel):
    """The model behind a score."""

    name: str
    version: str
    trained_at: datetime
    history_until: datetime
    label: str


class Answer(BaseModel):
    """The answer to one change: ``scored``, ``degraded`` (something the score usually rests on was
    missing) or ``not_scored`` (there is no number, and ``warnings`` says why).
    """

    score_id: str
    change_id: str
    revision: str
    status: Literal["scored", "degraded", "not_scored"]
    incident_probability: float | None = None
    base_rate: float | None = None
    times_base_rate: float | None = None
    risk_band: Literal["low", "moderate", "high", "very_high"] | None = None
    percentile: int | None = None
    summary: str
    factors: list[FactorOut] = []
    base_log_odds: float | None = None
    levers: list[LeverOut] = []
    similar_changes: list[SimilarOut] = []
    collisions: list[CollisionOut] = []
    recommendation: Recommendation | None = None
    warnings: list[Warned] = []
    model: ModelOut | None = None
    as_of: datetime
    scored_at: datetime
    input_hash: str
    links: dict[str, str] = {}
    # What a policy in shadow would have suggested: kept and shown to people, in no answer.
    _shadow: Recommendation | None = PrivateAttr(default=None)

    @property
    def shadow(self) -> Recommendation | None:
        """The route that would have been suggested; None where nothing is tried in shadow."""
        # Read where it lies: the attribute is looked for in all other places first.
        return (self.__pydantic_private__ or {}).get("_shadow")

    def beside(self, shadow: Recommendation | None) -> Answer:
        """The same answer, with what would have been suggested noted outside of its content."""
        self._shadow = shadow
        return self


def plain(answer: Answer) -> Mapping[str, Any]:
    """An answer as JSON values."""
    return answer.model_dump(mode="json")


def neutral(change: Change) -> bytes:
    """A change as the body of a request, one line, without what it does not say."""
    content = {
        name: value
        for name, value in vars(change).items()
        if value not in (None, (), {}) and name != "known_at"
    }
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
