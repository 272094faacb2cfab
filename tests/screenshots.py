"""Pictures of the running pages: `python -m tests.screenshots [HOME]` writes docs/pictures.

Without HOME a synthetic organisation is made and a model fitted first, which takes minutes. HOME is
a ``CHANGERISK_HOME`` with a history and a model, such as one of an import; its pictures show that
organisation's records, so put those of a data set elsewhere with ``--into``.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from features.settings import Settings
from features.store import Store
from serving import queue
from serving.board import Board
from serving.keys import caller, create
from serving.pages.session import issue, secret
from serving.queue import Wanted
from serving.runtime import Runtime
from serving.service import create_service

ROOT = Path(__file__).parent.parent
LARGEST = 300_000
"""Bytes of a picture."""


def main() -> None:
    """Serve a copy of the home, look at it, write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", nargs="?", type=Path)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "pictures")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = given.home or _demo(Path(folder) / "demo")
        # Keys and what the pictures do to the journal stay out of the home.
        copy = Path(folder) / "history.db"
        with (
            closing(sqlite3.connect(home / "history.db")) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        places = {"CHANGERISK_HOME": str(home), "CHANGERISK_STORE_URL": f"sqlite:///{copy}"}
        _pictures(Settings.from_environment(places), home, given.into)


def _demo(home: Path) -> Path:
    environment = {**os.environ, "CHANGERISK_HOME": str(home)}
    command = [sys.executable, str(ROOT / "changerisk.py")]
    for arguments in (["demo"], ["train"], ["score", str(home / "upcoming.jsonl"), "--json"]):
        subprocess.run(
            [*command, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL
        )
    return home


def _pictures(settings: Settings, home: Path, into: Path) -> None:
    now = datetime.now(UTC)
    board = Board.from_environment({"CHANGERISK_OWN_VIEW": "off"})
    runtime = Runtime(settings, board=board)
    app = create_service(runtime).to_asgi()
    store = Store(settings.store_url)
    key = create(
        store, name="Adaeze Okafor", role="approver", now=now, expires_at=now + timedelta(hours=1)
    )
    who = caller(store, key, now=now)
    first = queue.page(store, Wanted(limit=1), now=now).items
    change = f"/changes/{quote(first[0].change_id, safe='')}" if first else "/"
    link = issue(secret(home), "" if who is None else who.key_id, "link", now=now)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    views: list[tuple[str, str, dict[str, Any]]] = [
        ("agenda", "/", {}),
        ("agenda-dark", "/", {"color_scheme": "dark"}),
        ("agenda-phone", "/", {"viewport": {"width": 390, "height": 860}}),
        ("change", change, {}),
        ("change-dark", change, {"color_scheme": "dark"}),
        ("change-phone", change, {"viewport": {"width": 390, "height": 860}}),
        ("track-record", "/track-record", {}),
        ("schedule", "/schedule", {}),
        ("try", "/try?short_description=Upgrade+the+database&change_type=normal", {}),
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for name, path, options in views:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/sign-in?link={link}")
            page.goto(f"http://127.0.0.1:{port}{path}")
            # The panel that stays in view would cover a picture of the whole page.
            page.set_viewport_size({**page.viewport_size, "height": 1800})
            _write(page.screenshot(), into / f"{name}.png")
            context.close()
        browser.close()
    server.should_exit = True
    store.close()


def _write(picture: bytes, path: Path) -> None:
    """A picture in few colours, so that the repository stays small."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path} is larger than {LARGEST} bytes")
    sys.stdout.write(f"{path} {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
