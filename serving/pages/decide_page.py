"""What people record on a change's page: their own view, a decision, what they think of a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from features.store import Store
from serving import decisions, feedback
from serving.decisions import DecisionIn
from serving.feedback import FactorFeedback, FeedbackIn
from serving.keys import Caller
from serving.pages.change import ended_words
from serving.pages.change_page import page
from serving.pages.desk import Desk
from serving.pages.panel import CHOICES, LOOKS, Given, record_view
from serving.pages.site import caller_of, page_of, swaps
from serving.problems import RefusedError

MOST_FIELDS = 100

FIELDS = {"/reason": "reason", "/conditions": "further", "/decision": "kind"}
"""Where in the form the fault of a field is mended."""


async def decide(desk: Desk, request: Request) -> Response:
    """``POST /decisions``: decide about a change, or open its decision again."""
    return await _with_form(desk, request, _decide)


async def view(desk: Desk, request: Request) -> Response:
    """``POST /views``: say what one expects of a change; then its score is shown."""
    return await _with_form(desk, request, _view)


async def _with_form(
    desk: Desk, request: Request, work: Callable[[Desk, Request, FormData, Caller], Response]
) -> Response:
    who = caller_of(request)
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        if who is None:
            return RedirectResponse("/sign-in", 303)
        return await run_in_threadpool(work, desk, request, form, who)


def _view(desk: Desk, request: Request, form: FormData, who: Caller) -> Response:
    change_id = _text(form, "change_id")
    with desk.store() as store:
        try:
            decisions.read(store, change_id)
            expected, score_id = _text(form, "expected"), _text(form, "score_id")
            record_view(store, change_id, expected, score_id, who, now=desk.now)
        except RefusedError:
            return desk.site.message(request, "missing.html", status=404, change_id=change_id)
        except ValueError:
            faults = [("expected", "Say which band you expect, or show the score without.")]
            return page(desk, request, change_id, status=422, faults=faults)
    return RedirectResponse(page_of(change_id), 303)


def _decide(desk: Desk, request: Request, form: FormData, who: Caller) -> Response:
    change_id, given = _text(form, "change_id"), _given(form)
    shown: dict[str, Any] = {"given": given}
    with desk.store() as store:
        try:
            asked = _asked(given)
            if _has_ended(desk, change_id):
                return page(desk, request, change_id, status=409, clash="ended", **shown)
            decisions.decide(
                store, change_id, asked, who, now=desk.now, if_match=_text(form, "etag") or None
            )
            _feedback(store, change_id, given, asked, who, desk)
        except ValidationError:
            fault = ("kind", "Choose what to decide.")
            return page(desk, request, change_id, status=422, faults=[fault], **shown)
        except RefusedError as refused:
            own = _own(store, refused, who)
            if own is not None and _same(own, asked):
                return _recorded(desk, request, change_id)  # the same form, sent twice
            if own is not None:
                shown |= {"clash": "own", "other": own}
                return page(desk, request, change_id, status=409, **shown)
            return _refused(desk, request, change_id, refused, shown)
    return _recorded(desk, request, change_id)


def _recorded(desk: Desk, request: Request, change_id: str) -> Response:
    if swaps(request):
        return page(desk, request, change_id, done=True)
    return RedirectResponse(f"{page_of(change_id)}#decision", 303)


def _has_ended(desk: Desk, change_id: str) -> bool:
    """Whether a change is over: its page, loaded before, still had the form."""
    with desk.facts() as facts:
        return ended_words(facts.change(change_id)) is not None


def _own(store: Store, refused: RefusedError, who: Caller) -> Mapping[str, Any] | None:
    """The decision that stands in the way, where whoever decides now made it themselves."""
    other: Mapping[str, Any] | None = refused.shown.get("standing")
    entry = None if other is None else store.journal_entry(other["decision_id"])
    return other if entry is not None and entry.body["by"]["key_id"] == who.key_id else None


def _same(made: Mapping[str, Any], asked: DecisionIn) -> bool:
    said = ("decision", "reason", "conditions")
    return all(made[name] == getattr(asked, name) for name in said)


def _refused(
    desk: Desk, request: Request, change_id: str, refused: RefusedError, shown: dict[str, Any]
) -> Response:
    if refused.kind == "not-found":
        return desk.site.message(request, "missing.html", status=404, change_id=change_id)
    if refused.kind == "invalid":
        field = FIELDS.get(refused.pointer or "", "kind")
        detail = refused.detail[:1].upper() + refused.detail[1:]
        fault = (field, detail.replace("Expected", "Give") + ".")
        return page(desk, request, change_id, status=422, faults=[fault], **shown)
    if refused.kind == "forbidden":
        fault = ("kind", f"{refused.detail[:1].upper()}{refused.detail[1:]}.")
        return page(desk, request, change_id, status=403, faults=[fault], **shown)
    other = refused.shown.get("standing")
    clash = "decided" if other is not None else "scored"
    return page(desk, request, change_id, status=409, clash=clash, other=other, **shown)


def _asked(given: Given) -> DecisionIn:
    """The decision a form asks for; ticked conditions make an approval conditional.

    Raises
    ------
    pydantic.ValidationError
        If it is none of the choices.
    """
    conditions = [*given.conditions, *([given.further] if given.further else [])]
    kind, reason = given.decision, given.reason
    if kind == "approve" and conditions:
        kind = "approve_with_conditions"
    if kind in ("send_back", "reject") and conditions:
        reason = "\n".join([reason, *(f"Asked for: {one}" for one in conditions)]).strip()
        conditions = []
    if kind == "reopen":
        conditions = []
    return DecisionIn(decision=kind, reason=reason or None, conditions=conditions)  # type: ignore[arg-type]


def _feedback(
    store: Store, change_id: str, given: Given, asked: DecisionIn, who: Caller, desk: Desk
) -> None:
    """What else the form said of the score."""
    if asked.decision == "reopen" or not (given.looks or given.not_useful):
        return
    factors = [FactorFeedback(group=group, verdict="not_useful") for group in given.not_useful]
    said = FeedbackIn(score=given.looks or None, factors=factors)  # type: ignore[arg-type]
    # The decision is on record; a factor that the newest score no longer has is not worth a fault.
    with suppress(RefusedError):
        feedback.give(store, change_id, said, who, now=desk.now)


def _given(form: FormData) -> Given:
    decision, looks = _text(form, "decision"), _text(form, "looks")
    return Given(
        decision=decision if decision in (*CHOICES, "reopen") else "",
        reason=_text(form, "reason")[:4000],
        further=_text(form, "further")[:500],
        conditions=tuple(str(value).strip()[:500] for value in form.getlist("condition"))[:19],
        looks=looks if looks in LOOKS else "",
        not_useful=tuple(str(value)[:100] for value in form.getlist("not_useful"))[:50],
    )


def _text(form: FormData, name: str) -> str:
    """A field's text; NUL, which no database keeps, is marked."""
    return str(form.get(name, "")).strip().replace("\x00", "\ufffd")
