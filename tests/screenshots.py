"""`python -m tests.screenshots` takes the pictures in docs/pictures, of the pages as they run.

A quarter of the synthetic organisation is gone through first (tests/rehearsal.py), so that the
track record has something to say. The same is done with the BPI Challenge 2014 history where its
files are found (under ``CHANGERISK_REAL_DATA`` or ``../shared/data``); without them its pictures
are left as they are. Takes minutes.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from features.policy import POLICIES, policy_from
from features.settings import Settings
from features.sources.importing import SOURCES
from features.sources.reading import Reading
from features.store import Store
from features.synthetic import organisation
from serving import queue
from serving.board import Board
from serving.contract import ChangeIn, neutral
from serving.keys import caller, create
from serving.pages.session import issue, secret
from serving.pages.site import page_of
from serving.queue import Wanted
from serving.runtime import Runtime
from serving.scorer import Scorer
from serving.service import create_service
from tests.rehearsal import CHAIR, Rehearsed, rehearse

ROOT = Path(__file__).parent.parent
PICTURES = ROOT / "docs" / "pictures"
LARGEST = 300_000
"""Bytes of a picture."""

DEMO_UNTIL = datetime(2026, 11, 22, 9, tzinfo=UTC)
BPIC14_UNTIL = datetime(2014, 3, 17, 9, tzinfo=UTC)
"""A Monday near the end of the history, when all its outcomes were still being recorded."""

PHONE: Mapping[str, Any] = {"viewport": {"width": 390, "height": 860}}
DARK: Mapping[str, Any] = {"color_scheme": "dark"}


def main() -> None:
    """Take the pictures of one organisation or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("demo", "bpic14"))
    only = parser.parse_args().only
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        if only in (None, "demo"):
            _demo(browser)
        if only in (None, "bpic14"):
            _bpic14(browser)
        browser.close()


def _demo(browser: Browser) -> None:
    with _store() as (store, home):
        made = organisation(seed=7, until=DEMO_UNTIL, changes=10_000, days=365)
        policy = POLICIES["incident"]
        found = rehearse(made.records, policy, store, until=DEMO_UNTIL, weeks=12, board=True)
        bodies = [ChangeIn.model_validate_json(neutral(change)) for change in made.upcoming]
        views = {
            "agenda": ("/", {}),
            "agenda-dark": ("/", DARK),
            "agenda-phone": ("/", PHONE),
            "own-view": ("{change}", {"ask": True}),
            "change": ("{change}", {}),
            "change-dark": ("{change}", DARK),
            "change-phone": ("{change}", PHONE),
            "track-record": ("/track-record", {}),
            "schedule": ("/schedule", {}),
            "try": ("/try?short_description=Upgrade+the+database&change_type=normal", {}),
        }
        upcoming = {change.change_id: change for change in (*found.upcoming, *bodies)}
        found = Rehearsed(found.scorer, list(upcoming.values()))
        _pictures(browser, store, home, found, DEMO_UNTIL, PICTURES, views)


def _bpic14(browser: Browser) -> None:
    data = Path(os.environ.get("CHANGERISK_REAL_DATA") or ROOT.parent / "shared" / "data")
    if not (data / "bpic14").is_dir():
        sys.stdout.write(f"no pictures of BPIC14: there is no {data / 'bpic14'}\n")
        return
    source = SOURCES["bpic14"]
    with _store() as (store, home):
        found = rehearse(
            list(source.read(data / "bpic14", Reading())),
            policy_from(source.label),
            store,
            until=BPIC14_UNTIL,
            weeks=5,
            board=False,
            history_from=datetime.fromisoformat(str(source.history_from)),
        )
        views: dict[str, tuple[str, dict[str, Any]]] = {
            "agenda": ("/", {"height": 1100}),
            "change": ("{change}", {}),
            "track-record": ("/track-record", {}),
        }
        _pictures(browser, store, home, found, BPIC14_UNTIL, PICTURES / "bpic14", views)


@contextmanager
def _store() -> Iterator[tuple[Store, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'history.db'}")
        yield store, Path(folder)
        store.close()


def _pictures(
    browser: Browser,
    store: Store,
    home: Path,
    found: Rehearsed,
    now: datetime,
    into: Path,
    views: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> None:
    into.mkdir(parents=True, exist_ok=True)
    for change in found.upcoming:
        found.scorer.answer(change, now=now)
    first = queue.page(store, Wanted(limit=1, undecided=True), now=now).items[0]
    key = create(store, name=CHAIR.name, role=CHAIR.role, now=now, expires_at=None)
    who = caller(store, key, now=now)
    link = issue(secret(home), "" if who is None else who.key_id, "link", now=now)
    runtime = _runtime(home, found.scorer, now)
    with _serving(runtime) as address:
        for name, (path, options) in views.items():
            asked = {**options}
            ask, height = asked.pop("ask", False), asked.pop("height", 1800)
            runtime.board = Board.from_environment({"CHANGERISK_OWN_VIEW": "ask" if ask else "off"})
            window = {"viewport": {"width": 1280, "height": 900}, **asked}
            context = browser.new_context(**window)
            page = context.new_page()
            page.goto(f"{address}/sign-in?link={link}")
            page.goto(address + path.format(change=page_of(first.change_id)))
            # The panel that stays in view would cover a picture of the whole page.
            page.set_viewport_size({"width": window["viewport"]["width"], "height": height})
            _write(page.screenshot(), into / f"{name}.png")
            context.close()


def _runtime(home: Path, scorer: Scorer, now: datetime) -> Runtime:
    class Rehearsing(Runtime):
        def scorer(self) -> Scorer:
            return scorer

    settings = Settings.from_environment({"CHANGERISK_HOME": str(home)})
    return Rehearsing(settings, clock=lambda: now)


@contextmanager
def _serving(runtime: Runtime) -> Iterator[str]:
    """The service on a port of this machine, in a thread."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_service(runtime).to_asgi()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)


def _write(picture: bytes, path: Path) -> None:
    """A picture in few colours, so that the repository stays small."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST} bytes")
    sys.stdout.write(f"{path.relative_to(ROOT)} {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
