"""Every state that is not the usual one, in a browser: said in words, and without fault for axe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from serving import queue
from serving.pages import agenda_page
from serving.pages.session import COOKIE
from serving.pages.site import page_of

Prepare = Callable[[Any, pytest.MonkeyPatch], None]


def usual(_service: Any, _patch: pytest.MonkeyPatch) -> None:
    """Nothing is out of the ordinary."""


def no_store(service: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(service.runtime, "scorer", lambda: None)
    patch.setattr(service.runtime, "ready", lambda: (False, "the store is not open"))


def no_model(service: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(service.runtime.scorer(), "registered", None)
    patch.setattr(service.runtime.scorer(), "unavailable", "the registry has no champion")


def fault(_service: Any, patch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a detail that is nobody's business")

    patch.setattr(agenda_page, "read_agenda", fail)


def nothing_planned(_service: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(queue, "page", lambda *_, **__: queue.Queue(items=[], next=None))


STATES: dict[str, tuple[Prepare, str, str | None, str]] = {
    "sign in": (usual, "/sign-in", None, "Your key"),
    "session ended": (usual, "/sign-in?next=/try&ended=1", None, "Your session has ended."),
    "link used up": (usual, "/sign-in?link=old", None, "This link does not work any more."),
    "no such change": (usual, "/changes/none", "approver", "was never scored here"),
    "no such page": (usual, "/snapshots/none", "approver", "There is no such page"),
    "out of reach": (no_store, "/", "approver", "The records cannot be read"),
    "fault": (fault, "/", "approver", "Something went wrong here"),
    "nothing planned": (nothing_planned, "/", "approver", "No change is planned"),
    "nothing scheduled": (nothing_planned, "/schedule", "approver", "Nothing is planned"),
    "agenda without a model": (no_model, "/?band=high", "approver", "No new scores for now."),
    "trial without a model": (no_model, "/try?ci=x", "approver", "Not scored"),
    "trial at fault": (usual, "/try?planned_start=1960-01-01T00:00", "approver", "Not scored yet:"),
    "to look only": (usual, "{change}", "auditor", "can look, but not decide"),
}
"""What is out of the ordinary, where, for whom, and what is said."""


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_said_and_axe_finds_nothing(
    look: Callable[..., Any],
    site: Any,
    violations: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    prepare, path, role, said = STATES[state]
    low = next(b["answer"] for b in site.service.journal() if b["answer"]["risk_band"] == "low")
    tab = look(site, role=role, bypass_csp=True, reduced_motion="reduce")
    prepare(site.service, monkeypatch)
    page = tab.open(path.format(change=page_of(low["change_id"])))
    expect(page.get_by_text(said).first).to_be_visible()
    assert violations(page) == []
    assert all("Failed to load resource" in told for told in tab.faults)
    tab.faults.clear()  # the browser itself tells of answers that refuse


SEND = """([path, data]) => {
  const form = Object.assign(document.createElement("form"), {method: "post", action: path});
  for (const [name, value] of Object.entries(data))
    form.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
  document.body.append(form);
  form.submit();
}"""

REFUSED = {
    "not allowed": ("requester", "/snapshots", "Not for this role"),
    "session ended": ("nobody", "/decisions", "Your session has ended"),
    "unknown key": (None, "/sign-in", "This key is unknown"),
}


@pytest.mark.parametrize("state", REFUSED)
def test_a_form_that_is_refused_says_why_and_axe_finds_nothing(
    look: Callable[..., Any], site: Any, violations: Callable[..., list[Any]], state: str
) -> None:
    role, path, said = REFUSED[state]
    tab = look(site, role=None if role == "nobody" else role, bypass_csp=True)
    if role == "nobody":
        ended = {"name": COOKIE, "value": "ended", "url": site.address}
        tab.page.context.add_cookies([ended])
    page = tab.open("/sign-in")
    page.evaluate(SEND, [path, {"change_id": "none", "key": "crk_none"}])
    expect(page.get_by_text(said)).to_be_visible()
    assert violations(page) == []
    assert all("Failed to load resource" in told for told in tab.faults)
    tab.faults.clear()
